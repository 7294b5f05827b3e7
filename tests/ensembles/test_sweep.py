"""Sweeps and races, against curvature's own formulas and single descents."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds


def test_the_dilemma_of_the_article():
    found = ds.sweep("f(x) = x²", {"x": 10})
    assert found.largest_stable_rate == pytest.approx(1.0)
    assert found.best_rate == pytest.approx(0.5)
    assert 1.0 in found.rates
    by_rate = dict(zip(found.rates, found.verdicts, strict=True))
    assert by_rate[found.rates[0]] == "rate_too_small"
    assert by_rate[0.5] == "converged"
    assert by_rate[1.0] == "oscillating"
    assert by_rate[found.rates[-1]] == "rate_too_large"
    assert list(found.lanes) == ["too small, α = 0.000977", "just right, α = 0.5", "too large, α = 1.19"]


@settings(max_examples=10)
@given(st.floats(0.05, 20), st.floats(1.2, 30))
def test_the_stable_range_and_the_best_rate_are_those_of_the_curvature(low, ratio):
    high = low * ratio
    columns = {"low": [low], "high": [high]}  # as data they share one program
    found = ds.sweep("mean(low x² + high y²)/2", {"x": 1.0, "y": 1.0}, data=columns, steps=200)
    assert found.largest_stable_rate == pytest.approx(2 / high, rel=1e-6)
    assert np.any(np.isclose(found.rates, 2 / (low + high), rtol=1e-6))
    rests = found.rates[np.isfinite(found.steps)]
    assert np.all(rests < found.largest_stable_rate * (1 + 1e-9))


@pytest.mark.parametrize("method", ["gradient descent", "momentum", "nesterov", "adam"])
def test_each_rate_is_a_descent_like_any_other(method):
    rates = [0.003, 0.03, 0.1]
    found = ds.sweep("x² + 3y² + x y", {"x": 2, "y": 1}, rates, steps=60, method=method)
    for rate, trace, steps, value in zip(rates, found.traces, found.steps, found.values, strict=True):
        alone = ds.descend("x² + 3y² + x y", {"x": 2, "y": 1}, learning_rate=rate, steps=60, method=method)
        np.testing.assert_array_equal(trace.coordinates, alone.coordinates)
        assert value == alone.value
        assert steps == (alone.last_step if alone.outcome is ds.Outcome.CONVERGED else math.inf)


def test_momentum_is_stable_further_out():
    plain = ds.sweep("x² + 5y²", {"x": 2, "y": 1}, [0.01, 0.05])
    heavy = ds.sweep("x² + 5y²", {"x": 2, "y": 1}, [0.01, 0.05], method="momentum", momentum=0.8)
    assert plain.largest_stable_rate == pytest.approx(2 / 10)
    assert heavy.largest_stable_rate == pytest.approx(3.6 / 10)


def test_where_curvature_says_nothing_there_is_no_stable_range():
    assert ds.sweep("x²", {"x": 3}, method="adam", steps=50).largest_stable_rate is None
    assert ds.sweep("3x + 1", {"x": 3}, steps=50).largest_stable_rate is None


def test_the_best_of_rates_that_all_fall_short_is_the_lowest():
    found = ds.sweep("100(y - x²)² + (1 - x)²", {"x": -1.2, "y": 1}, [1e-5, 1e-4, 1e-3], steps=50)
    assert np.all(np.isinf(found.steps))
    assert found.best == int(np.argmin(found.values))


def test_a_sweep_over_a_table(houses):
    found = ds.sweep("Loss(w) = mean((price - w×size)²)", {"w": 0}, data=houses)
    assert found.largest_stable_rate == pytest.approx(1 / np.mean(np.square([50.0, 100.0, 150.0])))
    assert float(found.traces[found.best].end["w"]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("formula", "start", "said"),
    [
        ("x", 1, "unbounded below"),
        ("-x²", 1, "unbounded below"),
        ("ln x", 1, "pole"),
        ("f(x) = 5", 1, "start meets the tolerance"),
        ("x²", 0, "start meets the tolerance"),
        ("1/(x - 3)³", 1, "pole"),
    ],
)
def test_no_rate_is_called_best_where_none_leads_to_a_minimum(formula, start, said):
    swept = ds.sweep(formula, {"x": start})
    assert said in swept.sentence
    assert "The best of" not in swept.sentence
    assert "∞" not in swept.sentence
    assert "◀ best" not in str(swept)
    assert said in ds.compare(formula, {"x": start}, ["gradient descent", "momentum"]).sentence


def test_what_is_said_of_it():
    found = ds.sweep("f(x) = x²", {"x": 10})
    text = str(found)
    assert "0.5   " in text
    assert "◀ best" in text
    assert "◀ largest stable" in text
    assert "largest stable rate is 1" in found.sentence
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["best_rate"] == pytest.approx(0.5)
    assert len(plain["rates"]) == len(found.rates)
    assert "<table>" in found._repr_html_()


@pytest.mark.parametrize(
    ("rates", "choices", "told"),
    [
        ([], {}, "from 1 to 1000"),
        ([0.1, -1], {}, "above 0"),
        ([0.1, math.inf], {}, "above 0"),
        (["fast"], {}, "numbers"),
        (None, {"method": "bfgs"}, "no fixed learning rate"),
        (None, {"learning_rate": 0.1}, "many rates"),
    ],
)
def test_rates_that_make_no_sense(rates, choices, told):
    with pytest.raises(ds.SettingError, match=told):
        ds.sweep("x²", {"x": 1}, rates, **choices)
