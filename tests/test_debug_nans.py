"""With JAX's own alarms for numbers that are not finite, a descent that runs away still ends with its outcome."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import downslope as ds

AWAY = {"learning_rate": 1e3, "steps": 200, "progress": False}
START = {"x": 5.0, "y": 3.0}


@pytest.fixture(autouse=True, params=["jax_debug_nans", "jax_debug_infs"])
def alarm(request: pytest.FixtureRequest) -> Iterator[str]:
    before = jax.config.values[request.param]
    jax.config.update(request.param, True)
    yield request.param
    assert jax.config.values[request.param] is True
    jax.config.update(request.param, before)


def quartic(point):
    return jnp.sum(point["w"] ** 4)


@pytest.mark.parametrize("method", ["gradient descent", "adam"])
def test_descents(method: str) -> None:
    goal = "x⁴ + y⁴" if method == "gradient descent" else "ln(x) + ln(y)"
    trace = ds.descend(goal, START, method=method, **AWAY)
    assert trace.outcome is ds.Outcome.NOT_FINITE
    assert "not" in str(ds.diagnose(trace))


def test_functions_in_float32_and_every_other_record() -> None:
    goal = ds.objective(quartic, precision="float32")
    for record in (1, 7):
        trace = ds.descend(goal, {"w": np.full(20, 3.0)}, record=record, **AWAY)
        assert trace.outcome is ds.Outcome.NOT_FINITE


def test_trainings() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    training = ds.train([ds.Dense(3, "relu"), ds.Dense(1)], (rows, rows.sum(1) * 1e6), method="sgd", **AWAY)
    assert training.trace.outcome is ds.Outcome.NOT_FINITE


def test_ensembles_and_fits() -> None:
    assert len(ds.sweep("x⁴", {"x": 5.0}, [1e-3, 1e3], steps=50).rates) == 2
    assert ds.multistart("ln(x)", bounds={"x": (-1.0, 1.0)}, starts=4) is not None
    assert ds.slope("ln(x)", {"x": -1.0}) is not None
    table = {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, 2.5, 3.0]}
    assert ds.fit("y = a×ln(x - b)", table) is not None
    assert ds.prescribe(ds.plan("x⁴", {"x": 5.0}, learning_rate=1e3, steps=50)) is not None
