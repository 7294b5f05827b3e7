"""Flat ground that need not be a minimum: `plateau`."""

from __future__ import annotations

import math

from downslope._text import count
from downslope.diagnosis._end_state import ARRIVED_BY_TOLERANCE, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number
from downslope.diagnosis._surroundings import Fall, Surroundings

PLATEAU = Symptom(
    "plateau",
    Severity.PROBLEM,
    order=70,
    meaning="The slope fades, but this need not be a minimum.",
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
            *(() if evidence.method.scaled else ("Adam, whose steps do not shrink with the slope",)),
        ),
    )


def _sentence(evidence: Evidence) -> str:
    """Return the sentence on the flat ground at the end."""
    end, around = evidence.end, evidence.around
    order = end.order
    if around is not None and around.falls is not None:
        return f"{_slope(evidence)}{_ahead(evidence, around, around.falls)} {_moved(evidence)}"
    if end.gradient_norm == 0 and end.size == 0:
        if around is not None and around.judged == "level" and not around.edge:
            if around.rises:
                return "The ground around the end is level, and the value is lower at none of the points checked."
            return "The ground is level: the value is the same at all points checked around the end."
        return "Slope and curvature are both 0 here, so a minimum cannot be told from a shelf."
    if order is not None and math.isfinite(order) and order < 10:
        return (
            f"Slope and curvature fade together as those of |x| to the power {number(order)}: this may be a shelf "
            "beyond which the value falls on, and not a minimum."
        )
    if order is None and end.has_faded:
        return (
            f"{_slope(evidence)} and the curvature fades with it, so that neither tells a flat minimum from a saddle "
            f"or a shelf beyond which the value falls on. {_moved(evidence)}"
        )
    if end.is_level and end.gradient_norm > 0:
        value = float(evidence.value[-1])
        return (
            f"{_slope(evidence)}, too small to be seen in the value: {number(value)} is known to "
            f"{number(end.epsilon * abs(value))}. {_moved(evidence)}"
        )
    kind = "and the curvature fades with it: this is a plateau or a tail, not a minimum."
    return f"{_slope(evidence)} {kind} {_moved(evidence)}"


def _slope(evidence: Evidence) -> str:
    """Return the size of the slope, beside that of the start where it is smaller."""
    last, first = evidence.gradient_norm[-1], evidence.gradient_norm[0]
    if last < first and number(last) != number(first):
        return f"The slope has fallen from {number(first)} to {number(last)}"
    return f"The slope is {number(last)}"


def _ahead(evidence: Evidence, around: Surroundings, fall: Fall) -> str:
    """Return the clause on the direction in which the value keeps falling."""
    heading = around.heading(fall.along)
    if evidence.end.gradient_norm == 0 and around.judged == "level":
        return (
            f", and the ground around is level, but this is not the lowest value: it falls as {heading}, by "
            f"{number(-fall.change)} at a distance of {number(fall.distance)}."
        )
    if len(fall.along) == 1 and evidence.end.gradient_norm == 0:
        return f" at a horizontal inflection: the value falls on as {heading}."
    return (
        f", but this is not a minimum: the value falls on as {heading}, by {number(-fall.change)} at a distance of "
        f"{number(fall.distance)}."
    )


def _moved(evidence: Evidence) -> str:
    """Return the sentence on the decrease that the steps achieved."""
    if not evidence.last_step:
        return "The tolerance was met before the first step."
    steps = count(evidence.last_step).capitalize()
    if evidence.decrease > 0:
        return f"{steps} lowered the value by {number(evidence.decrease)}."
    return f"{steps} did not lower the value."
