"""Numbers on their way to the page: rounded to what can be seen, null where they are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_SEEN = 9  # significant digits of what is drawn or moved


def plain(number: float | None) -> float | None:
    """Return a number for JSON, null if it is not finite."""
    return None if number is None or not math.isfinite(number) else float(number)


def shown(numbers: Sequence[float] | np.ndarray, digits: int = _SEEN) -> list[float | None]:
    """Return numbers for JSON, so many digits of each."""
    plain_floats = np.asarray(numbers, dtype=float).tolist()  # NumPy's own scalars take twice as long to be written
    return [float(f"{number:.{digits}g}") if math.isfinite(number) else None for number in plain_floats]


def kept(count: int, most: int) -> np.ndarray:
    """Return the places of so many rows at most, spread evenly, both ends among them."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def evidence(told: Any) -> str:
    """Return a piece of evidence as text: a number, a word, or numbers by name."""
    from downslope._text import number

    if isinstance(told, bool) or told is None:
        return {True: "yes", False: "no", None: "–"}[told]
    if isinstance(told, int | float):
        return number(told)
    if isinstance(told, dict):
        return ", ".join(f"{name} {evidence(one)}" for name, one in told.items())
    if isinstance(told, list | tuple):
        return ", ".join(map(evidence, told))
    return str(told)
