"""What a tracker gets of a trace, without a tracker."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.watching.sinks import _follow, _send, following
from downslope.watching.sinks._scalars import scalars_of


class Recorder:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Mapping[str, float]]] = []
        self.words: dict[str, str] = {}
        self.closed = False

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        self.rows.append((step, numbers))

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        self.words |= texts

    def flush(self) -> None:
        assert not self.closed

    def close(self) -> str:
        self.closed = True
        return "here"

    def column(self, name: str) -> dict[int, float]:
        """Return a column by step; each number was sent once."""
        pairs = [(step, numbers[name]) for step, numbers in self.rows if name in numbers]
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(_send, "_sink", lambda target, name, plan: recorder)
    monkeypatch.setattr(_follow, "require_library", lambda tracker: None)
    return recorder


def traced(count: int, evaluated: int | None = None) -> ds.Trace:
    """Return a trace of so many steps with two layers, and evaluations at some."""
    steps = np.arange(count)
    looks = steps[::5]
    return ds.trace_from(
        {"loss": 2.0 - 0.01 * steps, "gradient_norm": np.ones(count), "learning_rate": np.full(count, 0.1)},
        evaluations={"step": [count - 1 if evaluated is None else evaluated], "validation_loss": [1.5]},
        layers={
            name: {"activation_gradient_norm": scale * np.ones(len(looks)), "dead_share": np.full(len(looks), np.nan)}
            for name, scale in (("first", 0.5), ("second", 2.0))
        },
        looks=looks,
    )


def test_scalars_have_the_names_of_their_columns(sink: Recorder) -> None:
    trace = traced(11)
    assert ds.send(trace, "tensorboard:logs") == "here"
    assert sink.closed
    assert [step for step, _ in sink.rows] == list(range(11))
    assert sink.column("loss") == dict(enumerate(trace.columns["value"].tolist()))
    assert sink.column("layer/second/activation_gradient_norm") == {0: 2.0, 5: 2.0, 10: 2.0}
    assert sink.column("validation_loss") == {10: 1.5}
    assert sink.column("layer/first/dead_share") == {}
    diagnosis = ds.diagnose(trace)
    assert sink.words == {f"verdict/{finding.symptom}": str(finding) for finding in diagnosis}


def test_a_loss_that_is_not_finite_is_sent_and_one_that_was_not_measured_is_not() -> None:
    loss = np.array([1.0, np.nan, math.inf, 1.0, 1.0])
    trace = ds.trace_from({"loss": loss, "gradient_norm": [1.0, None, 1.0, 1.0, 1.0]})
    rows = dict(scalars_of(trace))
    assert math.isnan(rows[1]["loss"])
    assert rows[2]["loss"] == math.inf
    assert "gradient_norm" not in rows[1]


def test_a_descent_is_sent_by_its_value() -> None:
    trace = ds.descend(ds.plan("x^2", start={"x": 1.0}, steps=3))
    assert dict(scalars_of(trace))[0].keys() >= {"value", "gradient_norm"}


def test_a_tracker_that_follows_gets_every_number_once(sink: Recorder) -> None:
    (follower,) = following("wandb:offline")
    # An evaluation comes before the row of its step.
    for count, evaluated in ((10, 10), (20, 20), (20, 20)):
        follower.follow(traced(count, evaluated))
    follower.close(traced(31))
    assert sorted(sink.column("loss")) == list(range(31))
    assert sorted(sink.column("layer/first/activation_gradient_norm")) == list(range(0, 31, 5))
    assert sorted(sink.column("validation_loss")) == [10, 20, 30]
    assert sink.words


def test_a_tracker_that_fails_is_given_up_and_never_raises(sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(step: int, numbers: Mapping[str, float]) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(sink, "scalars", fail)
    (follower,) = following(["mlflow:http://localhost"])
    with pytest.warns(UserWarning, match="nothing more is sent to mlflow:http://localhost: OSError: no space left"):
        follower.follow(traced(10))
    follower.follow(traced(20))
    follower.close(traced(20))


@pytest.mark.parametrize(
    ("target", "module", "package"),
    [
        ("tensorboard:logs", "tensorboardX", "tensorboardX"),
        ("wandb:offline", "wandb", "wandb"),
        ("mlflow:", "mlflow", "mlflow-skinny"),
    ],
)
def test_a_missing_library_is_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, target: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ds.MissingExtraError, match=rf"{package} is not installed\n.*downslope\[trackers\]"):
        ds.send(traced(3), target)


def test_targets_that_are_none_are_refused() -> None:
    wrong: list[tuple[Any, str]] = [
        ("tensorbord:logs", "did you mean 'tensorboard'"),
        ("aim:logs", "begins with tensorboard:, wandb:, mlflow:"),
        (3, "written as a text"),
    ]
    for target, words in wrong:
        with pytest.raises(ds.SettingError, match=words):
            ds.send(traced(3), target)
