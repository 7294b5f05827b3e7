"""What can be done with a training, and with what is left of it on disk: predict, say how sure, look around the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import downslope as ds
from downslope.trace import Journal
from tests.equality import same

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 3)).astype(np.float32)
NUMBERS = X @ np.array([1.0, 2.0, -1.0], np.float32)
CLASSES = np.argmax(X @ RNG.normal(size=(3, 3)), axis=1)
QUIET: dict[str, Any] = {"progress": False, "probe_every": 0, "layers_every": 0}
TINY: dict[str, Any] = {**QUIET, "steps": 6, "batch": 16}


# --- what becomes of a run on disk ------------------------------------------------------------------------------------


def test_a_run_that_goes_on_predicts_with_the_memory_that_was_written_last(tmp_path: Path):
    def stop(step: int, steps: int, value: float) -> None:
        if step >= 100:
            raise RuntimeError("killed")

    far = 5 + 3 * X  # so that running means at their start, 0, lead astray
    settings: Any = {
        "hidden": (8,),
        "normalisation": "batch",
        "probe_every": 0,
        "layers_every": 0,
        "standardise": False,
    }
    with pytest.raises(RuntimeError, match="killed"):
        ds.train(data=(far, CLASSES), steps=100_000, save=tmp_path / "run", progress=stop, **settings)
    trace = ds.load(tmp_path / "run")
    state = Journal.reopen(tmp_path / "run").state
    assert trace.outcome is ds.Outcome.RUNNING
    kept = [state[name] for name in state if name.startswith("memory/")]
    assert kept
    same(trace.facts["memory"], kept)
    forgetful = trace.replace(facts={**trace.facts, "memory": []})
    sure, unsure = (ds.predict(one, far, probabilities=True) for one in (trace, forgetful))
    assert np.abs(sure - unsure).max() > 0.01
    steps = int(state["step"])
    ended = ds.train(data=(far, CLASSES), steps=steps, **settings, progress=False)
    np.testing.assert_allclose(sure, ended.predict(far, probabilities=True), rtol=1e-4, atol=1e-6)


def test_a_run_is_not_replaced_unless_it_is_said(tmp_path: Path):
    folder = tmp_path / "run"
    ds.train(data=(X, NUMBERS), **TINY, save=folder)
    with pytest.raises(ds.SettingError, match=r"there is a run in .*run already\n.*resume=True.*overwrite=True"):
        ds.train(data="nowhere.csv", **TINY, save=folder)  # told before anything is read
    made = ds.train(data=(X, NUMBERS), **{**TINY, "seed": 7}, save=folder, overwrite=True)
    same(ds.load(folder), made.trace)
    with pytest.raises(ds.SettingError, match="one of the two"):
        ds.train(data=(X, NUMBERS), **TINY, save=folder, resume=True, overwrite=True)


def test_what_was_read_stands_in_the_trace(tmp_path: Path):
    made = ds.train(data=(X, CLASSES), **TINY, save=tmp_path / "run")
    assert made.notes
    assert ds.load(tmp_path / "run").facts["notes"] == list(made.notes)


# --- probabilities ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"output_activation": "softmax"},
        {"loss": "binary cross-entropy"},
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_classes(settings, classes, tmp_path: Path):
    labels = np.array(["ash", "elm", "oak"])[np.arange(len(X)) % classes]
    made = ds.train(data=(X, labels), hidden=(4,), steps=30, save=tmp_path / "run", **QUIET, **settings)
    sure = made.predict(X, probabilities=True)
    assert sure.shape == (len(X), classes)
    np.testing.assert_allclose(sure.sum(axis=1), 1, rtol=1e-9)
    assert made.encoding is not None
    np.testing.assert_array_equal(np.array(made.encoding.target.categories)[sure.argmax(axis=1)], made.predict(X))
    np.testing.assert_allclose(ds.predict(tmp_path / "run", X, probabilities=True), sure, rtol=1e-6)


def test_probabilities_are_those_that_the_loss_is_of():
    made = ds.train(data=(X, CLASSES), hidden=(4,), steps=30, validation=0, **QUIET)
    assert made.encoding is not None
    places = np.searchsorted(made.encoding.target.categories, CLASSES)
    of_the_right = made.predict(X, probabilities=True)[np.arange(len(X)), places]
    assert -np.log(of_the_right).mean() == pytest.approx(made.metrics["training_loss"], rel=1e-4)


def test_where_there_are_no_probabilities():
    with pytest.raises(ds.SettingError, match="numeric targets have no probabilities"):
        ds.train(data=(X, NUMBERS), **TINY).predict(X, probabilities=True)
    with pytest.raises(ds.SettingError, match="a network trained on mean squared error has no probabilities"):
        ds.train(data=(X, CLASSES), **TINY, loss="mse").predict(X, probabilities=True)


# --- the picture of the loss ------------------------------------------------------------------------------------------


def test_a_training_has_what_the_slice_is_drawn_of():
    settings: Any = {"steps": 20, "probe_every": 10, "layers_every": 0, "progress": False}
    foreign = eqx.nn.MLP(X.shape[1], 1, 4, 1, key=jax.random.key(0))
    for model in (None, foreign):
        made = ds.train(model, (X, NUMBERS), **({"hidden": (4,)} if model is None else {}), **settings)
        axes = ds.draw.slice(made.objective, made.trace, like=made.model)
        assert axes.get_xlabel().startswith("along the steepest curvature")


@pytest.mark.parametrize("damage", [{}, [], "evil", 3, None, {"kind": "network"}, {"kind": "network", "layers": 3}])
def test_a_network_that_no_description_makes_is_answered(damage):
    trace = ds.train(data="iris", hidden=(2,), steps=20, probe_every=0, progress=False).trace
    for facts in (
        {**trace.facts, "network": {**trace.facts["network"], "description": damage}},
        {**trace.facts, "encoding": damage},
        {**trace.facts, "encoding": {**trace.facts["encoding"], "target": damage}},
    ):
        with pytest.raises(ds.DownslopeError):
            ds.predict(trace.replace(facts=facts), "iris")
    lost = {name: np.full(np.shape(leaf), np.nan) for name, leaf in trace.end.items()}
    with pytest.raises(ds.TraceError, match=r"damaged\nlost"):
        ds.predict(trace.replace(end=lost, caveats=("lost",)), "iris")
