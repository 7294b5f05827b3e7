"""The order of the rows of a streamed file: lanes of row groups, each shuffled in windows.

A batch of B rows is put together from L lanes, B / L rows of each. A lane has row groups of its own. In each round it
takes them in a new order, reads as many as a window holds, and shuffles the rows of the window,

    order of round r in lane l:     shuffle of its groups by (seed, r, l)
    rows of its window w:           shuffle of their rows by (seed, r, l, w)

so that a process that holds a part of each batch reads the lanes of this part alone. Lanes and windows depend on the
file and the batch, and never on the processes: any number of them makes the same batches. Where a row stands follows
from its number alone, so that a run goes on anywhere without reading what came before.

Where one window holds the whole file, the order is that of rows in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from downslope.networks.data._survey import StreamedRows

_WINDOW_BYTES = 1 << 28  # of encoded rows, in all lanes together
_MOST_LANES = 1024
_NUMBER = 4  # bytes

Pair = tuple[np.ndarray, np.ndarray]


class FileBatches:
    """The batches of a streamed file, without end; see `_lanes`.

    Args:
        rows: the file.
        batch: rows of a batch.
        seed: of the order, where none is passed.
        window_bytes: of encoded rows that windows hold in all.
    """

    def __init__(self, rows: StreamedRows, batch: int, seed: int, window_bytes: int = _WINDOW_BYTES) -> None:
        self._rows, self._batch, self._seed = rows, batch, seed
        row_bytes = _NUMBER * (len(rows.encoding.mean) + rows.encoding.outputs)
        filled = [group for group, count in enumerate(rows.counts) if count]
        most = min(len(filled), _MOST_LANES, max(window_bytes // (row_bytes * max(rows.counts)), 1))
        if sum(rows.counts) * row_bytes <= window_bytes:
            most = 1  # every process has room for all of it
        self.lanes = max(count for count in range(1, most + 1) if batch % count == 0)
        self._window = max(window_bytes // (row_bytes * self.lanes), 1)
        self._groups = _dealt(filled, rows.counts, self.lanes)

    def __iter__(self) -> Iterator[Pair]:
        return self.batches_from(0, self._seed)

    def batches_from(self, first: int, seed: int, parts: Sequence[slice] = ()) -> Iterator[Pair]:
        """Yield the batches from a number on, counted from 0.

        Args:
            first: the number of the first.
            seed: of their order.
            parts: the rows that are needed of the first batch of a step, the second, and so on, whose others are 0; ()
                for all.
        """
        lanes = [
            _Lane(groups, self._rows.counts, self._window, self._key(seed, number), self._rows.training_rows)
            for number, groups in enumerate(self._groups)
        ]
        size = self._batch // self.lanes
        for batch in itertools.count(first):
            part = parts[batch % len(parts)] if parts else slice(0, self._batch)
            pieces = [
                lane.take(batch * size, size) if _overlap(part, number * size, size) else None
                for number, lane in enumerate(lanes)
            ]
            zeros = self._zeros(size)
            yield tuple(np.concatenate(of) for of in zip(*(piece or zeros for piece in pieces), strict=True))  # type: ignore[misc]

    def _zeros(self, rows: int) -> Pair:
        sample = self._rows.sample
        return tuple(np.zeros((rows, *part.shape[1:]), part.dtype) for part in (sample.inputs, sample.targets))  # type: ignore[return-value]

    def _key(self, seed: int, lane: int) -> Callable[[int], tuple[int, ...]]:
        """Return the function from a round to the seed of its shuffles; of a single window that of rows in memory."""
        whole = self.lanes == 1 and sum(self._rows.counts) <= self._window
        return lambda number: (seed, number) if whole else (seed, number, lane)


def _overlap(part: slice, begin: int, size: int) -> bool:
    return part.start < begin + size and begin < part.stop


def _dealt(groups: Sequence[int], counts: Sequence[int], lanes: int) -> list[list[int]]:
    """Return the row groups of each lane, so that all have about as many rows.

    >>> _dealt([0, 1, 2, 3], [5, 9, 4, 5], 2)
    [[1, 2], [0, 3]]
    """
    dealt: list[list[int]] = [[] for _ in range(lanes)]
    for group in sorted(groups, key=lambda group: -counts[group]):
        min(dealt, key=lambda lane: sum(counts[other] for other in lane)).append(group)
    return [sorted(lane) for lane in dealt]


class _Lane:
    """Rows of some row groups in an endless order.

    Args:
        groups: its row groups.
        counts: the rows of every group.
        window: the rows that it holds at a time, if a group has no more.
        key: the seed of a round.
        read: reads the rows of a group.
    """

    def __init__(
        self,
        groups: Sequence[int],
        counts: Sequence[int],
        window: int,
        key: Callable[[int], tuple[int, ...]],
        read: Callable[[int], Pair],
    ) -> None:
        self._groups, self._counts, self._window, self._key, self._read = groups, counts, window, key, read
        self._rows = sum(counts[group] for group in groups)
        self._order: tuple[int, list[list[int]]] = -1, []
        self._held: tuple[tuple[int, ...], Pair] | None = None
        self._shuffle: tuple[tuple[int, int], np.ndarray] | None = None

    def take(self, begin: int, count: int) -> Pair:
        """Return rows from a place in its order on."""
        pieces: list[Pair] = []
        while count:
            number, offset = divmod(begin, self._rows)
            windows = self._windows(number)
            ends = np.cumsum([sum(self._counts[group] for group in groups) for groups in windows])
            window = int(np.searchsorted(ends, offset, side="right"))
            taken = min(int(ends[window]) - offset, count)
            order = self._shuffled(number, window, sum(self._counts[group] for group in windows[window]))
            chosen = order[len(order) + offset - int(ends[window]) :][:taken]
            inputs, targets = self._of(windows[window])
            pieces.append((inputs[chosen], targets[chosen]))
            begin, count = begin + taken, count - taken
        return pieces[0] if len(pieces) == 1 else tuple(map(np.concatenate, zip(*pieces, strict=True)))  # type: ignore[return-value]

    def _windows(self, number: int) -> list[list[int]]:
        """Return the row groups of each window of a round."""
        if self._order[0] != number:
            windows: list[list[int]] = [[]]
            for index in np.random.default_rng(self._key(number)).permutation(len(self._groups)):
                group = self._groups[int(index)]
                held = sum(self._counts[other] for other in windows[-1])
                if windows[-1] and held + self._counts[group] > self._window:
                    windows.append([])
                windows[-1].append(group)
            self._order = number, windows
        return self._order[1]

    def _shuffled(self, number: int, window: int, rows: int) -> np.ndarray:
        if self._shuffle is None or self._shuffle[0] != (number, window):
            key = self._key(number) if len(self._windows(number)) == 1 else (*self._key(number), window)
            self._shuffle = (number, window), np.random.default_rng(key).permutation(rows)
        return self._shuffle[1]

    def _of(self, groups: Sequence[int]) -> Pair:
        """Return the rows of a window, in the order of the file; a lane that fits into one reads them once."""
        key = tuple(sorted(groups))
        if self._held is None or self._held[0] != key:
            self._held = None  # before the next is read
            rows = sum(self._counts[group] for group in key)
            inputs = targets = None
            at = 0
            for group in key:
                more = self._read(group)
                if inputs is None or targets is None:
                    inputs, targets = (np.empty((rows, *part.shape[1:]), part.dtype) for part in more)
                inputs[at : at + len(more[0])], targets[at : at + len(more[0])] = more
                at += len(more[0])
            assert inputs is not None
            assert targets is not None
            self._held = key, (inputs, targets)
        return self._held[1]
