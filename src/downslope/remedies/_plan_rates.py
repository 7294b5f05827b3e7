"""Remedies of a descent in how long its steps are: its rate, its schedule, its clipping."""

from __future__ import annotations

import math

import numpy as np

from downslope._text import number
from downslope.remedies._plan_case import Case
from downslope.remedies._remedy import Remedy, two_digits

_HEADROOM = 0.5  # of the largest stable rate
_ALIKE = 0.1  # rates that differ by less than this share are one


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
    if longer and (case.runs_away or (case.plan.method.facts.by_curvature and largest is not None and rate > largest)):
        return None
    moves = "distance" if longer else "highest_value" if case.runs_away else "end_stability"
    short = two_digits(rate)
    rate = short if largest is None or not rate < largest <= short else float(f"{rate:.4g}")
    return Remedy(f"rate {number(rate)}, {which}", why, {"learning_rate": rate}, moves)


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
    norm = two_digits(min(float(np.quantile(norms, 0.5)), float(norms[0])))
    why = "A cliff's gradient is cut to the usual length (Pascanu, Mikolov and Bengio 2013)."
    return Remedy(f"gradients cut to {number(norm)}", why, {"clip_norm": norm}, "highest_value")
