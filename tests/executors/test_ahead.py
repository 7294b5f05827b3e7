"""Idle workers make what a prescription may need next, which changes no result and no count."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from typing import Any

import pytest

import downslope as ds
from downslope.executors import Crew
from downslope.remedies import _trial
from downslope.remedies._trial import Runner, TrialJob, TrialRun
from tests.fake_executor import Fake


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the seeds of the runs that were made."""
    seeds: list[int] = []

    def run(_: Any, seed: int, *__: Any) -> TrialRun:
        seeds.append(seed)
        return TrialRun(score=seed / 10, moved={}, steps=100, seconds=1.0)

    monkeypatch.setattr(_trial, "_run", run)
    return seeds


SETUP = ds.Setup.of(None, "iris", hidden=(3,), steps=100)


class Wide(Fake):
    """The same executor, which says how many workers it has."""

    _max_workers = 4


def jobs(*seeds: int) -> list[TrialJob[Any]]:
    return [TrialJob(SETUP, seed) for seed in seeds]


def runner(monkeypatch: pytest.MonkeyPatch, workers: int) -> Runner:
    crew = Crew()
    monkeypatch.setattr(crew, "idle_beside", lambda units: max(workers - units, 0))
    return Runner(crew, 10_000, lambda *_: None)


def test_idle_workers_make_likely_runs_which_count_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, made: list[int]
) -> None:
    trials = runner(monkeypatch, 4)
    assert [run.score for run in trials.run(jobs(1, 2), jobs(2, 3, 4, 5)) if run] == [0.1, 0.2]
    assert made == [1, 2, 3, 4]
    assert (trials.spent, trials.seconds, trials.best) == (200, 2.0, 0.2)
    assert [run.score for run in trials.run(jobs(4, 6)) if run] == [0.4, 0.6]
    assert made == [1, 2, 3, 4, 6]
    assert trials.spent == 400


def test_what_is_known_already_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, made: list[int]) -> None:
    trials = runner(monkeypatch, 4)
    trials.run(jobs(1), jobs(2, 3))
    trials.run(jobs(2, 3), jobs(7, 8))
    assert made == [1, 2, 3]
    assert trials.spent == 300


def test_without_an_executor_nothing_is_made_ahead() -> None:
    assert Crew(threads=8).idle_beside(1) == 0
    assert Crew(Wide()).idle_beside(1) == 3


def test_an_executor_that_cannot_go_on_cuts_a_prescription_short() -> None:
    fake = Fake(lambda number: BrokenExecutor("a process ended") if number > 8 else None)
    plan = ds.plan("f(x, y) = x² + 30y²", {"x": 4.0, "y": 3.0}, learning_rate=0.05, steps=20)
    cut = ds.prescribe(plan, executor=fake)
    assert cut.interrupted
    assert "A worker of the executor ended, and the executor cannot replace it" in cut.verdict
