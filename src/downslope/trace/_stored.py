"""Columns that stay on disk: those of a training too long for its record to be kept in memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope.trace._arrow import read_layout


class StoredColumns(Mapping[str, np.ndarray]):
    """The columns of a stream on disk, each read when it is used and forgotten when it no longer is.

    The file stays open, so that the columns can be read after another run has taken its name.

    Args:
        file: the stream.
        length: the bytes of it that count.
        without: names of columns to leave out.
        then: rows after these, which are not in the file.
    """

    def __init__(
        self, file: Path, length: int, without: tuple[str, ...] = (), then: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._then = {name: column for name, column in (then or {}).items() if len(column)}
        self._stream = file.open("rb")
        weakref.finalize(self, self._stream.close)
        self._reading = threading.Lock()  # the file has one position
        self._layout = read_layout(self._stream, length)
        self._names = tuple(column.name for column in self._layout.columns if column.name not in without)
        self._in_use: weakref.WeakValueDictionary[str, np.ndarray] = weakref.WeakValueDictionary()

    @property
    def is_all_on_disk(self) -> bool:
        """Whether there are no rows beyond those of the file."""
        return not self._then

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        column = self._in_use.get(name)
        if column is None:
            with self._reading:
                column = self._layout.read(self._stream, name)
            if self._then:
                column = np.concatenate([column, self._then[name]])
            self._in_use[name] = column
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping's own reads the column

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
