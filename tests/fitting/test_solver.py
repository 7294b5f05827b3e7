"""Methods, and what is tried where one does not converge; robust losses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import downslope as ds
from tests.fitting.problems import DECAY, curve, decay


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_robust_losses_find_what_scipy_finds_at_the_same_scale(loss):
    columns = decay()
    columns["y"][[3, 20]] += 5
    ended = scipy.optimize.least_squares(
        lambda p: curve(columns["x"], *p) - columns["y"], [3, 0.5, 1], loss=loss, f_scale=0.1, xtol=1e-14, ftol=1e-14
    )
    found = ds.fit(DECAY, columns, loss=loss, loss_scale=0.1, start={"a": 3, "k": 0.5, "c": 1})
    assert list(found.values.values()) == pytest.approx(ended.x, rel=1e-5)


@pytest.mark.parametrize("loss", ["huber", "soft-L1", "cauchy"])
def test_a_robust_fit_finds_its_scale_and_is_not_moved_by_outliers(loss):
    columns = decay()
    clean = ds.fit(DECAY, columns)
    columns["y"][[3, 20]] += 5
    robust, plain = ds.fit(DECAY, columns, loss=loss), ds.fit(DECAY, columns)
    for name in clean.free:
        moved = abs(robust[name] - clean[name])
        assert moved < 3 * clean.standard_errors[name]
        assert moved < abs(plain[name] - clean[name])
        assert 0.3 < robust.standard_errors[name] / clean.standard_errors[name] < 3


@pytest.mark.parametrize("method", ["gradient descent", "adam", "bfgs", "newton", "trust region", "LM"])
def test_other_methods_come_to_the_same_place(method):
    start = {"a": 2.5, "k": 0.7, "c": 0.5}
    steps = {} if method in ("trust region", "LM") else {"steps": 20_000}
    found = ds.fit(DECAY, decay(), start=start, method=method, **steps)
    assert list(found.values.values()) == pytest.approx(list(ds.fit(DECAY, decay()).values.values()), rel=1e-5)
    assert "converged" in found.findings


def test_a_robust_fit_begins_where_it_is_told():
    start = {"a": 1.0, "k": 1.0, "c": 0.0}
    found = ds.fit(DECAY, decay(), loss="huber", start=start)
    assert dict(zip(found.trace.coordinate_names, found.trace.coordinates[0], strict=True)) == pytest.approx(start)


def test_robust_errors_are_those_of_repeated_measurements():
    ends = []
    for seed in range(60):
        columns = decay(seed=seed)
        columns["y"][[3, 20]] += 5
        found = ds.fit(DECAY, columns, loss="cauchy", start={"a": 3, "k": 0.5, "c": 1})
        ends.append((found["k"], found.standard_errors["k"]))
    spread = np.std([end for end, _ in ends])
    assert np.median([error for _, error in ends]) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("start", [{"A": 1, "k": -20}, {"A": 1, "k": -1e4}, {"A": -1, "k": -3}])
def test_a_start_from_which_the_model_explodes_is_left_for_another(start: dict[str, float]) -> None:
    x = np.linspace(0, 6, 15)
    y = 5 * np.exp(-0.5 * x) + 0.05 * np.cos(37 * x)
    fit = ds.fit("y = A e^(-k x)", {"x": x, "y": y}, start=start)
    assert fit.values == pytest.approx(ds.fit("y = A e^(-k x)", {"x": x, "y": y}).values, rel=1e-6)
    assert fit.findings.ok
