"""The encoding of columns as inputs and of outputs as predictions, kept for new data; and how it is fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, SettingError, described
from downslope._text import aligned, html_table, number
from downslope._types import Columns, Plain
from downslope.networks.data._raw import (
    array_in_file,
    array_of,
    check_way,
    first_cell,
    is_table,
    missing_cells,
    raw_data,
    refuse_infinite,
    refuse_missing,
    table_of,
    treated,
)
from downslope.networks.data._target import NUMBERS, Read, Target, read_targets
from downslope.tables import InputColumn, Table, columns_of, listed

_MOST_ROWS = 12


@dataclass(frozen=True)
class Encoding:
    """The encoding of rows as inputs, and of outputs as predictions.

    Inputs are (feature − mean) / deviation. Means and deviations are those of the training rows.

    Args:
        columns: the columns of a table; () for an array.
        shape: the shape of one row: (features,), (height, width) or (height, width, channels).
        mean: the mean of each feature; one number for all pixels of images.
        deviation: the standard deviation of each feature; likewise.
        fill: the numbers that fill missing ones before scaling; () if missing numbers are refused.
        target: the target.
    """

    columns: tuple[InputColumn, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    fill: tuple[float, ...]
    target: Target

    @property
    def outputs(self) -> int:
        """The number of outputs that a network needs."""
        return self.target.outputs

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs of a table; () for an array."""
        return tuple(feature for column in self.columns for feature in column.features)

    @property
    def _column_of_each(self) -> tuple[InputColumn, ...]:
        """The column that each feature comes from."""
        return tuple(column for column in self.columns for _ in column.features)

    def encode(self, data: Any) -> np.ndarray:
        """Return inputs for new rows, float32 (rows, *shape).

        Args:
            data: for a table the path of a file, a frame or a mapping of names to columns, or to values for one row;
                in any order; other columns are ignored. For an array: an array of rows, a single row, or
                a file of numbers: .npy, .csv, …

        Raises:
            DataError: for a column that is not there, and for a cell that is missing, infinite or a category that is
                not known, naming its row and column.
        """
        return self.scaled(self.raw(self._table(data) if self.columns else self._array(data)))

    def decode(self, outputs: Any, *, from_logits: bool = True) -> np.ndarray:
        """Return predictions in the user's labels or scale; see `Target.decode`."""
        return self.target.decode(outputs, from_logits=from_logits)

    def raw(self, inputs: Columns | np.ndarray) -> np.ndarray:
        """Return inputs before standardisation, shape (rows, *shape), with missing numbers filled or refused.

        Raises:
            DataError: naming row and column.
        """
        self._check_inputs(inputs)
        unscaled = unfilled(self.columns, inputs)
        named = [(column.name, index) for index, column in enumerate(self._column_of_each)]
        for name, numbers in [(name, unscaled[:, index]) for name, index in named] or [("", unscaled)]:
            refuse_infinite(name, numbers)
            if not self.fill:
                refuse_missing(name, missing_cells(numbers), hint="fill these cells in, or leave their rows out")
        if not self.fill:
            return unscaled
        return np.where(np.isnan(unscaled), np.array(self.fill, unscaled.dtype), unscaled)

    def _check_inputs(self, inputs: Columns | np.ndarray) -> None:
        """Raise if rows have other columns, or another shape, than those that the encoding was made from."""
        if isinstance(inputs, np.ndarray):
            self._check_shape(inputs, self.shape)
            return
        names = [column.name for column in self.columns]
        if not names:
            raise DataError("these rows are a table, but the rows to train on are an array", hint="give both alike")
        missing = next((name for name in names if name not in inputs), None)
        if missing is not None:
            raise DataError(f"there is no column {missing!r}", hint=f"the columns needed are {listed(names, 40)}")

    def scaled(self, raw: np.ndarray) -> np.ndarray:
        """Return the inputs minus their mean, divided by their deviation, as float32.

        Raises:
            DataError: for a number outside the range of float32.
        """
        mean, deviation = (np.array(numbers, dtype=raw.dtype) for numbers in (self.mean, self.deviation))
        # The overflow is reported below, by row and column.
        with np.errstate(over="ignore"):
            scaled = ((raw - mean) / deviation).astype(np.float32)
        if not (held := np.isfinite(scaled)).all():
            raise DataError(f"{first_cell('', ~held)} is too large for float32", hint="give it in a larger unit")
        return scaled

    def _table(self, data: Any) -> Columns:
        """Return the columns of the encoding."""
        names = [column.name for column in self.columns]
        if not is_table(data) and names == [str(index + 1) for index in range(len(names))]:
            # an array of numbers and text, as the training data were
            array = array_of(data).astype(object)
            self._check_shape(array, (len(names),))
            data = dict(zip(names, array.T, strict=True))
        table = table_of(data, names)
        table = table.counted_in(
            {c.name: c.clock for c in self.columns if c.clock and table.kinds.get(c.name) == "date"}
        )
        for name in names:
            if name not in table:
                raise DataError(f"there is no column {name!r}", hint=f"the columns needed are {listed(names, 40)}")
        return table

    def _array(self, data: Any) -> np.ndarray:
        """Return an array of rows."""
        if isinstance(data, str | Path | Table):
            data = array_in_file(data, self.shape)
        if isinstance(data, Mapping):
            raise DataError(f"an array of shape (rows, {', '.join(map(str, self.shape))}) is needed, not a mapping")
        # An array of the shape of one row is a single example.
        plain = data.to_numpy() if hasattr(data, "to_numpy") else np.asarray(data)
        array = array_of(plain[None] if plain.shape == self.shape != (1,) else plain)
        self._check_shape(array, self.shape)
        if array.dtype != object:
            return array
        cells = table_of({str(index + 1): column for index, column in enumerate(array.T)})
        return np.concatenate([InputColumn(name, "number").encode(column) for name, column in cells.items()], axis=1)

    @staticmethod
    def _check_shape(array: np.ndarray, shape: tuple[int, ...]) -> None:
        """Raise if the rows of an array are not of a shape."""
        if array.shape[1:] != shape:
            sides = (" × ".join(map(str, part)) for part in (shape, array.shape[1:]))
            raise DataError("a row has {} numbers, but here it has {}".format(*sides))

    def as_dict(self) -> Plain:
        """Return plain data: text, numbers, lists and mappings, as JSON holds them."""
        return {
            "columns": [
                {"name": column.name, "kind": column.kind, "categories": list(column.categories)}
                | ({"since": column.since} if column.since else {})
                for column in self.columns
            ],
            "shape": list(self.shape),
            "mean": list(self.mean),
            "deviation": list(self.deviation),
            "fill": list(self.fill),
            "target": {
                name: value if isinstance(value, str) else list(value)
                for name, value in dataclasses.asdict(self.target).items()
            },
        }

    @classmethod
    def from_dict(cls, plain: Plain) -> Encoding:
        """Return an encoding from plain data.

        Raises:
            DataError: for data that describe no encoding.
        """
        try:
            columns = tuple(
                InputColumn(**{**entry, "categories": tuple(entry["categories"])}) for entry in plain["columns"]
            )
            numbers = {name: tuple(plain[name]) for name in ("shape", "mean", "deviation", "fill")}
            target = {name: tuple(value) for name, value in plain["target"].items() if name != "kind"}
            return cls(columns=columns, **numbers, target=Target(kind=plain["target"]["kind"], **target))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"these are not the data of an encoding: {error}") from None

    def __str__(self) -> str:
        hidden = len(self.features) - _MOST_ROWS
        more = [f"… and {hidden} more"] if hidden > 0 else []
        return "\n".join([*aligned(self._rows(), words={0}), *more, self._sentence])

    def _repr_html_(self) -> str:
        return html_table(self._rows(), self._sentence)

    @property
    def _sentence(self) -> str:
        labels = f" ({listed(self.target.categories)})" if self.target.categories else ""
        return f"predicts {', '.join(self.target.names)}: {self.target.kind}{labels}"

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the inputs as rows of text, the headings first."""
        names = self.features or (" × ".join(map(str, self.shape)) + " numbers",)
        rows = zip(names[:_MOST_ROWS], self.mean, self.deviation, strict=False)
        body = [(name, number(mean, 4), number(deviation, 4)) for name, mean, deviation in rows]
        many = not self.features and len(self.mean) > 1
        return [("input", "mean", "deviation"), *([(names[0], "each its own", "each its own")] if many else body)]


def unfilled(columns: tuple[InputColumn, ...], inputs: Columns | np.ndarray) -> np.ndarray:
    """Return inputs as numbers, shape (rows, *shape); NaN where they are missing.

    Args:
        columns: the encodings of a table's columns; () for an array.
        inputs: the columns of a table, or an array.
    """
    if isinstance(inputs, np.ndarray):
        return inputs
    return np.concatenate([column.encode(inputs[column.name]) for column in columns], axis=1)


@dataclass(frozen=True, eq=False)
class Reading:
    """Data whose columns and targets have been interpreted.

    Args:
        inputs: the columns of a table, or an array of numbers.
        columns: the encodings of a table's columns; () for an array.
        names: the names of the targets.
        targets: the interpreted targets.
        fills: whether missing numbers are filled.
        notes: sentences on how the data were read.
    """

    inputs: Columns | np.ndarray
    columns: tuple[InputColumn, ...]
    names: tuple[str, ...]
    targets: Read
    fills: bool
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.targets.values)

    @property
    def classes(self) -> np.ndarray | None:
        """The index of each row's class, shape (rows,); None for numbers."""
        return None if self.targets.kind == NUMBERS else self.targets.values


