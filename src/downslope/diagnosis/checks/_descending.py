"""A healthy descent that has not arrived: `still_descending`."""

from __future__ import annotations

import math

from downslope._text import apart, count
from downslope.diagnosis._end_state import EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import DIGITS, Finding, Severity, Symptom, check, number
from downslope.trace import Outcome

STILL_DESCENDING = Symptom(
    "still_descending",
    Severity.GOOD,
    order=100,
    meaning="The descent falls as it should and has not arrived.",
    quantity="steps_to_go",
    remedies=(
        "finer_tolerance",
        "best_rate",
        "rate_from_curvature",
        "rate_for_the_way",
        "larger_rate",
        "far_larger_rate",
        "newton",
        "momentum",
        "more_steps",
    ),
)


@check(STILL_DESCENDING)
def still_descending(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a descent that falls as it should and needs more steps, with how many."""
    if state is not EndState.FALLING:
        return None
    coarse = evidence.trace.outcome in (Outcome.CONVERGED, Outcome.STALLED)
    if coarse and _meets_no_bottom(evidence) and evidence.gradient_norm[-1] > evidence.gradient_norm[0]:
        return None  # it runs into a pole
    return Finding(
        STILL_DESCENDING.key,
        Severity.NOTE if coarse else Severity.GOOD,
        _too_coarse(evidence) if coarse else f"{_so_far(evidence)} {_to_go(evidence)}",
        evidence.numbers(
            "steps_to_go",
            "learning_rate",
            "largest_stable_rate",
            "best_rate",
            "predicted_contraction",
            "observed_contraction",
            "gradient_norm",
            "value",
            "remaining_decrease",
            "condition_number",
            "lowest_eigenvalue",
            "highest_eigenvalue",
        ),
        "none of the known problems shows, and no minimum is reached",
        evidence.all_steps,
        remedies=_remedies(evidence, coarse),
    )


def _so_far(evidence: Evidence) -> str:
    """Return the sentence on the descent so far."""
    if evidence.last_step == 0:
        return "No step was taken yet."
    first, last = apart(float(evidence.value[0]), float(evidence.value[-1]), DIGITS)
    steps = count(evidence.last_step)
    if not evidence.value[-1] < evidence.value[0]:
        return f"The value is {last} after {steps}, and was {first} at the start."
    if _meets_no_bottom(evidence):
        return f"The value fell from {first} to {last} in {steps}."
    return f"Healthy so far: the value fell from {first} to {last} in {steps}."


def _meets_no_bottom(evidence: Evidence) -> bool:
    """Tell whether the values around the end show that no bottom is ahead, or that a pole was crossed."""
    around = evidence.around
    return around is not None and (around.endless is not None or around.meets_pole)


def _to_go(evidence: Evidence) -> str:
    """Return the sentence on the remaining steps, or on why they cannot be estimated."""
    target = f"until the gradient is below {number(evidence.target)}"
    if evidence.steps_to_go:
        return f"About {count(evidence.steps_to_go, 'more step')} at this rate {target}."
    if evidence.end.spectrum is not None and evidence.end.size == 0:
        return "The slope does not change: no bottom is in sight."
    if evidence.around is not None and evidence.around.endless is not None:
        return "No bottom is ahead."
    if evidence.searches_line:
        return f"More steps are needed {target}."
    if not evidence.end.is_bowl and evidence.end.spectrum is not None:
        return "The curvature here is not yet that of a bowl, so the remaining steps cannot be estimated."
    return "How many more steps are needed cannot be estimated from here."


def _too_coarse(evidence: Evidence) -> str:
    """Return that the tolerance stopped the descent before the bottom."""
    left, around = evidence.end.remaining_decrease, evidence.around
    if around is not None and around.edge and not evidence.end.is_bowl:
        slope = number(evidence.end.gradient_norm)
        return (
            f"The descent stopped close to the edge of the domain, where the gradient is {slope}: this is no minimum."
        )
    known = left is not None and 0 < left < math.inf
    ahead = f", though the value ahead still falls by about {number(left)}" if known else ", before the bottom"
    return f"The descent stopped with the gradient at {number(evidence.end.gradient_norm)}{ahead}."


def _remedies(evidence: Evidence, coarse: bool) -> tuple[str, ...]:
    """Return the changes with which the descent would reach the minimum."""
    if evidence.trace.outcome is Outcome.STALLED:  # by no tolerance
        return ("another method", "another start", "rescale the objective")
    if coarse:
        return ("a smaller tolerance",)
    if not evidence.steps_to_go:
        return ("more steps",)
    return (count(evidence.steps_to_go, "more step"),)
