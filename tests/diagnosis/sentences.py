"""The relations that the numbers of every sentence of a diagnosis must have."""

from __future__ import annotations

import re
from collections.abc import Callable

_NUMBER = r"([-−]?[\d.]+(?:e[-−]?\d+)?)"
_RELATIONS: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    (rf"rose from {_NUMBER} to {_NUMBER}", lambda first, last: last > first),
    (rf"fell from {_NUMBER} to {_NUMBER}", lambda first, last: last < first),
    (rf"has fallen from {_NUMBER} to {_NUMBER}", lambda first, last: last < first),
    (rf"was {_NUMBER} at the start and is {_NUMBER} at the end", lambda first, last: last > first),
    (rf"α = {_NUMBER} is above the largest stable rate {_NUMBER}", lambda rate, largest: rate > largest),
    (rf"Try {_NUMBER}; rates below {_NUMBER} are stable", lambda rate, largest: rate < largest),
    (rf"The value is {_NUMBER} there and {_NUMBER} at the end", lambda there, end: there < end),
    (rf"curvatures {_NUMBER} to {_NUMBER}", lambda lowest, highest: 0 < lowest <= highest),
    (rf"keeps {_NUMBER} of its size()", lambda kept, _: kept < 1),
    (rf"grows {_NUMBER}-fold()", lambda grown, _: grown > 1),
    (rf"can fall by about {_NUMBER} more()", lambda left, _: left > 0),
    (rf"lowered the value by {_NUMBER}()", lambda decrease, _: decrease > 0),
    (rf"the value falls on[^.]*?, by {_NUMBER} at a distance of {_NUMBER}", lambda by, far: by > 0 and far > 0),
    (rf"A step covers only {_NUMBER} of the way()", lambda share, _: share < 0.1),
)
_NEVER = (r"is below the largest stable rate", r"\bnan\b", r"\bNone\b", r"only \d[^ ]* and", r" –[ .]", "inf ", "  ")


def number_of(text: str) -> float:
    """Return the number that a text of a report is; NaN for none."""
    return float(text.replace("−", "-").rstrip(".")) if text else float("nan")


def broken_relations(sentence: str) -> list[str]:
    """Return the parts of a sentence whose numbers contradict it."""
    broken = [
        match[0]
        for pattern, holds in _RELATIONS
        for match in re.finditer(pattern, sentence)
        if not holds(number_of(match[1]), number_of(match[2]))
    ]
    return broken + [pattern for pattern in _NEVER if re.search(pattern, sentence)]


def rates_to_follow(sentence: str) -> list[float]:
    """Return the rates that a sentence says to try."""
    return [number_of(match[1]) for match in re.finditer(rf"Try {_NUMBER}", sentence)]
