"""Batches that come one after another: what is read of the first of them, and what is made of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError

_MOST_READ, _MOST_ROWS = 32, 1000  # batches and rows that are looked at before training


def is_stream(data: Any, *, pairs: bool) -> bool:
    """Tell whether data are a stream of batches.

    Args:
        data: an iterator, or anything that can be read again and again, such as a list or a loader.
        pairs: whether a list is a stream only where its entries are pairs, since it may be a pair itself.
    """
    if isinstance(data, list):
        return not pairs or (bool(data) and all(isinstance(entry, tuple) and len(entry) == 2 for entry in data))
    if isinstance(data, str | Path | Mapping | tuple) or hasattr(data, "columns") or hasattr(data, "__array__"):
        return False
    return hasattr(data, "__iter__") or hasattr(data, "__next__")


class Stream:
    """A stream of batches whose first ones were read. It can be read again if what it reads from can.

    Args:
        source: where batches come from.
        head: the first of them, where `source` gives them only once; else none.
        read: the first of them.
        prepared: what is made of a batch, from its number, counted from 1, and itself.
    """

    def __init__(
        self, source: Iterable[Any], head: list[Any], read: list[Any], prepared: Callable[[int, Any], Any] | None = None
    ) -> None:
        self._source, self._head, self._read = source, head, read
        self._prepared = prepared or (lambda number, batch: batch)

    @classmethod
    def of(cls, source: Iterable[Any]) -> Stream:
        """Return a stream after a look at its first batches.

        Raises:
            SettingError: for an empty one.
        """
        once = iter(source) is source
        read, rows = [], 0
        for batch in itertools.islice(source, _MOST_READ):
            read.append(jax().tree.map(np.asarray, batch))
            rows += max((len(leaf) for leaf in jax().tree.leaves(read[-1]) if leaf.ndim), default=0)
            if rows >= _MOST_ROWS:
                break
        if not read:
            raise SettingError("the stream of batches is empty")
        return cls(source, read if once else [], read)

    def preparing(self, prepared: Callable[[int, Any], Any]) -> Stream:
        """Return the same stream with something made of each batch."""
        read = [prepared(number, batch) for number, batch in enumerate(self._read, start=1)]
        before = self._prepared
        return Stream(self._source, self._head, read, lambda number, batch: prepared(number, before(number, batch)))

    def __iter__(self) -> Iterator[Any]:
        head, self._head = self._head, []
        for number, batch in enumerate(itertools.chain(head, self._source), start=1):
            yield self._prepared(number, batch)

    @property
    def reads_again(self) -> bool:
        """Whether it can be read again from the start."""
        return iter(self._source) is not self._source

    @property
    def first(self) -> Any:
        """The first batch."""
        return self._read[0]

    @property
    def common_rows(self) -> int | None:
        """How many entries the arrays of a batch have along their first axes; None where they do not agree."""
        counts = {leaf.shape[0] if leaf.ndim else None for leaf in jax().tree.leaves(self.first)}
        return counts.pop() if len(counts) == 1 else None

    def sample(self) -> Any:
        """Return the batches that were read as one; None where they have no common first axis."""
        if self.common_rows is None:
            return None
        return jax().tree.map(lambda *leaves: np.concatenate(leaves), *self._read)

    @staticmethod
    def refuse_share(validation: Any) -> None:
        """Raise for a share of a stream that is to be held back."""
        if isinstance(validation, int | float) and validation:
            raise SettingError(
                "a stream has no share to hold back", hint="give validation=(inputs, targets), or a batch for a loss"
            )
