"""The first pass over a streamed Parquet file: its row groups, and the facts of its columns.

Row groups are read one after another, so that memory holds one of them, whatever the rows. Means and variances of the
groups are combined in their order,

    n = n₁ + n₂,    mean = mean₁ + δ n₂ / n,    M = M₁ + M₂ + δ² n₁ n₂ / n,    δ = mean₂ − mean₁,    variance = M / n,

and those of the zeros and ones of a category follow from how often it occurs.

References: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from downslope._errors import DataError, SettingError, described
from downslope._text import number as in_digits
from downslope._types import Columns
from downslope.networks.data._encoding import Encoding
from downslope.networks.data._examples import Examples, share_of
from downslope.networks.data._raw import RawData, check_way, missing_cells, raw_data
from downslope.networks.data._target import CLASSES, NUMBERS, TASKS, TWO_CLASSES, Target, is_sorting, label_of
from downslope.tables import InputColumn, RowGroups, columns_of, counted, listed, names_its_rows, text_of

_KEPT = 5000  # rows that are held back at most, and that training is measured on: no more are evaluated
_MOST_VALUES = 1000  # different ones of a target that may be classes
_MOST_CATEGORIES = 1000


class StreamedRows(NamedTuple):
    """The result of a survey of a file.

    Args:
        groups: the file.
        encoding: of its rows, by the means and deviations of those for training.
        sample: some of the rows for training.
        held: the rows held back, or None.
        counts: the rows for training in each row group.
        class_counts: of each class among them; () for numbers.
        picks: which rows are usable and for training.
        notes: sentences on how the data were read.
    """

    groups: RowGroups
    encoding: Encoding
    sample: Examples
    held: Examples | None
    counts: tuple[int, ...]
    class_counts: tuple[int, ...]
    picks: Picks
    notes: tuple[str, ...]

    def training_rows(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets of the rows for training in a row group, in their order."""
        raw = self.picks.raw(group)
        encoded = _encoded(self.encoding, raw.take(self.picks.kinds(group, raw) != _HELD))
        return encoded.inputs, encoded.targets


_TRAINED, _SHOWN, _HELD = 0, 1, 2


@dataclass(frozen=True)
class Picks:
    """The rows of a file that are read, and their use; each row group is decided separately.

    Args:
        groups: the file.
        target: the columns to predict.
        drop: columns to leave out.
        missing: what becomes of missing cells.
        seed: of the rows held back and shown.
        held, shown: the shares of the rows that are held back, and that training is measured on.
    """

    groups: RowGroups
    target: Any
    drop: str | Sequence[str]
    missing: str
    seed: int
    held: float
    shown: float

    def raw(self, group: int) -> RawData:
        """Return the usable rows of a row group, not yet encoded.

        Raises:
            DataError: for an infinite cell, and a missing one where these are refused, by their rows in the file.
        """
        raw = raw_data(self.groups.read(group), self.target, self.drop)
        begin, lost = sum(self.groups.rows[:group]), np.zeros(raw.rows, dtype=bool)
        assert isinstance(raw.inputs, dict)
        for name, cells in (*raw.inputs.items(), *raw.targets.items()):
            if name in raw.clocks:
                raise DataError(
                    f"column {name} holds dates, which are not streamed", hint=f"drop={name!r}, or store it as a number"
                )
            if cells.dtype != object and (infinite := np.isinf(cells)).any():
                raise DataError(
                    f"row {begin + int(infinite.argmax()) + 1}, column {name}: the cell is infinite",
                    hint="leave these rows out",
                )
            hole = missing_cells(cells)
            if self.missing == "refuse" and hole.any():
                raise DataError(
                    f"row {begin + int(hole.argmax()) + 1}, column {name}: the cell is missing",
                    hint='missing="drop" leaves these rows out; missing="mean" fills them in',
                )
            if self.missing == "drop" or name in raw.targets:
                lost |= hole
        return raw.take(~lost) if lost.any() else raw

    def kinds(self, group: int, raw: RawData) -> np.ndarray:
        """Return the use of each usable row of a row group, shape (rows,)."""
        drawn = np.random.default_rng([self.seed, group]).random(raw.rows)
        return np.where(drawn < self.held, _HELD, np.where(drawn < self.held + self.shown, _SHOWN, _TRAINED))


