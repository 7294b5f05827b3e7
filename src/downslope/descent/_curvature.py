"""Curvature of points too large for a whole Hessian: its two ends, by Lanczos with Hessian-vector products.

References: Golub and Van Loan, *Matrix Computations*, 2013, chapter 10; Pearlmutter, "Fast exact multiplication by the
Hessian", 1994.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope import _tree
from downslope._engine import jax, kept, precision
from downslope._types import Columns, Point
from downslope.descent._objective import Objective
from downslope.trace import Spectrum

_MOST_PRODUCTS = 80
_CLOSE_ENOUGH = 1e-4  # residual of an end, as a share of the largest eigenvalue, at which the iteration stops
_NO_LENGTH = 1e-12  # of the largest eigenvalue: what is left is rounding


@dataclass(frozen=True, eq=False)
class Ends:
    """The two ends of a Hessian.

    Args:
        lowest: λ_min.
        highest: λ_max.
        lowest_direction: unit eigenvector of λ_min, an array by part.
        highest_direction: unit eigenvector of λ_max, an array by part.
        residual: the larger of the two residuals ‖Hv − λv‖, which bounds the error of both eigenvalues.
    """

    lowest: float
    highest: float
    lowest_direction: Columns
    highest_direction: Columns
    residual: float


def hessian_ends(objective: Objective, point: Point, *, seed: int = 0, products: int = _MOST_PRODUCTS) -> Ends:
    """Return the lowest and the highest eigenvalue of the Hessian with their directions.

    Each product Hv costs about one and a half gradients; the basis is kept orthogonal in full, so that no eigenvalue
    is counted twice.

    Args:
        objective: the objective.
        point: where; a pytree of arrays.
        seed: seed of the first direction.
        products: the most Hessian-vector products to take.
    """
    with precision(objective.precision):
        multiply, start = _products(objective, point)
        pairs = lanczos(multiply, np.random.default_rng(seed).normal(size=len(start)), products)
    (lowest, low), (highest, high), residual = pairs
    return Ends(lowest, highest, split(low, point), split(high, point), residual)


def scaled_highest(objective: Objective, point: Point, scale: Point, *, seed: int = 0) -> float:
    """Return the highest eigenvalue of P⁻¹H, for a method that divides each coordinate by a scale P.

    Args:
        objective: the objective.
        point: where; a pytree of arrays.
        scale: P, above 0, in the form of the point.
        seed: seed of the first direction.
    """
    with precision(objective.precision):
        multiply, start = _products(objective, point)
        root = np.sqrt(np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in _tree.leaves(scale)]))
        direction = np.random.default_rng(seed).normal(size=len(start))
        _, (highest, _), _ = lanczos(lambda v: multiply(v / root) / root, direction, _MOST_PRODUCTS)
    return highest


def split(flat: np.ndarray, like: Point) -> dict[str, np.ndarray]:
    """Return a flat row of numbers as arrays by part.

    >>> split(np.array([1.0, 2.0, 3.0]), {"w": np.zeros(2), "b": 0.0})
    {'b': array(1.), 'w': array([2., 3.])}
    """
    parts, index = {}, 0
    for name, leaf in _tree.named_leaves(like):
        shape = np.shape(leaf)
        count = math.prod(shape)
        parts[name] = flat[index : index + count].reshape(shape)
        index += count
    return parts


def signed(direction: np.ndarray) -> np.ndarray:
    """Return a direction with its largest entry positive, so that it does not depend on the eigenvalue solver."""
    return direction * np.copysign(1.0, direction[np.argmax(np.abs(direction))])


def _product_program(objective: Objective) -> Any:
    """Return the compiled product of the Hessian at a point with a flat vector."""
    return kept(objective.owner, "product", lambda: _compiled_product(objective.function))


def _compiled_product(function: Callable[[Point, Columns], Any]) -> Any:

    def product(point: Point, vector: Any, data: Any) -> Any:
        flat, unravel = jax().flatten_util.ravel_pytree(point)
        gradient = jax().grad(lambda coordinates: function(unravel(coordinates), data))
        return jax().jvp(gradient, (flat,), (vector.astype(flat.dtype),))[1]

    return jax().jit(product)


def _products(objective: Objective, point: Point) -> tuple[Any, np.ndarray]:
    """Return the product as a function of a vector alone, and the point as a flat row."""
    dtype = np.dtype(objective.precision)
    arrays = jax().tree.map(lambda leaf: np.asarray(leaf, dtype), point)
    flat, _ = jax().flatten_util.ravel_pytree(arrays)
    program = _product_program(objective)
    return lambda vector: np.asarray(program(arrays, vector, objective.data), dtype=float), np.asarray(flat)


def lanczos(multiply: Any, direction: np.ndarray, most: int) -> tuple[Any, Any, float]:
    """Return the two end pairs of a symmetric matrix that is known by its products, and the residual of the worse.

    Args:
        multiply: the product of the matrix with a vector, shape (size,).
        direction: where to begin, shape (size,).
        most: the most products to take.
    """
    size = len(direction)
    basis = [_unit(direction)]
    # H q_k = b_{k−1} q_{k−1} + a_k q_k + b_k q_{k+1}: in this basis H is tridiagonal, and the eigenvalues of the small
    # matrix approach those of H from inside, the two ends first.
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        image = multiply(basis[-1])
        if not np.all(np.isfinite(image)):
            nothing = np.full(size, np.nan)
            return (np.nan, nothing), (np.nan, nothing), np.nan
        diagonal.append(float(image @ basis[-1]))
        rows = np.array(basis)
        for _ in range(2):  # once leaves rounding behind, from which converged directions grow back
            image = image - rows.T @ (rows @ image)
        length = float(np.linalg.norm(image))
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        scale = max(abs(values[0]), abs(values[-1]), np.finfo(float).tiny)
        # ‖H v − λ v‖ is the next length times the last entry of the small eigenvector: no product is needed for it.
        residual = length * max(abs(vectors[-1, 0]), abs(vectors[-1, -1]))
        done = len(basis) >= min(size, most) or length <= _NO_LENGTH * scale
        if done or (residual <= _CLOSE_ENOUGH * scale and len(basis) >= 8):
            low, high = rows.T @ vectors[:, 0], rows.T @ vectors[:, -1]
            return (float(values[0]), signed(_unit(low))), (float(values[-1]), signed(_unit(high))), residual
        beside.append(length)
        basis.append(image / length)


def tridiagonal_ends(diagonal: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two end eigenvalues of a Lanczos matrix, and their eigenvectors as columns.

    Args:
        diagonal: shape (products,).
        beside: the lengths beside it, the last one that of what follows, shape (products,). The matrix ends where a
            length is zero: what is behind it belongs to no direction.
    """
    # A length of zero means that the space is exhausted: what the loop wrote behind it is rounding, scaled up to unit.
    scale = max(float(np.max(np.abs(diagonal))), float(np.max(beside)), np.finfo(float).tiny)
    ends = np.flatnonzero(beside <= _NO_LENGTH * scale)
    count = int(ends[0]) + 1 if len(ends) else len(diagonal)
    off = beside[: count - 1]
    values, vectors = np.linalg.eigh(np.diag(diagonal[:count]) + np.diag(off, 1) + np.diag(off, -1))
    return values[[0, -1]], vectors[:, [0, -1]]


