"""The choice of a worker for each unit, where the executor allows it: one that has already built what the unit needs.

For the first of some units that are alike, a worker reads data, builds and compiles. The others follow it there.
Another worker builds the same only if it is idle, nothing else waits that it has built or nobody has, and what waits
takes longer than building; until a first unit has told how long that is, an idle worker builds. Results do not depend
on it.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

from downslope.executors._units import Unit

AHEAD = 4  # units for each worker that the executor has, so that none is idle while a result travels
_WINDOW = 64  # units for each worker that are looked through for one that it has built for
_MOST_BUILDS = 512
# A unit that waits at a worker cannot be done by another: the longer units take, the fewer are sent ahead.
_LONG, _SHORT = 1.0, 0.1  # seconds
_SHARE = 0.1  # of a first unit that is the unit itself, as long as no second one has ended


class PendingUnit(NamedTuple):
    """A unit that is under way.

    Args:
        number: its place among the units.
        unit: the unit.
        attempts: how often its worker ended.
        inline: whether the bytes of its parts travel with it.
        worker: the address of the worker that it is sent to; "" for any.
    """

    number: int
    unit: Unit
    attempts: int = 0
    inline: bool = False
    worker: str = ""


class BuildRecord:
    """The record of units of one kind: the workers that have built for them, and their durations."""

    def __init__(self) -> None:
        self.workers: set[str] = set()
        self.first = math.nan  # seconds of the first unit at a worker
        self.later, self.count = 0.0, 0  # seconds of the other units, and how many they were

    def seconds(self, usual: float) -> tuple[float, float]:
        """Return the seconds of building and of a unit; NaN if not known.

        Args:
            usual: those of a unit of other kinds, where no second one of this has ended.
        """
        unit = self.later / self.count if self.count else usual
        return max(self.first - unit, 0.0), unit


class BuildRecords:
    """The record of what the workers of an executor have built; it outlives one set of units."""

    def __init__(self) -> None:
        self._builds: OrderedDict[Hashable, BuildRecord] = OrderedDict()

    def of(self, key: Hashable) -> BuildRecord:
        """Return what is known of the units with a key."""
        build = self._builds.setdefault(key, BuildRecord())
        self._builds.move_to_end(key)
        if len(self._builds) > _MOST_BUILDS:
            self._builds.popitem(last=False)
        return build

    def ended(self, piece: PendingUnit, seconds: float) -> None:
        """Record the duration of a unit at its worker."""
        build, worker = self.of(piece.unit.kind), piece.worker
        if worker not in build.workers:
            build.workers.add(worker)
            build.first = seconds if math.isnan(build.first) else max(seconds, build.first)
        else:
            build.later, build.count = build.later + seconds, build.count + 1

    def usual(self) -> tuple[float, float]:
        """Return the mean seconds of building and of a unit, for what nobody has built yet; NaN if none is known."""
        units = [build.later / build.count for build in self._builds.values() if build.count]
        firsts = [build.first for build in self._builds.values() if not math.isnan(build.first)]
        if not firsts:
            return math.nan, math.nan
        # Before a second unit of any kind has ended, building counts as most of the first.
        first = sum(firsts) / len(firsts)
        unit = sum(units) / len(units) if units else _SHARE * first
        return max(first - unit, 0.0), unit


class Waiting:
    """The units that wait, by what they need built.

    Args:
        pieces: the units, which may be without end; as many are taken as are looked through.
        builds: what workers have built before.
        busy: the addresses of workers that already have units, once for each unit.
    """

    def __init__(self, pieces: Iterator[PendingUnit], builds: BuildRecords, busy: Iterable[str] = ()) -> None:
        self._source, self._builds = pieces, builds
        self._again: deque[PendingUnit] = deque()
        self._kinds: dict[Hashable, deque[PendingUnit]] = {}
        self._count = 0
        self._chosen: dict[Hashable, set[str]] = {}  # by kind, the workers that its units were sent to
        self._load: Counter[str] = Counter(busy)

    def __len__(self) -> int:
        """Return the number of units that were taken from the source and wait."""
        return self._count + len(self._again)

    def rest(self) -> Iterator[PendingUnit]:
        """Yield the rest of the source."""
        return self._source

    def put_back(self, piece: PendingUnit) -> None:
        """Let a unit that was not done be the next."""
        self._again.append(piece)

    def idle(self, workers: Mapping[str, int]) -> str:
        """Return the address of a worker with a thread that has nothing to do; "" if there is none."""
        return next((worker for worker, threads in workers.items() if self._load[worker] < threads), "")

    def take(self, worker: str) -> None:
        """Note that a worker has one unit more."""
        self._load[worker] += 1

    def leave(self, piece: PendingUnit) -> None:
        """Note that a unit is no longer at its worker."""
        self._load[piece.worker] -= 1

    def any(self) -> PendingUnit | None:
        """Return the next unit for whichever worker; None if there is none."""
        if self._again:
            return self._again.popleft()._replace(worker="")
        for pieces in self._kinds.values():  # of a cluster that has lost all its workers
            if pieces:
                self._count -= 1
                return pieces.popleft()
        return next(self._source, None)

    def at(self, workers: Mapping[str, int]) -> PendingUnit | None:
        """Return the next unit with the worker to send it to; None if all workers have enough, or none waits.

        Args:
            workers: the threads of each worker, by its address.
        """
        if self._again:  # what was lost goes first, to whoever has least to do
            worker = min(workers, key=lambda name: self._load[name] / workers[name])
            return self._sent(self._again.popleft(), worker)
        for worker in sorted(workers, key=lambda name: self._load[name] / workers[name]):
            if self._load[worker] >= AHEAD * workers[worker]:
                continue
            piece = self._for(worker, workers)
            if piece is not None:
                return self._sent(piece, worker)
        return None

    def _for(self, worker: str, workers: Mapping[str, int]) -> PendingUnit | None:
        """Return the next unit for a worker that has room."""
        idle = self._load[worker] < workers[worker]
        while True:
            kind = self._own(worker, workers[worker])
            if kind is None and idle:
                kind = self._new(workers)
            if kind is not None:
                return self._first(kind)
            if not idle or self._count >= _WINDOW * sum(workers.values()):
                break
            piece = next(self._source, None)
            if piece is None:
                break
            self._kinds.setdefault(piece.unit.kind, deque()).append(piece)
            self._count += 1
        kind = self._worth(workers) if idle else None
        return None if kind is None else self._first(kind)

    def _own(self, worker: str, threads: int) -> Hashable | None:
        """Return the kind of the oldest unit that a worker has built for and has room for."""
        best, lowest = None, math.inf
        for kind, pieces in self._kinds.items():
            if pieces and pieces[0].number < lowest and worker in self._homes(kind):
                seconds = self._builds.of(kind).seconds(math.nan)[1]
                most = 2 if seconds < _LONG else 1
                if self._load[worker] < threads * (AHEAD if seconds < _SHORT else most):
                    best, lowest = kind, pieces[0].number
        return best

    def _new(self, workers: Mapping[str, int]) -> Hashable | None:
        """Return the kind of the oldest unit that no worker has built for."""
        fresh = (
            (pieces[0].number, kind)
            for kind, pieces in self._kinds.items()
            if pieces and not self._homes(kind) & workers.keys()
        )
        return min(fresh, key=lambda entry: entry[0], default=(0, None))[1]

    def _worth(self, workers: Mapping[str, int]) -> Hashable | None:
        """Return the kind of which most seconds wait, if an idle worker gains by building for it."""
        most, chosen, usual = 0.0, None, self._builds.usual()
        for kind, pieces in self._kinds.items():
            build = self._builds.of(kind)
            building, unit = usual if math.isnan(build.first) else build.seconds(usual[1])
            # As long as nothing has ended, nobody knows what building takes, and idle workers do it.
            building, unit = (0.0, 1.0) if math.isnan(building) else (building, unit)
            gain = unit * len(pieces) / max(len(self._homes(kind) & workers.keys()), 1) - building
            if gain > most:
                most, chosen = gain, kind
        return chosen

    def _homes(self, kind: Hashable) -> set[str]:
        return self._builds.of(kind).workers | self._chosen.get(kind, set())

    def _first(self, kind: Hashable) -> PendingUnit:
        self._count -= 1
        return self._kinds[kind].popleft()

    def _sent(self, piece: PendingUnit, worker: str) -> PendingUnit:
        self._chosen.setdefault(piece.unit.kind, set()).add(worker)
        self._load[worker] += 1
        return piece._replace(worker=worker)