def survey(
    groups: RowGroups,
    target: Any,
    *,
    validation: float | None,
    seed: int,
    standardise: bool,
    scale_targets: bool,
    missing: str,
    task: str | None,
    drop: str | Sequence[str],
) -> StreamedRows:
    """Read a file once, and return the facts of its columns and rows.

    Args:
        groups: the file.
        target: the column to predict.
        validation: the share of the rows held back, 0 for none; 5000 rows at most.
        seed: of these rows.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do.
        missing: the treatment of missing cells.
        task: "classes" or "numbers".
        drop: columns to leave out.

    Raises:
        DataError: for data that cannot be used, naming the row and the column.
        SettingError: for a choice out of range.
    """
    check_way(missing)
    if task is not None and task not in TASKS:
        raise SettingError(f"a task is 'classes' or 'numbers', not {described(task)}")
    if target is None or hasattr(target, "dtype") or hasattr(target, "columns") or isinstance(target, Mapping):
        raise DataError("the target of rows that are streamed is the name of a column", hint='target="price"')
    rows = sum(groups.rows)
    share = share_of(validation, rows)
    if not 0 <= share < 1:
        raise SettingError(f"the share of rows to validate lies between 0 and 1, not at {share}")
    held = min(share, _KEPT / rows)
    picks = Picks(groups, target, drop, missing, seed, held, min(_KEPT / rows, 1 - held))
    seen = _Seen()
    for group in range(len(groups.rows)):
        seen.add(picks, group)
    return seen.result(picks, task, standardise, scale_targets)


