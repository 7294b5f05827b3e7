"""Several trainings of one setup with different seeds: scores with an interval, and common findings."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from downslope._choices import LARGEST_SEED
from downslope._copies import fields_alone
from downslope._errors import SettingError, described, whole
from downslope._text import aligned, html_table, in_words, number, rows_of
from downslope.diagnosis import Diagnosis, diagnose
from downslope.networks._trained import Training

if TYPE_CHECKING:
    from downslope.networks._setup import Setup
    from downslope.trace import Trace

_SURE = 0.95
_MOST_SEEDS = 10_000
_SETS = ("training_", "validation_")
_AT_MOST_1 = ("accuracy", "r2", "recall", "precision", "f1", "auc")  # the last word of a measurement
_FROM_0 = ("accuracy", "recall", "precision", "f1", "auc")


@dataclass(frozen=True)
class SeedScore:
    """A measurement over several seeds, with the 95 % interval of its mean by Student's t.

    The interval is that of the mean over other seeds; the validation rows are the same for all of them. It
    is cut at the limits of the measurement: 0 and 1 for an accuracy, 1 for an R², 0 for a loss that is a distance.

    Args:
        name: the measurement: `validation_accuracy`, …
        values: that of each seed; NaN for one that has none.
        mean, deviation: over the seeds that have one; the deviation is that of a sample, NaN for a single one.
        low, high: the ends of the interval; NaN for a single seed.
    """

    name: str
    values: tuple[float, ...]
    mean: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, name: str, values: Sequence[float], *, rows: int | None = None, is_distance: bool = False) -> SeedScore:
        """Return the score for measurements of one name.

        Args:
            name: the measurement.
            values: that of each seed.
            rows: the rows that it is a share of, for accuracies and the like: less than one row's worth is no
                certainty, however alike the seeds are.
            is_distance: whether it cannot be below 0.
        """
        known = np.array([value for value in values if math.isfinite(value)], float)
        count = len(known)
        mean = float(known.mean()) if count else math.nan
        if count < 2:
            return cls(name, tuple(values), mean, math.nan, math.nan, math.nan)
        from scipy import special

        # Of equal numbers the mean is rounded, and so is no deviation.
        deviation = float(known.std(ddof=1)) if np.ptp(known) else 0.0
        kind = name.rpartition("_")[2]
        reach = deviation / math.sqrt(count) * float(special.stdtrit(count - 1, (1 + _SURE) / 2))
        if rows and kind in _FROM_0:
            reach = max(reach, 1 / rows)
        least = 0.0 if kind in _FROM_0 or is_distance else -math.inf
        most = 1.0 if kind in _AT_MOST_1 else math.inf
        return cls(name, tuple(values), mean, deviation, max(mean - reach, least), min(mean + reach, most))

    @property
    def count(self) -> int:
        """The seeds that have this measurement."""
        return sum(map(math.isfinite, self.values))

    @property
    def interval(self) -> str:
        """The interval as text, with the number of seeds if some lack this measurement."""
        if self.count < 2:
            return "–"
        lacking = f", {self.count} of {len(self.values)} seeds" if self.count < len(self.values) else ""
        return f"{number(self.low, 4)} to {number(self.high, 4)}{lacking}"

    def __str__(self) -> str:
        mean, deviation = number(self.mean, 4), number(self.deviation, 2)
        return f"{in_words(self.name)} {mean} ± {deviation} ({self.interval})"


@dataclass(frozen=True, eq=False)
class Replicates(Sequence[Training]):
    """Trainings of one setup with several seeds, which determine the weights, the order of examples and dropout.

    It is a sequence of trainings. The validation rows follow from the setup, so scores differ only by chance in
    training alone. `diagnose` of it returns what more than half of the seeds show.

    Args:
        setup: the configuration that they share.
        seeds: the seed of each.
        trainings: the training of each, fewer than seeds if they were interrupted.
    """

    setup: Setup
    seeds: tuple[int, ...]
    trainings: tuple[Training, ...]

    __getstate__ = fields_alone

    @property
    def traces(self) -> tuple[Trace, ...]:
        """The record of each training."""
        return tuple(training.trace for training in self.trainings)

    @functools.cached_property
    def scores(self) -> Mapping[str, SeedScore]:
        """The measurements at the end by name, each over all seeds."""
        names = dict.fromkeys(
            name for training in self.trainings for name in training.metrics if name.startswith(_SETS)
        )
        facts = self.trainings[0].trace.facts if self.trainings else {}
        data, loss = facts.get("data") or {}, (facts.get("network") or {}).get("loss") or {}
        rows = {"training": data.get("rows"), "validation": data.get("validation_rows")}
        return {
            name: SeedScore.of(
                name,
                [training.metrics.get(name, math.nan) for training in self.trainings],
                rows=rows.get(name.partition("_")[0]),
                # A loss of the user's own may be below 0.
                is_distance=name.endswith("_loss") and loss.get("name") not in (None, "custom"),
            )
            for name in names
        }

    @functools.cached_property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """The diagnosis of each training."""
        return tuple(map(diagnose, self.traces))

    @property
    def symptoms(self) -> Mapping[str, tuple[int, ...]]:
        """The seeds that show a symptom, by symptom, the most frequent first."""
        shown: dict[str, tuple[int, ...]] = {}
        for seed, diagnosis in zip(self.seeds, self.diagnoses, strict=False):
            for symptom in dict.fromkeys(diagnosis.symptoms):
                shown[symptom] = (*shown.get(symptom, ()), seed)
        return dict(sorted(shown.items(), key=lambda entry: -len(entry[1])))

    @functools.cached_property
    def diagnosis(self) -> Diagnosis:
        """The findings that more than half of the trainings share; see `diagnose`."""
        return diagnose(self)

    @property
    def table(self) -> Mapping[str, Sequence[str]]:
        """The measurements at the end and the first finding of each seed, as columns of text by heading."""
        scores = [score for name, score in self.scores.items() if name.endswith("_loss") or name.startswith("val")]
        columns: dict[str, list[str]] = {"seed": list(map(str, self.seeds[: len(self.trainings)]))}
        columns |= {in_words(score.name): [number(value, 4) for value in score.values] for score in scores}
        columns["finding"] = [in_words(diagnosis[0].symptom) for diagnosis in self.diagnoses]
        return columns

    @property
    def score_table(self) -> Mapping[str, Sequence[str]]:
        """Each measurement with its mean, its deviation and the interval of the mean, as columns of text by heading."""
        scores = list(self.scores.values())
        return {
            f"{len(self.trainings)} seeds": [in_words(score.name) for score in scores],
            "mean": [number(score.mean, 4) for score in scores],
            "deviation": [number(score.deviation, 2) for score in scores],
            "95 %": [score.interval for score in scores],
        }

    def as_python(self) -> str:
        """Return the equivalent call of `train`."""
        return f"{self.setup.as_python()[:-1]}, seeds={self.seeds_argument!r})"

    @property
    def seeds_argument(self) -> int | list[int]:
        """The seeds as `train` takes them: their number if they follow the seed of the setup, else a list."""
        return len(self.seeds) if self.seeds == seeds_of(len(self.seeds), self.setup.choices["seed"]) else [*self.seeds]

    @overload
    def __getitem__(self, index: int) -> Training: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Training, ...]: ...
    def __getitem__(self, index: int | slice) -> Training | tuple[Training, ...]:
        return self.trainings[index]

    def __len__(self) -> int:
        return len(self.trainings)

    def __iter__(self) -> Iterator[Training]:
        return iter(self.trainings)

    def __str__(self) -> str:
        return "\n".join([*aligned(rows_of(self.table)), "", *aligned(rows_of(self.score_table), {0})])

    def __repr__(self) -> str:
        return f"<Replicates of {len(self.seeds)} seeds, {'; '.join(map(str, self.scores.values())) or 'not measured'}>"

    def _repr_html_(self) -> str:
        return html_table(rows_of(self.table)) + html_table(rows_of(self.score_table))


def seeds_of(seeds: Any, first: int) -> tuple[int, ...]:
    """Return the seeds that were chosen: so many from the first one on, or those of a list.

    Raises:
        SettingError: for fewer than two, or the same one twice.

    >>> seeds_of(3, 10), seeds_of([4, 2], 0)
    ((10, 11, 12), (4, 2))
    """
    is_list = isinstance(seeds, list | tuple | range) or (isinstance(seeds, np.ndarray) and seeds.ndim == 1)
    listed = seeds if is_list else range(first, first + whole("seeds", seeds, 1, _MOST_SEEDS))
    chosen = tuple(whole("seed", seed, 0, LARGEST_SEED) for seed in listed)
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        raise SettingError(
            f"seeds are two or more different whole numbers, or how many, not {described(seeds)}",
            hint="for example seeds=5; one training takes seed=…",
        )
    return chosen
