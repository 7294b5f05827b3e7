"""Targets: numbers in their own scale or classes by their labels, encoded for a network and decoded again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope._errors import DataError, SettingError, described, nearest
from downslope._text import number
from downslope._types import Columns
from downslope.tables import check_numbers, counted, is_missing, names_its_rows, refuse_typing_slip, text_of

NUMBERS, TWO_CLASSES, CLASSES = "numbers", "two classes", "classes"
TASKS = ("classes", "numbers")
_MOST_WHOLE = 20  # so many different whole numbers may be classes
_ROWS_A_CLASS = 10  # and each of them then has so many rows on average
SUITED_LOSS = {NUMBERS: "mean squared error", TWO_CLASSES: "binary cross-entropy", CLASSES: "softmax cross-entropy"}


@dataclass(frozen=True)
class Target:
    """The target of a network, with what decodes outputs.

    Args:
        names: the names of the columns.
        kind: "numbers", "two classes" or "classes".
        categories: labels of the classes as in the data (text, whole numbers, true and false), ascending; () for
            numbers.
        mean: the mean of each column of numbers; () for classes.
        deviation: the standard deviation of each column; () for classes.
    """

    names: tuple[str, ...]
    kind: str
    categories: tuple[Any, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def outputs(self) -> int:
        """The number of outputs: one for two classes, one for each class of more, one for each number."""
        return {NUMBERS: len(self.names), TWO_CLASSES: 1}.get(self.kind, len(self.categories))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return encoded targets: float32 (rows, outputs) for numbers, int32 (rows,) for classes."""
        if self.kind != NUMBERS:
            return values.astype(np.int32)
        return ((values - np.array(self.mean)) / np.array(self.deviation)).astype(np.float32)

    def decode(self, outputs: Any, *, from_logits: bool = True) -> np.ndarray:
        """Return predictions: labels, shape (rows,), or numbers, shape (rows,) or (rows, names).

        Args:
            outputs: shape (rows, outputs); also (rows,) for one output, and (rows, 2) for two classes.
            from_logits: whether the one output for two classes is a logit, above 0 for the second class, or its
                probability, above one half.

        Raises:
            DataError: for another number of outputs.
        """
        array = np.asarray(outputs)
        array = array[:, None] if array.ndim == 1 else array.reshape(len(array), -1)
        if array.shape[1] != self.outputs and not (self.kind == TWO_CLASSES and array.shape[1] == 2):
            raise DataError(f"there are {array.shape[1]} outputs, but {self.outputs} for {', '.join(self.names)}")
        if self.kind == NUMBERS:
            values = array.astype(np.float64) * np.array(self.deviation) + np.array(self.mean)
            return values[:, 0] if len(self.names) == 1 else values
        # Two classes have one output behind a binary cross-entropy, and two behind a softmax.
        is_single = array.shape[1] == 1 and self.kind == TWO_CLASSES
        index = (array[:, 0] > (0 if from_logits else 0.5)).astype(int) if is_single else array.argmax(axis=1)
        return np.array(self.categories)[index]


def class_weights(weights: Any, target: Target, targets: np.ndarray) -> tuple[float, ...] | None:
    """Return the weight of each class, in order; None where all weigh 1.

    Args:
        weights: "balanced", a mapping from labels to weights, in which a class that is left out weighs 1, weights in
            the order of the classes, or None.
        target: the target.
        targets: the indices of the classes of the rows, shape (rows,), for "balanced".

    Raises:
        SettingError: for numbers, for labels that there are not, and for weights that are negative, not finite or all
            0.

    >>> cats = Target(("kind",), TWO_CLASSES, ("cat", "dog"))
    >>> class_weights("balanced", cats, np.array([0, 0, 0, 1]))
    (0.6666666666666666, 2.0)
    >>> class_weights({"dog": 5}, cats, np.array([0, 1]))
    (1.0, 5.0)
    """
    if weights is None:
        return None
    labels = [str(label) for label in target.categories]
    if not labels:
        raise SettingError(
            "class_weights apply to classes, but the targets are numbers", hint="leave class_weights out"
        )
    example = f'class_weights="balanced", or a weight for each of {", ".join(labels)}'
    if isinstance(weights, str):
        if weights != "balanced":
            raise SettingError(f"class_weights are 'balanced' or numbers, not {described(weights)}", hint=example)
        counts = np.bincount(targets, minlength=len(labels))
        # A class without rows weighs nothing, whatever its weight.
        return tuple((len(targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))).tolist())
    if isinstance(weights, Mapping):
        by_label = {str(label): weight for label, weight in weights.items()}
        unknown = next((label for label in by_label if label not in labels), None)
        if unknown is not None:
            raise SettingError(f"there is no class {unknown!r} to weigh; there are {', '.join(labels)}", hint=example)
        weights = [by_label.get(label, 1.0) for label in labels]
    try:
        numbers = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (len(labels),):
        raise SettingError(f"class_weights are {len(labels)} numbers, one for each class", hint=example)
    if not (np.isfinite(numbers).all() and numbers.min() >= 0 and numbers.max() > 0):
        raise SettingError("class_weights are numbers of 0 or more, and not all 0", hint=example)
    return tuple(numbers.tolist())


class Read(NamedTuple):
    """Interpreted targets: their kind, the labels of classes, and float64 (rows, names) or int (rows,) in order."""

    kind: str
    categories: tuple[Any, ...]
    values: np.ndarray
    notes: tuple[str, ...]


