"""The nouns `Table` and `TableColumn`, and the checks that name a cell by its row and column."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from downslope._column_names import calendar_parts, column_named, heading, typed
from downslope._errors import DataError
from downslope._numbers import is_complex, real, refuse_complex
from downslope._types import Columns, Plain
from downslope.tables._cells import is_missing
from downslope.tables._clock import Clock, calendar

Kind: TypeAlias = Literal["number", "text", "truth", "date"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, eq=False)
class TableColumn:
    """A column of a table.

    Args:
        name: its name, as in the heading.
        cells: shape (rows,). Numbers are float64, NaN where they are missing; truths are 1 and 0; dates are the time
            elapsed since `clock.first`, in `clock.unit`; text is objects. In a column of text that is mostly numbers,
            those are floats.
        kind: "number", "text", "truth" or "date".
        number: its position in the source, counted from 1.
        unit: its unit, as written in the heading or in a row of units; "" where there is none.
        clock: the unit and origin of time, for dates.
        instants: the dates themselves in UTC, shape (rows,), for dates.
        notes: sentences on how its cells were read, reported if the column is used.
        fault: why it cannot be used, as a message and a hint; None if it can.
        words: how the cells of a column of truths are spelt, for 0 and for 1: ("no", "yes"); None for false and true.
    """

    name: str
    cells: np.ndarray
    kind: Kind
    number: int = 0
    unit: str = ""
    clock: Clock | None = None
    instants: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    fault: tuple[str, str | None] | None = None
    words: tuple[str, str] | None = None

    @property
    def missing(self) -> np.ndarray:
        """Which cells are missing, shape (rows,)."""
        if self.cells.dtype == object:
            return np.array([is_missing(cell) for cell in self.cells], dtype=bool)
        return np.isnan(self.cells)

    @property
    def labels(self) -> np.ndarray:
        """Its cells as people read them: truth values in their own words, None if missing, shape (rows,)."""
        if self.words is None:
            return self.cells
        spelt = [None if cell != cell else self.words[int(cell)] for cell in self.cells.tolist()]
        labels = np.empty(len(spelt), dtype=object)
        labels[:] = spelt
        return labels

    @property
    def typed_name(self) -> str:
        """Its name as typed in a formula: in backquotes unless it is a single word."""
        return typed(self.name)

    def counted_in(self, clock: Clock) -> TableColumn:
        """Return a column of dates with its time counted in another unit."""
        if self.instants is None:
            raise DataError(f"column {self.name} holds no dates, so no {clock.unit} can be counted")
        notes = tuple(note for note in self.notes if self.clock is None or note != self.clock.sentence(self.name))
        cells = clock.elapsed(self.instants)
        return replace(self, cells=cells, clock=clock, notes=(*notes, clock.sentence(self.name)))


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, np.ndarray]):
    """A table of columns of one length; a mapping from a column's name to its cells.

    Args:
        columns: in order.
        source: the name of the file, for errors; "" where there is none.
        read: how a file was read (separator, decimal mark, lines), as plain data; empty if there was nothing
            to decide.
        notes: sentences on unusual decisions.
        lines: the line of the file, or the row of the sheet, of each row, counted from 1, shape (rows,); None if
            there are none.
    """

    columns: tuple[TableColumn, ...]
    source: str = ""
    read: Plain = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: np.ndarray | None = None

    # A mapping compares its entries, and whether two arrays are equal is no truth value.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the cells of a column; `month(date)` and its kin are columns of numbers as well.

        Raises:
            KeyError: for a name that no column has.
            DataError: for a column that cannot be used.
        """
        part = calendar_parts(name)
        if part is not None and name not in self._by_name:
            instants = self.column(part[1]).instants
            if instants is None:
                raise KeyError(name)
            return calendar(part[0], instants)
        column = self.column(name)
        if column.fault is not None:
            raise DataError(column.fault[0], hint=column.fault[1])
        return column.cells

    def __contains__(self, name: object) -> bool:
        if name in self._by_name:
            return True
        part = calendar_parts(name) if isinstance(name, str) else None
        return part is not None and part[1] in self._by_name and self._by_name[part[1]].kind == "date"

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @functools.cached_property
    def _by_name(self) -> dict[str, TableColumn]:
        """The first column of each name."""
        first: dict[str, TableColumn] = {}
        for column in self.columns:
            first.setdefault(column.name, column)
        return first

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[0].cells)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column, by name."""
        return {column.name: column.kind for column in self.columns}

    @property
    def truths(self) -> frozenset[str]:
        """The names of the columns of true and false."""
        return frozenset(column.name for column in self.columns if column.kind == "truth")

    @property
    def units(self) -> dict[str, str]:
        """The units from headings, rows of units and clocks, by column."""
        clocks = {column.name: column.clock.unit for column in self.columns if column.clock is not None}
        return {column.name: column.unit for column in self.columns if column.unit} | clocks

    def column(self, name: str) -> TableColumn:
        """Return a column by its name.

        Raises:
            KeyError: for a name that no column has.
        """
        return self._by_name[name]

    def name_of(self, text: str, what: str = "column") -> str:
        """Return the name of the column that a text refers to: in full, in backquotes, or by its plain part.

        Raises:
            DataError: for a text that names no column, or several.
        """
        return text if text in self else column_named(text, self, what)

    def notes_on(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the sentences on the table and on some of its columns, each once."""
        used = set(names)
        own = [note for column in self.columns if column.name in used for note in column.notes]
        return tuple(dict.fromkeys((*self.notes, *own)))

    def counted_in(self, clocks: Mapping[str, Clock]) -> Table:
        """Return the table with the time in some columns of dates counted in other units."""
        columns = (c.counted_in(clocks[c.name]) if c.name in clocks else c for c in self.columns)
        return replace(self, columns=tuple(columns))

    def cell_name(self, row: int, column: str) -> str:
        """Return the name of a cell in errors: its row, its line if that differs, and its column."""
        line = None if self.lines is None else int(self.lines[row])
        where = "" if line is None or line == row + 2 else f" (line {line})"
        return f"row {row + 1}{where}, column {column}"

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}: {kind}" for name, kind in self.kinds.items())
        return f"<Table of {self.rows} rows: {columns}>"


