"""What a check found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Severity(enum.Enum):
    """How much a finding matters; the value is the word the user reads."""

    GOOD = "good"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found in a trace.

    Args:
        symptom: its identifier: `converged`, `rate_too_large`, …
        severity: GOOD (all is well), NOTE (worth knowing) or PROBLEM (the descent will not get there as it is).
        sentence: what it means, with the numbers that matter, in one or two sentences.
        evidence: the numbers behind it, by name; plain numbers, strings, or mappings from part to number.
        threshold: the bound that the evidence was held against, in words.
        steps: first and last step at which it shows.
        parts: the parts it concerns; empty for all.
        confidence: from 0 to 1.
        causes: possible causes, the likeliest first.
        remedies: what to change, the first to try first.
    """

    symptom: str
    severity: Severity
    sentence: str
    evidence: Mapping[str, Any]
    threshold: str
    steps: tuple[int, int]
    parts: tuple[str, ...] = ()
    confidence: float = 1.0
    causes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.symptom}: {self.sentence}"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data, for JSON."""
        return {
            "symptom": self.symptom,
            "severity": self.severity.value,
            "sentence": self.sentence,
            "evidence": dict(self.evidence),
            "threshold": self.threshold,
            "steps": list(self.steps),
            "parts": list(self.parts),
            "confidence": self.confidence,
            "causes": list(self.causes),
            "remedies": list(self.remedies),
        }


@dataclass(frozen=True)
class NotRun:
    """A check that could not run.

    Args:
        symptom: what it looks for.
        reason: what it lacked, as a sentence.
    """

    symptom: str
    reason: str

    def __str__(self) -> str:
        return f"{self.symptom}: {self.reason}"
