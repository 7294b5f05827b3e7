"""Tables that are in memory: frames of Polars, pandas and Arrow, arrays of NumPy, mappings and rows."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import DataError
from downslope._files import guarded
from downslope._numbers import is_complex, real, refuse_complex, unmasked
from downslope.tables._cells import is_missing
from downslope.tables._numbers_in_text import CellRules, number_column
from downslope.tables._table import Kind, Table, TableColumn, checked_columns, shared_name
from downslope.tables._text_columns import dated, named, typed_columns

if TYPE_CHECKING:
    import polars


def columns_of_source(source: Any) -> dict[str, Any] | None:
    """Return the columns of something in memory, by name; None where it is no table.

    Raises:
        DataError: for rows of several lengths, and for two columns of one name.
    """
    if hasattr(source, "collect") and hasattr(source, "lazy"):  # a LazyFrame of Polars
        source = source.collect()
    if isinstance(source, Iterator):  # zip(x, y), a generator of records, csv.DictReader
        source = list(source)
    if isinstance(source, Mapping):
        return by_text(source, source)
    if hasattr(source, "to_dict") and hasattr(source, "columns") and hasattr(source, "index"):
        return _of_pandas(source)
    if hasattr(source, "__arrow_c_stream__"):
        return _of_arrow(source)
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return by_text(list(source.columns), source)
    if isinstance(source, np.ndarray):
        return _of_array(source)
    if isinstance(source, list | tuple) and source:
        if dataclasses.is_dataclass(source[0]):
            names = [field.name for field in dataclasses.fields(source[0])]
            return {name: [getattr(row, name) for row in source] for name in names}
        if isinstance(source[0], Mapping | list | tuple | np.ndarray):
            return _of_rows(source)
    return None


def _of_pandas(frame: Any) -> dict[str, Any]:
    """Return the columns of a frame of pandas, with those of its index that have names."""
    names = list(frame.columns)
    same = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len({*names}) < len(names) else []
    columns = by_text([name for name in names if name not in same], frame)
    columns |= {str(name): _several_of(name, names, len(frame)) for name in same}
    index = frame.index
    levels = [level for level in getattr(index, "names", [getattr(index, "name", None)]) if level is not None]
    for level in levels:
        if str(level) not in columns:
            cells = index.get_level_values(level) if len(levels) > 1 else index
            columns[str(level)] = cells.to_series() if hasattr(cells, "to_series") else cells
    return columns


def _several_of(name: Any, names: Sequence[Any], rows: int) -> TableColumn:
    """Return what stands for several columns of one name, which cannot be used."""
    at = [number for number, other in enumerate(names, start=1) if other == name]
    return TableColumn(str(name), np.full(rows, np.nan), "number", fault=shared_name(str(name), at))


def _of_arrow(source: Any) -> dict[str, Any]:
    """Return the columns of a frame of Polars, or of a table of Arrow."""
    import polars

    if isinstance(source, polars.DataFrame):
        return {column: source[column] for column in source.columns}
    try:
        with guarded("the table", DataError, what="a table of Arrow"):
            frame = polars.DataFrame(source)
        return {column: frame[column] for column in frame.columns}
    except DataError:
        names = getattr(source, "column_names", ())
        if not names:
            raise
    # Column by column, as two have one name, or one is of a type that Polars does not know.
    columns: dict[str, Any] = {}
    for number, name in enumerate(names):
        if list(names).count(name) > 1:
            columns[name] = _several_of(name, names, source.num_rows)
            continue
        try:
            with guarded(f"column {name}", DataError, what="of a type that can be read"):
                columns[name] = polars.Series(name, source.column(number))
        except DataError as error:
            columns[name] = _unusable(name, source.num_rows, error)
    return columns


def _unusable(name: str, rows: int, error: DataError) -> TableColumn:
    """Return a column that is refused where it is used."""
    return TableColumn(name, np.full(rows, np.nan), "number", fault=(error.message, error.hint))


def _of_array(array: np.ndarray) -> dict[str, Any]:
    """Return the columns of an array: its fields, its columns, or its two rows where it is (2, n)."""
    array = np.asarray(array) if isinstance(array, np.matrix) else array
    if array.dtype.names is not None:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 1:
        return {"column_1": array}
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"a table is an array of rows and columns, not of shape {array.shape}")
    # x and y as the two rows of an array are how plots take them; a table of two rows is none to fit.
    columns = array if array.shape[0] == 2 < array.shape[1] else array.T
    return {f"column_{number}": column for number, column in enumerate(columns, start=1)}


def _of_rows(rows: Sequence[Any]) -> dict[str, Any]:
    """Return rows as columns: records by their names, lists by the first row if it is of text."""
    if isinstance(rows[0], Mapping):
        names = dict.fromkeys(str(name) for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
    if len(rows) == 2 and all(isinstance(row, np.ndarray) and row.ndim == 1 and len(row) > 2 for row in rows):
        return {"column_1": rows[0], "column_2": rows[1]}  # (x, y), as of an array of two rows
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        number = next(number for number, row in enumerate(rows, start=1) if len(row) != len(rows[0]))
        raise DataError(f"row {number} has {len(rows[number - 1])} cells, but row 1 has {len(rows[0])}")
    if hasattr(rows[0], "_fields"):  # a named tuple
        names = list(rows[0]._fields)
    elif len(rows) > 1 and all(isinstance(cell, str) for cell in rows[0]):
        names, rows = list(rows[0]), rows[1:]
    else:
        names = [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    columns = {f"{index}": [row[index] for row in rows] for index in range(len(names))}
    return by_text(names, dict(zip(names, columns.values(), strict=True)))


def by_text(names: Iterable[str], columns: Any) -> dict[str, Any]:
    """Return columns by their names as text.

    Raises:
        DataError: if two names are the same as text: 1 and "1", or the same name twice.
    """
    first: dict[str, Any] = {}
    for name in names:
        # The levels of a heading, as pandas has them in tuples, are joined as those of merged cells are.
        text = " ".join(str(level) for level in name if str(level)) if isinstance(name, tuple) else str(name)
        if text in first:
            raise DataError(
                f"two columns have the name {text!r}: {first[text]!r} and {name!r}", hint="rename one of them"
            )
        first[text] = name
    return {text: columns[name] for text, name in first.items()}


def table_from(columns: Mapping[str, Any], source: str = "", rules: CellRules | None = None) -> Table:
    """Return a table of columns in memory; text is read as in a file.

    Args:
        columns: sequences, arrays or series by name.
        source: the name of the file; "" where there is none.
        rules: what the person says about the cells.

    Raises:
        DataError: for columns that make no table.
    """
    rules = rules or CellRules()
    entries = _entries(columns, rules)
    texts = [entry for entry in entries.values() if not isinstance(entry, TableColumn)]
    typed = typed_columns(texts, rules)
    by_name = {column.name: column for column in typed.columns}
    typed_all = [
        named(entry, name, number) if isinstance(entry, TableColumn) else replace(by_name[name], number=number)
        for number, (name, entry) in enumerate(entries.items(), start=1)
    ]
    notes = (f"The table: {'; '.join(typed.notes)}.",) if typed.notes else ()
    return Table(checked_columns(typed_all), source, {}, notes)


def _entries(columns: Mapping[str, Any], rules: CellRules) -> dict[str, TableColumn | polars.Series]:
    """Return columns in memory as typed columns, or as text; one that is none is refused where it is used.

    Raises:
        DataError: if none can be used.
    """
    entries: dict[str, TableColumn | polars.Series] = {}
    refused: list[tuple[str, DataError]] = []
    for name, values in columns.items():
        try:
            entries[name] = entry_of(name, values, rules)
        except DataError as error:
            refused.append((name, error))
            if not hasattr(values, "__len__"):
                raise
            entries[name] = _unusable(name, len(values), error)
    if len(refused) == len(entries) and refused:
        raise refused[0][1]
    return entries


def entry_of(name: str, values: Any, rules: CellRules) -> TableColumn | polars.Series:
    """Return a column in memory as a typed column, or as a series of text that is still to be read."""
    import polars

    if isinstance(values, TableColumn):
        return values
    if isinstance(values, polars.Series):
        return _of_series(name, values, rules)
    cells = _array(name, values)
    if cells.dtype.kind == "m":
        return _durations(name, cells, rules)
    if cells.dtype.kind == "M":
        return dated(name, cells.astype("datetime64[us]"))
    if cells.dtype.kind in "biuf":
        return number_column(polars.Series(name, np.ascontiguousarray(_native(cells)), nan_to_null=True), rules)
    if cells.dtype.kind in "US":
        return polars.Series(name, cells.astype(str).tolist(), dtype=polars.String)
    there = [cell for cell in cells.tolist() if not is_missing(cell)]
    if there and all(isinstance(cell, str) for cell in there):
        plain = [cell if isinstance(cell, str) else None for cell in cells.tolist()]
        return polars.Series(name, plain, dtype=polars.String)
    if there and all(isinstance(cell, datetime.date | np.datetime64) for cell in there):
        return dated(name, _instants(cells))
    if there and all(isinstance(cell, datetime.timedelta | np.timedelta64) for cell in there):
        return _durations(name, np.array([None if is_missing(cell) else cell for cell in cells], "m8[us]"), rules)
    values, kind = _objects(name, cells)
    return TableColumn(name, values, kind)


def _durations(name: str, cells: np.ndarray, rules: CellRules) -> TableColumn:
    """Return spans of time as a column of seconds."""
    import polars

    seconds = np.where(np.isnat(cells), np.nan, cells.astype("m8[us]").astype(np.int64) / 1e6)
    column = number_column(polars.Series(name, seconds, nan_to_null=True), rules)
    return replace(column, unit="s", notes=("{name} counts seconds", *column.notes))


def _native(cells: np.ndarray) -> np.ndarray:
    """Return numbers in a type that Polars knows: those of FITS and HDF5 come with their bytes the other way around."""
    if cells.dtype.kind == "f" and cells.dtype.itemsize not in (4, 8):
        return cells.astype(np.float64)
    return cells.astype(cells.dtype.newbyteorder("="))


def _of_series(name: str, series: polars.Series, rules: CellRules) -> TableColumn | polars.Series:
    """Return a series of Polars as a typed column, or as text that is still to be read."""
    import polars

    kind = series.dtype
    if kind in (polars.Categorical, polars.Enum) or kind == polars.String:
        return series.cast(polars.String).alias(name)
    if kind.is_numeric() or kind == polars.Boolean:
        plain = series.fill_nan(None) if kind.is_float() else series
        return number_column((plain.cast(polars.Float64) if kind.is_decimal() else plain).alias(name), rules)
    if kind == polars.Date or isinstance(kind, polars.Datetime):
        utc = series if kind == polars.Date else _in_utc(series)
        return dated(name, utc.cast(polars.Datetime("us")).to_numpy().astype("datetime64[us]"))
    if kind == polars.Duration:
        return _durations(name, series.dt.cast_time_unit("us").to_numpy(), rules)
    if kind == polars.Time:
        return series.cast(polars.String).alias(name)
    if kind == polars.Null:
        return TableColumn(name, np.full(len(series), np.nan), "number")
    values, column_kind = _objects(name, np.array([*series.to_list(), None], dtype=object)[:-1])
    return TableColumn(name, values, column_kind)


def _in_utc(series: polars.Series) -> polars.Series:
    if getattr(series.dtype, "time_zone", None) is None:
        return series
    return series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _instants(cells: np.ndarray) -> np.ndarray:
    """Return dates of Python and pandas as instants in UTC, shape (rows,)."""
    values = []
    for cell in cells.tolist():
        if isinstance(cell, datetime.datetime) and cell.tzinfo is not None:
            cell = cell.astimezone(datetime.UTC).replace(tzinfo=None)
        values.append(np.datetime64("NaT") if is_missing(cell) else np.datetime64(cell, "us"))
    return np.array(values, dtype="datetime64[us]")


def _array(name: str, values: Any) -> np.ndarray:
    """Return a column as an array, shape (rows,)."""
    # Series of Polars, pandas and PyArrow have a method for it; everything else becomes an array by NumPy's rules.
    if getattr(getattr(values, "dtype", None), "tz", None) is not None:  # pandas would make objects of them
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    elif str(getattr(values, "dtype", "")).startswith("period["):
        values = values.dt.to_timestamp()
    try:
        plain = unmasked(values)
    except ValueError:
        raise DataError(f"the rows of column {name!r} differ in shape") from None
    if plain.dtype.kind == "c":
        refuse_complex(name, plain)
        plain = np.real(plain)
    if plain.dtype.names is not None:
        raise DataError(f"column {name!r} holds records: {', '.join(plain.dtype.names)}", hint="give each a column")
    if plain.ndim == 2 and plain.shape[1] == 1:  # a column as linear algebra writes it
        plain = plain[:, 0]
    if plain.ndim != 1:
        raise DataError(f"column {name!r} must be one number per row, not an array of shape {plain.shape}")
    return plain


def _objects(name: str, cells: np.ndarray) -> tuple[np.ndarray, Kind]:
    """Return a column of objects as `TableColumn.cells` holds it, and its kind: numbers if all of them are."""
    there = [cell for cell in cells if not is_missing(cell)]
    is_truth = bool(there) and all(isinstance(cell, bool | np.bool_) for cell in there)
    # Cell by cell: one that is no number ends it, and the column stays as it is.
    read = np.empty(len(cells))
    for index, cell in enumerate(cells):
        if is_complex(cell):
            refuse_complex(name, cells)
        try:
            read[index] = (
                np.nan if is_missing(cell) else real(float(cell) if isinstance(cell, decimal.Decimal) else cell)
            )
        except (TypeError, ValueError, OverflowError):
            return np.asarray(cells, dtype=object), "text"
    return read, "truth" if is_truth else "number"


def series_of(name: str, values: Sequence[Any]) -> polars.Series:
    """Return plain values, as JSON holds them, as a series: text where any of them is text."""
    import polars

    if any(isinstance(value, str) for value in values):
        texts = [None if value is None else value if isinstance(value, str) else str(value) for value in values]
        return polars.Series(name, texts, dtype=polars.String)
    try:
        return polars.Series(name, values, strict=False)
    except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
        raise DataError(f"column {name}: the cells are of different kinds") from None
