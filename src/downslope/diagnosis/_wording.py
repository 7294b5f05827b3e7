"""How the checks write numbers: to four digits, and different ones differently."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from downslope import _text
from downslope._text import apart, in_words

DIGITS = 4  # of the numbers in a sentence
# Numbers nearer to each other than this are equal but for rounding, and may look the same.
ROUNDING = 1e-9
# Evidence that is read side by side: whether a rate lies above or below another decides the verdict.
_RATES = ("learning_rate", "largest_stable_rate", "best_rate")
_FACTORS = ("predicted_contraction", "observed_contraction", "stability")


def number(value: Any) -> str:
    """Return a number to four significant digits.

    >>> number(0.123456), number(1.0), number(-2e-11)
    ('0.1235', '1', '−2e−11')
    """
    return _text.number(float(value), DIGITS)


def factor(value: Any) -> str:
    """Return a factor to four significant digits, or to as many more as tell it from 1.

    >>> factor(0.98765), factor(0.99998), factor(1.0)
    ('0.9877', '0.99998', '1')
    """
    return apart(float(value), 1.0, DIGITS)[0] if abs(value - 1) > ROUNDING else "1"


def shown(value: Any) -> str:
    """Return a piece of evidence: a number, a word, or numbers by part."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {shown(entry)}" for name, entry in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(shown(entry) for entry in value) + "]"
    if isinstance(value, int):
        return str(value)
    return number(value) if isinstance(value, float) else str(value)


def evidence_texts(evidence: Mapping[str, Any]) -> dict[str, str]:
    """Return evidence as text, by name in words: rates that differ look different, and so do factors and 1.

    >>> evidence_texts({"learning_rate": 3.0, "largest_stable_rate": 2.9999992, "cosine": -1.0})
    {'learning rate': '3', 'largest stable rate': '2.999999', 'cosine': '−1'}
    """
    texts = {name: shown(value) for name, value in evidence.items()}
    texts |= {name: factor(evidence[name]) for name in _FACTORS if isinstance(evidence.get(name), float)}
    rates = [name for name in _RATES if isinstance(evidence.get(name), float)]
    for first, second in itertools.combinations(rates, 2):
        differ = abs(evidence[first] - evidence[second]) > ROUNDING * abs(evidence[second])
        if differ and texts[first] == texts[second]:
            texts[first], texts[second] = apart(evidence[first], evidence[second], DIGITS)
    return {in_words(name): text for name, text in texts.items()}
