"""Idle workers begin what a prescription may need next, which changes no result and no count, and delays nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from typing import Any

import pytest

import downslope as ds
from downslope.executors import Crew, Unit
from downslope.remedies import _trial
from downslope.remedies._trial import Runner, TrialJob, TrialRun
from tests.fake_executor import Fake

SETUP = ds.Setup.of(None, "iris", hidden=(3,), steps=100)
WORKERS = 4


class Runs:
    """The runs that were made, by their seeds; those of some seeds do not end before they are let go on."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.stuck: set[int] = set()
        self.go_on = threading.Event()

    def __call__(self, _: Any, seed: int, *__: Any) -> TrialRun:
        self.made.append(seed)
        if seed in self.stuck:
            assert self.go_on.wait(60)
        return TrialRun(score=seed / 10, moved={}, steps=100, seconds=1.0)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    runs = Runs()
    monkeypatch.setattr(_trial, "_run", runs)
    yield runs
    runs.go_on.set()


@pytest.fixture
def crew() -> Iterator[Crew]:
    with ThreadPoolExecutor(WORKERS) as pool, Crew(pool) as crew:
        yield crew


def jobs(*seeds: int) -> list[TrialJob[Any]]:
    return [TrialJob(SETUP, seed) for seed in seeds]


def runner(crew: Crew) -> Runner:
    return Runner(crew, 10_000, lambda *_: None)


def scores(found: list[TrialRun | None]) -> list[float]:
    return [run.score for run in found if run is not None]


def test_idle_workers_make_likely_runs_which_count_when_they_are_needed(runs: Runs, crew: Crew) -> None:
    trials = runner(crew)
    assert scores(trials.run(jobs(1, 2), jobs(2, 3, 4, 5))) == [0.1, 0.2]
    assert (trials.spent, trials.seconds, trials.best) == (200, 2.0, 0.2)
    assert crew.unneeded >= 2
    assert scores(trials.run(jobs(4, 6))) == [0.4, 0.6]
    assert trials.spent == 400
    assert sorted(set(runs.made)) == sorted(runs.made), "a run was made twice"


def test_nothing_waits_for_a_run_that_is_not_needed_yet(runs: Runs, crew: Crew) -> None:
    trials = runner(crew)
    runs.stuck = {3, 4}
    assert scores(trials.run(jobs(1), jobs(3, 4))) == [0.1]
    assert scores(trials.run(jobs(2))) == [0.2]
    assert crew.unneeded == 2
    runs.go_on.set()
    assert scores(trials.run(jobs(4, 5))) == [0.4, 0.5]
    assert crew.unneeded == 1
    assert sorted(runs.made) == [1, 2, 3, 4, 5]


def test_no_more_runs_are_begun_ahead_than_there_are_workers(runs: Runs, crew: Crew) -> None:
    runner(crew).run(jobs(1), jobs(*range(2, 50)))
    assert crew.unneeded <= WORKERS


def test_while_runs_wait_none_is_begun_ahead(runs: Runs, crew: Crew) -> None:
    runs.stuck = {1, 2, 3, 4}
    threading.Timer(0.1, runs.go_on.set).start()
    runner(crew).run(jobs(*range(1, 9)), jobs(10))
    assert sorted(runs.made[:8]) == list(range(1, 9))


def test_a_run_that_failed_ahead_is_made_again_where_it_is_needed() -> None:
    # The only thread takes the newest call first, so the unit begun ahead is the first to begin.
    fake = Wide(lambda number: MemoryError("of a worker") if number == 0 else None)
    needed, guessed = (Unit(_negative, None, (number,)) for number in (1, 2))
    with Crew(fake) as crew:
        threading.Timer(0.2, fake.hold.release).start()
        assert list(crew.each([needed], [guessed])) == [(0, -1)]
        assert list(crew.each([guessed])) == [(0, -2)]


def _negative(_: Any, number: int) -> int:
    return -number


class Wide(Fake):
    """The same executor, which says how many workers it has, and begins nothing before it is let go."""

    _max_workers = WORKERS

    def __init__(self, *arguments: Any) -> None:
        self.hold = threading.Lock()
        self.hold.acquire()
        super().__init__(*arguments)

    def _work(self) -> None:
        with self.hold:
            pass
        super()._work()


def test_without_an_executor_nothing_is_made_ahead(runs: Runs) -> None:
    with Crew(threads=WORKERS) as crew:
        runner(crew).run(jobs(1), jobs(2, 3))
    assert runs.made == [1]


def test_an_executor_that_cannot_go_on_cuts_a_prescription_short() -> None:
    fake = Fake(lambda number: BrokenExecutor("a process ended") if number > 8 else None)
    plan = ds.plan("f(x, y) = x² + 30y²", {"x": 4.0, "y": 3.0}, learning_rate=0.05, steps=20)
    cut = ds.prescribe(plan, executor=fake)
    assert cut.interrupted
    assert "A worker of the executor ended, and the executor cannot replace it" in cut.verdict
