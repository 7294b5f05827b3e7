"""Steps that undo each other: `oscillating`."""

from __future__ import annotations

import math

from downslope._text import apart
from downslope.diagnosis._advice import advised_rate
from downslope.diagnosis._end_state import BOUNCING_COSINE, FLOOR, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import DIGITS, ROUNDING, Finding, Severity, Symptom, check, factor, number

OSCILLATING = Symptom(
    "oscillating",
    Severity.PROBLEM,
    order=40,
    meaning="Successive steps undo each other.",
    quantity="turning",
    remedies=(
        "rate_from_curvature",
        "best_rate",
        "smaller_rate",
        "far_smaller_rate",
        "cosine",
        "decay",
        "newton",
        "adam",
    ),
)

_NUMBERS = (
    "learning_rate",
    "largest_stable_rate",
    "best_rate",
    "predicted_contraction",
    "observed_contraction",
    "cosine",
    "steps_to_go",
)


@check(OSCILLATING)
def oscillating(evidence: Evidence, state: EndState) -> Finding | None:
    """Find steps that undo each other: for good (a problem), around the floor, or dying away (worth knowing)."""
    if state is EndState.BOUNCING:
        return _finding(evidence, *(_on_floor(evidence) if evidence.swing <= FLOOR else _for_good(evidence)))
    bounces = evidence.cosine_late is not None and evidence.cosine_late < BOUNCING_COSINE
    at_pole = evidence.around is not None and evidence.around.meets_pole
    if (
        state is EndState.FALLING
        and bounces
        and not at_pole
        and evidence.observed_contraction is not None
        and not evidence.is_noisy
    ):
        return _finding(evidence, *_dying(evidence))
    return None


def _finding(evidence: Evidence, severity: Severity, sentence: str, remedies: tuple[str, ...]) -> Finding:
    """Return the finding with what all three kinds share."""
    return Finding(
        OSCILLATING.key,
        severity,
        sentence,
        evidence.numbers(*_NUMBERS),
        f"median cosine of successive updates below {BOUNCING_COSINE}, or steps that return to their starting point",
        (int(evidence.step[len(evidence.step) // 2]), evidence.last_step),
        causes=("the learning rate is at the largest stable rate",) if severity is Severity.PROBLEM else (),
        remedies=remedies,
    )


def _for_good(evidence: Evidence) -> tuple[Severity, str, tuple[str, ...]]:
    """Return the sentence on a bounce that does not die away."""
    sentence = f"{_kept(evidence)}{_against_bound(evidence)}"
    rate = advised_rate(evidence, EndState.BOUNCING)
    if rate is not None:
        return Severity.PROBLEM, f"{sentence} Try {number(rate)}.", (f"learning rate {number(rate)}",)
    return (
        Severity.PROBLEM,
        f"{sentence} The steps do not get shorter by themselves.",
        ("a learning rate that decays", "a tenth of the learning rate"),
    )


def _kept(evidence: Evidence) -> str:
    """Return the clause on the gradient from step to step."""
    kept = evidence.observed_contraction or math.nan
    if (evidence.cosine_late or 0.0) >= BOUNCING_COSINE:
        return "The steps go round and round: the value no longer falls, and the point ends near where it was before."
    if abs(kept - 1) <= 1e-3 or factor(kept) == "1":
        return "Each step jumps across the valley and lands as far away as before: the gradient stays the same size."
    if kept < 1:
        return (
            f"Each step jumps across the valley and lands almost as far away as before: the gradient keeps "
            f"{factor(kept)} of its size."
        )
    return f"Each step jumps across the valley and lands farther away: the gradient grows {factor(kept)}-fold."


def _against_bound(evidence: Evidence) -> str:
    """Return the sentence on the rate and the largest stable one; empty if it lies below, which explains nothing."""
    if evidence.largest_stable_rate is None or evidence.method.scaled or evidence.stability is None:
        return ""
    rate, largest = apart(evidence.learning_rate or math.nan, evidence.largest_stable_rate, DIGITS)
    if abs(evidence.stability - 1) <= ROUNDING:
        return f" α = {largest} is exactly the largest stable rate."
    if abs(evidence.stability - 1) <= 0.01:
        return f" α = {rate} is at the largest stable rate {largest}."
    return f" α = {rate} is above the largest stable rate {largest}." if evidence.stability > 1 else ""


def _on_floor(evidence: Evidence) -> tuple[Severity, str, tuple[str, ...]]:
    """Return the sentence on a bounce around the bottom that steps of fixed length cannot end."""
    sentence = (
        "The steps no longer get shorter: the point jumps to and fro around the bottom, and the value changes by about "
        f"{number(evidence.swing * evidence.decrease)} a step, {number(evidence.swing)} of the decrease so far."
    )
    return (
        Severity.NOTE,
        sentence,
        ("a learning rate that decays", "a smaller learning rate for the last steps"),
    )


def _dying(evidence: Evidence) -> tuple[Severity, str, tuple[str, ...]]:
    """Return the sentence on a bounce that dies away by itself."""
    sentence = (
        f"Each step crosses the valley and lands {factor(evidence.observed_contraction)} times as far away on the "
        "other side: it gets there, bouncing."
    )
    rate = advised_rate(evidence, EndState.FALLING)
    if rate is None:
        return Severity.NOTE, sentence, ("a smaller learning rate",)
    return Severity.NOTE, f"{sentence} {number(rate)} is the best rate.", (f"learning rate {number(rate)}",)