def reading_of(
    data: Any,
    target: Any,
    missing: str,
    task: str | None,
    drop: str | Sequence[str],
    table: Mapping[str, Any] | None = None,
) -> Reading:
    """Read data and interpret their columns and targets; see `examples` for what they may be.

    Raises:
        DataError: for data that cannot be used.
        SettingError: for a task, or a way to treat missing cells, that is not known.
    """
    # Settings are checked first, since reading may take long.
    for name, choice in (("missing", missing), ("task", task)):
        if not (isinstance(choice, str) or (choice is None and name == "task")):
            raise SettingError(f"{name} is a name, not {described(choice)}")
    check_way(missing)
    raw = treated(raw_data(data, target, drop, table), missing)
    columns: tuple[InputColumn, ...] = ()
    column_notes: tuple[str, ...] = ()
    if not isinstance(raw.inputs, np.ndarray):
        columns, column_notes = columns_of(raw.inputs, raw.clocks)
    targets = read_targets(raw.targets, task)
    notes = (*raw.notes, _size(raw.inputs, raw.rows), *column_notes, *targets.notes)
    return Reading(raw.inputs, columns, tuple(raw.targets), targets, missing == "mean", notes)


def encoding_of(
    reading: Reading, rows: np.ndarray, standardise: bool, scale_targets: bool
) -> tuple[Encoding, tuple[str, ...]]:
    """Return the encoding fitted to some rows, and notes on it.

    Args:
        reading: the data.
        rows: indices of the rows whose means and deviations are taken.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do.
    """
    known = unfilled(reading.columns, reading.inputs)[rows]
    image = known.ndim > 2
    # Fills are means of the training rows alone, so that no validation row leaks into them.
    fill = _means(known, image) if reading.fills else np.empty(0)
    if reading.fills:
        known = np.where(np.isnan(known), fill.astype(known.dtype), known)
    # Pixels share one scale: scaled each by its own, those that hardly vary would become noise.
    mean, deviation, constant = scale_of(known, image)
    names = [feature for column in reading.columns for feature in column.features]
    notes = _constant_note(constant, names)
    if standardise:
        notes.append(f"Inputs are scaled to mean 0 and deviation 1, measured on {_rows(len(rows))}.")
    else:
        mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
    target = _target_of(reading, rows, scale_targets)
    if target.kind == NUMBERS and scale_targets:
        notes.append("So are the targets; predictions are scaled back." if standardise else "Targets are scaled.")
    shape = tuple(int(side) for side in known.shape[1:])
    encoding = Encoding(
        reading.columns, shape, tuple(mean.tolist()), tuple(deviation.tolist()), tuple(fill.tolist()), target
    )
    return encoding, tuple(notes)


