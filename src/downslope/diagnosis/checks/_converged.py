"""A descent that reached a minimum: `converged`."""

from __future__ import annotations

import math

from downslope._text import listed
from downslope.diagnosis._end_state import ARRIVED, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number

CONVERGED = Symptom(
    "converged",
    Severity.GOOD,
    order=90,
    meaning="The descent rests at a minimum.",
    quantity="arrived",
)


@check(CONVERGED)
def converged(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a minimum: a gradient that vanishes against the curvature, and curvature that is nowhere downward."""
    if state is not EndState.AT_MINIMUM:
        return None
    end = evidence.end
    sure = end.spectrum is not None and not end.flat_directions and end.order is None
    return Finding(
        CONVERGED.key,
        Severity.NOTE if end.spectrum is None else Severity.GOOD,
        _sentence(evidence),
        evidence.numbers(
            "gradient_norm",
            "value",
            "remaining_decrease",
            "lowest_eigenvalue",
            "highest_eigenvalue",
            "condition_number",
            "learning_rate",
            "largest_stable_rate",
            "best_rate",
            "predicted_contraction",
            "observed_contraction",
        ),
        f"a remaining decrease of at most {number(ARRIVED)} of that so far, of rounding, or of the tolerance; "
        f"no eigenvalue below {number(-end.zero)}",
        evidence.at_end,
        confidence=1.0 if sure else 0.7 if end.spectrum is not None else 0.5,
    )


def _sentence(evidence: Evidence) -> str:
    """Return the sentence on the point reached, and on how certain its kind is."""
    end = evidence.end
    slope = f"the gradient is {number(end.gradient_norm)}"
    if end.spectrum is None:
        return f"The slope is zero within the tolerance ({slope}); without the curvature, a minimum is not certain."
    if evidence.settings.get("weight_decay") and evidence.share_left > ARRIVED:
        return f"At a minimum, shifted a little by the weight decay: {slope} there, and the steps are zero."
    if evidence.is_noisy and evidence.share_left > ARRIVED:
        return f"At a minimum, as near as the noise allows: {slope}, and every direction curves up or is flat."
    if end.flat_directions:
        return (
            f"At the bottom of a valley: {slope}, and the curvature along {listed(end.flat_directions)} is zero."
            f"{_along_floor(evidence)}"
        )
    if end.order is not None:
        return (
            f"At a flat minimum: {slope}. The ground rises about as |x| to the power {number(end.order)}, so the "
            "last digits of the point come slowly."
        )
    if not (end.lowest or 0.0) > 0:
        return f"At a minimum: {slope}, and the values around are higher{_left(evidence)}."
    return f"At a minimum: {slope}, every direction curves up ({_curvatures(evidence)}){_left(evidence)}."


def _along_floor(evidence: Evidence) -> str:
    """Return what is known of a floor without curvature."""
    if evidence.around is not None:
        return " The values around are nowhere lower."
    return " Curvature alone does not show whether the value keeps falling along it."


def _curvatures(evidence: Evidence) -> str:
    """Return the range of the curvatures."""
    lowest, highest = number(evidence.end.lowest), number(evidence.end.highest)
    return f"curvature {lowest}" if lowest == highest else f"curvatures {lowest} to {highest}"


def _left(evidence: Evidence) -> str:
    """Return the clause on the remaining decrease, if it exceeds rounding."""
    left = evidence.end.remaining_decrease
    return f", and the value can fall by about {number(left)} more" if left and math.isfinite(left) else ""
