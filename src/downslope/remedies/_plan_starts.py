"""Remedies of a descent in where it starts, what shakes it, and when it stops."""

from __future__ import annotations

import math

import numpy as np

from downslope._text import number
from downslope._types import Point
from downslope.diagnosis import ARRIVED_BY_TOLERANCE
from downslope.methods import GRADIENT_DESCENT, NOISY_GRADIENT_DESCENT
from downslope.remedies._plan_case import Case
from downslope.remedies._points import along, coordinates, moved, rounded, written
from downslope.remedies._remedy import Remedy, two_digits
from downslope.trace import Outcome

_OFF = 0.01  # of the point's size: how far beside a saddle a start is put
_MOST_STEPS = 10  # times as many steps at most
_FIRST_STEPS = 100  # where none were asked for


def off_to_one_side(case: Case) -> Remedy | None:
    """A start that is a little off along the lowest curvature at the end."""
    return _off(case, 1.0)


def off_to_the_other_side(case: Case) -> Remedy | None:
    """The same to the other side."""
    return _off(case, -1.0)


def _off(case: Case, side: float) -> Remedy | None:
    spectrum = case.evidence.end.spectrum
    if spectrum is None or spectrum.lowest_direction is None or not spectrum.lowest < 0:
        return None
    start = moved(case.plan.start, two_digits(side * _OFF * case.size) * along(spectrum.lowest_direction))
    why = "The ground falls along the eigenvector of the lowest eigenvalue of the Hessian (Nocedal and Wright 2006)."
    return Remedy(f"a start a little off, {written(start)}", why, {"start": start}, "lowest_curvature")


def noise(case: Case) -> Remedy | None:
    """Noise in the gradient whose first step is a hundredth of the point's size."""
    if case.method != GRADIENT_DESCENT.name:
        return None
    deviation = two_digits(_OFF * case.size / case.rate) if case.rate > 0 else math.nan
    if not math.isfinite(deviation):
        return None
    changes = {"method": NOISY_GRADIENT_DESCENT.name, "noise": deviation}
    why = "Noise has a part along every way out (Neelakantan et al. 2015; Ge et al. 2015)."
    return Remedy(f"noise of {number(deviation)} in the gradient", why, changes, "lowest_curvature")


def other_start(case: Case) -> Remedy | None:
    """The nearest start from which the descent goes to the lowest place that any found."""
    bad_start = case.evidence.failed and case.evidence.last_step == 0
    if not case.others or (case.evidence.failed and not bad_start):
        return None
    values = [found.value for found in case.others]
    first = float(case.trace.columns["value"][0])
    level = min(values) + ARRIVED_BY_TOLERANCE * max((first if math.isfinite(first) else max(values)) - min(values), 0)
    here = coordinates(case.plan.start)
    lowest = [found for found in case.others if found.value <= level]
    nearest = min(lowest, key=lambda found: float(np.linalg.norm(coordinates(found.start) - here)))
    why = "The nearest of other starts from which the same steps went to the lowest valley that was found."
    return at_start(case, nearest.start, why)


def at_start(case: Case, start: Point, why: str) -> Remedy:
    """Another start."""
    moves = "lowest_curvature" if case.evidence.end.curves_down else "end_value"
    return Remedy(f"a start at {written(start)}", why, {"start": start}, moves)


def more_steps(case: Case) -> Remedy | None:
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


def finer_tolerance(case: Case) -> Remedy | None:
    """A tolerance that a descent stopped at, a millionth as large."""
    if case.trace.outcome is not Outcome.CONVERGED or not case.plan.tolerance > 0:
        return None
    tolerance = two_digits(case.plan.tolerance * 1e-6)
    why = "The descent stopped because the gradient was small enough, and not at the bottom."
    return Remedy(f"tolerance {number(tolerance)}", why, {"tolerance": tolerance}, "end_gradient")
