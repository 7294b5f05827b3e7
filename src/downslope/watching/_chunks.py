"""Columns that grow by chunks of rows, as those of a watched training do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from downslope._types import Columns


class Chunks:
    """Columns that grow by chunks of rows; they are joined when they are read."""

    def __init__(self) -> None:
        self._chunks: list[dict[str, np.ndarray]] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, columns: Columns) -> None:
        """Append rows; those of a column that is missing, here or before, are NaN."""
        chunk = {name: np.asarray(column) for name, column in columns.items()}
        rows = len(next(iter(chunk.values()), ()))
        if rows:
            self._chunks.append(chunk)
            self._rows += rows

    def since(self, first: int = 0) -> dict[str, np.ndarray]:
        """Return the rows from `first` on."""
        if len(self._chunks) > 1:
            self._chunks = [joined(self._chunks)]
        return {name: column[first:] for name, column in self._chunks[0].items()} if self._chunks else {}

    def replace(self, columns: Columns) -> None:
        """Replace all rows."""
        self._chunks, self._rows = [], 0
        self.append(columns)

    @property
    def bytes(self) -> int:
        """The memory that all rows take."""
        return sum(column.nbytes for chunk in self._chunks for column in chunk.values())


def joined(chunks: Sequence[Columns]) -> dict[str, np.ndarray]:
    """Return chunks of columns one after another; NaN in those of a chunk that lacks a column."""
    chunks = [chunk for chunk in chunks if chunk]
    joined = {}
    for name in dict.fromkeys(name for chunk in chunks for name in chunk):
        like = next(chunk[name] for chunk in chunks if name in chunk)
        joined[name] = np.concatenate(
            [
                chunk[name]
                if name in chunk
                else np.full((len(next(iter(chunk.values()))), *np.shape(like)[1:]), np.nan)
                for chunk in chunks
            ]
        )
    return joined


def reordered(column: np.ndarray, before: tuple[str, ...], names: tuple[str, ...]) -> np.ndarray:
    """Return a column by layer in the order of other names; NaN for those that are new."""
    array = np.full((len(column), len(names)), np.nan)
    for index, name in enumerate(names):
        if name in before:
            array[:, index] = column[:, before.index(name)]
    return array


def arrays(columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(column, np.int64 if name == "step" else float) for name, column in columns.items()}
