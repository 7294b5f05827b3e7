"""The array interface: the operations that a rule may use, so that it is written once and runs in NumPy and in JAX.

Elementwise arithmetic and the functions that `numpy` and `jax.numpy` share need nothing else. Loops, branches, trees
and derivatives differ: a Python loop over NumPy arrays in one, a compiled loop over trees of arrays in the other. In
NumPy a point is a single vector of all its numbers, and a function of it knows its own derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, TypeVar

import numpy as np

from downslope._engine import jax
from downslope._tree import alike, in_order
from downslope._types import Point

_Carry = TypeVar("_Carry")


class Arrays(Protocol):
    """The operations that a rule uses besides arithmetic."""

    @property
    def numpy(self) -> ModuleType:
        """`numpy` or `jax.numpy`."""
        ...

    def map(self, function: Callable[..., Any], *points: Point) -> Point:
        """Return a function of each leaf of some points of the same parts."""
        ...

    def inner(self, first: Point, second: Point) -> Any:
        """Return the inner product of two points."""
        ...

    def flat(self, point: Point) -> tuple[Any, Callable[[Any], Point]]:
        """Return the numbers of a point as one vector, and the function back."""
        ...

    def offsets(self, point: Point) -> Point:
        """Return the index of the first number of each leaf among all the numbers of a point."""
        ...

    def loop(self, condition: Callable[[_Carry], Any], body: Callable[[_Carry], _Carry], carry: _Carry) -> _Carry:
        """Return the carry after repeating a body while a condition holds."""
        ...

    def repeat(self, count: int, body: Callable[[Any, _Carry], _Carry], carry: _Carry) -> _Carry:
        """Return the carry after `body(index, carry)` for each index below a count."""
        ...

    def branch(self, condition: Any, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
        """Return what the first function computes if a condition holds, else the second; both of the same form."""
        ...

    def choose(self, condition: Any, first: Any, second: Any) -> Any:
        """Return the first tree if a condition holds, else the second."""
        ...

    def may_hold(self, condition: Any) -> bool:
        """Tell whether a condition may hold somewhere: whether it does in NumPy, always where it is not known yet."""
        ...

    def put(self, array: Any, index: Any, entry: Any) -> Any:
        """Return an array with one entry along its first axis replaced."""
        ...

    def eigh(self, matrix: Any) -> tuple[Any, Any]:
        """Return eigenvalues and eigenvectors of a symmetric matrix; NaN where it is not finite."""
        ...

    def value_and_gradient(self, function: Any, point: Point) -> tuple[Any, Point]:
        """Return a function's value and gradient at a point."""
        ...

    def hessian(self, function: Any, point: Point) -> Any:
        """Return a function's Hessian at a point by its numbers, shape (size, size)."""
        ...


