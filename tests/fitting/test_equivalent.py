"""Of equivalent parameters the conventional ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.fitting._equivalent import Rewriting, as_written
from downslope.fitting._model import EquationModel, model_of
from downslope.tables import read_table
from tests.fitting.problems import WAVES, noisy


def test_of_like_terms_the_slower_stands_first():
    x = np.linspace(0, 5, 60)
    y = 2 * np.exp(-0.5 * x) + 3 * np.exp(-3 * x) + np.random.default_rng(0).normal(0, 0.001, 60)
    for seed in range(4):
        found = ds.fit("y = a e^(-k x) + b e^(-l x)", {"x": x, "y": y}, seed=seed)
        assert list(found.values.values()) == pytest.approx([2, 0.5, 3, 3], rel=0.05)


def test_of_waves_that_fit_alike_the_slow_one_is_meant_and_the_slowest_stands_first():
    truth = {"b": 10.5, "a": -1.6, "c": 0.5, "T": 44.0, "d": 0.2, "f": -1.5, "S": 27.0}
    columns = noisy(WAVES, np.arange(1.0, 169), truth, 0.5, "t")
    found, wanted = ds.fit(WAVES, columns), ds.fit(WAVES, columns, start=truth)
    assert found.values == pytest.approx(wanted.values, rel=1e-5)


def test_amplitudes_are_positive_and_phases_small():
    text = "y = a sin(w x + p) + c"
    truth = {"a": 2.0, "w": 3.1, "p": -2.5, "c": 5.0}
    columns = noisy(text, np.linspace(0, 20, 150), truth, 0.2)
    for seed in range(4):
        assert ds.fit(text, columns, seed=seed).values == pytest.approx(truth, abs=0.2)


X = np.linspace(0.2, 6, 40)


def read(text: str) -> EquationModel:
    return model_of(text, read_table({"x": X, "y": X}), None, ())


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("y = a e^(-(x - m)²/w²)", {"a": 2, "m": 3, "w": -1.5}, {"a": 2, "m": 3, "w": 1.5}),
        ("y = a sin(w x)", {"a": 2, "w": -1.5}, {"a": -2, "w": 1.5}),
        ("y = a sin(w x + p)", {"a": 2, "w": 1.5, "p": 0.4 + 4 * math.pi}, {"a": 2, "w": 1.5, "p": 0.4}),
        ("y = a sin(w x + p)", {"a": -2, "w": 1.5, "p": 0.4}, {"a": 2, "w": 1.5, "p": 0.4 - math.pi}),
        ("y = a sin(w x + p)", {"a": 2, "w": -1.5, "p": 0.4}, {"a": 2, "w": 1.5, "p": math.pi - 0.4}),
        ("y = a e^(-k x) + b e^(-l x)", {"a": 1, "k": 3, "b": 2, "l": 0.5}, {"a": 2, "k": 0.5, "b": 1, "l": 3}),
        ("y = a e^(-x/s) + b e^(-x/t)", {"a": 1, "s": 0.3, "b": 2, "t": 2}, {"a": 2, "s": 2, "b": 1, "t": 0.3}),
        ("y = a e^(-k x) + c", {"a": -2, "k": -0.1, "c": 1}, {"a": -2, "k": -0.1, "c": 1}),  # nothing is equivalent
    ],
)
def test_the_conventional_parameters(text, values, wanted) -> None:
    model = read(text)
    rewriting = as_written(model, values, {"x": X})
    assert rewriting(values) == pytest.approx(wanted)
    np.testing.assert_allclose(
        model.predicted(rewriting(values), {"x": X}), model.predicted(values, {"x": X}), rtol=1e-9, atol=1e-9
    )


@settings(max_examples=60)
@given(st.lists(st.floats(-4, 4).filter(lambda value: abs(value) > 0.05), min_size=6, max_size=6))
def test_the_curve_stays_and_a_second_change_is_none(numbers) -> None:
    model = read("y = a sin(w x + p) + b e^(-(x - m)²/v²)")
    values = dict(zip(model.parameters, numbers, strict=True))
    once = as_written(model, values, {"x": X})(values)
    np.testing.assert_allclose(model.predicted(once, {"x": X}), model.predicted(values, {"x": X}), rtol=1e-7, atol=1e-7)
    assert once["v"] > 0
    assert -math.pi - 1e-9 <= once["p"] <= math.pi + 1e-9
    assert as_written(model, once, {"x": X})(once) == pytest.approx(once)


def test_changes_follow_each_other() -> None:
    same = Rewriting({name: (name, 1.0, 0.0) for name in "ab"})
    values = {"a": 2.0, "b": 5.0}
    assert same(values) == values
    assert same.permuted({"a": "b", "b": "a"})(values) == {"a": 5.0, "b": 2.0}
    assert same.shifted("a", 3.0)(values) == {"a": 5.0, "b": 5.0}
    assert same.shifted("a", 3.0).negated(("a",))(values) == {"a": -5.0, "b": 5.0}
    assert same.negated(("b",)).permuted({"a": "b", "b": "a"})(values) == {"a": -5.0, "b": 2.0}


TIME = 2000 + np.arange(40) / 12
SEASON = {"t": TIME, "y": 3 + 2 * np.cos(2 * np.pi * (TIME - 0.2)) + 0.01 * np.sin(37 * np.arange(40))}


def test_a_phase_with_a_fixed_period_comes_home_to_zero():
    fit = ds.fit("y = c + a cos(2π(t - φ))", SEASON)
    assert fit["φ"] == pytest.approx(0.2, abs=0.01)
    assert fit["a"] == pytest.approx(2.0, abs=0.02)
    assert any("φ was moved by" in note and "unchanged" in note for note in fit.notes)


def test_a_phase_counted_in_turns_comes_home_too():
    fit = ds.fit("y = c + a sin(2π(f t + p))", SEASON, start={"c": 3, "a": 2, "f": 1, "p": 0})
    searched = ds.fit("y = c + a sin(2π(f t + p))", SEASON)
    assert abs(searched["p"]) <= 0.5
    assert searched.residual_sum_of_squares == pytest.approx(fit.residual_sum_of_squares)


def test_a_phase_whose_period_is_fitted_comes_into_the_data():
    fit = ds.fit("y = c + a cos(2π(t - φ)/P)", SEASON)
    assert 2000 <= fit["φ"] <= 2000 + abs(fit["P"])
    assert fit.standard_errors["φ"] < 0.01  # 2000 periods away it would be known a thousand times worse