def scale_of(known: np.ndarray, image: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and the deviation of each feature, and which features are constant.

    A constant feature has its value as mean and the deviation 1; differences by rounding are ignored.

    Args:
        known: shape (rows, features) or (rows, …) for images.
        image: whether all pixels share one mean and deviation.

    Raises:
        DataError: for numbers whose squares exceed float64.
    """
    flat = known.reshape(-1, 1) if image else known
    with np.errstate(over="ignore", invalid="ignore"):
        mean = flat.mean(axis=0, dtype=np.float64)
        deviation = flat.std(axis=0, dtype=np.float64)
    if not np.isfinite(deviation).all():
        raise DataError("some numbers are too large to be squared", hint="give them in a larger unit")
    # Rounding of a mean of n equal numbers leaves a deviation of a few ulps of their size, and of many rows more.
    low, high = (extreme.astype(np.float64) for extreme in (flat.min(axis=0), flat.max(axis=0)))
    least = 8 * np.finfo(flat.dtype).eps * np.maximum(np.abs(low), np.abs(high))
    constant = (deviation <= least) | (high - low <= least)
    # The exact value as mean, so that a constant feature becomes exactly 0.
    return np.where(constant, flat[0], mean), np.where(constant, 1.0, deviation), constant


def _means(known: np.ndarray, image: bool) -> np.ndarray:
    """Return the mean of the numbers that are not missing, by feature or of all pixels; 0 where all are missing."""
    flat = known.reshape(-1, 1) if image else known
    there = ~np.isnan(flat)
    return np.where(there, flat, 0).sum(axis=0, dtype=np.float64) / np.maximum(there.sum(axis=0), 1)


def _target_of(reading: Reading, rows: np.ndarray, scale_targets: bool) -> Target:
    """Return the target with the means and deviations of some rows."""
    read = reading.targets
    if read.kind != NUMBERS:
        # Several columns with a single 1 in each row are one target.
        names = reading.names if len(reading.names) == 1 else ("target",)
        return Target(names, read.kind, read.categories)
    mean, deviation, _ = scale_of(read.values[rows])
    if not scale_targets:
        mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
    return Target(reading.names, read.kind, (), tuple(mean.tolist()), tuple(deviation.tolist()))


def _size(inputs: Columns | np.ndarray, rows: int) -> str:
    """Return the size of the data in words."""
    count = _rows(rows)
    if isinstance(inputs, np.ndarray):
        shape = " × ".join(map(str, inputs.shape[1:]))
        return f"{count} of {shape} numbers." if inputs.ndim > 2 or inputs.shape[1] > 1 else f"{count} of 1 number."
    return f"{count} of {len(inputs)} column{'s' if len(inputs) > 1 else ''}: {listed(list(inputs))}."


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _constant_note(constant: np.ndarray, names: list[str]) -> list[str]:
    """Return a note on constant features, if there are any."""
    count = int(constant.sum())
    if not count:
        return []
    if len(constant) == 1:
        return ["The input is constant: nothing can be learnt from it."]
    which = f" ({listed([name for name, same in zip(names, constant, strict=True) if same])})" if names else ""
    verb, them = ("is", "it") if count == 1 else ("are", "them")
    return [f"{count} of {len(constant)} inputs {verb} constant{which}: nothing can be learnt from {them}."]
