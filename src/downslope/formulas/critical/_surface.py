"""A formula as the classification of points needs it: values, gradients, Hessians, and exact differences."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from downslope._judge import Surface
from downslope.formulas._formula import Formula
from downslope.formulas._roughness import rough_parts
from downslope.formulas.critical._balls import NotEnclosedError, balls
from downslope.formulas.critical._stationary_search import Derivatives
from downslope.formulas.evaluation import ARRAYS, NumericFormula

_RESOLVED = 2.0**-44  # share of a coordinate that is so many floats that values between them tell what lies there
_MOST_ROWS = 4000  # above this, differences on balls take seconds


def surface(
    formula: Formula,
    data: Mapping[str, np.ndarray] | None = None,
    *,
    exactly: bool = False,
    is_smooth: bool | None = None,
) -> Surface:
    """Return a formula as a surface.

    Args:
        formula: the formula.
        data: the table's columns by name.
        exactly: whether differences of values are taken on balls of 128 bits, which takes a hundred times as long; not
            for formulas of columns.
        is_smooth: whether the ground around the point is known to be smooth; None to read that off the tree.
    """
    if is_smooth is None:
        is_smooth = not any(part.kind != "divisor" for part in rough_parts(formula.body))
    if data:
        return _over_table(formula, data, is_smooth)
    derivatives = Derivatives(formula)
    return Surface(
        derivatives.value,
        derivatives.gradient,
        lambda point: derivatives.hessian(point[None])[0],
        is_smooth,
        functools.partial(_changes, formula, derivatives) if exactly else None,
    )


def overflows(formula: Formula, point: np.ndarray, value: float) -> bool:
    """Tell whether an infinite value is one beyond the floats, since no border passes through the point."""
    return bool(np.isinf(value)) and is_within_borders(formula, point)


def is_within_borders(formula: Formula, point: np.ndarray) -> bool:
    """Tell whether no pole, kink or end of the domain passes through a point, so that the formula is smooth there."""
    return all(distance > 0 for distance in _distances(formula, point))


def lengths_within_borders(formula: Formula, point: np.ndarray) -> np.ndarray:
    """Return lengths, one for each variable, over which a formula stays on one side of its borders.

    That of a coordinate x is |x|, at least 1; all are shorter by the same factor next to a pole, a kink or an end of
    the domain: 1/x at 10⁻⁹ changes over 10⁻⁹. A border that rounding does not tell from the point counts as meant.

    >>> from downslope.formulas import formula
    >>> lengths_within_borders(formula("1/x + 5x"), np.array([0.001]))
    array([0.001])
    """
    return np.maximum(np.abs(point), 1.0) * min([1.0, *(share for share in _distances(formula, point) if share > 0)])


def _distances(formula: Formula, point: np.ndarray) -> Iterator[float]:
    """Yield the distance to each border, as a share of the usual lengths; 0 where rounding does not tell it from 0."""
    lengths = np.maximum(np.abs(point), 1.0)
    resolved = _RESOLVED * float(np.max(np.abs(point) / lengths))
    with np.errstate(all="ignore"):
        for part in rough_parts(formula.body):
            border = NumericFormula(Formula(name=None, variables=formula.variables, body=part.border), ARRAYS)
            value, gradient = border.value_and_gradient(list(point))
            slope = float(np.max(np.abs(np.array(gradient, float)) * lengths))
            distance = abs(float(value)) / slope if slope else float(value != 0)
            yield distance if distance >= resolved else 0.0


def _over_table(formula: Formula, data: Mapping[str, np.ndarray], is_smooth: bool) -> Surface:
    """Return a formula over a table as a surface: points along the first axis, the table's rows along the last."""
    numeric = NumericFormula(formula, ARRAYS, data)
    size = len(formula.variables)

    def inputs(points: np.ndarray) -> list[np.ndarray]:
        return [points[:, axis, None] for axis in range(size)]

    def column(values: Any, points: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, float), (len(points), 1))[:, 0]

    def hessian(point: np.ndarray) -> np.ndarray:
        _, _, rows = numeric.value_gradient_hessian(inputs(point[None]))
        return np.array([[float(column(entry, point[None])[0]) for entry in row] for row in rows])

    return Surface(
        lambda points: column(numeric.value(inputs(points)), points),
        lambda points: np.stack(
            [column(part, points) for part in numeric.value_and_gradient(inputs(points))[1]], axis=1
        ),
        hessian,
        is_smooth,
    )


def _changes(
    formula: Formula, derivatives: Derivatives, base: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the changes of the value from a point to others, with the radii of their balls as errors."""
    from flint import arb, ctx

    if len(rows) > _MOST_ROWS:
        start, ends = derivatives.value(base[None])[0], derivatives.value(rows)
        return ends - start, 8 * float(np.finfo(float).eps) * np.maximum(np.abs(ends), abs(start))
    changes, errors = np.full(len(rows), np.nan), np.full(len(rows), np.inf)
    try:
        enclosed = NumericFormula(formula, balls())
        with ctx.workprec(200):
            start = enclosed.value([arb(float(x)) for x in base])
            for index, row in enumerate(rows):
                change = enclosed.value([arb(float(x)) for x in row]) - start
                changes[index], errors[index] = float(change.mid()), float(change.rad())
    except NotEnclosedError:
        ends, first = derivatives.value(rows), derivatives.value(base[None])[0]
        return ends - first, 8 * float(np.finfo(float).eps) * np.maximum(np.abs(ends), abs(first))
    return changes, errors
