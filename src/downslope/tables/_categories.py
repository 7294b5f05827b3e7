"""Columns of a table as inputs of a network: numbers stay numbers, categories become one-hot inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from downslope._errors import DataError, nearest
from downslope._types import Columns
from downslope.tables._cells import is_missing
from downslope.tables._clock import Clock
from downslope.tables._table import cell_name, is_number, refuse_text

_WHOLE = 2.0**53  # floats below it are exact where they are whole
_MISSING = "missing"  # the category of missing cells
_MOST_CATEGORIES = 1000
_FEW = 10


@dataclass(frozen=True)
class InputColumn:
    """A column of inputs.

    Args:
        name: the name of the column.
        kind: "number" or "category".
        categories: the categories in alphabetical order; () for numbers.
        since: the instant from which a column of dates is counted in days; "" for other columns.
    """

    name: str
    kind: Literal["number", "category"]
    categories: tuple[str, ...] = ()
    since: str = ""

    @property
    def clock(self) -> Clock | None:
        """The clock of a column of dates; None for another column."""
        return Clock(self.since) if self.since else None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of its inputs: one for a number and for two categories, else one for each category."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self._encoded)

    @property
    def _encoded(self) -> tuple[str, ...]:
        # of two categories the second suffices; the first would be its mirror image
        return self.categories if len(self.categories) > 2 else self.categories[-1:]

    def encode(self, cells: np.ndarray) -> np.ndarray:
        """Return the column as inputs, shape (rows, features); NaN for missing numbers.

        Raises:
            DataError: for text in a column of numbers, and for an unknown category.
        """
        if self.kind == "number":
            if cells.dtype == object:
                refuse_text(self.name, cells)
            return np.asarray(cells, dtype=np.float64)[:, None]
        indices = {category: index for index, category in enumerate(self.categories)}
        # Text is compared once for each different cell rather than for each row.
        index_of = {cell: indices.get(text_of(cell), -1) for cell in frequencies(self.name, cells)}
        index = np.array([index_of[cell] for cell in present(cells)], dtype=np.intp)
        if (index < 0).any():
            row = int(np.argmax(index < 0))
            self._refuse(row, text_of(cells[row]))
        encoded = np.array([indices[category] for category in self._encoded], dtype=np.intp)
        return (index[:, None] == encoded).astype(np.float64)

    def _refuse(self, row: int, text: str) -> None:
        """Raise for an unknown category."""
        if text == _MISSING:
            raise DataError(
                f"{cell_name(row, self.name)}: the cell is missing", hint="no row trained on had it missing"
            )
        close = nearest(text, self.categories)
        raise DataError(
            f"{cell_name(row, self.name)}: {text!r} is not one of its {len(self.categories)} categories",
            hint=f"did you mean {close}?" if close else f"they are {listed(self.categories)}",
        )


def columns_of(
    table: Columns, clocks: Mapping[str, Clock] | None = None
) -> tuple[tuple[InputColumn, ...], tuple[str, ...]]:
    """Return the encodings of a table's columns as inputs, and notes on categories.

    Args:
        table: the columns.
        clocks: how time is counted in columns of dates.

    Raises:
        DataError: for a column of text that names its rows rather than groups them, and for a column of numbers in
            which some cells are text.
    """
    columns = tuple(
        InputColumn(name, "number", since=clocks[name].first) if clocks and name in clocks else _column_of(name, cells)
        for name, cells in table.items()
    )
    notes = tuple(
        f"{column.name}: text with {_many(len(column.categories))} ({listed(column.categories)}) → "
        f"{len(column.features)} input{'s' if len(column.features) > 1 else ''} of 0 and 1."
        for column in columns
        if column.kind == "category"
    )
    return columns, notes


def _many(categories: int) -> str:
    return "1 category" if categories == 1 else f"{categories} categories"


def _column_of(name: str, cells: np.ndarray) -> InputColumn:
    """Return the encoding of a column as inputs."""
    if cells.dtype != object:
        return InputColumn(name, "number")
    refuse_typing_slip(name, cells)
    categories = tuple(sorted({text_of(cell) for cell in frequencies(name, cells)}))
    if names_its_rows(len(categories), len(cells)) or len(categories) > _MOST_CATEGORIES:
        raise DataError(
            f"column {name}: {len(categories)} different texts in {len(cells)} rows are too many for categories",
            hint=f"text with many different values cannot be used: drop={name!r} leaves it out",
        )
    return InputColumn(name, "category", categories)


def names_its_rows(different: int, rows: int) -> bool:
    """Tell whether texts, by the number of different ones, name their rows rather than group them."""
    return different > max(_FEW, rows / 2)


def refuse_typing_slip(name: str, cells: np.ndarray) -> None:
    """Raise for a cell of text in a column where most cells are numbers."""
    counts = {cell: count for cell, count in frequencies(name, cells).items() if not is_missing(cell)}
    # Where most cells are numbers, the text is an error of typing and no category.
    numbers = sum(count for cell, count in counts.items() if is_number(cell) and not isinstance(cell, bool))
    if numbers > sum(counts.values()) / 2:
        refuse_text(name, cells)


def present(cells: np.ndarray) -> list[Any]:
    """Return cells as a list, with None for every one that is missing: NaN is not even equal to itself."""
    return [None if is_missing(cell) else cell for cell in cells.tolist()]


def frequencies(name: str, cells: np.ndarray) -> Counter[Any]:
    """Return the number of occurrences of each cell.

    Raises:
        DataError: for cells that are lists and the like.
    """
    try:
        return Counter(present(cells))
    except TypeError:
        raise DataError(
            f"column {name}: a cell is a number or text, not {type(cells[0]).__name__}",
            hint=f"drop={name!r} leaves it out",
        ) from None


def text_of(cell: Any) -> str:
    """Return a cell as the name of a category: without surrounding blanks, whole numbers without a point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return _MISSING if is_missing(cell) else str(cell).strip()


def texts_of(cells: np.ndarray) -> list[str]:
    """Return cells as names of categories, as `text_of` does with one.

    >>> texts_of(np.array([1.0, 20.0])), texts_of(np.array([1.0, 2.5]))
    (['1', '20'], ['1', '2.5'])
    """
    if cells.dtype.kind == "f" and np.all(np.abs(cells) < _WHOLE) and np.all(cells == np.trunc(cells)):
        return list(map(str, cells.astype(np.int64).tolist()))  # ten times as fast, and most labels are such numbers
    return [text_of(cell) for cell in cells.tolist()]


def listed(words: Sequence[Any], most: int = 8) -> str:
    """Return the first of some words, separated by commas.

    >>> listed(["red", "green", "blue"], most=2)
    'red, green and 1 more'
    """
    return ", ".join(map(str, words[:most])) + (f" and {len(words) - most} more" if len(words) > most else "")


def counted(labels: Sequence[Any], counts: Sequence[int]) -> str:
    """Return the number of rows of each label, in words.

    >>> counted(["cat", "dog"], [3, 4])
    'cat 3, dog 4'
    """
    if len(labels) <= _FEW:
        return ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True))
    return f"from {min(counts)} to {max(counts)} rows each"
