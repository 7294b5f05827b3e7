"""The noun `Table`: columns by name, each of one kind, and the checks that name a cell by its row and column."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from downslope._errors import DataError
from downslope._numbers import is_complex, real, refuse_complex, unmasked
from downslope._types import Columns

Kind: TypeAlias = Literal["number", "text", "truth", "date"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}
_MISSING_TYPES = {"NAType", "NaTType", "MaskedConstant"}  # by name, since pandas is not installed with the package


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, np.ndarray]):
    """A table of columns of one length; a mapping from a column's name to its cells.

    Args:
        cells: the cells of each column, shape (rows,). Numbers are float64, NaN where they are missing, and so are
            truths, as 0 and 1. Text and dates are objects.
        kinds: the kind of each column: "number", "text", "truth" or "date".
        source: the name of the file, for errors; "" where there is none.
    """

    cells: Mapping[str, np.ndarray]
    kinds: Mapping[str, Kind]
    source: str = ""

    # A mapping compares its entries, and whether two arrays are equal is no truth value.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.cells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.cells.values())))

    @property
    def truths(self) -> frozenset[str]:
        """The names of the columns of true and false."""
        return frozenset(name for name, kind in self.kinds.items() if kind == "truth")

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}: {kind}" for name, kind in self.kinds.items())
        return f"<Table of {self.rows} rows: {columns}>"


def table_from(columns: Mapping[str, Any], source: str = "") -> Table:
    """Return a table of columns as they were read; text whose cells are all numbers is numbers.

    Args:
        columns: sequences, arrays or series by name.
        source: the name of the file; "" where there is none.

    Raises:
        DataError: for columns that make no table.
    """
    entries = {name: _array(name, values) for name, values in columns.items()}
    if not entries:
        raise DataError("the table has no columns")
    lengths = {name: len(cells) for name, cells in entries.items()}
    first, rows = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != rows:
            raise DataError(f"column {name!r} has {length} rows, but {first!r} has {rows}")
    if rows == 0:
        raise DataError("the table has no rows")
    read = {name: _typed(name, cells, _kind(cells)) for name, cells in entries.items()}
    return Table(
        {name: cells for name, (cells, _) in read.items()}, {name: kind for name, (_, kind) in read.items()}, source
    )


def _array(name: str, values: Any) -> np.ndarray:
    """Return a column as an array, shape (rows,)."""
    # Series of Polars, pandas and PyArrow have this method; everything else becomes an array by NumPy's rules.
    try:
        plain = unmasked(values)
    except ValueError:
        raise DataError(f"the rows of column {name!r} are not of one shape") from None
    if plain.dtype.kind == "c":
        refuse_complex(name, plain)
    if plain.dtype.names is not None:
        raise DataError(f"column {name!r} holds records: {', '.join(plain.dtype.names)}", hint="give each a column")
    if plain.ndim != 1:
        raise DataError(f"column {name!r} must be one number a row, not an array of shape {plain.shape}")
    return plain


def _kind(cells: np.ndarray) -> Kind:
    """Return the kind of a column by the types of its cells; text where they have none."""
    if cells.dtype.kind in "biuf":
        return "truth" if cells.dtype.kind == "b" else "number"
    if cells.dtype.kind == "M":
        return "date"
    if cells.dtype != object:
        return "text"
    # Nullable columns come as objects; the cells that are there decide. Most columns of objects are text, which the
    # first cell shows, so that long tables are not gone through.
    kinds: set[Kind] = set()
    for cell in cells:
        if isinstance(cell, bool | np.bool_):
            kinds.add("truth")
        elif isinstance(cell, datetime.date | np.datetime64):
            kinds.add("date")
        elif not is_missing(cell):
            return "text"
        if len(kinds) > 1:
            return "text"
    return kinds.pop() if kinds else "text"


def _typed(name: str, cells: np.ndarray, kind: Kind) -> tuple[np.ndarray, Kind]:
    """Return a column as `Table.cells` holds it, and its kind: text whose cells are all numbers is numbers."""
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64), kind
    if cells.dtype.kind == "M":
        # NumPy makes whole numbers of nanoseconds, and dates of microseconds.
        return cells.astype("datetime64[us]").astype(object), kind
    # Cell by cell: one that is no number ends it, and the column stays as it is.
    read = np.empty(len(cells))
    for index, cell in enumerate(cells):
        if is_complex(cell):
            refuse_complex(name, cells)
        try:
            read[index] = math.nan if is_missing(cell) else real(cell)
        except (TypeError, ValueError, OverflowError):
            return np.asarray(cells, dtype=object), kind
    return read, "truth" if kind == "truth" else "number"


def check_numbers(columns: Columns, names: Sequence[str]) -> Columns:
    """Return the named columns, after checking that every cell of theirs is a finite number.

    Raises:
        DataError: naming the first row and column that is not, and how many there are.
    """
    for name in names:
        column = columns[name]
        if column.dtype == object:
            refuse_text(name, column)
        # The first bad cell is named, and how many there are, so that a person can judge the rest.
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            kind = "is missing" if np.isnan(column[bad[0]]) else "is infinite"
            raise DataError(
                f"{cell_name(bad[0], name)}: the number {kind} ({len(bad)} such in this column)",
                hint="fill these cells in, or leave their rows out",
            )
    return {name: columns[name] for name in names}


def refuse_text(name: str, column: np.ndarray) -> None:
    """Raise at the first cell that is not a number."""
    for row, cell in enumerate(column):
        if not is_missing(cell) and not is_number(cell):
            if is_complex(cell):
                refuse_complex(name, column)
            if isinstance(cell, numbers.Number):
                raise DataError(f"{cell_name(row, name)}: the number is beyond the largest that a float holds, 1.8e308")
            # The usual cause: a spreadsheet with decimal commas.
            comma = isinstance(cell, str) and is_number(cell.replace(",", "."))
            raise DataError(
                f"{cell_name(row, name)}: {str(cell)!r} is not a number",
                hint="write a decimal point instead of the comma" if comma else "a cell that is missing is left empty",
            )


def cell_name(row: int, column: str) -> str:
    """Return how errors call a cell: by its row, counted from 1 without the line of names, and its column."""
    return f"row {row + 1}, column {column}"


def is_missing(cell: Any) -> bool:
    """Tell whether a cell holds nothing: none, not a number, pandas' NA and NaT, or a text such as "" and "?"."""
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in _MISSING_TYPES


def is_number(cell: Any) -> bool:
    """Tell whether a cell is a number, or the text of one."""
    try:
        real(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