class _Numbers:
    """Count, mean and squared deviations of a column of numbers that come in pieces."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = np.inf, -np.inf

    def add(self, cells: np.ndarray) -> None:
        """Add cells; missing ones do not count."""
        known = cells[~np.isnan(cells)]
        if not len(known):
            return
        self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
        mean, count = float(known.mean()), len(known)
        away, total = mean - self.mean, self.count + count
        self.squares += float(np.square(known - mean).sum()) + away**2 * self.count * count / total
        self.mean += away * count / total
        self.count = total

    def scale(self, rows: int) -> tuple[float, float, bool]:
        """Return mean and deviation over a number of rows, missing ones at the mean, and whether all are equal."""
        deviation = float(np.sqrt(self.squares / max(rows, 1)))
        if not np.isfinite(deviation):
            raise DataError("some numbers are too large to be squared", hint="give them in a larger unit")
        # Rounding of a mean of n equal numbers leaves a deviation of a few ulps of their size.
        if deviation <= 8 * np.finfo(float).eps * max(abs(self.low), abs(self.high)):
            return self.low, 1.0, True
        return self.mean, deviation, False


@dataclass
class _Seen:
    """The facts of the row groups read so far.

    Args:
        numbers: by column of numbers.
        texts: how often each text occurs among the rows for training, by column of text.
        categories: the texts of all rows, by column.
        targets: by column to predict, of the rows for training.
        values: how often each value of the target occurs among them; None for more than 1000.
        labels: the values among all rows.
        kept: the rows that are shown and held back, by what they are for.
        counts: the rows for training in each group.
    """

    numbers: dict[str, _Numbers] = field(default_factory=dict)
    texts: dict[str, Counter[str]] = field(default_factory=dict)
    categories: dict[str, set[str]] = field(default_factory=dict)
    targets: dict[str, _Numbers] = field(default_factory=dict)
    values: Counter[Any] | None = field(default_factory=Counter)
    labels: set[Any] = field(default_factory=set)
    kept: dict[int, list[RawData]] = field(default_factory=lambda: {_SHOWN: [], _HELD: []})
    counts: list[int] = field(default_factory=list)

    def add(self, picks: Picks, group: int) -> None:
        """Add a row group."""
        raw = picks.raw(group)
        kinds = picks.kinds(group, raw)
        training = raw.take(kinds != _HELD)
        self.counts.append(training.rows)
        assert isinstance(raw.inputs, dict)
        assert isinstance(training.inputs, dict)
        for name, cells in training.inputs.items():
            self._check_kind(name, cells)
            if cells.dtype == object:
                self.texts.setdefault(name, Counter()).update(_texts(cells))
                self.categories.setdefault(name, set()).update(_texts(raw.inputs[name]))
                if len(self.categories[name]) > _MOST_CATEGORIES:
                    raise DataError(
                        f"column {name}: more than {_MOST_CATEGORIES} different texts are too many for categories",
                        hint=f"text with many different values cannot be used: drop={name!r} leaves it out",
                    )
            else:
                self.numbers.setdefault(name, _Numbers()).add(cells)
        for name, cells in training.targets.items():
            if cells.dtype != object:
                self.targets.setdefault(name, _Numbers()).add(cells)
            elif len(raw.targets) > 1:
                raise DataError(f"column {name} is text, and several targets are numbers", hint="predict one of them")
            self._count(cells, raw.targets[name], alone=len(raw.targets) == 1)
        for kind, rows in self.kept.items():
            rows.append(raw.take(kinds == kind))

    def _check_kind(self, name: str, cells: np.ndarray) -> None:
        """Raise where a column is of numbers in one row group and of text in another."""
        if name in (self.numbers if cells.dtype == object else self.texts):
            raise DataError(
                f"column {name}: numbers in some row groups, and text in others", hint="write it with one type"
            )

    def _count(self, cells: np.ndarray, everywhere: np.ndarray, *, alone: bool) -> None:
        """Count the values of the target, as long as they may be classes."""
        if self.values is None or not alone:
            self.values = None
            return
        self.values.update(_frequencies(cells))
        self.labels.update(_frequencies(everywhere))
        if len(self.labels) > _MOST_VALUES:
            self.values = None

    def result(self, picks: Picks, task: str | None, standardise: bool, scale_targets: bool) -> StreamedRows:
        """Return the result of the survey."""
        rows = sum(self.counts)
        if rows < 1:
            raise DataError("no row is left for training", hint='missing="mean" fills missing cells in')
        target, notes = self._target(rows, task, scale_targets)
        columns, named = self._columns()
        mean, deviation, fill = self._scales(columns, rows, fills=picks.missing == "mean")
        if not standardise:
            mean, deviation = [0.0] * len(mean), [1.0] * len(mean)
        encoding = Encoding(columns, (len(mean),), tuple(mean), tuple(deviation), tuple(fill), target)
        shown, held = (_joined(encoding, self.kept[kind]) for kind in (_SHOWN, _HELD))
        class_counts = () if target.kind == NUMBERS or self.values is None else _class_counts(target, self.values)
        back = 0 if held is None else len(held)
        notes = (
            f"{rows} rows to train on are streamed from {picks.groups.file.name}, a window of its "
            f"{len(picks.groups.rows)} row groups at a time"
            + (f"; {back} are held back to validate, drawn by the seed {picks.seed}." if back else "."),
            *named,
            *notes,
            *(["Inputs are scaled to mean 0 and deviation 1, measured on all of them."] if standardise else []),
        )
        if shown is None:
            raise DataError("too few rows to stream", hint="leave streaming out")
        return StreamedRows(picks.groups, encoding, shown, held, tuple(self.counts), tuple(class_counts), picks, notes)

    def _columns(self) -> tuple[tuple[InputColumn, ...], tuple[str, ...]]:
        """Return the encoding of columns as inputs, in the order of the file, and notes on categories."""
        first = next(raw for raw in (*self.kept[_SHOWN], *self.kept[_HELD]))
        assert isinstance(first.inputs, dict)
        cells: Columns = {}
        for name in first.inputs:
            if name in self.numbers:
                cells[name] = np.zeros(2)
                continue
            rows, texts = sum(self.texts[name].values()), sorted(self.categories[name])
            if names_its_rows(len(texts), rows):
                raise DataError(
                    f"column {name}: {len(texts)} different texts in {rows} rows are too many for categories",
                    hint=f"drop={name!r} leaves it out",
                )
            cells[name] = np.array(texts * 3, object)  # each more than once, as categories occur
        return columns_of(cells)

    def _scales(
        self, columns: tuple[InputColumn, ...], rows: int, *, fills: bool
    ) -> tuple[list[float], list[float], list[float]]:
        """Return mean, deviation and fill of each feature."""
        mean: list[float] = []
        deviation: list[float] = []
        for column in columns:
            if column.kind == "number":
                scales = [self.numbers[column.name].scale(rows)]
            else:
                texts = sorted(self.texts[column.name])
                counts = np.array([self.texts[column.name][text] for text in texts], float)
                encoded = column.encode(np.array(texts, object))
                shares = counts @ encoded / rows
                scales = [(share, *_of_share(share)) for share in shares.tolist()]
            mean += [entry[0] for entry in scales]
            deviation += [entry[1] for entry in scales]
        return mean, deviation, list(mean) if fills else []

    def _target(self, rows: int, task: str | None, scale_targets: bool) -> tuple[Target, tuple[str, ...]]:
        """Return the target, and notes on it."""
        names = tuple(self.targets) or tuple(next(iter(self.kept[_SHOWN])).targets)
        is_text = not self.targets
        if self.values is not None and _are_classes(self.values, rows, task, is_text=is_text):
            labels = sorted(_labels(self.labels))
            if names_its_rows(len(labels), rows):
                raise DataError(
                    f"column {names[0]}: {len(labels)} different labels in {rows} rows are not classes",
                    hint="predict another column" if is_text else 'task="numbers" predicts numbers',
                )
            target = Target(names, TWO_CLASSES if len(labels) == 2 else CLASSES, tuple(labels))
            counts = _class_counts(target, self.values)
            return target, (f"{names[0]}: {len(labels)} classes ({counted(labels, counts)}).",)
        if is_text or task == "classes":
            raise DataError(
                f"column {listed(names)} cannot be read as {'classes' if task == 'classes' else 'a target'}",
                hint=f"classes are one column of at most {_MOST_VALUES} different values",
            )
        scales = [numbers.scale(rows)[:2] if scale_targets else (0.0, 1.0) for numbers in self.targets.values()]
        spans = [
            f"{name}: numbers from {in_digits(numbers.low)} to {in_digits(numbers.high)}."
            for name, numbers in self.targets.items()
        ]
        return Target(names, NUMBERS, (), *(tuple(part) for part in zip(*scales, strict=True))), tuple(spans)


def _of_share(share: float) -> tuple[float, bool]:
    """Return the deviation of zeros and a number of ones, 1 if all are equal, and whether they are."""
    variance = share * (1 - share)
    return (1.0, True) if variance <= 0 else (float(np.sqrt(variance)), False)


def _texts(cells: np.ndarray) -> Counter[str]:
    """Return the number of occurrences of each text."""
    counts: Counter[str] = Counter()
    for cell, count in _frequencies(cells).items():
        counts[text_of(cell)] += count
    return counts


def _frequencies(cells: np.ndarray) -> Counter[Any]:
    """Return the number of occurrences of each cell."""
    if cells.dtype == object:
        return Counter(cells.tolist())
    values, counts = np.unique(cells, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _labels(values: set[Any]) -> set[Any]:
    """Return labels of one type: 1 and 1.5 become numbers, anything else that is mixed text."""
    labels = {label_of(value) for value in values}
    types = {type(label) for label in labels}
    if len(types) == 1:
        return labels
    return {float(label) if types == {int, float} else text_of(label) for label in labels}


def _are_classes(values: Counter[Any], rows: int, task: str | None, *, is_text: bool) -> bool:
    """Tell whether the values of a target are classes, as `examples` decides it."""
    if task is not None:
        return task == "classes"
    return is_text or is_sorting(np.array(list(values), float), rows)


def _class_counts(target: Target, values: Counter[Any]) -> list[int]:
    """Return the rows of each class."""
    index = _index_of(target, values)
    counts = [0] * len(target.categories)
    for value, count in values.items():
        counts[index[value]] += count
    return counts


def _index_of(target: Target, values: Any) -> dict[Any, int]:
    """Return the class of each value."""
    classes = {label: number for number, label in enumerate(target.categories)}

    def of(value: Any) -> int:
        label = label_of(value)
        return classes[label] if label in classes else classes[text_of(label)]

    return {value: of(value) for value in values}


def _encoded(encoding: Encoding, raw: RawData) -> Examples:
    """Return rows as examples."""
    target = encoding.target
    inputs = encoding.scaled(encoding.raw(raw.inputs))
    if target.kind == NUMBERS:
        values = np.stack([np.asarray(cells, float) for cells in raw.targets.values()], axis=1)
        return Examples(inputs, target.scaled(values), encoding, ())
    (cells,) = raw.targets.values()
    index = _index_of(target, _frequencies(cells))
    return Examples(inputs, np.array([index[cell] for cell in cells.tolist()], np.int32), encoding, ())


def _joined(encoding: Encoding, pieces: Sequence[RawData]) -> Examples | None:
    """Return rows of several row groups as examples; None where there are none."""
    encoded = [_encoded(encoding, raw) for raw in pieces if raw.rows]
    if not encoded:
        return None
    inputs, targets = (np.concatenate([getattr(part, of) for part in encoded]) for of in ("inputs", "targets"))
    return Examples(inputs[:_KEPT], targets[:_KEPT], encoding, ())
