"""The quantities behind the symptoms of a descent to the bottom of a function."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._quantity import Quantity
from downslope.diagnosis._state import State, state_of


def _end_value(evidence: Evidence) -> float:
    """Return the value at the end; ∞ for a descent that met what is no finite number."""
    return math.inf if evidence.failed else float(evidence.value[-1])


def _highest_value(evidence: Evidence) -> float:
    """Return the highest value on the way; ∞ for a descent that met what is no finite number."""
    return math.inf if evidence.failed else float(np.max(evidence.value))


def _distance(evidence: Evidence) -> float:
    """Return how far the end lies from the start; NaN for a descent that met what is no finite number."""
    if evidence.failed:
        return math.nan
    start, end = evidence.trace.start, evidence.trace.end
    return math.sqrt(sum(float(np.sum(np.square(np.subtract(end[name], start[name])))) for name in start))


def _arrived(evidence: Evidence) -> float:
    """Return 1 for a descent that rests at a minimum, else 0."""
    return float(state_of(evidence) is State.AT_MINIMUM)


OF_DESCENTS: Mapping[str, Quantity] = {
    "arrived": Quantity("whether it rests at a minimum", "higher", _arrived),
    "condition_number": Quantity("steepest curvature over the gentlest", "lower", lambda e: e.ground.condition_number),
    "distance": Quantity("way from start to end", "higher", _distance),
    "end_gradient": Quantity("gradient at the end", "lower", lambda e: float(e.gradient_norm[-1])),
    "end_stability": Quantity("rate over the largest stable rate", "lower", lambda e: e.stability),
    "end_value": Quantity("value at the end", "lower", _end_value),
    "highest_value": Quantity("highest value on the way", "lower", _highest_value),
    "lowest_curvature": Quantity("lowest curvature at the end", "higher", lambda e: e.ground.lowest),
    "steps_to_go": Quantity("steps to go", "lower", lambda e: e.steps_to_go),
    "turning": Quantity("cosine of successive updates", "higher", lambda e: e.cosine_late),
}
