"""Remedies of a descent that change how it steps, and the choice of remedies by symptom.

A maker looks at the case and returns a remedy as data, or None where it does not apply. The record of a symptom names
its remedies; a further one is a maker here or in `_start_points` that names its symptoms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from downslope import _tree
from downslope._text import number
from downslope.diagnosis import ARRIVED_BY_TOLERANCE, DESCENT_SYMPTOMS, Diagnosis, Severity, plunges
from downslope.methods import ADAM, BFGS, GRADIENT_DESCENT, L_BFGS, MOMENTUM, NESTEROV, NEWTON, RMSPROP, method
from downslope.remedies import _start_points
from downslope.remedies._remedy import DescentCase, DescentMaker, Remedy, helps, makers_for, same, two_digits

_WAYS = 10  # so many times the point's own size a normalised method may go in all its steps
_DENSE = 64  # numbers in a point up to which Newton's method solves with the whole Hessian


def momentum(case: DescentCase) -> Remedy | None:
    """Heavy-ball momentum at the same rate."""
    why = "Velocity adds up along directions that keep their sign and cancels in the others (Polyak 1964)."
    return _like_plain(case, MOMENTUM.name, why)


def nesterov(case: DescentCase) -> Remedy | None:
    """Nesterov's momentum at the same rate."""
    why = "A look ahead along the velocity keeps it from swinging (Nesterov 1983)."
    return _like_plain(case, NESTEROV.name, why)


def _like_plain(case: DescentCase, name: str, why: str) -> Remedy | None:
    if case.method != GRADIENT_DESCENT.name:
        return None
    return Remedy(name, why, {"method": name}, case.what_steps_move)


def tuned_momentum(case: DescentCase) -> Remedy | None:
    """Momentum and rate that are the best for the curvatures at the end."""
    lowest, highest = case.evidence.end.lowest_rising, case.evidence.end.highest
    if lowest is None or highest is None or not lowest < highest or not case.plan.method.takes_rate:
        return None
    # A little below the very best, which stands at the edge of what is stable.
    # Polyak's optimum for a quadratic with curvatures from λ_min to λ_max.
    rate = two_digits(0.9 * 4 / (math.sqrt(lowest) + math.sqrt(highest)) ** 2)
    share = min(float(f"{(1 - math.sqrt(rate * lowest)) ** 2:.3g}"), 0.999)
    why = "β = (1 − √αλ_min)² and α = 4 / (√λ_max + √λ_min)² are the best on a bowl (Polyak 1964)."
    changes = {"method": MOMENTUM.name, "momentum": share, "learning_rate": rate}
    return Remedy(f"momentum {number(share)} at {number(rate)}", why, changes, case.what_steps_move)


def adam(case: DescentCase) -> Remedy | None:
    """Adam at a rate that reaches as far as the point is large."""
    why = "Each coordinate steps by about the rate, whatever the size of its gradient (Kingma and Ba 2015)."
    return _normalised(case, ADAM.name, "Adam", why)


@helps("ill_conditioned")
def rmsprop(case: DescentCase) -> Remedy | None:
    """RMSprop at such a rate."""
    why = "Each coordinate is divided by the usual size of its gradient (Tieleman and Hinton 2012)."
    return _normalised(case, RMSPROP.name, "RMSprop", why)


def _normalised(case: DescentCase, name: str, words: str, why: str) -> Remedy | None:
    if case.method == name:
        return None
    rate = two_digits(min(_WAYS * case.size / max(case.plan.steps, 1), case.size / _WAYS))
    if not rate > 0:
        return None
    changes: dict[str, Any] = {"method": name, "learning_rate": rate}
    if case.plan.schedule.function is not None:  # which is the rate itself
        changes["schedule"] = None
    return Remedy(f"{words} at {number(rate)}", why, changes, case.what_steps_move)


def newton(case: DescentCase) -> Remedy | None:
    """Newton's method with a line search."""
    if case.evidence.searches_line or _tree.size(case.plan.start) > _DENSE:
        return None
    why = "The step H⁻¹g goes to the bottom of a bowl, however narrow (Nocedal and Wright 2006, chapter 3)."
    return _searching(case, NEWTON.name, "Newton's method", why)


