"""A formula as the judge of points sees it: values, gradients and a Hessian, and differences free of rounding."""

from __future__ import annotations

import functools

import numpy as np

from downslope._judge import Surface
from downslope.formulas._balls import NotEnclosedError, balls
from downslope.formulas._formula import Formula
from downslope.formulas._numeric import NumericFormula
from downslope.formulas._roughness import rough_parts
from downslope.formulas._stationary_search import Derivatives

_MOST_ROWS = 4000  # above this, differences on balls take seconds


def surface(formula: Formula, *, exactly: bool = False, is_smooth: bool | None = None) -> Surface:
    """Return a formula without columns as a surface.

    Args:
        formula: the formula.
        exactly: whether differences of values are taken on balls of 128 bits, which takes a hundred times as long.
        is_smooth: whether the ground around the point is known to be smooth; None to read that off the tree.
    """
    derivatives = Derivatives(formula)
    if is_smooth is None:
        is_smooth = not any(part.kind != "divisor" for part in rough_parts(formula.body))
    return Surface(
        derivatives.value,
        derivatives.gradient,
        lambda point: derivatives.hessian(point[None])[0],
        is_smooth,
        functools.partial(_changes, formula, derivatives) if exactly else None,
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
