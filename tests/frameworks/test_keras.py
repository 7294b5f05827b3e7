"""The callback for Keras against Keras's own numbers, on JAX and on PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needing import needs

needs("keras", "torch")
SCRIPT = Path(__file__).parent / "keras_trainings.py"


@pytest.fixture(scope="module", params=["jax", "torch"])
def said(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the script says on a backend, and which."""
    environment = os.environ | {"KERAS_BACKEND": request.param}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {"backend": request.param, **json.loads(done.stdout.splitlines()[-1])}


def test_loss_and_rate_are_those_of_keras(said: dict[str, Any]) -> None:
    recorded, by_hand = said["recorded"], said["by_hand"]
    np.testing.assert_allclose(recorded["value"], by_hand["loss"], rtol=1e-5)
    np.testing.assert_allclose(recorded["learning_rate"], by_hand["rate"], rtol=1e-5)


def test_gradient_norms_are_those_of_keras(said: dict[str, Any]) -> None:
    if said["backend"] == "torch":
        np.testing.assert_allclose(said["recorded"]["gradient_norm"], said["by_hand"]["gradient_norm"], rtol=1e-5)
    else:  # of the sample, at the weights that the step began with
        assert said["part_names"] == sorted(said["part_names"])
        np.testing.assert_allclose(said["parts"]["gradient_norm"][0], said["sample_gradient"], rtol=1e-3)


def test_evaluations_are_those_of_keras(said: dict[str, Any]) -> None:
    for score in ("loss", "accuracy"):
        measured = np.array(said["metrics"][f"validation_{score}"])
        np.testing.assert_allclose(measured[np.isfinite(measured)], said["history"][f"val_{score}"], rtol=1e-6)


def test_layers_are_looked_at_under_their_names(said: dict[str, Any]) -> None:
    assert said["layers"] == ["sequential/dense", "sequential/dense_1", "sequential/dense_2"]
    assert said["looks"] == [0, 4, 8, 12, 16]
    assert len(said["part_names"]) == 8  # without the moving means of the normalisation
    assert np.all(np.array(said["parts"]["update_norm"]) > 0)
    assert said["moved"] > 0


def test_a_watched_training_is_that_without_and_leaves_nothing_behind(said: dict[str, Any]) -> None:
    assert said["same_weights"]
    assert said["attributes"] == []
    assert len(said["again"]) == 6  # a second fit with a callback of its own


def test_the_plan_is_that_of_the_optimizer(said: dict[str, Any]) -> None:
    assert said["plan"]["method"] == "adam"
    assert said["plan"]["learning_rate"] == pytest.approx(0.01)


def test_without_a_sample_there_are_the_numbers(said: dict[str, Any]) -> None:
    assert said["numbers"]["steps"] == 6
    assert bool(said["numbers"]["layers"]) == (said["backend"] == "torch")
