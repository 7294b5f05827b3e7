"""Parquet, with the index that pandas keeps beside the columns; and Arrow files, which are Feather's too."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope._errors import DataError
from downslope._files import guarded
from downslope.tables._parquet_claims import check_claims
from downslope.tables._raw_table import RawTable, ReadChoices

if TYPE_CHECKING:
    import polars

_NO_NAME = "__index_level_"


def read_parquet(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a Parquet file."""
    import polars

    with guarded(name, DataError, what="a Parquet file that can be read"):
        check_claims(name, source)
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        frame = polars.read_parquet(file)
        for column in frame.columns:
            frame[column].to_numpy()  # here, where a panic is caught
        kept = polars.read_parquet_metadata(io.BytesIO(source) if isinstance(source, bytes) else source)
    index = _index_columns(kept.get("pandas", ""))
    columns = [frame[column] for column in own_columns(frame.columns)]
    notes = []
    for entry in index:
        if (
            isinstance(entry, Mapping)
            and entry.get("kind") == "range"
            and entry.get("name") not in (None, *frame.columns)
        ):
            columns.append(_range(str(entry["name"]), entry, frame.height))
            notes.append(f"{entry['name']} is the index that pandas kept")
    read = {"format": "Parquet", "index": [entry for entry in index if isinstance(entry, str)]}
    return RawTable(tuple(columns), read=read, notes=tuple(notes))


def own_columns(names: Sequence[str]) -> list[str]:
    """Return the names of columns without those of an index that has no name."""
    return [name for name in names if not name.startswith(_NO_NAME)]


def _index_columns(text: str) -> list[Any]:
    """Return what pandas says of the index: names of columns, or ranges."""
    try:
        entries = json.loads(text)["index_columns"] if text else []
    except (ValueError, KeyError, TypeError):
        return []
    return entries if isinstance(entries, list) else []


def _range(name: str, entry: Mapping[str, Any], rows: int) -> polars.Series:
    """Return the column that a range stands for."""
    import polars

    try:
        begin, step = int(entry["start"]), int(entry["step"])
    except (KeyError, TypeError, ValueError):
        begin, step = 0, 1
    return polars.Series(name, range(begin, begin + step * rows, step) if step else [begin] * rows)


def write_parquet(frame: polars.DataFrame, file: Path) -> None:
    """Write a frame as Parquet."""
    frame.write_parquet(file)


def read_arrow(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of an Arrow file, whatever compresses it.

    Raises:
        DataError: for a file that cannot be read.
    """
    import polars

    data = source if isinstance(source, bytes) else source.read_bytes()
    with guarded(name, DataError, what="an Arrow file that can be read"):
        frame = polars.read_ipc(io.BytesIO(data))
        for column in frame.columns:
            frame[column].to_numpy()  # here, where a panic is caught
    return RawTable(tuple(frame[column] for column in own_columns(frame.columns)), read={"format": "Arrow"})


def write_arrow(frame: polars.DataFrame, file: Path) -> None:
    """Write a frame as an Arrow file."""
    frame.write_ipc(file)
