"""What may mend a descent to the bottom of a function, by symptom: remedies as data, fitted to the trace at hand.

Each maker looks at the case and returns a remedy, or None where it does not apply. They stand in the order in which
they are tried: rates and starts first, which need no new program, then other methods, those that theory favours first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from downslope import _tree
from downslope._stability import BY_CURVATURE
from downslope._text import number
from downslope._types import Point
from downslope.descent import Plan
from downslope.descent._method import method
from downslope.diagnosis import Diagnosis, Severity
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._state import ARRIVED_BY_TOLERANCE, plunges
from downslope.remedies._points import along, coordinates, moved, rounded, written
from downslope.remedies._remedy import Remedy, same
from downslope.trace import Outcome, Trace

_HEADROOM = 0.5  # of the largest stable rate
_ALIKE = 0.1  # rates that differ by less than this share are one
_OFF = 0.01  # of the point's size: how far beside a saddle a start is put
_WAYS = 10  # so many times the point's own size a normalised method may go in all its steps
_MOST_STEPS = 10  # times as many steps at most
_FIRST_STEPS = 100  # where none were asked for
_DENSE = 64  # numbers in a point up to which Newton's method solves with the whole Hessian


@dataclass(frozen=True)
class Found:
    """Where a descent from another start came to.

    Args:
        start: the start.
        value: at the end.
    """

    start: Point
    value: float


@dataclass(frozen=True, eq=False)
class Case:
    """What a maker looks at.

    Args:
        plan: what was asked for.
        trace: what came of it.
        others: where descents from other starts came to that went well.
    """

    plan: Plan
    trace: Trace
    others: tuple[Found, ...] = field(default=())

    @functools.cached_property
    def evidence(self) -> Evidence:
        """The quantities that the checks share."""
        return Evidence(self.trace)

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.plan.method.name

    @property
    def rate(self) -> float:
        """The learning rate; NaN where the method takes none."""
        return self.plan.learning_rate

    @property
    def is_even(self) -> bool:
        """Whether the rate never changes."""
        return self.plan.schedule.name == "constant" and math.isfinite(self.rate)

    @functools.cached_property
    def size(self) -> float:
        """The size of the point and the way; 1 for a descent that stayed at 0."""
        return self.evidence.ground.scale or 1.0

    @property
    def runs_away(self) -> bool:
        """Whether the value rose above its start or was no number in the end."""
        return self.evidence.failed or self.evidence.is_rising

    @property
    def what_steps_move(self) -> str:
        """What better steps move: how high the value rose where it ran away, else how far the point came."""
        return "highest_value" if self.runs_away else "distance"


Maker = Callable[[Case], Remedy | None]


# --- how long the steps are ------------------------------------------------------------------------------------------


def rate_from_curvature(case: Case) -> Remedy | None:
    """Half of the largest stable rate."""
    largest, bound = case.evidence.largest_stable_rate, case.evidence.bound
    if largest is None or bound is None:
        return None
    why = f"Half of {number(bound)} / λ_max, the largest rate at which errors along the steepest direction shrink."
    return _at_rate(case, _HEADROOM * largest, "from the curvature", why)


def best_rate(case: Case) -> Remedy | None:
    """The rate that shrinks the slowest error the most."""
    if case.evidence.best_rate is None:
        return None
    why = "2 / (λ_max + λ_min) or its like shrinks the slowest error the most (Polyak 1964)."
    return _at_rate(case, case.evidence.best_rate, "the best for the curvatures at the end", why)


def smaller_rate(case: Case) -> Remedy | None:
    """A tenth of the rate."""
    return _at_rate(case, case.rate / 10, "a tenth", "Steps overshoot while αλ exceeds the method's bound.")


def far_smaller_rate(case: Case) -> Remedy | None:
    """A hundredth of the rate."""
    return _at_rate(case, case.rate / 100, "a hundredth", "Steps overshoot while αλ exceeds the method's bound.")


def larger_rate(case: Case) -> Remedy | None:
    """Ten times the rate."""
    return _at_rate(case, case.rate * 10, "ten times as much", "Short steps take as many more.")


def far_larger_rate(case: Case) -> Remedy | None:
    """A hundred times the rate."""
    return _at_rate(case, case.rate * 100, "a hundred times as much", "Short steps take as many more.")


def rate_for_the_way(case: Case) -> Remedy | None:
    """The rate at which the way that is left would need half of the steps."""
    to_go, taken = case.evidence.steps_to_go, case.evidence.last_step
    if not to_go or not taken:
        return None
    why = f"{number(to_go)} steps were still to go after {taken}; at this rate half of {taken} would do."
    return _at_rate(case, case.rate * 2 * (to_go + taken) / taken, "for the way that is left", why)


def _at_rate(case: Case, rate: float, which: str, why: str) -> Remedy | None:
    """Return a remedy at another rate; None where there is none, or it is the same but for rounding."""
    if not (math.isfinite(case.rate) and math.isfinite(rate) and rate > 0) or abs(rate / case.rate - 1) < _ALIKE:
        return None
    longer, largest = rate > case.rate, case.evidence.largest_stable_rate
    if longer and (case.runs_away or (case.method in BY_CURVATURE and largest is not None and rate > largest)):
        return None
    moves = "distance" if longer else "highest_value" if case.runs_away else "end_stability"
    short = _two_digits(rate)
    rate = short if largest is None or not rate < largest <= short else float(f"{rate:.4g}")
    return Remedy(f"rate {number(rate)}, {which}", why, {"learning_rate": rate}, moves)


def _two_digits(rate: float) -> float:
    """Return a rate with two digits."""
    return float(f"{rate:.2g}")


def cosine(case: Case) -> Remedy | None:
    """A rate that decays to 0."""
    why = "Steps that do not shorten by themselves die away with the rate (Robbins and Monro 1951)."
    return _with_schedule(case, "cosine", "a rate that decays as a cosine", why, "end_gradient")


def decay(case: Case) -> Remedy | None:
    """A rate that decays to a hundredth."""
    why = "Steps that do not shorten by themselves die away with the rate (Robbins and Monro 1951)."
    return _with_schedule(case, "exponential", "a rate that decays to a hundredth", why, "end_gradient")


def warm_up(case: Case) -> Remedy | None:
    """A rate that begins at 0."""
    why = "Short first steps leave steep ground before the long ones (Gilmer et al. 2021)."
    return _with_schedule(case, "warm-up", "warm-up over a tenth of the steps", why, "highest_value")


def _with_schedule(case: Case, name: str, words: str, why: str, moves: str) -> Remedy | None:
    return Remedy(words, why, {"schedule": name}, moves) if case.is_even else None


def clipping(case: Case) -> Remedy | None:
    """Gradients cut to the median of the norms that were recorded, or to that of the start where it is smaller."""
    norms = case.evidence.gradient_norm[np.isfinite(case.evidence.gradient_norm) & (case.evidence.gradient_norm > 0)]
    if case.plan.clip_norm is not None or not len(norms) or not case.plan.method.takes_rate:
        return None
    norm = _two_digits(min(float(np.quantile(norms, 0.5)), float(norms[0])))
    why = "A cliff's gradient is cut to the usual length (Pascanu, Mikolov and Bengio 2013)."
    return Remedy(f"gradients cut to {number(norm)}", why, {"clip_norm": norm}, "highest_value")


# --- another method --------------------------------------------------------------------------------------------------


def momentum(case: Case) -> Remedy | None:
    """Heavy-ball momentum at the same rate."""
    why = "Velocity adds up along directions that keep their sign and cancels in the others (Polyak 1964)."
    return _like_plain(case, "momentum", why)


def nesterov(case: Case) -> Remedy | None:
    """Nesterov's momentum at the same rate."""
    why = "A look ahead along the velocity keeps it from swinging (Nesterov 1983)."
    return _like_plain(case, "nesterov", why)


