"""Repairs at random: remedies that apply, drawn and combined, which anything that is prescribed has to beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_MOST = 3  # remedies that are combined
_RATES = (-4.0, -1.0)  # powers of ten between which a rate is drawn that nothing was measured for


class Draws:
    """Draws remedies that apply to a case.

    Args:
        makers: of all the remedies that are known.
        case: what they are fitted to.
        seed: what the draws follow from.
        blind: whether numbers that remedies take from the trace, such as a rate from the curvature, are drawn as well.
    """

    def __init__(self, makers: Iterable[Callable[[Any], Any]], case: Any, seed: str, *, blind: bool = False) -> None:
        self._known = [remedy for maker in makers if (remedy := maker(case)) is not None]
        self._random = np.random.default_rng([7, *seed.encode()])
        self._blind = blind

    def one(self) -> dict[str, Any]:
        """Return the changes of one remedy."""
        return self._changes(1)

    def some(self) -> dict[str, Any]:
        """Return the changes of one, two or three remedies; later ones win."""
        return self._changes(int(self._random.integers(1, _MOST + 1)))

    def _changes(self, count: int) -> dict[str, Any]:
        chosen = [self._known[index] for index in self._random.permutation(len(self._known))[:count]]
        changes = {name: value for remedy in chosen for name, value in remedy.changes.items()}
        return {name: self._drawn(name, value) for name, value in changes.items()} if self._blind else changes

    def _drawn(self, name: str, value: Any) -> Any:
        """Return a value that nothing measured of the run led to."""
        random = self._random
        if name == "learning_rate":
            return float(f"{10 ** random.uniform(*_RATES):.2g}")
        if name == "clip_norm":
            return float(random.choice([0.1, 1.0, 10.0]))
        if name == "batch":
            return int(random.choice([8, 32, 128]))
        if name == "begin":
            # The steps that are kept as they were came from the lowest loss.
            return {**value, "steps": max(int(value["steps"] * random.uniform(0.1, 1.0)), 1)}
        return value


class Try(NamedTuple):
    """What was tried once.

    Args:
        changes: what was changed.
        score: what it came to.
        steps: what it cost.
        seconds: how long it took.
    """

    changes: dict[str, Any]
    score: float
    steps: int
    seconds: float = 0.0


def tries(draws: Draws, tried: Callable[[Mapping[str, Any]], Try], steps: int) -> list[Try]:
    """Return random combinations, each tried once, until so many steps are spent."""
    made: list[Try] = []
    while sum(each.steps for each in made) < steps:
        each = tried(draws.some())
        made.append(each._replace(steps=max(each.steps, 1)))
    return made


def best_within(made: Sequence[Try], own: float, steps: float) -> tuple[dict[str, Any], float]:
    """Return the changes that scored highest within so many steps, and the seconds spent; none if nothing is better."""
    best, highest, spent, seconds = dict[str, Any](), own, 0, 0.0
    for each in made:
        spent += each.steps
        if spent > steps:
            break
        seconds += each.seconds
        if each.score > highest:
            best, highest = each.changes, each.score
    return best, seconds


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
    made = tries(draws, lambda changes: Try(dict(changes), *tried(changes)), steps)
    return best_within(made, own, float("inf"))[0]
