"""Remedies of a descent in how it steps: another method, with the settings that suit the ground."""

from __future__ import annotations

import math
from typing import Any

from downslope import _tree
from downslope._text import number
from downslope.methods import ADAM, BFGS, GRADIENT_DESCENT, L_BFGS, MOMENTUM, NESTEROV, NEWTON, RMSPROP
from downslope.remedies._plan_case import Case
from downslope.remedies._remedy import Remedy, two_digits

_WAYS = 10  # so many times the point's own size a normalised method may go in all its steps
_DENSE = 64  # numbers in a point up to which Newton's method solves with the whole Hessian


def momentum(case: Case) -> Remedy | None:
    """Heavy-ball momentum at the same rate."""
    why = "Velocity adds up along directions that keep their sign and cancels in the others (Polyak 1964)."
    return _like_plain(case, MOMENTUM.name, why)


def nesterov(case: Case) -> Remedy | None:
    """Nesterov's momentum at the same rate."""
    why = "A look ahead along the velocity keeps it from swinging (Nesterov 1983)."
    return _like_plain(case, NESTEROV.name, why)


def _like_plain(case: Case, name: str, why: str) -> Remedy | None:
    if case.method != GRADIENT_DESCENT.name:
        return None
    return Remedy(name, why, {"method": name}, case.what_steps_move)


def tuned_momentum(case: Case) -> Remedy | None:
    """Momentum and rate that are the best for the curvatures at the end."""
    lowest, highest = case.evidence.end.lowest_rising, case.evidence.end.highest
    if lowest is None or highest is None or not lowest < highest or not case.plan.method.takes_rate:
        return None
    # A little below the very best, which stands at the edge of what is stable.
    rate = two_digits(0.9 * 4 / (math.sqrt(lowest) + math.sqrt(highest)) ** 2)
    share = min(float(f"{(1 - math.sqrt(rate * lowest)) ** 2:.3g}"), 0.999)
    why = "β = (1 − √αλ_min)² and α = 4 / (√λ_max + √λ_min)² are the best on a bowl (Polyak 1964)."
    changes = {"method": MOMENTUM.name, "momentum": share, "learning_rate": rate}
    return Remedy(f"momentum {number(share)} at {number(rate)}", why, changes, case.what_steps_move)


def adam(case: Case) -> Remedy | None:
    """Adam at a rate that reaches as far as the point is large."""
    why = "Each coordinate steps by about the rate, whatever the size of its gradient (Kingma and Ba 2015)."
    return _normalised(case, ADAM.name, "Adam", why)


def rmsprop(case: Case) -> Remedy | None:
    """RMSprop at such a rate."""
    why = "Each coordinate is divided by the usual size of its gradient (Tieleman and Hinton 2012)."
    return _normalised(case, RMSPROP.name, "RMSprop", why)


def _normalised(case: Case, name: str, words: str, why: str) -> Remedy | None:
    if case.method == name:
        return None
    rate = two_digits(min(_WAYS * case.size / max(case.plan.steps, 1), case.size / _WAYS))
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
    return _searching(case, NEWTON.name, "Newton's method", why)


def bfgs(case: Case) -> Remedy | None:
    """BFGS, or L-BFGS for points of many numbers."""
    if case.evidence.searches_line:
        return None
    small = _tree.size(case.plan.start) <= _DENSE**2
    why = "It learns the curvature from the gradients it meets (Nocedal and Wright 2006, chapters 6 and 7)."
    return _searching(case, (BFGS if small else L_BFGS).name, "BFGS" if small else "L-BFGS", why)


def _searching(case: Case, name: str, words: str, why: str) -> Remedy:
    return Remedy(words, why, {"method": name}, case.what_steps_move)
