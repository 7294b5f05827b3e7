"""Parquet files that are read a row group at a time, so that they need not fit into memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from downslope._errors import DataError, SettingError
from downslope._files import guarded
from downslope.tables._parquet import own_columns
from downslope.tables._parquet_claims import memory_of_machine, rows_of_groups
from downslope.tables._reading import read_table
from downslope.tables._table import Table

_CELL = 8  # bytes of a number
_SHARE = 0.25  # of memory: a larger table is streamed, since its encoded rows and copies need as much again
_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class RowGroups:
    """A Parquet file by its row groups.

    Args:
        file: its path.
        rows: of each row group.
        choices: how it is read, as `read_table` takes it.
    """

    file: Path
    rows: tuple[int, ...]
    choices: Mapping[str, Any]

    @classmethod
    def of(cls, file: str | Path, choices: Mapping[str, Any] | None = None) -> RowGroups:
        """Return the row groups of a file that hold rows.

        Raises:
            SettingError: for another format.
            DataError: for a file that cannot be read, and one without rows.
        """
        path = Path(file)
        if path.suffix.lower() not in _SUFFIXES:
            raise SettingError(
                f"{path.name!r} is not a Parquet file, and only Parquet files are streamed",
                hint="write it as Parquet, or leave streaming out",
            )
        if not path.is_file():
            raise DataError(f"there is no file {str(path)!r}")
        rows = rows_of_groups(path)
        if not sum(rows):
            raise DataError(f"{path.name} holds no rows")
        return cls(path, rows, choices or {})

    def read(self, number: int) -> Table:
        """Return the rows of a group as a table."""
        import polars

        begin = list(itertools.accumulate(self.rows, initial=0))[number]
        with guarded(self.file.name, DataError, what="a Parquet file that can be read"):
            frame = polars.scan_parquet(self.file).slice(begin, self.rows[number]).collect()
        return read_table(frame.select(own_columns(frame.columns)), **self.choices)


def is_streamed(data: Any, streaming: bool | None) -> bool:
    """Tell whether data are a file whose rows are read a group at a time.

    Args:
        data: the data.
        streaming: the choice; None for Parquet files whose numbers need more than a quarter of memory.
    """
    if streaming is not None:
        return streaming
    if not isinstance(data, str | Path) or Path(data).suffix.lower() not in _SUFFIXES or not Path(data).is_file():
        return False
    # A small file is never opened for this.
    if Path(data).stat().st_size < _SHARE * memory_of_machine() / _MOST_PACKED:
        return False
    import polars

    columns = len(polars.read_parquet_schema(data))
    return sum(rows_of_groups(Path(data))) * columns * _CELL > _SHARE * memory_of_machine()


_MOST_PACKED = 100  # times that columns of few values shrink
