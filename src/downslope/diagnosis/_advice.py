"""The learning rates that a diagnosis would advise, and those that may be printed.

A rate is a prediction. On a quadratic theory proves it; elsewhere it is advised only if a descent at that rate from the
same start was made, fell, and asks for no other rate. `descent` makes those descents and keeps their
results in the trace as `rates_tried`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from downslope.diagnosis._end_state import FLOOR, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._steps_to_go import is_quadratic

_SETTLED = 0.1  # of the swing of a fixed rate: a decaying one that ends within it has settled
_MOST = 7  # rates that are tried, each half of the one before or a quarter
_SHRINKS = (1.0, 0.5, 0.25, 0.125, 0.03, 0.01, 0.001)
_TOO_LONG = (EndState.BOUNCING, EndState.RISING, EndState.NOT_FINITE)
_ASKS = (*_TOO_LONG, EndState.CRAWLING)


def advised_rate(evidence: Evidence, state: EndState) -> float | None:
    """Return the rate to advise; None where none was tried with success and no theory proves one."""
    for trial in evidence.trace.facts.get("rates_tried") or ():
        if trial["is_sound"]:
            return float(trial["learning_rate"])
    tried = "rates_tried" in evidence.trace.facts
    if tried or not is_quadratic(evidence):
        return None
    return next(iter(rates_to_try(evidence, state)), None)


def rates_to_try(evidence: Evidence, state: EndState) -> tuple[float, ...]:
    """Return the rates that a diagnosis would advise, the best first, with four digits as they are printed."""
    if evidence.learning_rate is None or not evidence.constant_rate or evidence.searches_line:
        return ()
    if state in _TOO_LONG:
        first = _shorter(evidence)
    elif state is EndState.CRAWLING:
        first = _longer(evidence)
    else:
        first = evidence.best_rate if _bounces_down(evidence, state) else None
    if first is None or not 0 < first < math.inf:
        return ()
    rates = [float(f"{first * share:.4g}") for share in _SHRINKS[:_MOST]]
    if state is EndState.CRAWLING:
        return tuple(rate for rate in rates if rate > evidence.learning_rate)
    return tuple(rates)


def _bounces_down(evidence: Evidence, state: EndState) -> bool:
    """Tell whether a healthy descent bounces, so that a smaller rate would be faster."""
    return state is EndState.FALLING and (evidence.cosine_late or 0.0) < 0 and evidence.best_rate is not None


def _shorter(evidence: Evidence) -> float | None:
    """Return a rate for a descent whose steps are too long: by the highest curvature met, not by that of one point."""
    if evidence.bound is None or evidence.method.scaled:
        return None
    if evidence.best_rate is not None and is_quadratic(evidence):
        return evidence.best_rate
    met = max(evidence.highest_met, evidence.seen_curvature or 0.0)
    # Half the largest stable rate contracts the steepest direction at once.
    return evidence.bound / met / 2 if met > 0 else None


def _longer(evidence: Evidence) -> float | None:
    """Return a rate for steps that are too short; for methods whose steps are as long as it, half as many steps."""
    rate = evidence.learning_rate
    if evidence.method.scaled or evidence.largest_stable_rate is None:
        whole = (evidence.steps_to_go or 0) + evidence.last_step
        return None if rate is None or not evidence.steps_to_go else rate * 2 * whole / max(evidence.last_step, 1)
    return evidence.best_rate or evidence.largest_stable_rate / 2


def is_sound(trial: Evidence, first: Evidence, state_of: Callable[[Evidence], EndState]) -> bool:
    """Tell whether a descent at another rate may be advised: it falls, stays below its start and asks for no other.

    Args:
        trial: the descent at that rate.
        first: the descent that was diagnosed.
        state_of: returns where a descent stands.
    """
    if trial.failed or len(trial.value) < 2 or not np.all(np.isfinite(trial.value)):
        return False
    late = trial.value[len(trial.value) // 2 :]
    if not trial.value[-1] < trial.value[0] or np.max(late) > trial.value[0]:
        return False
    state = state_of(trial)
    asks = state in _ASKS and not (state is EndState.BOUNCING and trial.swing <= FLOOR)
    return not asks and state is not EndState.AT_KINK and (first.failed or trial.value[-1] <= np.max(first.value))


def is_settled(trial: Evidence, first: Evidence) -> bool:
    """Tell whether a descent ends within a tenth of another's late swing above the lowest value that one crossed."""
    crossing = None if first.around is None else first.around.crossing
    late = first.value[len(first.value) // 2 :]
    if trial.failed or crossing is None or not np.all(np.isfinite(trial.value)) or not len(late):
        return False
    return bool(trial.value[-1] - crossing.value <= _SETTLED * (np.max(late) - crossing.value))
