"""Starting points, moved and printed briefly, and the remedies of a descent that change its start and end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._text import number
from downslope._types import Columns, Point
from downslope.diagnosis import ARRIVED_BY_TOLERANCE
from downslope.methods import GRADIENT_DESCENT, NOISY_GRADIENT_DESCENT
from downslope.remedies._remedy import DescentCase, Remedy, two_digits
from downslope.trace import Outcome

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
        # Coordinates that a direction hardly moves keep the digits that a person typed.
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
    leaves, offset = [], 0
    for leaf in _tree.leaves(point):
        count = int(np.size(leaf))
        piece = np.reshape(row[offset : offset + count], np.shape(leaf))
        changed = change(np.asarray(leaf, float), piece)
        leaves.append(float(changed) if isinstance(leaf, float) else np.asarray(changed, np.asarray(leaf).dtype))
        offset += count
    if _tree.is_flat(point):
        names = sorted(point)
        return {name: leaves[names.index(name)] for name in point}
    return jax().tree.unflatten(jax().tree.structure(point), leaves)


def _rounded(numbers: np.ndarray) -> np.ndarray:
    """Return numbers with six digits."""
    return np.reshape([float(f"{value:.{_DIGITS}g}") for value in np.ravel(numbers)], np.shape(numbers))


# --- remedies --------------------------------------------------------------------------------------------------------

_OFF = 0.01  # of the point's size: how far beside a saddle a start is put
_MOST_STEPS = 10  # times as many steps at most
_FIRST_STEPS = 100  # where none were asked for


def off_saddle(case: DescentCase) -> Remedy | None:
    """A start that is a little off along the lowest curvature at the end."""
    return _off(case, 1.0)


def off_saddle_backwards(case: DescentCase) -> Remedy | None:
    """A start a little off the saddle, to the other side."""
    return _off(case, -1.0)


def _off(case: DescentCase, side: float) -> Remedy | None:
    spectrum = case.evidence.end.spectrum
    if spectrum is None or spectrum.lowest_direction is None or not spectrum.lowest < 0:
        return None
    start = moved(case.plan.start, two_digits(side * _OFF * case.size) * along(spectrum.lowest_direction))
    why = "The ground falls along the eigenvector of the lowest eigenvalue of the Hessian (Nocedal and Wright 2006)."
    return Remedy(f"a start a little off, {written(start)}", why, {"start": start}, "lowest_curvature")


def noise(case: DescentCase) -> Remedy | None:
    """Noise in the gradient whose first step is a hundredth of the point's size."""
    if case.method != GRADIENT_DESCENT.name:
        return None
    deviation = two_digits(_OFF * case.size / case.rate) if case.rate > 0 else math.nan
    if not math.isfinite(deviation):
        return None
    changes = {"method": NOISY_GRADIENT_DESCENT.name, "noise": deviation}
    why = "Noise has a component in every direction (Neelakantan et al. 2015; Ge et al. 2015)."
    return Remedy(f"noise of {number(deviation)} in the gradient", why, changes, "lowest_curvature")


def other_start(case: DescentCase) -> Remedy | None:
    """The nearest start from which the descent goes to the lowest place that any found."""
    bad_start = case.evidence.failed and case.evidence.last_step == 0
    if not case.others or (case.evidence.failed and not bad_start):
        return None
    values = [other.value for other in case.others]
    first = float(case.trace.columns["value"][0])
    level = min(values) + ARRIVED_BY_TOLERANCE * max((first if math.isfinite(first) else max(values)) - min(values), 0)
    here = coordinates(case.plan.start)
    lowest = [other for other in case.others if other.value <= level]
    nearest = min(lowest, key=lambda other: float(np.linalg.norm(coordinates(other.start) - here)))
    why = "The nearest of other starts from which the same steps went to the lowest valley that was found."
    return at_start(case, nearest.start, why)


def at_start(case: DescentCase, start: Point, why: str) -> Remedy:
    """Another start."""
    moves = "lowest_curvature" if case.evidence.end.curves_down else "end_value"
    return Remedy(f"a start at {written(start)}", why, {"start": start}, moves)


def more_steps(case: DescentCase) -> Remedy | None:
    """As many steps as are still to go, up to ten times those that were taken; four times where that is not known."""
    taken, to_go = case.plan.steps, case.evidence.steps_to_go
    if case.trace.outcome is not Outcome.STEPS_USED:
        return None
    if not taken:
        return Remedy(f"{_FIRST_STEPS} steps", "None were allowed.", {"steps": _FIRST_STEPS}, "distance")
    wanted = 4 * taken if to_go is None else min(math.ceil(1.1 * (taken + to_go)), _MOST_STEPS * taken)
    wanted = rounded(wanted)
    why = f"The value was still falling; this costs {number(wanted / taken, 2)} times as much."
    return Remedy(f"{wanted} steps", why, {"steps": wanted}, "steps_to_go")


def finer_tolerance(case: DescentCase) -> Remedy | None:
    """A tolerance that a descent stopped at, a millionth as large."""
    if case.trace.outcome is not Outcome.CONVERGED or not case.plan.tolerance > 0:
        return None
    tolerance = two_digits(case.plan.tolerance * 1e-6)
    why = "The descent stopped because the gradient was small enough, and not at the bottom."
    return Remedy(f"tolerance {number(tolerance)}", why, {"tolerance": tolerance}, "end_gradient")