def _unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector at length one."""
    return vector / np.linalg.norm(vector)


# The two ends of a Hessian on a batch, by Lanczos as one compiled loop; the host diagonalises the small matrix.


MOST_PRODUCTS = 24
_FEW = 8  # products of a look that begins where the last one ended


class Pairs(NamedTuple):
    """The two ends of a Hessian on a batch.

    Args:
        lowest, highest: λ_min and λ_max; NaN where a product was not finite.
        directions: their unit eigenvectors, shape (2, size); None where a product was not finite.
        along_gradient: gᵀHg / gᵀg; NaN where the gradient is zero or was not multiplied.
    """

    lowest: float
    highest: float
    directions: np.ndarray | None
    along_gradient: float


def end_pairs(
    program: Any, arguments: tuple[Any, ...], root: np.ndarray | None, start: np.ndarray, products: int, *, slope: bool
) -> Pairs:
    """Return the ends of P^(−1/2) H P^(−1/2) on a batch.

    Args:
        program: what `krylov_program` returned, compiled.
        arguments: point, memory and batch.
        root: the square roots of P, shape (size,); None for P = 1.
        start: where to begin, shape (size,).
        products: how many to take, at most 24.
        slope: whether to multiply the gradient as well.
    """
    size = len(start)
    count = min(products, size)
    root = np.ones(size, np.float32) if root is None else root.astype(np.float32)
    begun = (start / np.linalg.norm(start)).astype(np.float32)
    basis, coefficients = program(*arguments, root, begun, np.int32(-1 if slope else 0), np.int32(count))
    measured = np.asarray(coefficients, float)
    along, (diagonal, beside) = float(measured[0, 0]), measured[:, 1 : count + 1]
    if not np.all(np.isfinite(measured[:, 1 : count + 1])):
        return Pairs(np.nan, np.nan, None, along)
    values, vectors = tridiagonal_ends(diagonal, beside)
    rows = vectors.T.astype(np.float32) @ np.asarray(basis)[: len(vectors)]
    entries = np.stack([signed(row / np.linalg.norm(row)) for row in rows])
    return Pairs(float(values[0]), float(values[1]), entries, along)


def krylov_program(value: Callable[[Any, Any, Any], Any]) -> Callable[..., tuple[Any, Any]]:
    """Return the function that makes a Krylov basis of the Hessian of `value(point, memory, batch)`."""

    def krylov(point: Any, memory: Any, batch: Any, root: Any, start: Any, first: Any, last: Any) -> tuple[Any, Any]:
        numpy, lax = jax().numpy, jax().lax
        flat, unravel = jax().flatten_util.ravel_pytree(point)
        slope = jax().grad(lambda coordinates: value(unravel(coordinates), memory, batch))
        # Linearised once: each product then repeats only the part that depends on the vector.
        gradient, product = jax().linearize(slope, flat)
        gradient = gradient.astype("float32")
        toward = gradient / _length(gradient)

        # Index −1 is the product with the gradient, for gᵀHg; it leaves the basis empty and hands on to the start.
        def trip(index: Any, held: Any) -> Any:
            basis, vector, coefficients = held
            basis = lax.dynamic_update_index_in_dim(basis, vector, numpy.maximum(index, 0), 0)
            image = product((vector / root).astype(flat.dtype)).astype("float32") / root
            along = image @ vector
            image = _cleared(basis, index, image)
            length = _length(image)
            following = numpy.where(index < 0, start, image / numpy.where(length > 0, length, 1))
            entries = numpy.stack([along, length])[:, None]
            return basis, following, lax.dynamic_update_slice_in_dim(coefficients, entries, index + 1, 1)

        begun = (
            numpy.zeros((MOST_PRODUCTS, len(start)), "float32"),
            numpy.where(first < 0, toward, start),
            numpy.full((2, MOST_PRODUCTS + 1), np.nan, "float32"),
        )
        basis, _, coefficients = lax.fori_loop(first, last, trip, begun)
        return basis, coefficients

    return krylov


def _cleared(basis: Any, last: Any, vector: Any) -> Any:
    """Return a vector minus its projection on the rows of a basis up to `last`; later rows are zero."""
    lax = jax().lax
    # By groups of rows: a warm look takes eight products, and against 24 rows, most of them zeros, would cost three
    # times as much. One loop, since each group or round written out would be compiled again.
    groups = jax().numpy.maximum(last, 0) // _FEW + 1

    def cleared_of_group(trip: Any, rest: Any) -> Any:
        rows = lax.dynamic_slice_in_dim(basis, trip % groups * _FEW, _FEW, 0)
        return rest - (rows @ rest) @ rows

    # Twice: once leaves rounding behind that brings found directions back.
    return lax.fori_loop(0, 2 * groups, cleared_of_group, vector)


def _length(vector: Any) -> Any:
    """Return the norm of a vector whose squares may leave the range of float32."""
    numpy = jax().numpy
    most = numpy.max(numpy.abs(vector))
    # A float32 square overflows from 2e19 on, which weights of a network that diverges reach.
    unit = numpy.where(numpy.isfinite(most) & (most > 0), most, 1)
    scaled = vector / unit
    return unit * numpy.sqrt(scaled @ scaled)


# The spectra that a trace keeps: of its start and of its end.


def spectrum_of_hessian(hessian: np.ndarray, step: int, like: Point, scale: np.ndarray | None = None) -> Spectrum:
    """Return the eigenvalues and end directions of a Hessian.

    Args:
        hessian: shape (size, size).
        step: the step at which it was measured.
        like: a point of the objective, for the names and shapes of its parts.
        scale: shape (size,), what the method divides each coordinate by; None if it does not.
    """
    symmetric = (hessian + hessian.T) / 2
    if not np.all(np.isfinite(symmetric)):
        nothing = np.full(len(symmetric), np.nan)
        return Spectrum(step, nothing, True, split(nothing, like), split(nothing, like))
    eigenvalues, directions = np.linalg.eigh(symmetric)
    highest = None
    if scale is not None and np.all(scale > 0):
        # P^(−1/2) H P^(−1/2) has the eigenvalues of P⁻¹H and is symmetric, which eigvalsh needs.
        root = np.sqrt(scale)
        highest = float(np.linalg.eigvalsh(symmetric / np.outer(root, root))[-1])
    return Spectrum(
        step,
        eigenvalues,
        True,
        split(signed(directions[:, 0]), like),
        split(signed(directions[:, -1]), like),
        highest,
    )


def ends_of_large(objective: Objective, start: Point, end: Point, last_step: int) -> tuple[Spectrum, ...]:
    """Return the two ends of the Hessian by Lanczos at the start and at the end."""
    moments = [(last_step, end)] if last_step == 0 else [(0, start), (last_step, end)]
    return tuple(_ends(objective, point, step) for step, point in moments)


def _ends(objective: Objective, point: Point, step: int) -> Spectrum:
    """Return the lowest and highest eigenvalue at a point, with their directions."""
    ends = hessian_ends(objective, point)
    return Spectrum(
        step,
        np.array([ends.lowest, ends.highest]),
        False,
        ends.lowest_direction,
        ends.highest_direction,
    )