def _like_plain(case: Case, name: str, why: str) -> Remedy | None:
    if case.method != "gradient descent":
        return None
    return Remedy(name, why, {"method": name}, case.what_steps_move)


def tuned_momentum(case: Case) -> Remedy | None:
    """Momentum and rate that are the best for the curvatures at the end."""
    lowest, highest = case.evidence.ground.lowest_rising, case.evidence.ground.highest
    if lowest is None or highest is None or not lowest < highest or not case.plan.method.takes_rate:
        return None
    # A little below the very best, which stands at the edge of what is stable.
    rate = _two_digits(0.9 * 4 / (math.sqrt(lowest) + math.sqrt(highest)) ** 2)
    share = min(float(f"{(1 - math.sqrt(rate * lowest)) ** 2:.3g}"), 0.999)
    why = "β = (1 − √αλ_min)² and α = 4 / (√λ_max + √λ_min)² are the best on a bowl (Polyak 1964)."
    changes = {"method": "momentum", "momentum": share, "learning_rate": rate}
    return Remedy(f"momentum {number(share)} at {number(rate)}", why, changes, case.what_steps_move)


def adam(case: Case) -> Remedy | None:
    """Adam at a rate that reaches as far as the point is large."""
    why = "Each coordinate steps by about the rate, whatever the size of its gradient (Kingma and Ba 2015)."
    return _normalised(case, "adam", "Adam", why)


