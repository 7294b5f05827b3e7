"""How a check of a training words what it found: a problem where the network falls short, else worth knowing."""

from __future__ import annotations

from typing import Any

from downslope.diagnosis._finding import Finding, Severity
from downslope.diagnosis._training import TrainingEvidence


def found(
    evidence: TrainingEvidence,
    symptom: str,
    sentence: str,
    threshold: str,
    *,
    numbers: dict[str, Any] | None = None,
    parts: tuple[str, ...] = (),
    causes: tuple[str, ...] = (),
    remedies: tuple[str, ...] = (),
    confidence: float = 0.9,
    problem: bool | None = None,
) -> Finding:
    """Return a finding over all steps of a training.

    Args:
        evidence: what is known of the training.
        symptom: its identifier.
        sentence: what it means.
        threshold: the bound that the evidence was held against, in words.
        numbers: the numbers behind it.
        parts: the layers it concerns.
        causes: possible causes, the likeliest first.
        remedies: what to change.
        confidence: from 0 to 1.
        problem: whether it is one; None where the network falls short of what the data allow.
    """
    serious = evidence.falls_short if problem is None else problem
    return Finding(
        symptom,
        Severity.PROBLEM if serious else Severity.NOTE,
        sentence,
        evidence.numbers(**(numbers or {})),
        threshold,
        evidence.all_steps,
        parts=parts,
        confidence=confidence,
        causes=causes,
        remedies=remedies,
    )
