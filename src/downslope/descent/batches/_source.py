"""The source of a chunk's batches: examples in memory with their order, or a stream read ahead."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import DataError
from downslope._numbers import unmasked
from downslope.descent.batches._batched import Batched, Batches, Order, SeekableBatches
from downslope.descent.batches._layout import DeviceLayout

_MOST_NUMBERS = 4_000_000  # of an order that is handed over at once
_LONGEST = 2000
_LONGEST_STREAMED, _MOST_BYTES = 32, 2**26  # batches of a stream that are handed over at once


class InMemory:
    """Examples that lie in memory: a chunk needs only their order.

    Args:
        batched: the objective.
        batches: how examples are taken.
        every: steps from one recording step to the next, of which a chunk holds a whole number.
        seed: seed of the order.
        layout: the devices.
        examples: all of them, where the programs of one device have them.
    """

    def __init__(self, batched: Batched, batches: Batches, every: int, seed: int, layout: DeviceLayout) -> None:
        self._copied = layout.copied(jax().tree.map(jax().numpy.asarray, batched.examples))
        self.examples = layout.local(self._copied)
        rows, size = batched.rows or 0, batches.per_step
        self.whole = size is None or size >= rows
        self._order = None if self.whole or size is None else Order(rows, size, seed)
        most = _LONGEST if size is None or self.whole else max(min(_LONGEST, _MOST_NUMBERS // size), 1)
        self.capacity = max(most // every, 1) * every

    def chunk(self, first: int, count: int) -> tuple[Any, Any]:
        """Return the examples and the order of `count` steps from step `first` on."""
        if self._order is None:
            return self._copied, None
        chosen = self._order.of_steps(first, count)
        filled = np.zeros((self.capacity, chosen.shape[1]), chosen.dtype)
        filled[:count] = chosen
        return self._copied, filled

    def batch(self, step: int) -> Any:
        """Return the batch of one step."""
        if self._order is None:
            return self.examples
        return jax().tree.map(lambda leaf: leaf[self._order.of_steps(step, 1)[0]], self.examples)  # type: ignore[union-attr]

    def close(self) -> None:
        """Do nothing: nothing is read ahead."""


class Streamed:
    """Batches that come one after another; the next chunk is read while this one is computed.

    Args:
        batched: the objective, with a stream of batches of one shape.
        accumulate: batches of the stream that make one step, put one behind the other.
        every: steps from one recording step to the next.
        layout: the devices; each process reads the whole stream, and keeps the rows of its devices. Of batches that can
            be read in parts it reads its own.
        seed: of the order of batches that begin anywhere.
    """

    whole = False
    examples = None

    def __init__(self, batched: Batched, accumulate: int, every: int, layout: DeviceLayout, seed: int) -> None:
        self._batched, self._accumulate, self._layout, self._seed = batched, accumulate, layout, seed
        self._seekable = batched.stream if isinstance(batched.stream, SeekableBatches) else None
        self._parts: list[slice] = []
        self._iterator: Iterator[Any] = self._from(0)
        self._read_of: int = 0  # batches of the stream that were read
        self._form: Any = None
        self._ended = False
        self._held: list[Any] = []
        self._at = 0  # the step of the first batch that is held
        self._ahead: ThreadPoolExecutor | None = ThreadPoolExecutor(1)
        self._coming: Future[list[Any]] | None = None
        self._held += self._read(1)
        self.capacity = self._fitting(every)
        if self._seekable is not None:
            self._parts = self._own_parts()
            self._iterator = self._from(1)

    def chunk(self, first: int, count: int) -> tuple[Any, Any]:
        """Return the batches of `count` steps from step `first` on, along a new first axis."""
        held = self._steps(first, count)
        self._forget(first)
        self._read_on()
        filled = held + [held[-1]] * (self.capacity - len(held))
        return self._layout.divided(jax().tree.map(lambda *leaves: np.stack(leaves), *filled)), None

    def batch(self, step: int) -> Any:
        """Return the batch of one step; the last one where the stream ended right before it."""
        if self._seekable is not None and self._parts:
            whole = self._seekable.batches_from(step * self._accumulate, self._seed)
            pieces = list(itertools.islice(whole, self._accumulate))
            return jax().tree.map(lambda *of: np.concatenate([_narrow(leaf) for leaf in of]), *pieces)
        return self._steps(step, 1)[0]

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.shutdown(wait=True, cancel_futures=True)
        self._ahead = None

    def _from(self, step: int) -> Iterator[Any]:
        """Return the batches from a step on; of a stream that does not begin anywhere, from where it begins."""
        if self._seekable is None:
            return iter(self._batched.stream or ())
        return self._seekable.batches_from(step * self._accumulate, self._seed, self._parts)

    def _own_parts(self) -> list[slice]:
        """Return which rows of each batch of a step are this process's; [] for all."""
        rows = len(jax().tree.leaves(self._held)[0])
        part, each = self._layout.part(rows), rows // self._accumulate
        if part is None:
            return []
        return [slice(part.start - at * each, part.stop - at * each) for at in range(self._accumulate)]

    def _fitting(self, every: int) -> int:
        """Return the number of batches that fit into a chunk."""
        size = sum(leaf.nbytes for leaf in jax().tree.leaves(self._held)) or 1
        return max(min(_LONGEST_STREAMED, _MOST_BYTES // size) // every, 1) * every

    def _steps(self, first: int, count: int) -> list[Any]:
        """Return the batches of some steps.

        Raises:
            DataError: if the stream ended before them.
        """
        if self._seekable is not None and first > self._at + len(self._held) + self.capacity:
            if self._coming is not None:
                self._coming.result()
            self._iterator, self._held, self._at, self._coming = self._from(first), [], first, None
        while self._at + len(self._held) < first + count and not (self._ended and self._coming is None):
            self._held += self._arrived(first + count - self._at - len(self._held))
            if self._at + len(self._held) <= first:
                self._forget(self._at + len(self._held) - 1)  # on the way to where a run goes on
        held = self._held[first - self._at : first - self._at + count]
        if len(held) == count:
            return held
        if count == 1 and self._held and first == self._at + len(self._held):
            return self._held[-1:]  # the row of the end point, where the stream held no batch more than there are steps
        raise DataError(
            f"the stream of batches ended after {self._read_of}, before the steps did",
            hint="give data that can be read again from the start, such as a list, or take fewer steps",
        )

    def _arrived(self, count: int) -> list[Any]:
        """Return what was read ahead, or else the batches of `count` steps or fewer."""
        if self._coming is None:
            return self._read(min(count, _LONGEST_STREAMED))
        coming, self._coming = self._coming, None
        return coming.result()

    def _read_on(self) -> None:
        """Begin to read the next chunk, unless it is here already."""
        if self._coming is None and self._ahead is not None and len(self._held) < 2 * self.capacity and not self._ended:
            self._coming = self._ahead.submit(self._read, self.capacity)

    def _forget(self, first: int) -> None:
        """Drop the batches before step `first`, but for the very last."""
        gone = min(first - self._at, len(self._held) - 1)
        if gone > 0:
            del self._held[:gone]
            self._at += gone

    def _read(self, count: int) -> list[Any]:
        """Return the batches of the next steps: `count`, or fewer where the stream ends for good."""
        steps = []
        for _ in range(count):
            pieces = [piece for _ in range(self._accumulate) if (piece := self._next()) is not None]
            if len(pieces) < self._accumulate:
                self._ended = True
                break
            steps.append(pieces[0] if len(pieces) == 1 else jax().tree.map(lambda *of: np.concatenate(of), *pieces))
        return steps

    def _next(self) -> Any:
        """Return the next batch, the stream begun anew where it ends; None where it cannot be."""
        batch = next(self._iterator, None)
        if batch is None and self._read_of:
            self._iterator = iter(self._batched.stream or ())
            batch = next(self._iterator, None)
        if batch is None:
            return None
        self._read_of += 1
        arrays = jax().tree.map(_narrow, batch)
        self._check_form(jax().tree.map(lambda leaf: f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]", arrays))
        return arrays

    def _check_form(self, form: Any) -> None:
        """Raise if a batch is not of the shape and type of the first one."""
        if self._form is None:
            self._form = form
        if form != self._form:
            raise DataError(
                f"batch {self._read_of} of the stream holds {_shown(form)}, and the first one {_shown(self._form)}",
                hint="all batches must have the same shape: drop a smaller one at the end of each epoch",
            )


def _narrow(leaf: Any) -> np.ndarray:
    """Return an array of a batch in the types that are computed in."""
    array = unmasked(leaf)
    narrow = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}
    return array.astype(narrow.get(array.dtype.name, array.dtype), copy=False)


def _shown(form: Any) -> str:
    """Return the shapes and types of a batch in words."""
    return ", ".join(str(leaf) for leaf in jax().tree.leaves(form))
