"""Units go to the worker that has built for them, to others only where that gains, and elsewhere when it is gone."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from typing import Any

import pytest

import downslope as ds
from downslope.executors import Crew, Unit
from downslope.executors import _crew as crew_module
from downslope.executors._kinds import WorkerPool
from downslope.executors._placing import BuildRecords, PendingUnit, Waiting


def nothing(_: Any) -> None:
    """Do nothing."""


def pieces(kinds: Iterable[Hashable]) -> list[PendingUnit]:
    return [PendingUnit(number, Unit(nothing, None, (), kind)) for number, kind in enumerate(kinds)]


def spread(units: Iterable[PendingUnit], workers: int, building: float, unit: float) -> tuple[float, Counter[Hashable]]:
    """Return the seconds that simulated workers of one thread take, and how often each kind was built."""
    waiting, builds, now = Waiting(iter(units), builds := BuildRecords()), builds, 0.0
    free, built, ends = dict.fromkeys(map(str, range(workers)), 0.0), Counter[Hashable](), []
    known: set[tuple[Hashable, str]] = set()
    while True:
        while (piece := waiting.at(dict.fromkeys(free, 1))) is not None:
            key = piece.unit.kind, piece.worker
            seconds = unit + (building if key not in known else 0.0)
            built[piece.unit.alike] += key not in known
            known.add(key)
            free[piece.worker] = max(free[piece.worker], now) + seconds
            heapq.heappush(ends, (free[piece.worker], piece.number, seconds, piece))
        if not ends:
            return now, built
        now, _, seconds, piece = heapq.heappop(ends)
        waiting.leave(piece)
        builds.ended(piece, seconds)


@pytest.mark.parametrize("workers", [2, 3, 5])
@pytest.mark.parametrize("order", ["interleaved", "in blocks"])
def test_each_structure_is_built_once_where_building_takes_longer_than_what_waits(workers: int, order: str) -> None:
    kinds = list("abcde") * 8 if order == "interleaved" else [kind for kind in "abcde" for _ in range(8)]
    _, built = spread(pieces(kinds), workers, building=2.5, unit=0.05)
    assert built == Counter("abcde")


def test_idle_workers_build_as_well_where_that_gains() -> None:
    seconds, built = spread(pieces("ab" * 50), 10, building=1.0, unit=1.0)
    assert seconds <= 1.5 * (100 + sum(built.values())) / 10
    assert sum(built.values()) >= 8


def test_long_units_of_one_kind_begin_on_all_workers_at_once() -> None:
    seconds, built = spread(pieces("a" * 64), 64, building=3.0, unit=60.0)
    assert seconds == 63.0
    assert built == Counter(a=64)


def test_units_without_end_are_taken_as_there_is_room() -> None:
    taken = []

    def endless() -> Iterable[PendingUnit]:
        for piece in map(pieces("a" * 10_000).__getitem__, itertools.count()):
            taken.append(piece)
            yield piece

    waiting, workers = Waiting(iter(endless()), BuildRecords()), {"first": 1, "second": 2}
    sent = list(iter(lambda: waiting.at(workers), None))
    assert Counter(piece.worker for piece in sent) == {"first": 1, "second": 2}
    assert len(taken) <= 3 * 64 + 3


class Cluster:
    """Workers by address, of which one goes, with what was sent to it, as soon as it is sent a unit."""

    def __init__(self, mortal: str) -> None:
        self.there, self.mortal = {"tcp://first": 1, "tcp://second": 1}, mortal
        self.sent: list[str] = []

    def pool(self) -> WorkerPool:
        return WorkerPool(self.submit, lambda: 2, threads=lambda: dict(self.there), submit_at=self.submit_at)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.submit_at("", function, *arguments)

    def submit_at(self, worker: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.sent.append(worker)
        future: Future[Any] = Future()
        if worker == self.mortal:
            self.there.pop(worker, None)
        else:
            future.set_result(function(*arguments))
        return future


def squared(_: Any, number: int) -> int:
    return number**2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "_COUNT_EVERY", 0.01)


def test_what_was_sent_to_a_worker_that_is_gone_is_done_by_another(
    monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    cluster = Cluster("tcp://second")
    monkeypatch.setattr(crew_module, "worker_pool_of", lambda *_: cluster.pool())
    with Crew(cluster) as crew:
        ended = list(crew.each(Unit(squared, None, (number,)) for number in range(20)))
    assert sorted(ended) == [(number, number**2) for number in range(20)]
    assert cluster.sent.count("tcp://second") >= 1


def test_a_unit_that_ends_each_worker_that_it_comes_to_is_named(
    monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    cluster = Cluster("tcp://first")
    del cluster.there["tcp://second"]
    monkeypatch.setattr(crew_module, "worker_pool_of", lambda *_: cluster.pool())

    def again(worker: str, *call: Any) -> Future[Any]:
        future = Cluster.submit_at(cluster, worker, *call)
        cluster.mortal = f"{cluster.mortal}+"  # a new worker comes for each that went
        cluster.there[cluster.mortal] = 1
        return future

    monkeypatch.setattr(cluster, "submit_at", again)
    with Crew(cluster) as crew, pytest.raises(ds.ExecutorError, match=r"unit 1 killed its worker 4 times.*is gone"):
        list(crew.each([Unit(squared, None, (1,))]))
