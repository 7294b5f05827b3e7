"""How the checks word their findings: numbers and lists in a sentence, and the finding of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from downslope.diagnosis._finding import Finding, Severity, Symptom
from downslope.diagnosis._training_evidence import TrainingEvidence


def number(value: Any) -> str:
    """Return a number to four significant digits.

    >>> number(0.123456), number(1.0), number(-2e-11)
    ('0.1235', '1', '-2e-11')
    """
    return f"{float(value) + 0.0:.4g}"


def count(value: float, noun: str = "step") -> str:
    """Return a whole number with its noun: `1 step`, `11612 steps`."""
    if not math.isfinite(value):
        return f"endlessly many {noun}s"
    whole = math.ceil(value)
    shown = str(whole) if whole < 10_000_000 else f"{whole:.3g}"
    return f"{shown} {noun}" if whole == 1 else f"{shown} {noun}s"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `x`, `x and y`, `x, y and z`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


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
