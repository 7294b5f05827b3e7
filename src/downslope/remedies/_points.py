"""Points that are moved, jittered, drawn anew and written in a few words."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._text import number
from downslope._types import Columns, Point

_SHOWN = 3  # coordinates that a name spells out
_DIGITS = 6
_UNTOUCHED = 1e-3  # of the longest part of a shift: less is none


def moved(point: Point, shift: np.ndarray) -> Point:
    """Return a point moved by a shift, the numbers that change rounded to six digits.

    Args:
        point: the point.
        shift: shape (size,), in the order of the point's leaves.
    """
    longest = float(np.max(np.abs(shift), initial=0.0))

    def of_leaf(leaf: np.ndarray, by: np.ndarray) -> np.ndarray:
        touched = np.abs(by) > _UNTOUCHED * longest
        return np.where(touched, _rounded(leaf + by), leaf)

    return _by_leaf(point, shift, of_leaf)


def coordinates(point: Point) -> np.ndarray:
    """Return the numbers of a point in one row."""
    return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in _tree.leaves(point)])


def along(direction: Columns) -> np.ndarray:
    """Return a direction by part, in the order of the point's leaves, in one row."""
    return np.concatenate([np.ravel(np.asarray(part, float)) for part in direction.values()])


def at(point: Point, row: np.ndarray) -> Point:
    """Return the point of the same shape with the numbers of a row."""
    return _by_leaf(point, row, lambda _, by: by)


def written(point: Point) -> str:
    """Return a point in a few words.

    >>> written({"x": 1.0, "y": -0.01})
    'x = 1, y = −0.01'
    """
    names, row = _tree.coordinate_names(point), coordinates(point)
    shown = [f"{name} = {number(value, 4)}" for name, value in list(zip(names, row, strict=True))[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(row) > _SHOWN else "")


def rounded(count: int) -> int:
    """Return a count with two digits, rounded up.

    >>> rounded(1234), rounded(7)
    (1300, 7)
    """
    unit = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // unit) * unit


def _by_leaf(point: Point, row: np.ndarray, change: Any) -> Point:
    """Return a point whose leaves were changed, each with its own piece of a row."""
    leaves, place = [], 0
    for leaf in _tree.leaves(point):
        count = int(np.size(leaf))
        piece = np.reshape(row[place : place + count], np.shape(leaf))
        changed = change(np.asarray(leaf, float), piece)
        leaves.append(float(changed) if isinstance(leaf, float) else np.asarray(changed, np.asarray(leaf).dtype))
        place += count
    if _tree.is_flat(point):
        names = sorted(point)
        return {name: leaves[names.index(name)] for name in point}
    return jax().tree.unflatten(jax().tree.structure(point), leaves)


def _rounded(numbers: np.ndarray) -> np.ndarray:
    """Return numbers with six digits."""
    return np.reshape([float(f"{value:.{_DIGITS}g}") for value in np.ravel(numbers)], np.shape(numbers))
