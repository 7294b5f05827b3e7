"""Inputs of a slope: values, gradients and Hessians, of a formula in NumPy and of a function in JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, kept, precision
from downslope._judge import Surface, judge
from downslope._judgement import Judgement
from downslope._types import Columns, Point
from downslope.descent._objective import Objective

_MOST_DENSE = 64  # numbers in a point up to which the whole Hessian is computed
_HUGE = 1e14  # a value above which a pole may lie next to the point
_MOST_ROUGH = 4  # variables of a function up to which kinks are looked for where the curvature does not decide


@dataclass(frozen=True)
class Ground:
    """A point of an objective with what was computed there.

    Args:
        flat: the coordinates, shape (size,).
        value: the value.
        differences: the gradient by central differences, shape (size,).
        hessian: shape (size, size); None if it is too large.
        surface: the objective around the point.
        exact: the same with differences free of rounding, for formulas; None where there are none.
        is_formula: whether the objective is a formula, whose tree says where it is not smooth.
        lengths: a length for each coordinate that the objective is expected to change over; None for the usual ones.
        overflows: whether the value is beyond the floats, rather than at a pole.
    """

    flat: np.ndarray
    value: float
    differences: np.ndarray
    hessian: np.ndarray | None
    surface: Surface
    exact: Callable[[], Surface] | None
    is_formula: bool
    lengths: np.ndarray | None = None
    overflows: bool = False


def judged(ground: Ground) -> Judgement:
    """Return the classification of the point."""
    if ground.overflows:
        return Judgement("undefined", "overflow", certain=True, by="limits", value=ground.value)
    look = functools.partial(judge, point=ground.flat, lengths=ground.lengths)
    judgement = look(ground.surface, is_missing=ground.is_formula and _is_next_to_pole(ground))
    if judgement.by == "values" and not ground.is_formula and len(ground.flat) <= _MOST_ROUGH:
        # JAX gives a kink the gradient of one side, or 0; only the values show it.
        judgement = look(replace(ground.surface, is_smooth=False))
    if ground.exact is not None and not ground.surface.is_smooth and judgement.smoothness == "smooth" and judgement.by:
        # Rounding may hide a kink, as that of √(1 − cos x) at 0.
        exact = look(ground.exact()) if judgement.by != "curvature" else judgement
        judgement = exact if exact.smoothness in ("kink", "cusp") else judgement
    if judgement.kind == "degenerate" and ground.exact is not None:
        judgement = look(ground.exact())
    return judgement


def _is_next_to_pole(ground: Ground) -> bool:
    """Tell whether a pole lies between two floats here, as that of tan(x) at π/2: the value is gone a few floats on."""
    if not abs(ground.value) > _HUGE:
        return False
    shifts = np.diag(1e3 * np.finfo(float).eps * np.abs(ground.flat))
    with np.errstate(all="ignore"):
        values = ground.surface.values(np.concatenate([ground.flat + shifts, ground.flat - shifts]))
    return bool(np.any(np.abs(values) <= 0.01 * abs(ground.value)))


def ground_of(goal: Objective, at: Point) -> Ground:
    """Return a point of an objective with the values, gradients and Hessians that a slope needs.

    Args:
        goal: the objective.
        at: a point of it, checked.
    """
    if goal.numeric is not None and goal.formula is not None and goal.precision == "float64":
        return _of_formula(goal, at)
    return _of_function(goal, at)


def _of_formula(goal: Objective, at: Point) -> Ground:
    """Return the ground of a formula, which needs neither JAX nor SymPy."""
    from downslope.formulas import is_within_borders, lengths_within_borders, overflows, surface

    read = goal.formula
    assert read is not None
    # In the order of the point's leaves, by which the caller splits what comes back: b before w.
    read = replace(read, variables=tuple(_tree.part_names(at)))
    flat = np.array([float(at[name]) for name in read.variables])
    # Values near 0 that are differences of large ones look as rough as their rounding; only a border makes a kink.
    smooth = None if goal.data or not is_within_borders(read, flat) else True
    around = surface(read, goal.data, is_smooth=smooth)
    shifts = np.diag(_step(flat))
    ends = around.values(np.concatenate([flat[None], flat + shifts, flat - shifts]))
    size = len(flat)
    with np.errstate(all="ignore"):
        differences = (ends[1 : size + 1] - ends[size + 1 :]) / (2 * np.diag(shifts))
    assert around.hessian is not None
    dense = size <= _MOST_DENSE
    hessian = around.hessian(flat) if dense else None
    exact = None if goal.data else functools.partial(surface, read, exactly=True)
    around = around if dense else replace(around, hessian=None)
    lengths = None if goal.data else lengths_within_borders(read, flat)
    beyond = not goal.data and overflows(read, flat, float(ends[0]))
    return Ground(flat, float(ends[0]), differences, hessian, around, exact, True, lengths, beyond)


def _step(flat: np.ndarray) -> np.ndarray:
    """Return the step of central differences for each coordinate."""
    # ε^(1/3) balances the error of the formula, h², against rounding, ε/h.
    return np.cbrt(np.finfo(flat.dtype).eps) * np.maximum(np.abs(flat), 1.0)


def _of_function(goal: Objective, at: Point) -> Ground:
    """Return the ground of a function, by compiled programs."""
    dense = _tree.size(at) <= _MOST_DENSE
    with precision(goal.precision):
        arrays = jax().tree.map(lambda leaf: np.asarray(leaf, np.dtype(goal.precision)), at)
        result = _look(goal, dense)(arrays, goal.data)
        value, gradient, differences = float(result[0]), np.asarray(result[1], float), np.asarray(result[2], float)
        hessian = np.asarray(result[3], float) if dense else None
        flat = np.asarray(result[4], float)
    around = Surface(
        functools.partial(_values, goal, arrays),
        functools.partial(_gradients, goal, arrays, flat, gradient),
        None if hessian is None else functools.partial(_hessian, goal, arrays, flat, hessian),
        is_smooth=True,
    )
    return Ground(flat, value, differences, hessian, around, None, False)


def _look(goal: Objective, dense: bool) -> Any:
    """Return the compiled program for a point: value, gradient, central differences, Hessian, coordinates."""
    return kept(goal.owner, ("look", dense), lambda: _compiled_look(goal.function, dense))


def _compiled_look(function: Callable[[Point, Columns], Any], dense: bool) -> Any:

    def look(point: Point, data: Any) -> Any:
        numpy = jax().numpy
        flat, unravel = jax().flatten_util.ravel_pytree(point)

        def value(coordinates: Any) -> Any:
            return function(unravel(coordinates), data)

        result, gradient = jax().value_and_grad(value)(flat)
        step = numpy.cbrt(numpy.finfo(flat.dtype).eps) * numpy.maximum(numpy.abs(flat), 1.0)
        if dense:
            shifts = numpy.diag(step)
            ahead, behind = jax().lax.map(value, flat + shifts), jax().lax.map(value, flat - shifts)
            differences = (ahead - behind) / (2 * step)
            return result, gradient, differences, jax().hessian(value)(flat), flat
        along = gradient / numpy.maximum(numpy.linalg.norm(gradient), numpy.finfo(flat.dtype).tiny)
        reach = numpy.max(step)
        rate = (value(flat + reach * along) - value(flat - reach * along)) / (2 * reach)
        return result, gradient, rate * along, None, flat

    return jax().jit(look)


def _value_program(goal: Objective) -> Any:
    """Return the compiled value at many points, given as rows of coordinates."""
    return kept(goal.owner, "values of rows", lambda: _compiled_values(goal.function))


def _compiled_values(function: Callable[[Point, Columns], Any]) -> Any:

    def values(rows: Any, like: Point, data: Any) -> Any:
        _, unravel = jax().flatten_util.ravel_pytree(like)
        return jax().lax.map(lambda row: function(unravel(row), data), rows)

    return jax().jit(values)


def _values(goal: Objective, like: Point, rows: np.ndarray) -> np.ndarray:
    """Return the objective at many points.

    Args:
        goal: the objective.
        like: a point of it.
        rows: shape (points, size).
    """
    with precision(goal.precision):
        return np.asarray(_value_program(goal)(rows, like, goal.data), float)


def _gradients(goal: Objective, like: Point, flat: np.ndarray, known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the gradient at many points; that of the point itself is known."""
    if len(rows) == 1 and np.array_equal(rows[0], flat):
        return known[None]
    with precision(goal.precision):
        program = kept(goal.owner, "gradients of rows", lambda: _compiled_gradients(goal.function))
        return np.asarray(program(rows, like, goal.data), float)


def _compiled_gradients(function: Callable[[Point, Columns], Any]) -> Any:

    def gradients(rows: Any, like: Point, data: Any) -> Any:
        _, unravel = jax().flatten_util.ravel_pytree(like)
        return jax().lax.map(jax().grad(lambda row: function(unravel(row), data)), rows)

    return jax().jit(gradients)


def _hessian(goal: Objective, like: Point, flat: np.ndarray, known: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the Hessian at a point; that of the point itself is known."""
    if np.array_equal(point, flat):
        return known
    _, unravel = jax().flatten_util.ravel_pytree(like)
    with precision(goal.precision):
        return np.asarray(_look(goal, True)(unravel(jax().numpy.asarray(point)), goal.data)[3], float)
