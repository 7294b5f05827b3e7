"""A descent that moves away for good: `diverged`."""

from __future__ import annotations

from downslope._text import apart
from downslope.diagnosis._end_state import EndState, plunges
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import DIGITS, Finding, Severity, Symptom, check, number

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
        return _plunges(evidence)
    explained = evidence.stability is not None and evidence.stability > 1
    bounces = evidence.stability is None and (evidence.cosine_late or 0) <= -0.5
    if state is EndState.RISING and not explained and not bounces and not evidence.jumped:
        return _climbs(evidence)
    return None


def _plunges(evidence: Evidence) -> Finding:
    """Return the finding for a value on its way to −∞."""
    return Finding(
        DIVERGED.key,
        Severity.PROBLEM,
        f"The value falls faster and faster, from {number(evidence.value[0])} to {number(evidence.value[-1])}, and the "
        "curvature is still negative: it seems unbounded below. A smaller rate only falls more slowly.",
        evidence.numbers(*_NUMBERS),
        "the slope grew a thousandfold along negative curvature that does not weaken",
        evidence.all_steps,
        causes=(
            "the objective has no minimum in this direction",
            "a sign is reversed",
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
        f"{_rise(evidence)}, and the learning rate does not explain it.",
        evidence.numbers(*_NUMBERS, "cosine"),
        "the value's envelope rises while α is below the largest stable rate, or updates do not oppose each other",
        evidence.all_steps,
        confidence=0.8,
        causes=_causes(evidence),
        remedies=(
            "check the sign of the method's updates",
            "a tenth of the learning rate",
        ),
    )


def _rise(evidence: Evidence) -> str:
    """Return the clause on the rise of the value: from start to end, or else that of its late maxima."""
    first, last = float(evidence.value[0]), float(evidence.value[-1])
    if last > first:
        return f"The value rose from {' to '.join(apart(first, last, DIGITS))}"
    earlier, later = evidence.envelope[1], evidence.envelope[0]
    if later > earlier:
        texts = apart(earlier, later, DIGITS)
        return f"The value swings ever higher: its maximum rose from {texts[0]} to {texts[1]} over the last third"
    return f"The value does not settle: it is {number(last)} at the end"


def _causes(evidence: Evidence) -> tuple[str, ...]:
    """Return the possible causes; a pole that was jumped over is the cause."""
    crossing = None if evidence.around is None else evidence.around.crossing
    if crossing is not None and crossing.kind == "pole":
        return ("a step jumped over a pole",)
    return ("the steps go up the gradient instead of down", "the objective jumps", "momentum carries too far")
