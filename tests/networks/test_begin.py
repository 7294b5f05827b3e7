"""Trainings that begin otherwise than they go on, and those that are not looked into."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import equinox
import numpy as np
import pytest

import downslope as ds
from downslope.networks.models._model import model_of
from downslope.networks.tasks._examples import revived

QUIET: dict[str, Any] = {"data": "iris", "hidden": (6,), "batch": 16, "probe_every": 0, "progress": False}
SLOW: dict[str, Any] = {**QUIET, "steps": 40, "method": "momentum", "learning_rate": 0.01}


@pytest.fixture(scope="module")
def plain() -> ds.Training:
    return ds.train(**SLOW)


def test_a_beginning_like_the_rest_changes_no_bit(plain: ds.Training) -> None:
    made = ds.train(**SLOW, begin={"steps": 15})
    assert made.trace.columns["step"][0] == 15
    np.testing.assert_array_equal(made.trace.columns["value"], plain.trace.columns["value"][15:])
    assert made.metrics["validation_loss"] == plain.metrics["validation_loss"]


def test_the_rest_goes_on_from_where_the_beginning_ends(plain: ds.Training) -> None:
    made = ds.train(**{**SLOW, "learning_rate": 0.5}, begin={"steps": 15, "learning_rate": 0.01})
    values = made.trace.columns["value"]
    assert values[0] == plain.trace.columns["value"][15]
    assert values[2] != plain.trace.columns["value"][17]
    assert made.trace.plan["beginning"]["steps"] == 15
    assert made.trace.plan["beginning"]["plan"]["learning_rate"] == 0.01


def test_another_method_gathers_anew(plain: ds.Training) -> None:
    begin = {"steps": 15, "method": "momentum", "learning_rate": 0.01}
    made = ds.train(**{**SLOW, "method": "adam", "learning_rate": 0.001}, begin=begin)
    assert made.trace.columns["value"][0] == plain.trace.columns["value"][15]
    # Adam's first step is its rate in every coordinate that has a gradient.
    changes = made.trace.columns["update_norm"][0]
    size = sum(np.size(leaf) for leaf in made.trace.end.values())
    assert changes == pytest.approx(0.001 * np.sqrt(size), rel=0.2)


def test_it_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    choices = {**SLOW, "begin": {"steps": 15, "learning_rate": 0.05}}
    whole = ds.train(**choices)

    stopped: list[int] = []

    def stop(step: int, *_: Any) -> None:
        if step >= 25 and not stopped:
            stopped.append(step)
            signal.raise_signal(signal.SIGINT)

    ds.train(**{**choices, "progress": stop}, save=tmp_path / "run")
    assert stopped
    made = ds.train(**choices, save=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(made.trace.columns["value"], whole.trace.columns["value"])


def test_the_call_that_is_written_does_the_same() -> None:
    setup = ds.Setup.of(None, **{n: c for n, c in SLOW.items() if n != "progress"}, begin={"steps": 15, "clip_norm": 1})
    assert "begin={'steps': 15, 'clip_norm': 1}" in setup.as_python()
    told = ds.Setup.from_plain(setup.as_plain())
    assert told.plan().description == setup.plan().description


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        ({"learning_rate": 0.1}, "begin is a mapping with the number of first steps"),
        (15, "begin is a mapping with the number of first steps"),
        ({"steps": 40}, "begin must have fewer steps than the training, 40; it has 40"),
        ({"steps": 0}, "steps of the beginning must be a whole number of at least 1"),
        ({"steps": 5, "hidden": (3,)}, "begin cannot change hidden"),
        ({"steps": 5, "seed": 3}, "begin cannot change seed"),
        ({"steps": 5, "revive": "no"}, "revive is true or false, not 'no'"),
        ({"steps": 5, "learning_rate": -1}, "learning_rate must be above 0"),
        ({"steps": 30, "method": "gradient descent", "learning_rate": 1e30}, "of the 30 steps to begin with"),
    ],
)
def test_what_makes_no_sense_is_told(begin: Any, words: str) -> None:
    with pytest.raises(ds.SettingError, match=words):
        ds.train(**SLOW, begin=begin)


def test_dead_units_begin_anew_and_the_others_go_on() -> None:
    random = np.random.default_rng(0)
    bias = np.where(np.arange(8) < 4, -50, 0.1).astype(np.float32)
    ours, other = (model_of(ds.network(4, [ds.Dense(8, "relu"), ds.Dense(3)], seed=seed)) for seed in (1, 2))
    point = equinox.tree_at(lambda network: network.layers[0].bias, ours.point, bias)
    found = revived(ours, point, ours.memory, random.normal(size=(40, 4)).astype(np.float32), other.point)
    first = found.layers[0]
    np.testing.assert_array_equal(first.bias, np.where(bias < 0, 0, bias))
    np.testing.assert_array_equal(first.weight[:, :4], other.point.layers[0].weight[:, :4])
    np.testing.assert_array_equal(first.weight[:, 4:], point.layers[0].weight[:, 4:])
    np.testing.assert_array_equal(found.layers[1].weight, point.layers[1].weight)


def test_a_training_of_dead_units_learns_after_they_were_revived() -> None:
    choices = {"steps": 60, "batch": 16, "probe_every": 0, "learning_rate": 0.01, "progress": False}
    layers = [ds.Dense(8, "relu", bias=-20.0), ds.Dense(3)]
    dead, made = (ds.train(layers, "iris", **choices, begin=begin) for begin in (None, {"steps": 10, "revive": True}))
    assert dead.metrics["training_accuracy"] < 0.5
    assert made.metrics["training_accuracy"] > 0.6


def test_a_stream_has_no_beginning() -> None:
    batches = [(np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32))] * 5
    with pytest.raises(ds.SettingError, match="begin does not apply to a stream"):
        ds.train(data=batches, steps=4, begin={"steps": 2}, progress=False)


def test_what_is_not_looked_into_goes_the_same_way(plain: ds.Training) -> None:
    made = ds.train(**SLOW, layers_every=0)
    np.testing.assert_array_equal(made.trace.columns["value"], plain.trace.columns["value"])
    np.testing.assert_array_equal(made.trace.columns["gradient_norm"], plain.trace.columns["gradient_norm"])
    assert np.isnan(made.trace.columns["update_norm"]).all()
    assert len(made.trace.layers) == 0
    left_out = {one.symptom for one in ds.diagnose(made.trace).not_run}
    assert {"vanishing_gradients", "dead_units"} <= left_out


def test_it_is_saved_and_read_as_well(tmp_path: Path) -> None:
    made = ds.train(**SLOW, layers_every=0, save=tmp_path / "run")
    again = ds.load(tmp_path / "run")
    np.testing.assert_array_equal(again.columns["value"], made.trace.columns["value"])
    assert len(again.layers) == 0
