"""What runs are judged by, and how that is written: always more is better inside, and as people know it outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from downslope._text import number
from downslope.remedies._trial import Effect


@dataclass(frozen=True)
class Yardstick:
    """What runs are judged by.

    Args:
        words: what it is, in a sentence.
        heading: the same as the heading of a column.
        effect_heading: what an improvement is called there.
        pairs: what makes two runs a pair.
        sign: −1 where less is better, and runs are judged by its negative.
        difference: how an improvement is written.
        lead: what stands before it in a sentence.
        luck: what the second control differs by, which nothing was changed in.
    """

    words: str
    heading: str
    effect_heading: str
    pairs: str
    sign: int
    difference: Callable[[float], str]
    lead: str
    luck: str

    def shown(self, scores: Sequence[float]) -> str:
        """Return the mean of some scores as text."""
        return number(self.sign * float(np.mean(scores)), 3)

    def told(self, effect: Effect) -> str:
        """Return an improvement with its interval."""
        mean, low, high = map(self.difference, (effect.mean, effect.low, effect.high))
        return f"{mean} ({low} to {high})"


HELD_BACK = Yardstick(
    words="score on rows held back",
    heading="score",
    effect_heading="effect (95 %)",
    pairs="seeds",
    sign=1,
    difference=lambda step: f"{step:+.3f}",
    lead="",
    luck="other seeds",
)
VALUE = Yardstick(
    words="value",
    heading="value",
    effect_heading="lower by (95 %)",
    pairs="starts",
    sign=-1,
    difference=lambda step: number(step, 3),
    lead="lower by ",
    luck="starts close by",
)