def read_targets(columns: Columns, task: str | None) -> Read:
    """Return targets as numbers or as classes.

    Text and truth values are classes. So are whole numbers if there are at most 20 different ones with ten rows each on
    average, or just two with two rows each; it is their values that count, since a CSV file has no types. Columns of
    0s with a single 1 in each row are classes as well.

    Args:
        columns: one column, or several of numbers, without missing cells.
        task: "classes" or "numbers" decides instead.

    Raises:
        SettingError: for another task.
        DataError: for text as numbers, and for labels that differ in nearly every row.
    """
    if task is not None and task not in TASKS:
        close = nearest(str(task), TASKS)
        raise SettingError(
            f"a task is 'classes' or 'numbers', not {described(task)}",
            hint=f"did you mean {close!r}?" if close else None,
        )
    if len(columns) > 1:
        return _several(columns, task)
    (name, cells), *_ = columns.items()
    if task == "numbers":
        return _numbers(columns)
    if task is None and cells.dtype == object:
        refuse_typing_slip(name, cells)
    if task is None and cells.dtype != object and not _sorts(cells):
        return _numbers(columns)
    return _classes(name, cells, is_chosen=task is not None)


def _sorts(cells: np.ndarray) -> bool:
    """Tell whether numbers are classes."""
    # It is the values that count: a CSV file does not distinguish 1 from 1.0.
    return bool(np.all(cells == np.round(cells))) and is_sorting(np.unique(cells), len(cells))


def is_sorting(values: np.ndarray, rows: int) -> bool:
    """Tell whether numbers are classes, by their different values in so many rows."""
    if not np.all(values == np.round(values)):
        return False
    # Two values in two or three rows are numbers: a label that occurs once cannot be learnt.
    if len(values) == 2:
        return rows >= 4
    return len(values) <= _MOST_WHOLE and len(values) * _ROWS_A_CLASS <= rows


def _several(columns: Columns, task: str | None) -> Read:
    """Return several columns as numbers, or as classes if each row has a single 1."""
    if task != "numbers" and all(cells.dtype != object for cells in columns.values()):
        values = np.stack(list(columns.values()), axis=1)
        # One-hot columns, as other libraries want classes.
        if np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
            plain = list(columns) == [f"target {number + 1}" for number in range(len(columns))]
            labels = list(range(len(columns))) if plain else list(columns)
            return _read_classes(
                "target" if plain else ", ".join(columns), labels, values.argmax(axis=1), "A single 1 in each row."
            )
    if task == "classes":
        raise DataError(
            f"classes are one column, or columns with a single 1 in each row, not {', '.join(columns)}",
            hint="predict one of them, or task='numbers'",
        )
    return _numbers(columns)


def _numbers(columns: Columns) -> Read:
    """Return columns as numbers."""
    plain = {name: _untruthed(cells) for name, cells in columns.items()}
    values = np.stack(list(check_numbers(plain, list(plain)).values()), axis=1)
    notes = []
    for name, cells in plain.items():
        low, high = cells.min(), cells.max()
        same = " Every one is the same: there is nothing to learn." if low == high else ""
        few = 2 * len(np.unique(cells)) <= min(len(cells), 2 * _MOST_WHOLE) and np.all(cells == np.round(cells))
        other = ' (task="classes" reads classes)' if few and not same and len(columns) == 1 else ""
        notes.append(f"{name}: numbers from {number(low)} to {number(high)} → {SUITED_LOSS[NUMBERS]}{other}.{same}")
    return Read(NUMBERS, (), values, tuple(notes))


def _untruthed(cells: np.ndarray) -> np.ndarray:
    """Return a column of true and false as 1 and 0; others stay as they are."""
    truths = cells.dtype == object and all(isinstance(cell, bool) for cell in cells)
    return cells.astype(np.float64) if truths else cells


def _classes(name: str, cells: np.ndarray, *, is_chosen: bool) -> Read:
    """Return a column as classes."""
    cell_labels = [label_of(cell) for cell in cells]
    # Labels of several types cannot be sorted: 1 and 1.5 become numbers, anything else text.
    types = {type(label) for label in cell_labels}
    if len(types) > 1:
        cell_labels = [float(label) if types == {int, float} else text_of(label) for label in cell_labels]
    labels = sorted(set(cell_labels))
    if names_its_rows(len(labels), len(cell_labels)):
        raise DataError(
            f"column {name}: {len(labels)} different labels in {len(cell_labels)} rows are not classes",
            hint='task="numbers" predicts numbers' if cells.dtype != object else "predict another column",
        )
    indices = {label: number for number, label in enumerate(labels)}
    whole = not is_chosen and cells.dtype != object
    why = 'Whole numbers of few values are read as classes; task="numbers" predicts numbers.' if whole else ""
    return _read_classes(name, labels, np.array([indices[label] for label in cell_labels]), why)


def label_of(cell: Any) -> Any:
    """Return a label: whole numbers without a point, text without surrounding blanks."""
    if isinstance(cell, bool) or is_missing(cell):
        return cell
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else float(cell)
    return text_of(cell)


def _read_classes(name: str, labels: Sequence[Any], index: np.ndarray, why: str) -> Read:
    """Return classes with a sentence on them."""
    counts = np.bincount(index, minlength=len(labels)).tolist()
    kind = TWO_CLASSES if len(labels) == 2 else CLASSES
    many = "1 class" if len(labels) == 1 else f"{len(labels)} classes"
    notes = [f"{name}: {many} ({counted(labels, counts)}) → {SUITED_LOSS[kind]}."]
    if len(labels) == 1:
        notes.append("Only one class: there is nothing to learn.")
    return Read(kind, tuple(labels), index, (*notes, *([why] if why else [])))
