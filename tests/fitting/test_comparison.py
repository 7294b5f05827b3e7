"""Whether one model is a special case of another: shown by its curve, presumed by its names, refuted by its squares."""

from __future__ import annotations

import math

import numpy as np
import pytest

import downslope as ds

_X = np.linspace(0.2, 6, 25)
_DATA = {"x": _X, "y": 5 * np.exp(-0.6 * _X) + 1 + np.random.default_rng(0).normal(size=25) * 0.05}


def _fit(equation: str, **choices) -> ds.Fit:
    fit = ds.fit(equation, _DATA, **choices)
    assert isinstance(fit, ds.Fit)
    return fit


@pytest.mark.parametrize(
    ("simpler", "richer"),
    [
        ("y = a e^(-k x)", "y = a e^(-k x) + c"),
        ("y = a e^(-k x) + c", "y = A e^(-(x/T)^b) + o"),  # b = 1, other names
        ("y = m + n x", "y = p + q x + r x^2"),
        ("y = a e^(-k x)", "y = u e^(-v x) + w e^(-z x)"),  # w = 0, where z is not determined
    ],
)
def test_a_special_case_is_shown_whatever_its_parameters_are_called(simpler, richer):
    comparison = ds.compare_fits(_fit(simpler), _fit(richer))
    assert comparison.nesting.startswith("shown")
    assert comparison.preferred == ("richer" if comparison.p_value < 0.05 else "simpler")


def test_a_model_of_another_kind_is_judged_by_aicc():
    comparison = ds.compare_fits(_fit("y = u/(1 + v x)"), _fit("y = a e^(-k x) + c"))
    assert comparison.nesting == "not known: the richer model has no u and v, so AICc decides"
    assert comparison.delta_aicc > 2
    assert comparison.preferred == "richer"
    assert "not known" in str(comparison)
    assert comparison.as_dict()["nesting"] == comparison.nesting


def test_equal_names_are_presumed_to_be_a_special_case():
    comparison = ds.compare_fits(_fit("y = u/(1 + v x)"), _fit("y = u e^(-v x) + w"))
    assert comparison.nesting.startswith("presumed")
    assert math.isfinite(comparison.p_value)


def test_a_richer_fit_of_larger_squares_has_no_f_test():
    comparison = ds.compare_fits(_fit("y = a e^(-k x) + c", fixed={"c": 1.0}), _fit("y = p + q x + r x^2"))
    assert comparison.nesting.startswith("none: the richer fit has the larger squares")
    assert math.isnan(comparison.p_value)
    assert comparison.preferred == "simpler"


def test_fits_of_as_many_parameters_are_not_nested():
    assert ds.compare_fits(_fit("y = m + n x"), _fit("y = a e^(-k x)")).nesting == ""