def checked_columns(columns: Sequence[TableColumn]) -> tuple[TableColumn, ...]:
    """Return columns of one length, those with a name that occurs twice marked as not to be used.

    Raises:
        DataError: for columns of several lengths, no column, or no row.
    """
    if not columns:
        raise DataError("the table has no columns")
    first = columns[0]
    for column in columns:
        if len(column.cells) != len(first.cells):
            raise DataError(
                f"column {column.name!r} has {len(column.cells)} rows, but {first.name!r} has {len(first.cells)}"
            )
    if len(first.cells) == 0:
        raise DataError("the table has no rows")
    same: dict[str, list[int]] = {}
    for number, column in enumerate(columns, start=1):
        same.setdefault(column.name, []).append(column.number or number)
    return tuple(
        replace(column, fault=shared_name(column.name, same[column.name])) if len(same[column.name]) > 1 else column
        for column in columns
    )


def shared_name(name: str, at: Sequence[int]) -> tuple[str, str]:
    """Return why columns of one name cannot be used, and what to do.

    Args:
        name: that they have.
        at: their numbers, counted from 1.
    """
    listed = f"{', '.join(map(str, at[:-1]))} and {at[-1]}"
    return f"{len(at)} columns have the name {name!r}: columns {listed}", "rename one of them in the file"


def unit_of(name: str) -> str:
    """Return the text in a column's heading that may be its unit."""
    return heading(name).unit


def check_numbers(columns: Columns, names: Sequence[str]) -> Columns:
    """Return the named columns, after checking that every cell of theirs is a finite number.

    Raises:
        DataError: naming the first row and column that is not, and how many there are.
    """
    numeric = {}
    for name in names:
        column = numeric[name] = columns[name]
        if column.dtype == object:
            refuse_text(name, column, columns)
        # The first bad cell is named, and how many there are, so that a person can judge the rest.
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            kind = "is missing" if np.isnan(column[bad[0]]) else "is infinite"
            raise DataError(
                f"{_cell_name(columns, bad[0], name)}: the number {kind} ({len(bad)} such in this column)",
                hint="fill these cells in, or leave their rows out",
            )
    return numeric


def refuse_text(name: str, column: np.ndarray, table: Columns | None = None) -> None:
    """Raise at the first cell that is not a number.

    Args:
        name: of the column.
        column: its cells.
        table: the table it belongs to, which knows the lines of the file.
    """
    for row, cell in enumerate(column):
        if not is_missing(cell) and not is_number(cell):
            if is_complex(cell):
                refuse_complex(name, column)
            where = _cell_name(table, row, name)
            if isinstance(cell, numbers.Number):
                raise DataError(f"{where}: the number is beyond the largest that a float holds, 1.8e308")
            raise DataError(f"{where}: {str(cell)!r} is not a number", hint=_hint(str(cell), name))


_TRUTHS = ("yes", "no", "y", "n", "ja", "nein", "oui", "non")


def _hint(cell: str, name: str) -> str:
    """Return what to do about a cell that is no number."""
    if is_number(cell.replace(",", ".")):
        return "write a decimal point instead of the comma"
    if cell.strip().lower() in _TRUTHS:
        return "write 1 for yes and 0 for no"
    return f"correct the cell, leave it empty if it is missing, or say so: missing={cell!r}"


def _cell_name(table: Columns | None, row: int, name: str) -> str:
    return table.cell_name(row, name) if isinstance(table, Table) else cell_name(row, name)


def cell_name(row: int, column: str) -> str:
    """Return the name of a cell in errors: its row, counted from 1 without the line of names, and its column."""
    return f"row {row + 1}, column {column}"


def is_number(cell: Any) -> bool:
    """Tell whether a cell is a number, or the text of one."""
    try:
        real(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