def rmsprop(case: Case) -> Remedy | None:
    """RMSprop at such a rate."""
    why = "Each coordinate is divided by the usual size of its gradient (Tieleman and Hinton 2012)."
    return _normalised(case, "rmsprop", "RMSprop", why)


def _normalised(case: Case, name: str, words: str, why: str) -> Remedy | None:
    if case.method == name:
        return None
    rate = _two_digits(min(_WAYS * case.size / max(case.plan.steps, 1), case.size / _WAYS))
    if not rate > 0:
        return None
    changes: dict[str, Any] = {"method": name, "learning_rate": rate}
    if case.plan.schedule.function is not None:  # which is the rate itself
        changes["schedule"] = None
    return Remedy(f"{words} at {number(rate)}", why, changes, case.what_steps_move)


def newton(case: Case) -> Remedy | None:
    """Newton's method with a line search."""
    if case.evidence.searches_line or _tree.size(case.plan.start) > _DENSE:
        return None
    why = "The step H⁻¹g goes to the bottom of a bowl, however narrow (Nocedal and Wright 2006, chapter 3)."
    return _searching(case, "newton", "Newton's method", why)


def bfgs(case: Case) -> Remedy | None:
    """BFGS, or L-BFGS for points of many numbers."""
    if case.evidence.searches_line:
        return None
    small = _tree.size(case.plan.start) <= _DENSE**2
    why = "It learns the curvature from the gradients it meets (Nocedal and Wright 2006, chapters 6 and 7)."
    return _searching(case, "bfgs" if small else "l-bfgs", "BFGS" if small else "L-BFGS", why)


def _searching(case: Case, name: str, words: str, why: str) -> Remedy:
    return Remedy(words, why, {"method": name}, case.what_steps_move)


# --- where it starts, when it stops ----------------------------------------------------------------------------------


def off_to_one_side(case: Case) -> Remedy | None:
    """A start that is a little off along the lowest curvature at the end."""
    return _off(case, 1.0)


def off_to_the_other_side(case: Case) -> Remedy | None:
    """The same to the other side."""
    return _off(case, -1.0)


def _off(case: Case, side: float) -> Remedy | None:
    spectrum = case.evidence.ground.spectrum
    if spectrum is None or spectrum.lowest_direction is None or not spectrum.lowest < 0:
        return None
    start = moved(case.plan.start, _two_digits(side * _OFF * case.size) * along(spectrum.lowest_direction))
    why = "The ground falls along the eigenvector of the lowest eigenvalue of the Hessian (Nocedal and Wright 2006)."
    return Remedy(f"a start a little off, {written(start)}", why, {"start": start}, "lowest_curvature")