def bfgs(case: DescentCase) -> Remedy | None:
    """BFGS, or L-BFGS for points of many numbers."""
    if case.evidence.searches_line:
        return None
    small = _tree.size(case.plan.start) <= _DENSE**2
    why = "It learns the curvature from the gradients it meets (Nocedal and Wright 2006, chapters 6 and 7)."
    return _searching(case, (BFGS if small else L_BFGS).name, "BFGS" if small else "L-BFGS", why)


def _searching(case: DescentCase, name: str, words: str, why: str) -> Remedy:
    return Remedy(words, why, {"method": name}, case.what_steps_move)


# --- its rate, its schedule, its clipping ----------------------------------------------------------------------------

_HEADROOM = 0.5  # of the largest stable rate
_ALIKE = 0.1  # rates that differ by less than this share are one


def rate_from_curvature(case: DescentCase) -> Remedy | None:
    """Half of the largest stable rate."""
    largest, bound = case.evidence.largest_stable_rate, case.evidence.bound
    if largest is None or bound is None:
        return None
    why = f"Half of {number(bound)} / λ_max, the largest rate at which errors along the steepest direction shrink."
    return _at_rate(case, _HEADROOM * largest, "from the curvature", why)


def best_rate(case: DescentCase) -> Remedy | None:
    """The rate that shrinks the slowest error the most."""
    if case.evidence.best_rate is None:
        return None
    why = "2 / (λ_max + λ_min) or its like shrinks the slowest error the most (Polyak 1964)."
    return _at_rate(case, case.evidence.best_rate, "the best for the curvatures at the end", why)


def smaller_rate(case: DescentCase) -> Remedy | None:
    """A tenth of the rate."""
    return _at_rate(case, case.rate / 10, "a tenth", "Steps overshoot while αλ exceeds the method's bound.")


def far_smaller_rate(case: DescentCase) -> Remedy | None:
    """A hundredth of the rate."""
    return _at_rate(case, case.rate / 100, "a hundredth", "Steps overshoot while αλ exceeds the method's bound.")


def larger_rate(case: DescentCase) -> Remedy | None:
    """Ten times the rate."""
    return _at_rate(case, case.rate * 10, "ten times as much", "The shorter the steps, the more are needed.")


def far_larger_rate(case: DescentCase) -> Remedy | None:
    """A hundred times the rate."""
    return _at_rate(case, case.rate * 100, "a hundred times as much", "The shorter the steps, the more are needed.")


def rate_for_the_way(case: DescentCase) -> Remedy | None:
    """The rate at which the way that is left would need half of the steps."""
    to_go, taken = case.evidence.steps_to_go, case.evidence.last_step
    if not to_go or not taken:
        return None
    why = f"{number(to_go)} steps were still to go after {taken}; at this rate half of {taken} would do."
    return _at_rate(case, case.rate * 2 * (to_go + taken) / taken, "for the remaining distance", why)


def _at_rate(case: DescentCase, rate: float, which: str, why: str) -> Remedy | None:
    """Return a remedy at another rate; None where there is none, or it is the same but for rounding."""
    if not (math.isfinite(case.rate) and math.isfinite(rate) and rate > 0) or abs(rate / case.rate - 1) < _ALIKE:
        return None
    longer, largest = rate > case.rate, case.evidence.largest_stable_rate
    # A longer step cannot mend a run that overshoots, nor one that curvature bounds from above.
    if longer and (case.runs_away or (case.plan.method.facts.by_curvature and largest is not None and rate > largest)):
        return None
    moves = "distance" if longer else "highest_value" if case.runs_away else "end_stability"
    short = two_digits(rate)
    rate = short if largest is None or not rate < largest <= short else float(f"{rate:.4g}")
    return Remedy(f"rate {number(rate)}, {which}", why, {"learning_rate": rate}, moves)


