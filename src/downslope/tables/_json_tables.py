"""Tables in JSON: records, columns, and the forms that pandas writes; and JSON Lines, a record a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope._errors import DataError
from downslope.tables._raw_table import RawTable, ReadChoices
from downslope.tables._sources import series_of

if TYPE_CHECKING:
    import polars

_FORMS = 'a table in JSON is a list of records, [{"x": 1, "y": 2}, …], or columns by name, {"x": [1], "y": [2]}'


def read_json(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a table in JSON."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # decoding errors are of this kind too
        return _lines_or_error(name, data, choices, error)
    return _table(name, columns_in(content), "JSON")


def read_json_lines(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of records, one a line."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    return _table(name, _records(name, data), "JSON Lines")


def _lines_or_error(name: str, data: bytes, choices: ReadChoices, error: Exception) -> RawTable:
    """Return records that stand one a line, where a whole file is no JSON."""
    if data.lstrip().startswith(b"{") and data.count(b"\n") > 1:
        return read_json_lines(name, data, choices)
    raise DataError(f"{name} is not JSON: {error}", hint=_FORMS)


def _records(name: str, data: bytes) -> dict[str, Sequence[Any]] | None:
    """Return the columns of records, one a line."""
    records = []
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except ValueError:
        raise DataError(f"{name} is not text in UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{name}, line {number}: {error}", hint="each line is a record") from None
    return columns_in(records)


def columns_in(content: Any) -> dict[str, Sequence[Any]] | None:
    """Return the columns in a content of JSON; None where it is no table."""
    if isinstance(content, Mapping):
        # pandas, orient="split" and "table"; and a table under a single name.
        if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
            return _by_rows([str(name) for name in content["columns"]], content["data"])
        if isinstance(content.get("data"), list) and isinstance(content.get("schema"), Mapping):
            return columns_in(content["data"])
        values = list(content.values())
        if values and all(isinstance(value, list) for value in values):
            if len(values) == 1 and values[0] and isinstance(values[0][0], Mapping):
                return columns_in(values[0])
            return {str(name): value for name, value in content.items()}
        if values and all(isinstance(value, Mapping) for value in values):
            # Columns of cells by the name of their row, as pandas writes them; or rows by their name.
            if all(str(key).isdecimal() for key in content):
                return columns_in(values)
            return {str(name): list(value.values()) for name, value in content.items()}
        lists: dict[str, Sequence[Any]] = {
            str(name): value for name, value in content.items() if isinstance(value, list) and value
        }
        records = [value for value in lists.values() if isinstance(value[0], Mapping)]
        if records:
            return columns_in(records[0]) if len(records) == 1 else None
        # Columns beside what is said of all of them, such as the name of a sample.
        return lists if len(lists) > 1 and len({len(value) for value in lists.values()}) == 1 else None
    if isinstance(content, list) and content and all(isinstance(record, Mapping) for record in content):
        names = dict.fromkeys(str(name) for record in content for name in record)
        return {name: [record.get(name) for record in content] for name in names}
    if isinstance(content, list) and content and all(isinstance(row, list) for row in content):
        if all(isinstance(cell, str) for cell in content[0]) and len(content) > 1:
            return _by_rows(content[0], content[1:])
        return _by_rows([f"column_{number}" for number in range(1, len(content[0]) + 1)], content)
    return None


def _by_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return rows as columns.

    Raises:
        DataError: for a row of another length.
    """
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise DataError(f"row {number}: {len(row)} cells for {len(names)} names")
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def _table(name: str, columns: Mapping[str, Sequence[Any]] | None, form: str) -> RawTable:
    """Return columns of plain values as a table."""
    if not columns:
        raise DataError(f"{name} holds no table", hint=_FORMS)
    return RawTable(tuple(series_of(column, cells) for column, cells in columns.items()), read={"format": form})


def write_json(frame: polars.DataFrame, file: Path) -> None:
    """Write a frame as records."""
    frame.write_json(file)


def write_json_lines(frame: polars.DataFrame, file: Path) -> None:
    """Write a frame as a record a line."""
    frame.write_ndjson(file)
