"""train(seeds=…): the trainings that single calls would make, and scores with an interval."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import stats

import downslope as ds
from downslope.cli._main import run
from downslope.networks._replicates import SeedScore, seeds_of

ROWS = np.random.default_rng(0).normal(size=(40, 3))
QUICK: dict[str, Any] = {
    "data": (ROWS, (ROWS[:, 0] > 0).astype(int)), "hidden": (4,), "steps": 30, "learning_rate": 0.05,
    "layers_every": 0, "probe_every": 0,
}  # fmt: skip


def test_each_training_is_that_of_its_seed(tmp_path):
    replicates = ds.train(**QUICK, seed=3, seeds=3, progress=False, save=tmp_path / "runs")
    setup = ds.Setup.of(**QUICK, seed=3)
    assert replicates.seeds == (3, 4, 5)
    for seed, training in zip(replicates.seeds, replicates, strict=True):
        alone = setup.train(seed, progress=False).trace
        np.testing.assert_array_equal(training.trace.recorded["value"], alone.recorded["value"])
        saved = ds.load(tmp_path / "runs" / f"seed-{seed}")
        np.testing.assert_array_equal(saved.recorded["value"], alone.recorded["value"])
    owners = {id(training.objective.batched.owner) for training in replicates}
    assert len(owners) == 1  # one program for all
    assert [replicates.traces[index].plan["seed"] for index in range(3)] == [3, 4, 5]
    score = replicates.scores["validation_accuracy"]
    assert score.values == tuple(training.metrics["validation_accuracy"] for training in replicates)
    assert 0 <= score.low <= score.mean <= score.high <= 1
    assert sum(map(len, replicates.symptoms.values())) == sum(map(len, replicates.diagnoses))
    assert ds.diagnose(replicates).symptoms
    assert "seeds=3)" in replicates.as_python()
    assert "3 seeds" in str(replicates)
    assert replicates._repr_html_().count("<table>") == 2
    again = pickle.loads(pickle.dumps(replicates))  # noqa: S301  # written here
    assert again.scores == replicates.scores


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_is_students(seed):
    random = np.random.default_rng(seed)
    values = random.normal(5, 1, random.integers(2, 9)).tolist()
    score = SeedScore.of("validation_loss", values)
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (score.low, score.high) == pytest.approx((known.low, known.high))
    assert score.deviation == pytest.approx(np.std(values, ddof=1))


@pytest.mark.parametrize(
    ("name", "values", "options", "ends"),
    [
        ("validation_accuracy", [1.0, 1.0, 1.0], {"rows": 50}, (0.98, 1.0)),  # one row is all that is certain
        ("validation_accuracy", [0.1, 0.9], {}, (0.0, 1.0)),
        ("validation_r2", [0.9, 0.1], {}, (-4.58, 1.0)),
        ("validation_loss", [0.1, 2.0], {"is_distance": True}, (0.0, 13.12)),
        ("validation_accuracy", [0.5, math.nan], {}, (math.nan, math.nan)),
    ],
)
def test_an_interval_holds_what_is_possible(name, values, options, ends):
    score = SeedScore.of(name, values, **options)
    assert (score.low, score.high) == pytest.approx(ends, abs=5e-3, nan_ok=True)


def test_seeds_are_numbers_or_how_many():
    assert seeds_of(3, 7) == (7, 8, 9)
    assert seeds_of(np.array([4, 1]), 7) == (4, 1)
    for odd in (1, 0, -2, True, "5", 2.5, [3], [1, 1], [1, "a"], np.array(3.5), 10**30, [2**40, 1], {}):
        with pytest.raises(ds.SettingError):
            seeds_of(odd, 0)


def test_batches_that_come_once_are_refused():
    with pytest.raises(ds.DataError, match="one training"):
        ds.train(ds.network(3, [ds.Dense(1)]), iter([(ROWS, ROWS[:, :1])]), steps=2, seeds=2, progress=False)


def test_what_most_runs_show_is_found():
    healthy = ds.train(**QUICK, progress=False).trace
    bad = healthy.replace(outcome=ds.Outcome.NOT_FINITE, not_finite_part="value", not_finite_step=31)

    class Several:
        def __init__(self, *traces: ds.Trace) -> None:
            self.traces = traces

    most = ds.diagnose(Several(healthy, bad, bad))
    assert not most.ok
    assert all(finding.sentence.startswith(("2 of 3 runs: ", "3 of 3 runs: ")) for finding in most)
    assert ds.diagnose(Several(healthy, healthy, bad)).ok == ds.diagnose(healthy).ok


def test_the_command_prints_a_table(tmp_path, capsys):
    words = ["train", "iris", "--hidden", "4", "--steps", "20", "--probe-every", "0", "--layers-every", "0"]
    assert run([*words, "--seeds", "2"]) == 0
    text = capsys.readouterr().out
    assert "validation accuracy" in text
    assert "2 seeds" in text
    assert run([*words, "--seeds", "2", "--json", "--keep", "best"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seeds"] == [0, 1]
    assert told["scores"]["validation_accuracy"]["low"] <= 1
    assert run([*words, "--seeds", "2", "--report", str(tmp_path / "a.html")]) == 2
    assert run([*words, "--seeds", "1"]) == 2


def test_the_command_to_type_holds_the_seeds():
    replicates = ds.train("iris", hidden=4, steps=2, probe_every=0, layers_every=0, seeds=2, progress=False)
    assert (
        ds.as_command(replicates)
        == "downslope train iris --hidden 4 --steps 2 --probe-every 0 --layers-every 0 --seeds 2"
    )
