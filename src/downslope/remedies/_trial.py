"""A trial: what a remedy did, seed by seed, beside a control that was not changed and one that was only re-seeded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from downslope.diagnosis import has_moved
from downslope.remedies._remedy import Remedy

_SURE = 0.95


@dataclass(frozen=True)
class Effect:
    """A mean difference between runs, with its 95 % interval by Student's t.

    Args:
        mean: the mean difference.
        low, high: the ends of its interval; −∞ and ∞ for a single pair.
        pairs: how many pairs; the fewer of the two where they are none.
    """

    mean: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, treated: Sequence[float], control: Sequence[float]) -> Effect:
        """Return the effect of a change, from runs of one seed each."""
        from scipy import special

        differences = np.subtract(treated, control)
        pairs, mean = len(differences), float(differences.mean())
        if pairs < 2:
            return cls(mean, -math.inf, math.inf, pairs)
        reach = _squared_error(differences) ** 0.5 * float(special.stdtrit(pairs - 1, (1 + _SURE) / 2))
        return cls(mean, mean - reach, mean + reach, pairs)

    @classmethod
    def apart(cls, treated: Sequence[float], control: Sequence[float]) -> Effect:
        """Return the effect of a change from runs that are no pairs.

        References: Welch, "The generalization of 'Student's' problem when several different population variances are
        involved", 1947.
        """
        from scipy import special

        counts = len(treated), len(control)
        mean = float(np.mean(treated) - np.mean(control))
        if min(counts) < 2:
            return cls(mean, -math.inf, math.inf, min(counts))
        parts = _squared_error(treated), _squared_error(control)
        squared = sum(parts)
        if squared == 0:
            return cls(mean, mean, mean, min(counts))
        freedom = squared**2 / sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
        reach = squared**0.5 * float(special.stdtrit(freedom, (1 + _SURE) / 2))
        return cls(mean, mean - reach, mean + reach, min(counts))


@dataclass(frozen=True)
class Trial:
    """A remedy that was tried.

    Args:
        remedy: what was changed.
        scores: of the changed runs, one a seed.
        effect: beside the unchanged runs of the same seeds.
        net: beside all unchanged runs, those of other seeds as well: what is left when luck is taken away.
        before, after: the quantity that the remedy was to move, median over the seeds; None where it is not known.
        steps: what the trial cost.
    """

    remedy: Remedy
    scores: tuple[float, ...]
    effect: Effect
    net: Effect
    before: float | None
    after: float | None
    steps: int

    @property
    def moved(self) -> bool | None:
        """Whether the quantity moved as it was to; None where it is not known."""
        return has_moved(self.remedy.moves, self.before, self.after)

    @property
    def helped(self) -> bool:
        """Whether the score rose beyond doubt, beyond what other seeds do, with the quantity moved or not known."""
        return self.effect.low > 0 and self.net.low > 0 and self.moved is not False


def _squared_error(numbers: Sequence[float] | np.ndarray) -> float:
    """Return the square of a mean's standard error."""
    with np.errstate(over="ignore"):  # of values on their way to −∞
        return float(np.var(numbers, ddof=1)) / len(numbers)
