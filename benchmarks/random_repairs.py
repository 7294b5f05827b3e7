"""Repairs at random: remedies that apply, drawn and combined, which anything that is prescribed has to beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

_MOST = 3  # remedies that are combined


class Draws:
    """Draws remedies that apply to a case.

    Args:
        makers: of all the remedies that are known.
        case: what they are fitted to.
        seed: what the draws follow from.
    """

    def __init__(self, makers: Iterable[Callable[[Any], Any]], case: Any, seed: str) -> None:
        self._known = [remedy for maker in makers if (remedy := maker(case)) is not None]
        self._random = np.random.default_rng([7, *seed.encode()])

    def one(self) -> dict[str, Any]:
        """Return the changes of one remedy."""
        return self._changes(1)

    def some(self) -> dict[str, Any]:
        """Return the changes of one, two or three remedies; later ones win."""
        return self._changes(int(self._random.integers(1, _MOST + 1)))

    def _changes(self, count: int) -> dict[str, Any]:
        places = self._random.permutation(len(self._known))[:count]
        return {name: told for place in places for name, told in self._known[place].changes.items()}


def searched(
    draws: Draws, tried: Callable[[Mapping[str, Any]], tuple[float, int]], own: float, steps: int
) -> dict[str, Any]:
    """Return the best of random combinations, each tried once, until the steps are spent; no changes if none is better.

    Args:
        draws: where they come from.
        tried: returns the score that changes come to, and the steps that it took.
        own: the score without changes.
        steps: how many to spend.
    """
    best: dict[str, Any] = {}
    highest, spent = own, 0
    while spent < steps:
        changes = draws.some()
        score, cost = tried(changes)
        spent += max(cost, 1)
        if score > highest:
            best, highest = changes, score
    return best
