"""Where the batches of a chunk come from: the examples in memory and their order, or a stream read ahead."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import DataError
from downslope.descent._batched import Batched, Batches, Order

_MOST_NUMBERS = 4_000_000  # of an order that is handed over at once
_LONGEST = 2000


class InMemory:
    """Examples that lie in memory: a chunk needs only their order.

    Args:
        batched: the objective.
        batches: how examples are taken.
        every: steps from one recording step to the next, of which a chunk holds a whole number.
        seed: seed of the order.
    """

    def __init__(self, batched: Batched, batches: Batches, every: int, seed: int) -> None:
        self._examples = jax().tree.map(jax().numpy.asarray, batched.examples)
        rows, size = batched.rows or 0, batches.per_step
        self.whole = size is None or size >= rows
        self._order = None if self.whole or size is None else Order(rows, size, seed)
        most = _LONGEST if size is None or self.whole else max(min(_LONGEST, _MOST_NUMBERS // size), 1)
        self.capacity = max(most // every, 1) * every

    def chunk(self, first: int, count: int) -> tuple[Any, Any]:
        """Return the examples and the order of `count` steps from step `first` on."""
        if self._order is None:
            return self._examples, None
        chosen = self._order.of_steps(first, count)
        return self._examples, np.pad(chosen, ((0, self.capacity - count), (0, 0)))

    def batch(self, step: int) -> Any:
        """Return the batch of one step."""
        if self._order is None:
            return self._examples
        return jax().tree.map(lambda leaf: leaf[self._order.of_steps(step, 1)[0]], self._examples)  # type: ignore[union-attr]

    def close(self) -> None:
        """Do nothing: nothing is read ahead."""


class Streamed:
    """Batches that come one after another; the next chunk is read while this one is computed.

    Args:
        batched: the objective, with a stream of batches of one shape.
        every: steps from one recording step to the next.
    """

    whole = False

    def __init__(self, batched: Batched, every: int) -> None:
        self._batched = batched
        self._iterator: Iterator[Any] = iter(batched.stream or ())
        self._held: list[Any] = []
        self._at = 0
        self.capacity = max(32 // every, 1) * every
        self._ahead = ThreadPoolExecutor(1)
        self._coming: Future[list[Any]] | None = None

    def chunk(self, first: int, count: int) -> tuple[Any, Any]:
        """Return the batches of `count` steps from step `first` on, along a new first axis."""
        self._reach(first + count)
        held = self._held[first - self._at : first - self._at + count]
        self._forget(first)
        self._coming = self._ahead.submit(self._read, self.capacity)
        filled = held + [held[-1]] * (self.capacity - len(held))
        return jax().tree.map(lambda *leaves: np.stack(leaves), *filled), None

    def batch(self, step: int) -> Any:
        """Return the batch of one step."""
        self._reach(step + 1)
        return self._held[step - self._at]

    def close(self) -> None:
        """Stop reading ahead."""
        self._ahead.shutdown(wait=True, cancel_futures=True)

    def _reach(self, end: int) -> None:
        """Hold all batches up to step `end`."""
        while self._at + len(self._held) < end:
            if self._coming is not None:
                self._held += self._coming.result()
                self._coming = None
            else:
                self._held += self._read(end - self._at - len(self._held))

    def _forget(self, first: int) -> None:
        """Drop the batches before step `first`."""
        del self._held[: first - self._at]
        self._at = first

    def _read(self, count: int) -> list[Any]:
        """Return the next batches, the stream begun anew where it ends."""
        found: list[Any] = []
        while len(found) < count:
            before = len(found)
            for batch in self._iterator:
                found.append(jax().tree.map(np.asarray, batch))
                if len(found) == count:
                    return found
            self._iterator = iter(self._batched.stream or ())
            if len(found) == before and not self._refills(found):
                raise DataError(
                    "the stream of batches ended before the steps did",
                    hint="give something that can be read again from the start, such as a list",
                )
        return found

    def _refills(self, found: list[Any]) -> bool:
        """Tell whether the stream gives anything when it is begun anew; what it gives is kept."""
        for batch in self._iterator:
            found.append(jax().tree.map(np.asarray, batch))
            return True
        return False