def cosine(case: DescentCase) -> Remedy | None:
    """A rate that decays to 0."""
    why = "Steps that do not shorten by themselves die away with the rate (Robbins and Monro 1951)."
    return _with_schedule(case, "cosine", "a rate that decays as a cosine", why, "end_gradient")


def decay(case: DescentCase) -> Remedy | None:
    """A rate that decays to a hundredth."""
    why = "Steps that do not shorten by themselves die away with the rate (Robbins and Monro 1951)."
    return _with_schedule(case, "exponential", "a rate that decays to a hundredth", why, "end_gradient")


def warm_up(case: DescentCase) -> Remedy | None:
    """A rate that begins at 0."""
    why = "Short first steps leave steep ground before the long ones (Gilmer et al. 2021)."
    return _with_schedule(case, "warm-up", "warm-up over a tenth of the steps", why, "highest_value")


def _with_schedule(case: DescentCase, name: str, words: str, why: str, moves: str) -> Remedy | None:
    return Remedy(words, why, {"schedule": name}, moves) if case.is_even else None


def clipping(case: DescentCase) -> Remedy | None:
    """Gradients cut to the median of the norms that were recorded, or to that of the start where it is smaller."""
    norms = case.evidence.gradient_norm[np.isfinite(case.evidence.gradient_norm) & (case.evidence.gradient_norm > 0)]
    if case.plan.clip_norm is not None or not len(norms) or not case.plan.method.takes_rate:
        return None
    norm = two_digits(min(float(np.quantile(norms, 0.5)), float(norms[0])))
    why = "A cliff's gradient is cut to the usual length (Pascanu, Mikolov and Bengio 2013)."
    return Remedy(f"gradients cut to {number(norm)}", why, {"clip_norm": norm}, "highest_value")


# --- which are tried -------------------------------------------------------------------------------------------------


def descent_makers(symptom: str) -> tuple[DescentMaker, ...]:
    """Return the makers of the remedies for a symptom, in the order in which they are tried; none if unknown.

    Rates and starts come first, which need no new program, then other methods, those that theory favours first.
    """
    return makers_for(symptom, DESCENT_SYMPTOMS, {**vars(_start_points), **globals()})


# For these a better valley may be anywhere, so a search looks for it; for the others below, descents from further
# starts show which valleys lie near.
NEED_A_SEARCH = frozenset({"local_minimum", "plateau"})
NEED_OTHER_STARTS = frozenset(key for key in DESCENT_SYMPTOMS if _start_points.other_start in descent_makers(key))


def is_unfinished(case: DescentCase, diagnosis: Diagnosis) -> bool:
    """Tell whether a descent that nothing is wrong with ended before the bottom."""
    return "still_descending" in diagnosis and case.evidence.share_left > ARRIVED_BY_TOLERANCE


def proposals(case: DescentCase, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, those of problems first; none where the value falls without end."""
    with np.errstate(all="ignore"):
        if plunges(case.evidence):
            return []
        distinct: list[Remedy] = []
        for remedy in _each(case, diagnosis):
            if _changes_something(case, remedy) and not any(same(remedy.changes, other.changes) for other in distinct):
                distinct.append(remedy)
    return distinct


def _each(case: DescentCase, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield the remedies for each problem, then those for the other findings."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    notes = [finding.symptom for finding in diagnosis if finding.severity is not Severity.PROBLEM]
    for symptom in (*problems, *notes):
        for maker in descent_makers(symptom):
            remedy = maker(case)
            if remedy is not None:
                yield replace(remedy, symptom=symptom)


def _changes_something(case: DescentCase, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything of the plan."""
    choices = case.plan.choices
    return any(name not in choices or not same(choices[name], value) for name, value in remedy.changes.items())


def is_quick(case: DescentCase, remedy: Remedy) -> bool:
    """Tell whether a remedy runs in the program that is compiled already: another rate, start or tolerance does."""
    changes = remedy.changes
    structure = method(changes["method"]).structure if "method" in changes else case.plan.method.structure
    if structure != case.plan.method.structure:
        return False
    return not changes.keys() & {"schedule", "clip_norm", "clip_value", "steps"}
