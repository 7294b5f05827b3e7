"""Training: it learns, it ends where it says, the same seed gives the same bits, nonsense is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope import Dense
from tests.equality import same
from tests.networks.trainings import (
    CLASSES,
    NUMBERS,
    PLAIN,
    QUIET,
    SLOPES,
    TINY,
    X,
)

# --- what is learnt ---------------------------------------------------------------------------------------------------


def test_digits_are_told_apart_after_few_steps():
    made = ds.train(data="digits", steps=200, **PLAIN)
    assert made.metrics["validation_accuracy"] > 0.9
    images, labels = ds.networks.data._samples.sample("digits").data
    assert np.mean(made.predict(images) == labels["digit"]) > 0.9


@pytest.mark.slow
def test_digits_are_told_apart_well():
    assert ds.train(data="digits", steps=2000, progress=False).metrics["validation_accuracy"] >= 0.96


def test_numbers_of_a_table_are_learnt_in_their_own_scale(tmp_path: Path):
    file = tmp_path / "plain.csv"
    rows = [f"{a},{b},{c},{1000 + 50 * y}" for (a, b, c), y in zip(X, NUMBERS, strict=True)]
    file.write_text("\n".join(["a,b,c,price", *rows]), encoding="utf-8")
    made = ds.train(data=file, target="price", hidden=(16,), steps=400, learning_rate=0.01, **PLAIN)
    assert made.metrics["validation_r2"] > 0.95
    predicted = made.predict({"c": X[:, 2], "a": X[:, 0], "b": X[:, 1]})
    assert np.std(predicted - (1000 + 50 * NUMBERS)) < 0.25 * 50 * np.std(NUMBERS)
    assert made.trace.facts["network"]["metric"] == "r2"


def test_two_classes_are_told_apart_by_one_output():
    labels = np.where(X @ SLOPES > 0, "up", "down")
    made = ds.train(data=(X, labels), hidden=(8,), steps=300, learning_rate=0.01, **PLAIN)
    assert made.model.outputs == (1,)
    assert made.metrics["validation_accuracy"] > 0.9
    assert np.mean(made.predict(X) == labels) > 0.9
    probability = ds.train(
        data=(X, labels), output_activation="sigmoid", hidden=(8,), steps=300, learning_rate=0.01, **PLAIN
    )
    assert probability.trace.facts["network"]["loss"]["from_logits"] is False
    assert np.mean(probability.predict(X) == labels) > 0.9


def test_two_classes_may_have_two_outputs():
    made = ds.train(data=(X, X[:, 0] > 0), output_activation="softmax", hidden=(8,), steps=300, **PLAIN)
    assert made.model.outputs == (2,)
    assert np.mean(made.predict(X) == (X[:, 0] > 0)) > 0.85


# --- when it ends, and how often it is the same -----------------------------------------------------------------------


def test_a_run_ends_early_when_the_validation_loss_stops_falling():
    noise = np.random.default_rng(0).normal(size=120)
    made = ds.train(
        data=(X, noise), hidden=(64,), steps=2000, learning_rate=0.01, patience=3, evaluate_every=20, **PLAIN
    )
    assert made.trace.outcome is ds.Outcome.STOPPED_EARLY
    told = made.trace.metrics["validation_loss"]
    assert made.trace.last_step == made.trace.metrics["step"][-1] == 20 * (np.argmin(told) + 3)
    assert len(made.trace) == made.trace.last_step + 1


def test_patience_needs_something_to_wait_for():
    with pytest.raises(ds.SettingError, match="validation"):
        ds.train(data=(X, NUMBERS), patience=3, validation=0, **TINY)


def test_the_same_seed_gives_the_same_bits():
    settings = {"hidden": (5,), "dropout": 0.2, "normalisation": "batch", **QUIET, "steps": 25}
    one, other = (ds.train(data=(X, CLASSES), seed=4, **settings) for _ in range(2))
    for name in ("start", "end", "recorded", "part_columns", "layer_columns", "metrics"):
        same(dict(getattr(one.trace, name)), dict(getattr(other.trace, name)))
    third = ds.train(data=(X, CLASSES), seed=5, **settings)
    assert not np.array_equal(one.trace.start["layers/0/weight"], third.trace.start["layers/0/weight"])


def test_a_run_is_stopped_by_the_user_and_tells_where_it_stands():
    import signal

    def stop(done: int, steps: int, value: float) -> None:
        if done >= 40:
            signal.raise_signal(signal.SIGINT)

    made = ds.train(data=(X, NUMBERS), hidden=(4,), steps=5000, evaluate_every=1000, progress=stop, probe_every=0)
    assert made.trace.outcome is ds.Outcome.INTERRUPTED
    assert 40 <= made.trace.last_step < 5000
    assert made.trace.metrics["step"][-1] == made.trace.last_step
    assert np.isnan(made.trace.recorded["first_order_decrease"][-1])


def test_a_run_of_no_steps_tells_of_its_start():
    made = ds.train(data=(X, NUMBERS), hidden=(4,), steps=0, progress=False)
    same(dict(made.trace.start), dict(made.trace.end))
    assert len(made.trace) == 1
    assert len(made.trace.spectra) == 1


# --- what is refused at the door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"data": None}, "no training data"),
        ({"batch": 0}, "batch"),
        ({"accumulate": 1.5}, "accumulate"),
        ({"evaluate_every": 0}, "evaluate_every"),
        ({"probe_every": -1}, "probe_every"),
        ({"patience": 0}, "patience"),
        ({"l2": -1}, "l2"),
        ({"resume": True}, "resume needs a folder"),
        ({"overwrite": True}, "overwrite needs a folder"),
        ({"layers_every": -1}, "layers_every must be a whole number of at least 0, not -1"),
        ({"steps": "10"}, "steps must be a whole number from 0 to 2147483647"),
        ({"validation": 1.5}, "between 0 and 1"),
        ({"momentum": 0.9}, "momentum"),
        ({"hiden": (3,)}, "hiden"),
        ({"hidden": (0,)}, "hidden must be whole numbers of at least 1"),
        ({"activation": "reluu"}, "relu"),
        ({"loss": "softmax cross-entropy"}, "classes"),
        ({"model": "network"}, "model"),
        ({"model": ds.network(2, [Dense(1)])}, "shape"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, match):
    with pytest.raises(ds.DownslopeError, match=match):
        ds.train(**{"data": (X, NUMBERS), **TINY, **settings})
