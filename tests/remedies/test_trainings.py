"""Sick trainings: what is prescribed helps with fresh seeds, what is well is left alone, and setups are kept."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import equinox
import jax
import numpy as np
import pytest

import downslope as ds
from downslope.executors import Crew
from downslope.remedies import _prescribe, _race, _training_trials
from downslope.remedies._remedy import TrainingCase
from downslope.remedies._training_remedies import _IN_LAYERS, clipping_later, proposals
from downslope.remedies._trial import Runner, score_of

DEEP: dict[str, Any] = {"hidden": (16,) * 8, "activation": "sigmoid", "steps": 200, "probe_every": 0}
QUICK: dict[str, Any] = {"hidden": (4,), "steps": 30, "probe_every": 0}


@pytest.fixture(scope="module")
def deep() -> ds.Setup:
    return ds.Setup.of(None, "iris", **DEEP)


@pytest.fixture(scope="module")
def mended(deep: ds.Setup) -> ds.Prescription:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_race, "_HEAT", 2)  # each further one costs a compilation
        return ds.prescribe(deep, seeds=3, trainings=10, progress=False)


def called(text: str, **known: Any) -> Any:
    """Return what a printed call makes."""
    return eval(text, {"ds": ds, "np": np, **known})  # noqa: S307 - what our own code printed


def test_a_deep_sigmoid_network_is_mended(mended: ds.Prescription) -> None:
    assert "vanishing_gradients" in mended.diagnosis
    assert mended.best is not None, str(mended)
    assert mended.best.helped
    assert isinstance(mended.mended, ds.Setup)
    made = mended.mended.train(seed=99, progress=False)
    assert made.trace.facts["data"]["validation_reference_score"] - made.metrics["validation_accuracy"] < 0.15
    assert mended.steps <= 10 * 200


def test_all_of_a_prescription_for_a_training_can_be_drawn(mended: ds.Prescription) -> None:
    axes = ds.draw.prescription(mended)
    names = ["unchanged", *(trial.remedy.name for trial in mended.trials)]
    assert [str(text.get_text()).replace("\n", " ") for text in axes.get_yticklabels()] == names
    assert axes.get_xlabel() == "score on rows held back"


def test_a_healthy_run_is_left_alone() -> None:
    made = ds.train(data="iris", hidden=(16,), steps=150, learning_rate=0.01, probe_every=0, progress=False)
    found = ds.prescribe(made, progress=False)
    assert found.verdict == "Nothing is wrong, so nothing was changed."
    assert found.steps == 0
    assert found.mended is None


def test_of_a_healthy_run_what_was_noted_is_looked_after_and_no_more() -> None:
    choices: dict[str, Any] = {"hidden": (16,), "output_activation": "sigmoid", "steps": 300, "learning_rate": 0.01}
    made = ds.train(data="iris", probe_every=0, progress=False, **choices)
    found = ds.prescribe(made, seeds=2, progress=False)
    assert found.diagnosis.ok
    tried = {remedy.symptom for remedy, _ in found.tried}
    assert "wrong_output_activation" in tried
    assert tried <= set(found.diagnosis.symptoms)
    assert found.verdict.startswith("Nothing is wrong, and nothing helped with what was noted")


def test_without_rows_held_back_nothing_can_be_judged(deep: ds.Setup) -> None:
    with pytest.raises(ds.SettingError, match="there are none"):
        ds.prescribe(deep.changed(validation=0, steps=100), progress=False)


def test_targets_without_sense_cannot_be_mended() -> None:
    random = np.random.default_rng(0)
    data = random.normal(size=(120, 3)), random.normal(size=120)
    setup = ds.Setup.of(None, data, hidden=(8,), steps=100, probe_every=0, seed=1)
    found = ds.prescribe(setup, seeds=2, trainings=9, progress=False)
    assert not found.diagnosis.ok
    assert found.verdict.startswith("Nothing helped")
    assert found.mended is None


def test_nothing_is_changed_inside_a_model_of_others() -> None:
    import equinox
    import jax

    mine = equinox.nn.MLP(4, 3, width_size=8, depth=4, activation=jax.nn.sigmoid, key=jax.random.key(0))
    setup = ds.Setup.of(mine, "iris", steps=60, probe_every=0)
    made = setup.train(progress=False)
    diagnosis = ds.diagnose(made.trace)
    assert not diagnosis.ok
    offered = proposals(TrainingCase(setup, made.trace), diagnosis)
    assert offered
    assert not any(_IN_LAYERS & remedy.changes.keys() for remedy in offered)
    with pytest.raises(ds.SettingError, match="nothing can be changed inside a MLP"):
        setup.changed(activation="relu")


def test_a_run_that_went_well_for_a_while_is_gone_on_with_from_there() -> None:
    random = np.random.default_rng(1)
    inputs = random.normal(size=(3000, 3)).astype(np.float32)
    targets = inputs.sum(1)
    inputs[1712] = 300  # one row that throws plain gradient descent out, wherever it stands in the order
    held = random.normal(size=(200, 3)).astype(np.float32)
    setup = ds.Setup.of(
        None, (inputs, targets), hidden=(), method="gradient descent", learning_rate=0.01, standardise=False, batch=8,
        scale_targets=False, validation=(held, held.sum(1)), steps=350, probe_every=0, layers_every=0,
    )  # fmt: skip
    trace = setup.train(progress=False).trace
    case = TrainingCase(setup, trace)
    loss = trace.columns["value"]
    thrown = int(np.argmax(loss > 100))
    assert 35 < case.healthy_steps < thrown
    assert loss[case.healthy_steps] < 0.01 * loss[0]
    later = clipping_later(case)
    assert later is not None
    assert later.changes["begin"] == {"steps": case.healthy_steps, "clip_norm": None}
    assert score_of(setup.changed(**later.changes).train(progress=False).trace) > 0.99 > score_of(trace)


def test_ctrl_c_keeps_what_was_learnt(deep: ds.Setup) -> None:
    def stop(done: int, of: int, best: float) -> None:
        if done >= 200:
            raise KeyboardInterrupt

    found = ds.prescribe(deep, seeds=2, trainings=8, progress=stop)
    assert found.interrupted
    assert found.verdict.startswith("Cut short after")
    assert found.steps >= 200
    assert found.trials == ()


# --- saved runs ------------------------------------------------------------------------------------------------------


def test_a_network_is_built_once_for_changes_that_train_the_same(
    deep: ds.Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = deep.train(progress=False).trace
    with Crew() as crew:
        subject = _training_trials._Trained(deep, trace, ds.diagnose(trace), Runner(crew, 100, lambda *_: None))
        built: list[Any] = []
        plan = ds.Setup.plan
        monkeypatch.setattr(ds.Setup, "plan", lambda setup, *seed: built.append(setup) or plan(setup, *seed))
        first = subject.changed({"learning_rate": 0.5, "batch": 8})
        assert first is not None
        assert subject.changed({"batch": 8, "learning_rate": 0.5}) is first
        assert subject.changed({"batch": 8, "learning_rate": 0.25}) is not first
        assert [subject.changed({"warm_up": -3}) for _ in range(2)] == [None, None]
        assert len(built) <= 3


def test_a_saved_run_tells_what_it_was_asked_for(tmp_path: Path, deep: ds.Setup) -> None:
    deep.changed(steps=100).train(progress=False, save=tmp_path / "run")
    found = ds.prescribe(tmp_path / "run", seeds=2, trainings=1, progress=False)
    assert found.specification.choices | {"hidden": DEEP["hidden"]} == deep.changed(steps=100).choices
    assert found.specification.plan().description == deep.changed(steps=100).plan().description
    assert not found.diagnosis.ok


def test_a_run_on_arrays_asks_for_them(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = random.normal(size=(40, 2)), random.normal(size=40)
    ds.train(data=data, **QUICK, progress=False, save=tmp_path / "run")
    with pytest.raises(ds.DataError, match="does not include its data"):
        ds.prescribe(tmp_path / "run", progress=False)
    found = ds.prescribe(tmp_path / "run", data=data, trainings=1, progress=False)
    assert found.specification.data is data


# --- setups ----------------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_train() -> None:
    parameters = inspect.signature(ds.train).parameters
    choices = ds.Setup.of("iris").choices
    assert choices == {name: parameters[name].default for name in choices}
    left_out = {name for name, choice in ds.choices(ds.train).items() if choice.noun in ("network", "run")}
    settings = {name for name, choice in ds.choices(ds.train).items() if choice.is_setting}
    assert set(parameters) - set(choices) == {"model", "data", "target"} | left_out | settings


def test_choices_of_layers_are_made_in_layers() -> None:
    layers = [ds.Dense(8, "sigmoid"), ds.Dense(8, "sigmoid", bias=0.5), ds.Dense(3)]
    setup = ds.Setup.of(layers, "iris", **{name: told for name, told in QUICK.items() if name != "hidden"})
    other = setup.changed(activation="relu", bias=0.0, least_units=16, output_activation="auto")
    assert other.layers is not None
    assert [layer.activation for layer in other.layers] == ["relu", "relu", "linear"]
    assert [layer.units for layer in other.layers] == [16, 16, 3]
    assert [layer.bias for layer in other.layers] == [0.0, 0.0, 0.0]
    assert setup.changed(output_units=5).layers[-1].units == 5
    assert setup.changed(skip=True).layers[1].skip
    assert [layer.activation for layer in layers] == ["sigmoid", "sigmoid", "linear"]


def test_choices_of_layers_are_made_in_sizes() -> None:
    setup = ds.Setup.of(None, "iris", **QUICK)
    other = setup.changed(least_units=64, activation="tanh")
    assert (other.choices["hidden"], other.choices["activation"]) == ((64,), "tanh")
    assert "activation" not in other.changed(activation=None).choices


@pytest.mark.parametrize(
    ("model", "choices"),
    [
        (None, {**QUICK, "activation": "tanh", "method": "momentum", "momentum": 0.5, "learning_rate": 0.01}),
        ([ds.Dense(6, "tanh", initialisation="normal_1"), ds.Dense(3)], {"steps": 30, "probe_every": 0, "batch": None}),
    ],
    ids=["sizes", "layers"],
)
def test_a_setup_is_written_and_told(model: Any, choices: dict[str, Any]) -> None:
    setup = ds.Setup.of(model, "iris", **choices)
    made = setup.train(progress=False)
    again = called(setup.as_python().removesuffix(")") + ", progress=False)")
    np.testing.assert_array_equal(again.trace.columns["value"], made.trace.columns["value"])
    told = ds.Setup.from_plain(setup.as_plain())
    assert called(told.as_python().removesuffix(")") + ", progress=False)").trace.value == made.trace.value
    assert told.plan().description == setup.plan().description


def test_a_saved_run_is_prescribed_for_with_the_parts_that_no_file_holds(tmp_path: Path, monkeypatch) -> None:
    inputs = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    rows = (inputs, (inputs[:, 0] > 0).astype(int))
    model = equinox.nn.Linear(2, 1, key=jax.random.key(0))
    ds.train(model, rows, steps=2, validation=rows, probe_every=0, progress=False, save=tmp_path / "run")
    taken = []
    monkeypatch.setattr(_prescribe, "of_training", lambda setup, *others: taken.append(setup))
    with pytest.raises(ds.DataError, match="does not include its model"):
        ds.prescribe(tmp_path / "run", data=rows, validation=rows)
    ds.prescribe(tmp_path / "run", data=rows, validation=rows, model=model)
    assert taken[0].model is model
    assert taken[0].choices["validation"] is rows
    with pytest.raises(ds.SettingError, match="model is a part of a saved run"):
        ds.prescribe(taken[0], model=model)


def test_a_saved_run_with_a_schedule_of_its_own_is_prescribed_for_as_a_setup(tmp_path: Path) -> None:
    ds.train("iris", hidden=2, steps=2, schedule=lambda step: 0.1, probe_every=0, progress=False, save=tmp_path / "run")
    with pytest.raises(ds.SettingError, match="does not hold the schedule"):
        ds.prescribe(tmp_path / "run")