class _JaxArrays:
    """Trees of JAX arrays, inside a program that is compiled."""

    @property
    def numpy(self) -> ModuleType:
        return jax().numpy

    def map(self, function: Callable[..., Any], *points: Point) -> Point:
        return jax().tree.map(function, *points)

    def inner(self, first: Point, second: Point) -> Any:
        return sum_of_products(first, second)

    def flat(self, point: Point) -> tuple[Any, Callable[[Any], Point]]:
        return jax().flatten_util.ravel_pytree(point)

    def offsets(self, point: Point) -> Point:
        leaves, shape = jax().tree.flatten(point)
        sizes = [int(np.prod(leaf.shape)) for leaf in leaves]
        return jax().tree.unflatten(shape, np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist())

    def loop(self, condition: Callable[[_Carry], Any], body: Callable[[_Carry], _Carry], carry: _Carry) -> _Carry:
        numpy, tree = jax().numpy, jax().tree
        carry = tree.map(numpy.asarray, carry)
        return jax().lax.while_loop(condition, lambda carry: _as_in(body(carry), carry), carry)

    def repeat(self, count: int, body: Callable[[Any, _Carry], _Carry], carry: _Carry) -> _Carry:
        return jax().lax.fori_loop(0, count, lambda index, carry: _as_in(body(index, carry), carry), carry)

    def branch(self, condition: Any, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
        return jax().lax.cond(condition, first, second)

    def choose(self, condition: Any, first: Any, second: Any) -> Any:
        return jax().tree.map(lambda a, b: jax().numpy.where(condition, a, b), first, second)

    def may_hold(self, condition: Any) -> bool:
        return True

    def put(self, array: Any, index: Any, entry: Any) -> Any:
        return array.at[index].set(entry)

    def eigh(self, matrix: Any) -> tuple[Any, Any]:
        return jax().numpy.linalg.eigh(matrix)

    def value_and_gradient(self, function: Any, point: Point) -> tuple[Any, Point]:
        return jax().value_and_grad(function)(point)

    def hessian(self, function: Any, point: Point) -> Any:
        flat, unravel = self.flat(point)
        return jax().hessian(lambda coordinates: function(unravel(coordinates)))(flat)


def _as_in(after: Any, before: Any) -> Any:
    """Return a carry with the types of the one before: a number of Python's must not widen it."""
    return jax().tree.map(lambda new, old: jax().numpy.asarray(new, old.dtype), after, before)


class _NumpyArrays:
    """Single vectors of NumPy; a function has the methods `value_and_gradient` and `hessian`.

    Of many vectors side by side, a function has the method `values_and_gradients`.

    Args:
        lanes: whether a point is many vectors side by side, shape (lanes, size); for rules that search no line.
    """

    numpy = np

    def __init__(self, *, lanes: bool = False) -> None:
        self._lanes = lanes

    def map(self, function: Callable[..., Any], *points: Point) -> Point:
        return function(*points)

    def inner(self, first: Point, second: Point) -> Any:
        return np.sum(first * second, axis=-1, keepdims=True) if self._lanes else first @ second

    def flat(self, point: Point) -> tuple[Any, Callable[[Any], Point]]:
        return point, lambda vector: vector

    def offsets(self, point: Point) -> Point:
        return 0

    def loop(self, condition: Callable[[_Carry], Any], body: Callable[[_Carry], _Carry], carry: _Carry) -> _Carry:
        while condition(carry):
            carry = body(carry)
        return carry

    def repeat(self, count: int, body: Callable[[Any, _Carry], _Carry], carry: _Carry) -> _Carry:
        for index in range(count):
            carry = body(index, carry)
        return carry

    def branch(self, condition: Any, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
        return first() if condition else second()

    def choose(self, condition: Any, first: Any, second: Any) -> Any:
        return first if condition else second

    def may_hold(self, condition: Any) -> bool:
        return bool(np.any(condition))

    def put(self, array: Any, index: Any, entry: Any) -> Any:
        changed = np.array(array)
        changed[index] = entry
        return changed

    def eigh(self, matrix: Any) -> tuple[Any, Any]:
        if not np.isfinite(matrix).all():  # which NumPy refuses
            return np.full(len(matrix), np.nan), np.full_like(matrix, np.nan)
        return np.linalg.eigh(matrix)

    def value_and_gradient(self, function: Any, point: Point) -> tuple[Any, Point]:
        return function.values_and_gradients(point) if self._lanes else function.value_and_gradient(point)

    def hessian(self, function: Any, point: Point) -> Any:
        return function.hessian(point)


JAX_ARRAYS: Arrays = _JaxArrays()
NUMPY_ARRAYS: Arrays = _NumpyArrays()
LANE_ARRAYS: Arrays = _NumpyArrays(lanes=True)


# Sums over trees of JAX arrays.


def sum_of_products(first: Point, second: Point) -> Any:
    """Return the inner product of two trees of one shape."""
    return sum(_total(product) for product in _products(first, second)[1])


def sum_of_squares(point: Point) -> Any:
    """Return the squared norm of a tree."""
    return sum_of_products(point, point)


def norms_by_part(point: Point) -> Any:
    """Return the norm of each leaf, shape (parts,)."""
    numpy = jax().numpy
    groups, squares = _products(point, point)
    return numpy.sqrt(in_order(groups, [numpy.atleast_1d(square) for square in squares]))


def _products(first: Point, second: Point) -> tuple[list[list[int]], list[Any]]:
    """Return groups of leaves, and for each group their inner products: an array, or a number for a leaf alone."""
    numpy, leaves = jax().numpy, jax().tree.leaves
    pairs = list(zip(leaves(first), leaves(second), strict=True))
    groups = alike([a.size for a, _ in pairs], [(a.size, a.dtype, b.dtype) for a, b in pairs])
    results = []
    for group in groups:
        if len(group) == 1:
            a, b = pairs[group[0]]
            results.append(_total(a * b))
        else:
            a, b = (numpy.stack([pairs[index][side].reshape(-1) for index in group]) for side in (0, 1))
            results.append(numpy.sum(a * b, axis=1))
    return groups, results


def _total(leaf: Any) -> Any:
    """Return the sum of an array; a plain number is its own, which spares the tracing of a reduction."""
    return leaf if leaf.ndim == 0 else jax().numpy.sum(leaf)


_EQUAL = 1e-4  # of the largest weight: those that differ by less are equal, in float32 after many steps


def share_of_copies(weight: np.ndarray) -> float:
    """Return the share of columns that equal another, to a ten-thousandth of the largest number.

    >>> share_of_copies(np.array([[1.0, 1.0, 2.0], [3.0, 3.0, 1.0]])).__round__(3)
    0.667
    """
    size = float(np.max(np.abs(weight), initial=0.0)) or 1.0
    rounded = np.round(weight / size / _EQUAL).astype(np.int64)
    _, counts = np.unique(rounded, axis=1, return_counts=True)
    return float(counts[counts > 1].sum() / weight.shape[1])
