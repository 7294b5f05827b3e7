"""A descent that goes away for good: `diverged`."""

from __future__ import annotations

from downslope.diagnosis._end_state import EndState, plunges
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number

DIVERGED = Symptom(
    "diverged",
    Severity.PROBLEM,
    order=20,
    meaning="The value falls without end, or rises though the rate does not explain it.",
    quantity="highest_value",
    remedies=("smaller_rate", "far_smaller_rate", "clipping", "adam"),
)

_NUMBERS = (
    "learning_rate",
    "largest_stable_rate",
    "start_value",
    "value",
    "gradient_norm",
    "lowest_eigenvalue",
)


@check(DIVERGED)
def diverged(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a value that falls without end, or rises though the rate does not explain it."""
    if state is EndState.UNBOUNDED or (state is EndState.NOT_FINITE and plunges(evidence)):
        return _unbounded(evidence)
    explained = evidence.stability is not None and evidence.stability > 1
    bounces = evidence.stability is None and (evidence.cosine_late or 0) <= -0.5
    if state is EndState.RISING and not explained and not bounces and not evidence.jumped:
        return _climbs(evidence)
    return None


def _unbounded(evidence: Evidence) -> Finding:
    """Return the finding for a value on its way to −∞."""
    return Finding(
        DIVERGED.key,
        Severity.PROBLEM,
        f"The value falls faster and faster, from {number(evidence.value[0])} to {number(evidence.value[-1])}, and the "
        "ground still curves downward: it looks unbounded below. A smaller rate would only fall more slowly.",
        evidence.numbers(*_NUMBERS),
        "the slope grew a thousandfold along downward curvature that does not weaken",
        evidence.all_steps,
        causes=(
            "the objective has no minimum in this direction",
            "a sign is the wrong way round",
        ),
        remedies=(
            "check the sign of the objective",
            "bound the point, or add a term that grows far out",
        ),
    )


def _climbs(evidence: Evidence) -> Finding:
    """Return the finding for a value that rises though the steps are not too long."""
    return Finding(
        DIVERGED.key,
        Severity.PROBLEM,
        f"The value rose from {number(evidence.value[0])} to {number(evidence.value[-1])}, and steps that are too long "
        "for the curvature do not explain it.",
        evidence.numbers(*_NUMBERS, "cosine"),
        "the value's envelope rises while α is below the largest stable rate, or updates do not oppose each other",
        evidence.all_steps,
        confidence=0.8,
        causes=(
            "the steps go up the gradient instead of down",
            "the objective jumps",
            "momentum carries too far",
        ),
        remedies=(
            "check the sign of the method's updates",
            "a tenth of the learning rate",
        ),
    )
