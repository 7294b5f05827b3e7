"""Data that were read and understood: their columns and targets; and the encoding that some of their rows decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import DataError
from downslope._types import Columns
from downslope.networks.data._encoding import Encoding, unfilled
from downslope.networks.data._missing import check_way, treated
from downslope.networks.data._raw import raw_data
from downslope.networks.data._target import NUMBERS, Read, Target, read_targets
from downslope.tables import InputColumn, columns_of, listed


@dataclass(frozen=True, eq=False)
class Reading:
    """Data that were read and understood.

    Args:
        inputs: the columns of a table, or an array of numbers.
        columns: how those of a table become numbers; none for an array.
        names: of the targets.
        targets: what is predicted.
        fills: whether missing numbers are filled.
        notes: what was read and decided, as sentences.
    """

    inputs: Columns | np.ndarray
    columns: tuple[InputColumn, ...]
    names: tuple[str, ...]
    targets: Read
    fills: bool
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.targets.values)

    @property
    def classes(self) -> np.ndarray | None:
        """The class of each row by its place, shape (rows,); None for numbers."""
        return None if self.targets.kind == NUMBERS else self.targets.values


def reading_of(data: Any, target: Any, missing: str, task: str | None, drop: str | Sequence[str]) -> Reading:
    """Return data, read and understood; see `examples` for what they may be.

    Raises:
        DataError: for data that cannot be used.
        SettingError: for a task, or a way to treat missing cells, that is not known.
    """
    check_way(missing)
    raw = treated(raw_data(data, target, drop), missing)
    columns: tuple[InputColumn, ...] = ()
    told: tuple[str, ...] = ()
    if not isinstance(raw.inputs, np.ndarray):
        columns, told = columns_of(raw.inputs)
    targets = read_targets(raw.targets, task)
    notes = (*raw.notes, _size(raw.inputs, raw.rows), *told, *targets.notes)
    return Reading(raw.inputs, columns, tuple(raw.targets), targets, missing == "mean", notes)


def encoding_of(
    reading: Reading, rows: np.ndarray, standardise: bool, scale_targets: bool
) -> tuple[Encoding, tuple[str, ...]]:
    """Return the encoding that some rows decide, and notes on it.

    Args:
        reading: the data.
        rows: places of the rows whose means and deviations are remembered.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do.
    """
    known = unfilled(reading.columns, reading.inputs)[rows]
    image = known.ndim > 2
    fill = _means(known, image) if reading.fills else np.empty(0)
    if reading.fills:
        known = np.where(np.isnan(known), fill.astype(known.dtype), known)
    mean, deviation, constant = scale_of(known, image)
    names = [feature for column in reading.columns for feature in column.features]
    notes = _told_constant(constant, names)
    if standardise:
        notes.append(f"Inputs are scaled to mean 0 and deviation 1, measured on {_rows(len(rows))}.")
    else:
        mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
    target = _target_of(reading, rows, scale_targets)
    if target.kind == NUMBERS and scale_targets:
        notes.append("So are the targets; predictions are turned back." if standardise else "Targets are scaled.")
    shape = tuple(int(side) for side in known.shape[1:])
    encoding = Encoding(
        reading.columns, shape, tuple(mean.tolist()), tuple(deviation.tolist()), tuple(fill.tolist()), target
    )
    return encoding, tuple(notes)


def scale_of(known: np.ndarray, image: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and the deviation of each feature, and which are constant; all of one pixel for images.

    A constant feature has its value as mean and the deviation 1. Differences by rounding make it no less constant.

    Args:
        known: shape (rows, features) or (rows, …) for images.
        image: whether all pixels share one mean and deviation.

    Raises:
        DataError: for numbers whose squares no float64 holds.
    """
    flat = known.reshape(-1, 1) if image else known
    with np.errstate(over="ignore", invalid="ignore"):
        mean = flat.mean(axis=0, dtype=np.float64)
        deviation = flat.std(axis=0, dtype=np.float64)
    if not np.isfinite(deviation).all():
        raise DataError("some numbers are too large to be squared", hint="give them in a larger unit")
    largest = np.maximum(np.abs(flat.max(axis=0)), np.abs(flat.min(axis=0))).astype(np.float64)
    constant = deviation <= 8 * np.finfo(flat.dtype).eps * largest
    return np.where(constant, flat[0], mean), np.where(constant, 1.0, deviation), constant


def _means(known: np.ndarray, image: bool) -> np.ndarray:
    """Return the mean of the numbers that are there, of each feature or of all pixels; 0 where there are none."""
    flat = known.reshape(-1, 1) if image else known
    there = ~np.isnan(flat)
    return np.where(there, flat, 0).sum(axis=0, dtype=np.float64) / np.maximum(there.sum(axis=0), 1)


def _target_of(reading: Reading, rows: np.ndarray, scale_targets: bool) -> Target:
    """Return what is predicted, with the means and deviations of some rows."""
    read = reading.targets
    if read.kind != NUMBERS:
        names = reading.names if len(reading.names) == 1 else ("target",)
        return Target(names, read.kind, read.categories)
    mean, deviation, _ = scale_of(read.values[rows])
    if not scale_targets:
        mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
    return Target(reading.names, read.kind, (), tuple(mean.tolist()), tuple(deviation.tolist()))


def _size(inputs: Columns | np.ndarray, rows: int) -> str:
    """Return how large the data are, in words."""
    count = _rows(rows)
    if isinstance(inputs, np.ndarray):
        shape = " × ".join(map(str, inputs.shape[1:]))
        return f"{count} of {shape} numbers." if inputs.ndim > 2 or inputs.shape[1] > 1 else f"{count} of 1 number."
    return f"{count} of {len(inputs)} column{'s' if len(inputs) > 1 else ''}: {listed(list(inputs))}."


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _told_constant(constant: np.ndarray, names: list[str]) -> list[str]:
    """Return a note on constant features, if there are any."""
    count = int(constant.sum())
    if not count:
        return []
    if len(constant) == 1:
        return ["The input is constant: nothing can be learnt from it."]
    which = f" ({listed([name for name, same in zip(names, constant, strict=True) if same])})" if names else ""
    verb, them = ("is", "it") if count == 1 else ("are", "them")
    return [f"{count} of {len(constant)} inputs {verb} constant{which}: nothing can be learnt from {them}."]
