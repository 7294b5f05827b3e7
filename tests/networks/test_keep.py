"""keep="best": the point of the best evaluation is the end of the trace, and of everything that is made from it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import pytest

import downslope as ds
from downslope.descent.batches._trace import BestEvaluated
from downslope.diagnosis import TrainingEvidence, measure
from downslope.remedies._remedy import TrainingCase
from downslope.remedies._training_remedies import proposals

ROWS = np.random.default_rng(0).normal(size=(24, 3))
NOISE = np.random.default_rng(1).normal(size=24)
# Few rows and many units: the validation loss has its lowest early on.
OVERFIT: dict[str, Any] = {
    "data": (ROWS, ROWS[:, 0] + NOISE), "hidden": (16,), "learning_rate": 0.05, "steps": 80, "evaluate_every": 8,
    "layers_every": 0, "probe_every": 0, "progress": False,
}  # fmt: skip

MANY = np.random.default_rng(0).normal(size=(150, 8))
LEARNT_BY_HEART: dict[str, Any] = {
    **OVERFIT, "data": (MANY, MANY[:, 0] + 0.7 * np.random.default_rng(1).normal(size=150)), "hidden": (48,),
    "learning_rate": 0.03, "steps": 240, "evaluate_every": 12,
}  # fmt: skip


def test_the_best_evaluation_is_kept_and_everything_is_made_from_it(tmp_path):
    points: dict[int, np.ndarray] = {}

    def watch(training: ds.Training) -> None:
        points[int(training.trace.metrics["step"][-1])] = training.predict(ROWS)

    kept = ds.train(**OVERFIT, keep="best", watch=watch, save=tmp_path / "run")
    last = ds.train(**OVERFIT)
    trace = kept.trace
    best = int(np.argmax(trace.metrics["validation_r2"]))
    step = int(trace.metrics["step"][best])
    assert 0 < step < 80
    assert trace.end_step == step
    assert trace.facts["kept"] == {
        "step": step, "by": "validation_r2", "value": float(trace.metrics["validation_r2"][best])
    }  # fmt: skip
    assert kept.metrics["validation_r2"] == max(trace.metrics["validation_r2"]) > last.metrics["validation_r2"]
    assert trace.facts["scores"]["validation"]["r2"] == pytest.approx(kept.metrics["validation_r2"], rel=1e-5)
    # The record goes on to the last step, as without.
    np.testing.assert_array_equal(trace.recorded["value"], last.trace.recorded["value"])
    np.testing.assert_array_equal(kept.predict(ROWS), points[step])
    np.testing.assert_array_equal(ds.predict(tmp_path / "run", ROWS), points[step])
    for text in (trace.ending, str(ds.summary(trace))):
        assert f"step {step}" in text
    # With the mark in the tables of the report, which is not drawn here.
    assert "◀ kept" in str(ds.summary(trace))
    assert ds.Setup.of(
        **{name: choice for name, choice in OVERFIT.items() if name != "progress"}, keep="best"
    ).as_python()


def test_without_rows_held_back_the_training_loss_decides():
    trace = ds.train(**OVERFIT, keep="best", validation=0).trace
    assert trace.facts["kept"]["by"] == "training_loss"
    assert trace.facts["kept"]["value"] == min(trace.metrics["training_loss"])


class State(NamedTuple):
    """What the best point is taken from."""

    step: int
    point: dict[str, float]
    memory: tuple[()] = ()
    rule: tuple[()] = ()


@pytest.mark.parametrize(
    ("by", "metrics", "step"),
    [
        ("validation_accuracy", [(0.5, 1.0), (0.9, 0.4), (0.8, 0.2)], 1),
        ("validation_accuracy", [(0.9, 1.0), (0.9, 0.4), (0.9, 0.4)], 1),  # equal: the lower loss, then the first
        ("validation_loss", [(0.5, 1.0), (0.9, 0.4), (0.8, 0.2)], 2),
        ("validation_loss", [(0.5, math.nan), (0.9, math.inf), (0.8, 7.0)], 2),
        ("validation_accuracy", [(math.nan, 1.0)], None),
    ],
)
def test_the_best_is_the_highest_score_or_the_lowest_loss(by, metrics, step):
    best = BestEvaluated(by, None, State(0, {}))
    for index, (accuracy, loss) in enumerate(metrics):
        measured = {"validation_accuracy": accuracy, "validation_loss": loss}
        best.offer(State(index, {"w": float(index)}), measured)
    assert best.facts.get("step") == step
    best.cut_after(0)
    assert best.facts.get("step") in (None, 0)


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ds.SettingError, match="keep is 'last' or 'best'"):
        ds.train(**OVERFIT, keep="first")


def test_overfitting_is_mended_by_the_best_network_and_then_no_problem():
    last = ds.train(**LEARNT_BY_HEART)
    diagnosis = ds.diagnose(last.trace)
    assert "overfitting" in [finding.symptom for finding in diagnosis if finding.severity is ds.Severity.PROBLEM]
    remedies = {remedy.key: remedy for remedy in proposals(TrainingCase(last.setup, last.trace), diagnosis)}
    assert dict(remedies["best_kept"].changes) == {"keep": "best"}
    kept = last.setup.changed(keep="best").train(progress=False).trace
    again = ds.diagnose(kept)
    (finding,) = [finding for finding in again if finding.symptom == "overfitting"]
    assert finding.severity is ds.Severity.NOTE
    assert "the network that was kept" in finding.sentence
    assert measure("score_gap", kept) < measure("score_gap", last.trace)
    # The score is that of the network that was kept; without the fact it is not known.
    evidence = TrainingEvidence(kept)
    assert evidence.score == kept.facts["kept"]["value"]
    fewer = dataclasses.replace(kept, facts={name: fact for name, fact in kept.facts.items() if name != "kept"})
    assert TrainingEvidence(fewer).score is None
    # A training that keeps its best already, or whose loss did not rise, has nothing of it to gain.
    assert "best_kept" not in {
        remedy.key for remedy in proposals(TrainingCase(last.setup.changed(keep="best"), kept), again)
    }
