"""The benchmark of diagnoses: data, losses and outcomes are what a recipe says; one small run goes all the way."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.unusual import RECIPES

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def recipe(**changes: Any) -> dict[str, Any]:
    """Return a recipe of a small network on small data."""
    made = {
        "id": "moons",
        "group": "ours",
        "dataset": {"name": "moons", "make": "sklearn.make_moons(n_samples=100, noise=0.1)", "task": "binary"},
        "layers": [{"units": 4, "activation": "tanh"}, {"units": 1, "activation": "sigmoid"}],
        "loss": "binary_crossentropy",
        "optimizer": {"name": "adam", "lr": 0.01},
        "batch": 16,
        "epochs": 10,
        "label": ["healthy"],
    }
    return {**made, **changes}


def data(**changes: Any) -> Any:
    from sick_data import data_of

    return data_of(recipe(**changes))


def test_data_are_split_as_scikit_learn_does() -> None:
    from sklearn.datasets import make_moons
    from sklearn.model_selection import train_test_split

    inputs, targets = make_moons(n_samples=100, noise=0.1, random_state=0)
    wanted = train_test_split(inputs, targets, test_size=0.2, random_state=0)
    made = data()
    for found, known in zip((made.inputs, made.held_inputs, made.targets, made.held_targets), wanted, strict=True):
        np.testing.assert_allclose(found, known)


def test_faults_of_the_data_are_found_by_key_words() -> None:
    clean = data()
    shuffled = data(note="labels shuffled")
    assert np.mean(shuffled.targets != clean.targets) > 0.2
    noisy = data(label=["label_noise"], note="20% of labels changed")
    assert 0 < np.mean(noisy.targets != clean.targets) <= 0.2
    thinned = data(label=["unbalanced_data"])
    counts = np.bincount(thinned.targets)
    assert counts[0] > 20 * counts[1]
    np.testing.assert_array_equal(thinned.held_targets, clean.held_targets)


def test_scales_are_those_that_are_named() -> None:
    dataset = recipe()["dataset"]
    scaled = data(dataset={**dataset, "scale": "min-max per feature"})
    both = np.concatenate([scaled.inputs, scaled.held_inputs])
    np.testing.assert_allclose([both.min(axis=0), both.max(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    targets = data(
        dataset={
            "name": "make_regression",
            "make": "sklearn.make_regression(n_samples=50, n_features=3)",
            "scale": "min-max features; target to [-1,1]",
            "task": "regression",
        }
    )
    found = np.concatenate([targets.targets, targets.held_targets])
    np.testing.assert_allclose([found.min(), found.max()], [-1, 1])


def test_what_is_not_known_is_said() -> None:
    from sick_faults import UnbuildableError
    from sick_losses import loss_of
    from sick_networks import method_of, network_of

    with pytest.raises(UnbuildableError, match="no data 'imdb'"):
        data(dataset={"name": "imdb"})
    with pytest.raises(UnbuildableError, match="no layer of lstm"):
        network_of(recipe(layers=[{"lstm": 8}]), (2,), 0)
    with pytest.raises(UnbuildableError, match="no optimizer 'ftrl'"):
        method_of(recipe(optimizer={"name": "ftrl"}))
    with pytest.raises(UnbuildableError, match="no loss 'triplet'"):
        loss_of(recipe(loss="triplet"), "classes")


def test_the_broadcast_loss_is_least_at_the_mean() -> None:
    import jax.numpy as jnp
    from sick_losses import loss_of

    loss = loss_of(recipe(loss="mse_broadcast_bug"), "numbers")["loss"]
    targets = jnp.array([[0.0], [1.0], [5.0]])
    at_mean, at_targets = float(loss(jnp.full((3, 1), 2.0), targets)), float(loss(targets, targets))
    assert at_mean == pytest.approx(float(jnp.var(targets)))
    assert at_targets == pytest.approx(2 * at_mean)


def test_a_removed_activation_is_the_one_that_keras_counts() -> None:
    from sick_networks import network_of

    layers = [{"units": 4, "activation": "relu", "dropout_after": 0.5}, {"units": 2, "activation": "softmax"}]
    made = network_of(recipe(layers=layers, note="activation of layer 2 removed"), (2,), 0)
    assert [getattr(layer, "activation", "") for layer in made.plan] == ["relu", "", "linear"]


def test_biases_are_drawn_by_the_seed() -> None:
    from sick_networks import network_of

    layers = [{"units": 50, "activation": "tanh", "bias_init": "glorot_normal"}, {"units": 1}]
    one, same, other = (np.asarray(network_of(recipe(layers=layers), (2,), s).layers[0].bias) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert one.std() == pytest.approx(50**-0.5, rel=0.4)


def test_runs_are_sick_by_outcome() -> None:
    from sick_outcomes import label_outcomes

    told = [(0.9, True, "accuracy"), (0.82, True, "accuracy"), (0.81, True, "accuracy"), (None, False, "accuracy")]
    runs = [
        {"key": "a", "metric": metric, "finite": finite, "measured_by": by, "labels": ["healthy"]}
        for metric, finite, by in told
    ]
    label_outcomes(runs, {})
    assert [one["sick"] for one in runs] == [False, False, True, True]
    label_outcomes(runs, {"a": {**runs[0], "metric": 1.0}})
    assert [one["sick"] for one in runs] == [True, True, True, True]


def test_wilsons_interval_is_that_of_scipy() -> None:
    from scipy.stats import binomtest
    from sick_outcomes import wilson

    for hits, count in ((0, 5), (3, 7), (40, 40)):
        known = binomtest(hits, count).proportion_ci(method="wilson")
        found = wilson(hits, count)
        assert math.isclose(found["low"], known.low, abs_tol=1e-6)
        assert math.isclose(found["high"], known.high, abs_tol=1e-6)


@pytest.mark.slow
def test_a_file_is_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formula = {"id": "valley", "formula": "x**2 + 1e2*y**2", "start": [1, 1], "group": "formula", "epochs": 50}
    formula |= {"optimizer": {"name": "sgd", "lr": 1e-7}, "label": ["lr_too_low"]}
    broken = recipe(id="broken", layers=[{"units": 1, "activation": "no such thing"}])
    made = {"meta": {"identifiers": {"lr_too_low": ["rate_too_small"]}}, "recipes": [recipe(), formula, broken]}
    file, out, kept = tmp_path / "file.json", tmp_path / "results.json", tmp_path / "kept"
    file.write_text(json.dumps(made), encoding="utf-8")
    command = [str(BENCHMARKS / "sick_runs.py"), str(file), "--seeds", "1", "--workers", "1", "--out", str(out)]
    subprocess.run([sys.executable, *command, "--keep", str(kept)], check=True, capture_output=True)
    first = json.loads(out.read_text(encoding="utf-8"))
    assert [(one["id"], one["sick"]) for one in first["runs"]] == [("moons", False), ("valley", True)]
    assert "no such thing" in first["failed"][0]["failed"]
    assert first["summary"]["cause_first"]["n"] == 1
    assert set(first["summary"]["rivals"]) == {"AutoTrainer", "DeepDiagnosis", "SageMaker Debugger"}
    # Diagnosed again in this process: that processes are begun, the first run shows.
    import sick_runs

    monkeypatch.setattr(sick_runs, "results", lambda work, pieces, **_: enumerate(work(*piece) for piece in pieces))
    monkeypatch.setattr(sys, "argv", [*command, "--again", str(kept)])
    sick_runs.main()
    again = json.loads(out.read_text(encoding="utf-8"))
    assert [one["findings"] for one in again["runs"]] == [one["findings"] for one in first["runs"]]


# --- unusual spellings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(len(RECIPES)), ids=lambda index: RECIPES[index]["id"].replace(" ", "-"))
def test_a_recipe_in_an_unusual_spelling_can_be_built(index: int) -> None:
    from sick_data import data_of
    from sick_networks import choices_of, network_of, steps_of
    from sick_recipes import uniform

    one = uniform(RECIPES)[index]
    assert "unreadable" not in one
    rows = data_of(one)
    network = network_of(one, rows.inputs.shape[1:], 0)
    choices = choices_of(one, rows, network)
    assert np.isfinite(np.asarray(network(rows.inputs[:5]))).all()
    assert steps_of(one, len(rows.inputs))[0] >= 5
    assert {"method", "loss", "batch", "task"} <= set(choices)


@pytest.mark.parametrize(
    ("told", "low", "high"),
    [
        ("truncated_normal", 0.0440, 0.0440),  # 0.05 × 0.8796
        ("keras.initializers.TruncatedNormal(stddev=0.5)", 0.440, 0.440),
        ("tf.truncated_normal, std 0.1", 0.0880, 0.0880),
        ({"name": "truncated_normal", "std": 1.0}, 0.880, 0.880),
        ("N(0, 0.2²)", 0.2, 0.2),
        ("normal with standard deviation 0.3", 0.3, 0.3),
        ("np.random.randn", 1.0, 1.0),
        ("np.random.rand", 0.2887, 0.2887),
        ("uniform(-1, 1)", 0.577, 0.577),
        ("orthogonal", 0.1, 0.1),
        ("const_0.01", 0.0, 0.0),
        (0.5, 0.0, 0.0),
        ("kaiming_normal_", 0.1414, 0.1414),
        ("Xavier", 0.1, 0.1),
    ],
)
def test_an_initialisation_has_the_deviation_that_its_words_say(told: Any, low: float, high: float) -> None:
    from sick_networks import network_of

    layers = [{"units": 100, "activation": "tanh", "init": told}, {"units": 1}]
    weights = np.asarray(network_of(recipe(layers=layers), (100,), 0).layers[0].weight)
    assert low * 0.97 - 1e-6 <= weights.std() <= high * 1.03 + 1e-6


def test_recipes_that_cannot_be_read_take_no_other_with_them() -> None:
    from sick_recipes import uniform
    from sick_training import Job, trained

    recipes = uniform([None, {"id": "a", "layers": [[1]]}, {"id": "a", "dataset": None}, {"id": "b"}])
    assert [one["id"] for one in recipes] == ["recipe-1", "a", "a-2", "b"]
    for one in recipes:
        assert "failed to build" in trained(Job(one, (0,), None, None))[0]["failed"]


def dies(piece: str) -> str:
    """Return the piece; die, hang or raise for those that say so."""
    if piece == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if piece == "hangs":
        time.sleep(60)
    if piece == "raises":
        raise ValueError("no such piece")
    return piece


def test_a_piece_that_dies_hangs_or_raises_is_lost_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import processes

    monkeypatch.setattr(processes, "_can_fork", lambda: True)
    monkeypatch.setattr(processes, "_CLOCK_FACTOR", 2)
    pieces = ["first", "dies", "hangs", "raises", "last"]
    done = dict(processes.results(dies, [(piece,) for piece in pieces], workers=3, seconds=1))
    assert done[0] == "first"
    assert done[4] == "last"
    assert "SIGSEGV" in done[1].reason
    assert "ended after 2 seconds of the clock" in done[2].reason
    assert "ValueError: no such piece" in done[3].reason
