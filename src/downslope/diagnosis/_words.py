"""How numbers are written in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


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
