"""The two ends of a Hessian on a batch, by Lanczos as one compiled loop; the host sees to the small matrix.

The basis is made on the device, in float32, and kept orthogonal in full, twice over, so that its coefficients are as
right as the products are. Their eigenvalues are taken in float64. The gradient is linearised once, so that a product
costs only what depends on its vector. A loop that begins at place −1 first multiplies the gradient itself, for gᵀHg.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from downslope._engine import jax
from downslope.descent._curvature import signed, tridiagonal_ends

MOST_PRODUCTS = 24
_FEW = 8  # products of a look that begins where the last one ended


class Pairs(NamedTuple):
    """What was found of a Hessian.

    Args:
        lowest, highest: λ_min and λ_max; NaN where a product was not finite.
        directions: their unit eigenvectors, shape (2, size); None where a product was not finite.
        along_gradient: gᵀHg / gᵀg; NaN where the gradient is zero or was not asked for.
    """

    lowest: float
    highest: float
    directions: np.ndarray | None
    along_gradient: float


def end_pairs(
    program: Any, given: tuple[Any, ...], root: np.ndarray | None, start: np.ndarray, products: int, *, slope: bool
) -> Pairs:
    """Return the ends of P^(−1/2) H P^(−1/2) on a batch.

    Args:
        program: what `krylov_program` returned, compiled.
        given: point, memory and batch.
        root: the square roots of P, shape (size,); None for P = 1.
        start: where to begin, shape (size,).
        products: how many to take, at most 24.
        slope: whether to multiply the gradient as well.
    """
    size = len(start)
    count = min(products, size)
    root = np.ones(size, np.float32) if root is None else root.astype(np.float32)
    begun = (start / np.linalg.norm(start)).astype(np.float32)
    basis, coefficients = program(*given, root, begun, np.int32(-1 if slope else 0), np.int32(count))
    told = np.asarray(coefficients, float)
    along, (diagonal, beside) = float(told[0, 0]), told[:, 1 : count + 1]
    if not np.all(np.isfinite(told[:, 1 : count + 1])):
        return Pairs(np.nan, np.nan, None, along)
    values, vectors = tridiagonal_ends(diagonal, beside)
    rows = vectors.T.astype(np.float32) @ np.asarray(basis)[: len(vectors)]
    found = np.stack([signed(row / np.linalg.norm(row)) for row in rows])
    return Pairs(float(values[0]), float(values[1]), found, along)


def krylov_program(value: Callable[[Any, Any, Any], Any]) -> Callable[..., tuple[Any, Any]]:
    """Return the function that makes a Krylov basis of the Hessian of `value(point, memory, batch)`."""

    def krylov(point: Any, memory: Any, batch: Any, root: Any, start: Any, first: Any, last: Any) -> tuple[Any, Any]:
        numpy, lax = jax().numpy, jax().lax
        flat, unravel = jax().flatten_util.ravel_pytree(point)
        slope = jax().grad(lambda coordinates: value(unravel(coordinates), memory, batch))
        gradient, product = jax().linearize(slope, flat)
        gradient = gradient.astype("float32")
        toward = gradient / _length(gradient)

        def trip(place: Any, held: Any) -> Any:
            basis, vector, coefficients = held
            basis = lax.dynamic_update_index_in_dim(basis, vector, numpy.maximum(place, 0), 0)
            image = product((vector / root).astype(flat.dtype)).astype("float32") / root
            along = image @ vector
            image = lax.cond(place < _FEW, lambda: _cleared(basis[:_FEW], image), lambda: _cleared(basis, image))
            length = _length(image)
            following = numpy.where(place < 0, start, image / numpy.where(length > 0, length, 1))
            found = numpy.stack([along, length])[:, None]
            return basis, following, lax.dynamic_update_slice_in_dim(coefficients, found, place + 1, 1)

        begun = (
            numpy.zeros((MOST_PRODUCTS, len(start)), "float32"),
            numpy.where(first < 0, toward, start),
            numpy.full((2, MOST_PRODUCTS + 1), np.nan, "float32"),
        )
        basis, _, coefficients = lax.fori_loop(first, last, trip, begun)
        return basis, coefficients

    return krylov


def _cleared(rows: Any, rest: Any) -> Any:
    """Return what is left of a vector beside the basis, whose later rows are zero still."""
    for _ in range(2):  # once leaves rounding behind that brings found directions back
        rest = rest - (rows @ rest) @ rows
    return rest


def _length(vector: Any) -> Any:
    """Return the norm of a vector whose squares may leave the range of float32."""
    numpy = jax().numpy
    most = numpy.max(numpy.abs(vector))
    unit = numpy.where(numpy.isfinite(most) & (most > 0), most, 1)
    scaled = vector / unit
    return unit * numpy.sqrt(scaled @ scaled)
