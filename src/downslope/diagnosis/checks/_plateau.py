"""Flat ground that need not be a bottom: `plateau`."""

from __future__ import annotations

import math

from downslope._text import count
from downslope.diagnosis._end_state import ARRIVED_BY_TOLERANCE, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number

PLATEAU = Symptom(
    "plateau",
    Severity.PROBLEM,
    order=70,
    meaning="Flat ground that need not be a minimum.",
    quantity="end_gradient",
    remedies=("other_start", "larger_rate", "far_larger_rate", "adam", "newton", "bfgs"),
)


@check(PLATEAU)
def plateau(evidence: Evidence, state: EndState) -> Finding | None:
    """Find ground so flat that slope and curvature together do not tell where, or whether, there is a bottom."""
    if state is not EndState.FLAT:
        return None
    end = evidence.end
    reached = evidence.decrease > 0 and evidence.share_left <= ARRIVED_BY_TOLERANCE
    return Finding(
        PLATEAU.key,
        Severity.NOTE if reached and not end.curves_down else Severity.PROBLEM,
        _sentence(evidence),
        evidence.numbers(
            "gradient_norm",
            "lowest_eigenvalue",
            "highest_eigenvalue",
            "value",
            "start_value",
            "learning_rate",
            "pace",
        ),
        "no clear curvature at a vanishing gradient, or slope and curvature that fade in step",
        evidence.all_steps,
        confidence=0.8,
        causes=(
            "a saturated function: the start is far out on a tail",
            "the bottom is flat, or lies at infinity",
        ),
        remedies=(
            "another start, nearer to where the value changes",
            "Adam, whose steps do not shrink with the slope",
        ),
    )


def _sentence(evidence: Evidence) -> str:
    """Return what the ground is like here."""
    end = evidence.end
    order = end.order
    if end.gradient_norm == 0 and end.size == 0:
        return "The ground is level here: slope and curvature are both 0, so a bottom cannot be told from a shelf."
    if order is not None and math.isfinite(order) and order < 10:
        return (
            f"Slope and curvature fade together as those of |x| to the power {number(order)}: this may be a shelf "
            "that goes on falling beyond, and not a bottom."
        )
    moved = "The tolerance was met before the first step."
    if evidence.last_step:
        moved = f"{count(evidence.last_step).capitalize()} lowered the value by {number(evidence.decrease)}."
    return (
        f"The slope is only {number(end.gradient_norm)} and the curvature fades with it: this is a plateau or "
        f"a tail, not a bottom. {moved}"
    )
