"""How the checks word their findings: numbers and lists in a sentence, and the finding of a training."""

from __future__ import annotations

from typing import Any

from downslope import _text
from downslope.diagnosis._finding import Finding, Severity, Symptom
from downslope.diagnosis._training_evidence import TrainingEvidence

DIGITS = 4  # of the numbers in a sentence


def number(value: Any) -> str:
    """Return a number to four significant digits.

    >>> number(0.123456), number(1.0), number(-2e-11)
    ('0.1235', '1', '−2e−11')
    """
    return _text.number(float(value), DIGITS)


def shown(value: Any) -> str:
    """Return a piece of evidence: a number, a word, or numbers by part."""
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {shown(entry)}" for name, entry in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(shown(entry) for entry in value) + "]"
    if isinstance(value, int):
        return str(value)
    return number(value) if isinstance(value, float) else str(value)


def training_finding(
    evidence: TrainingEvidence,
    symptom: Symptom,
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
    """Return a finding over all steps of a training: a problem where the network falls short, else a note.

    Args:
        evidence: what is known of the training.
        symptom: what shows.
        sentence: what it means.
        threshold: the bound that the evidence was compared with, in words.
        numbers: the numbers behind it.
        parts: the layers it concerns.
        causes: possible causes, the likeliest first.
        remedies: what to change.
        confidence: from 0 to 1.
        problem: whether it is one; None where that depends on whether the network falls short of what the data allow.
    """
    serious = evidence.falls_short if problem is None else problem
    return Finding(
        symptom.key,
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