def noise(case: Case) -> Remedy | None:
    """Noise in the gradient whose first step is a hundredth of the point's size."""
    if case.method != "gradient descent":
        return None
    deviation = _two_digits(_OFF * case.size / case.rate) if case.rate > 0 else math.nan
    if not math.isfinite(deviation):
        return None
    changes = {"method": "gradient descent with noise", "noise": deviation}
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
    moves = "lowest_curvature" if case.evidence.ground.curves_down else "end_value"
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
    tolerance = _two_digits(case.plan.tolerance * 1e-6)
    why = "The descent stopped because the gradient was small enough, and not at the bottom."
    return Remedy(f"tolerance {number(tolerance)}", why, {"tolerance": tolerance}, "end_gradient")


_SHORTER = (rate_from_curvature, best_rate, smaller_rate, far_smaller_rate)
_LONGER = (best_rate, rate_from_curvature, rate_for_the_way, larger_rate, far_larger_rate)

FOR_DESCENTS: Mapping[str, tuple[Maker, ...]] = {
    "rate_too_large": (*_SHORTER, clipping, newton, adam, warm_up),
    "diverged": (smaller_rate, far_smaller_rate, clipping, adam),
    "not_finite": (*_SHORTER, other_start, clipping, newton, adam),
    "oscillating": (*_SHORTER, cosine, decay, newton, adam),
    "saddle_point": (off_to_one_side, off_to_the_other_side, other_start, noise),
    "maximum": (off_to_one_side, off_to_the_other_side, other_start, noise),
    "plateau": (other_start, larger_rate, far_larger_rate, adam, newton, bfgs),
    "rate_too_small": (*_LONGER, newton, momentum, adam, bfgs),
    "ill_conditioned": (*_LONGER, newton, tuned_momentum, bfgs, adam, nesterov, rmsprop),
    "still_descending": (finer_tolerance, *_LONGER, newton, momentum, more_steps),
    "local_minimum": (other_start, larger_rate, momentum, adam),
    "edge_of_stability": (rate_from_curvature, cosine),
    "converged": (),
}
# For the first a better valley may be anywhere; for all of them it matters where other starts lead.
NEED_A_SEARCH = frozenset({"local_minimum", "plateau"})
NEED_OTHER_STARTS = frozenset(name for name, makers in FOR_DESCENTS.items() if other_start in makers)


def is_unfinished(case: Case, diagnosis: Diagnosis) -> bool:
    """Tell whether a descent that nothing is wrong with ended before the bottom."""
    return "still_descending" in diagnosis and case.evidence.share_left > ARRIVED_BY_TOLERANCE


def proposals(case: Case, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, those of problems first; none where the value falls without end."""
    with np.errstate(all="ignore"):
        if plunges(case.evidence):
            return []
        found: list[Remedy] = []
        for remedy in _each(case, diagnosis):
            if _changes_something(case, remedy) and not any(same(remedy.changes, other.changes) for other in found):
                found.append(remedy)
    return found


def _each(case: Case, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield the remedies by symptom."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    notes = [finding.symptom for finding in diagnosis if finding.severity is not Severity.PROBLEM]
    for symptom in (*problems, *notes):
        for maker in FOR_DESCENTS.get(symptom, ()):
            remedy = maker(case)
            if remedy is not None:
                yield replace(remedy, symptom=symptom)


def _changes_something(case: Case, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything that was asked for."""
    asked = case.plan.choices
    return any(name not in asked or not same(asked[name], told) for name, told in remedy.changes.items())


def is_quick(case: Case, remedy: Remedy) -> bool:
    """Tell whether a remedy costs no more than the descent: another rate, start or tolerance compiles nothing."""
    asked = remedy.changes
    kind = method(asked["method"]).compiled if "method" in asked else case.plan.method.compiled
    return kind == case.plan.method.compiled and not asked.keys() & {"schedule", "clip_norm", "clip_value", "steps"}
