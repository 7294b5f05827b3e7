"""Derived quantities against closed forms, and their words."""

import math

import numpy as np
import pytest

import downslope as ds

DECAY = {"t": [0, 1.5, 3, 4.5, 6, 7.5], "y": [20.162, 12.575, 8.128, 5.365, 3.148, 2.069]}
MODEL = "y = A e^(-k t)"


@pytest.fixture(scope="module")
def decay():
    return ds.fit(MODEL, DECAY, start={"A": 20, "k": 0.3}, units={"t": "hour", "y": "mg"})


def test_a_reciprocal_has_the_relative_error_of_its_parameter(decay):
    half = decay.derived("half_life = ln(2)/k")
    assert half.name == "half_life"
    assert half.value == pytest.approx(math.log(2) / decay["k"])
    assert half.standard_error / half.value == pytest.approx(decay.standard_errors["k"] / decay["k"])
    assert half.unit == "h"
    t = (decay.parameters["k"].high - decay["k"]) / decay.standard_errors["k"]
    assert (half.low, half.high) == pytest.approx(
        (half.value - t * half.standard_error, half.value + t * half.standard_error)
    )


def test_correlated_errors_enter_together(decay):
    slopes = np.array([1 / decay["k"], -decay["A"] / decay["k"] ** 2])
    expected = math.sqrt(slopes @ decay.covariance @ slopes)
    assert decay.derived("A/k").standard_error == pytest.approx(expected, rel=1e-9)
    assert decay.derived("A/k").unit in ("mg·h", "h·mg")


def test_another_parametrisation_gives_the_same_error(decay):
    lifetime = ds.fit("y = A e^(-t/T)", DECAY, start={"A": 20, "T": 3})
    assert decay.derived("1/k").standard_error == pytest.approx(lifetime.standard_errors["T"], rel=1e-6)


def test_fixed_parameters_are_exact_and_ties_are_followed():
    table = {"x": [0, 1, 2, 3], "y": [0.1, 3.1, 5.9, 9.1]}
    fit = ds.fit("y = a x + b x + c", table, ties={"b": "2a"}, fixed={"c": 0.1})
    assert fit.derived("a + b").standard_error == pytest.approx(3 * fit.standard_errors["a"])
    assert fit.derived("2c") == ds.Derived("2c", "2c", 0.2, 0.0, 0.2, 0.2)


def test_what_the_data_do_not_determine_has_no_finite_error():
    lost = ds.fit("y = a b x", {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]})
    assert lost.derived("a").standard_error == math.inf
    assert lost.derived("a b").standard_error < 0.1


def test_derive_is_another_name(decay):
    assert decay.derive("ln(2)/k") == decay.derived("ln(2)/k")


def test_a_name_that_is_no_parameter_is_refused(decay):
    with pytest.raises(ds.FormulaError, match="K is no parameter"):
        decay.derived("ln(2)/K")
    with pytest.raises(ds.FormulaError, match="as text"):
        decay.derived(3)
