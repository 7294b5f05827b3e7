"""Verbs over many runs give the same to the last bit wherever the runs take place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.ensembles import _multistart
from downslope.executors import Crew, Unit
from downslope.executors import _units as worker
from downslope.fitting import _bootstrap, _inference, _lanes
from downslope.networks import _setup as setups
from downslope.remedies import _trial
from tests.equality import same
from tests.fake_executor import Fake


@pytest.fixture(autouse=True)
def forgetful() -> None:
    """Empty what this process keeps as a worker."""
    for kept in (worker._PARTS, worker._SUBJECTS, worker._SHARED):
        kept.clear()


BOX = {"x": (-3.0, 3.0), "y": (-3.0, 3.0)}
WAVY = "f(x, y) = x⁴ - 8x² + x + y⁴ - 8y² + y"
TABLE = {"x": np.linspace(0.0, 4.0, 5000), "y": np.linspace(1.0, 9.0, 5000)}


def lowest(executor: Any) -> Any:
    result = ds.search(WAVY, BOX, engine="jax", confirmations=2, seconds=600.0, executor=executor)
    return result.value, result.point, result.rounds, result.evaluations, result.basins


def valleys(executor: Any) -> Any:
    result = ds.multistart(WAVY, BOX, starts=500, engine="jax", executor=executor)
    return result.starts, result.ends, result.values, result.basin, result.basins


def cloud(executor: Any) -> Any:
    result = ds.multistart(WAVY, spread=1.0, starts=300, method="adam", steps=50, engine="jax", executor=executor)
    return result.starts, result.ends, result.basins, result.evaluations


def swept(executor: Any) -> Any:
    result = ds.sweep(
        "mean((y - a·x - b)²)", {"a": 0, "b": 0}, [0.01, 0.1, 0.3], data=TABLE, engine="jax", executor=executor
    )
    return result.steps, result.values, result.verdicts, [trace.recorded for trace in result.traces], result.sentence


def raced(executor: Any) -> Any:
    methods = ["gradient descent", "momentum", "newton"]
    result = ds.compare("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, methods, executor=executor)
    return [(e.name, e.learning_rate, e.settings, e.trace.recorded, e.swept is None) for e in result.entries]


def mended(executor: Any) -> Any:
    plan = ds.plan("f(x, y) = x² + 30y²", {"x": 4.0, "y": 3.0}, learning_rate=0.05, steps=20)
    return without_seconds(ds.prescribe(plan, executor=executor))


def without_seconds(prescription: ds.Prescription) -> Any:
    known = prescription.as_dict()
    known.pop("seconds")
    return known, prescription.note, prescription.control, prescription.tried


def rate(executor: Any) -> Any:
    finding = ds.find_learning_rate(ds.Setup.of(None, rows(), **SMALL), budget=10, executor=executor)
    return finding.checks, finding.test_losses, finding.learning_rate, finding.steps


SMALL = {"hidden": (3,), "steps": 40, "probe_every": 0, "layers_every": 0, "evaluate_every": 20}


def rows() -> tuple[np.ndarray, np.ndarray]:
    inputs = np.random.default_rng(0).normal(size=(700, 3))  # long enough to be a part of its own
    return inputs, inputs.sum(axis=1)


def fitted_groups(executor: Any) -> Any:
    random, groups = np.random.default_rng(0), 300
    group, x = np.repeat(np.arange(groups), 8), np.tile(np.linspace(0.0, 3.0, 8), groups)
    y = (1 + group % 7) * np.exp(-0.5 * x) + 0.01 * random.normal(size=len(x))
    result = ds.fit("y = A e^(-k x)", {"x": x, "y": y, "pixel": group}, by="pixel", executor=executor)
    return result.free_values, result.converged, result.errors.standard_errors()


DECAY = {"t": np.linspace(0.0, 4.0, 40), "y": 3 * np.exp(-np.linspace(0.0, 4.0, 40)) + 0.05 * np.cos(np.arange(40.0))}


def resampled(executor: Any) -> Any:
    return ds.fit("y = A e^(-k t)", DECAY).bootstrap(60, executor=executor).samples


def profiled(executor: Any) -> Any:
    fit = ds.fit("y = A e^(-k t)", DECAY, intervals="profile", executor=executor)
    profile = fit.profile("k", executor=executor)
    return fit.profiled, fit.profile_intervals(0.9, executor=executor), profile.zeta, profile.values


@pytest.fixture
def in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the blocks of fits small, as those of much data are."""
    monkeypatch.setattr(_lanes, "_BLOCK", 800)
    monkeypatch.setattr(_bootstrap, "_TOGETHER", 40 * 3 * 20)
    monkeypatch.setattr(_inference, "_TOGETHER", 40 * 3)


VERBS = [lowest, valleys, cloud, swept, raced, mended, rate, fitted_groups, resampled, profiled]


@pytest.mark.usefixtures("in_small_blocks")
@pytest.mark.parametrize("verb", VERBS)
def test_an_executor_changes_no_bit(verb: Callable[[Any], Any]) -> None:
    fake = Fake()
    same(verb(fake), verb(None))
    assert fake.begun > 1


def test_of_very_many_starts_groups_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    each = ds.multistart(WAVY, BOX, starts=400, engine="jax")
    monkeypatch.setattr(_multistart, "_LISTED", 100)
    grouped = ds.multistart(WAVY, BOX, starts=400, engine="jax", executor=Fake())
    assert [basin.count for basin in grouped.basins] == [basin.count for basin in each.basins]
    same([basin.point for basin in grouped.basins], [basin.point for basin in each.basins])
    assert grouped.sentence == each.sentence
    assert grouped.count == 400
    same(grouped.starts, each.starts[::10])
    same(grouped.ends, each.ends[::10])
    same(grouped.basin, each.basin[::10])


def test_starts_that_end_nowhere_are_counted_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, box in (("x⁴ - 4x² + ln(x)", {"x": (-2.0, 2.0)}), ("1/x", {"x": (-1.0, 1.0)}), ("x³", None)):
        where = {"bounds": box} if box else {"spread": 1.0}
        each = ds.multistart(text, **where, starts=300, engine="jax")
        with monkeypatch.context() as patch:
            patch.setattr(_multistart, "_LISTED", 100)
            grouped = ds.multistart(text, **where, starts=300, engine="jax")
        assert (grouped.lost, grouped.ran_away, grouped.sentence) == (each.lost, each.ran_away, each.sentence)
        assert [(b.kind, b.count) for b in grouped.basins] == [(b.kind, b.count) for b in each.basins]


def test_an_executor_is_checked_before_any_run() -> None:
    for verb in VERBS:
        with pytest.raises(ds.SettingError, match="has none"):
            verb(object())


def test_a_worker_reads_the_data_of_one_structure_once(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = []
    build = setups.example_task
    monkeypatch.setattr(setups, "example_task", lambda *given, **named: builds.append(1) or build(*given, **named))
    units = [
        Unit(_trial._run, ds.Setup.of(None, rows(), **SMALL, learning_rate=rate), (seed, (), False))
        for rate in (0.01, 0.1)
        for seed in range(2)
    ]
    with Crew(Fake()) as crew:
        runs = crew.results(units)
    assert len({run.score for run in runs}) == 4
    assert len(builds) == 1
