"""Flat points that are no minima: whatever method comes to rest there, no verdict calls them one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope._engine import jax
from downslope.trace import Outcome

# Functions, of which nothing but slopes and curvatures along the path is known. No flat point here is a minimum.
_NO_MINIMUM = {
    "x³": (lambda p: p["x"] ** 3, {"x": 0.5}),
    "(x-1)³(x+2)": (lambda p: (p["x"] - 1) ** 3 * (p["x"] + 2), {"x": 1.5}),
    "x⁵": (lambda p: p["x"] ** 5, {"x": 0.3}),
    "x⁷ + x⁹": (lambda p: p["x"] ** 7 + p["x"] ** 9, {"x": 0.5}),
    "x³ + y³": (lambda p: p["x"] ** 3 + p["y"] ** 3, {"x": 1.0, "y": 0.5}),
    "x² + y³": (lambda p: p["x"] ** 2 + p["y"] ** 3, {"x": 1.0, "y": 0.3}),
    "Σwᵢ³": (lambda p: (p["w"] ** 3).sum(), {"w": np.array([0.5, 0.3, 0.7])}),
    "x³ - 3xy²": (lambda p: p["x"] ** 3 - 3 * p["x"] * p["y"] ** 2, {"x": 1.0, "y": 0.0}),
}
_METHODS = ("nesterov", "rmsprop", "bfgs", "l-bfgs", "newton")


@pytest.mark.parametrize("name", _NO_MINIMUM)
@pytest.mark.parametrize("method", _METHODS)
def test_a_flat_point_of_a_function_that_goes_on_falling_is_never_called_a_minimum(name: str, method: Any) -> None:
    function, start = _NO_MINIMUM[name]
    trace = ds.descend(function, start, method=method, steps=2000)
    assert trace.coordinates is not None
    if name == "(x-1)³(x+2)" and abs(trace.coordinates[-1][0] + 1.25) < 1e-3:
        return  # on to the minimum at -5/4
    diagnosis = ds.diagnose(trace)
    assert "At a" not in str(diagnosis)
    assert "converged" not in {finding.symptom for finding in diagnosis.findings}


_MINIMA = {
    "x²": (lambda p: p["x"] ** 2, {"x": 0.5}),
    "exp(x) - x": (lambda p: jax().numpy.exp(p["x"]) - p["x"], {"x": 3.0}),
    "cosh(x)": (lambda p: jax().numpy.cosh(p["x"]), {"x": 2.0}),
    "x² + x³ + y⁴ + y²": (lambda p: p["x"] ** 2 + p["x"] ** 3 + p["y"] ** 4 + p["y"] ** 2, {"x": 0.4, "y": 2.0}),
    "Rosenbrock": (lambda p: (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2, {"x": -1.2, "y": 1.0}),
    "logistic": (
        lambda p: jax().numpy.logaddexp(0.0, p["x"]) - 0.3 * p["x"] + 0.01 * p["x"] ** 2,
        {"x": -6.0},
    ),
}


@pytest.mark.parametrize("name", _MINIMA)
@pytest.mark.parametrize("method", ["gradient descent", "bfgs", "newton", "adam"])
def test_a_curved_minimum_of_a_function_is_still_found(name: str, method: Any) -> None:
    function, start = _MINIMA[name]
    steep = method == "gradient descent" and name == "Rosenbrock"
    trace = ds.descend(function, start, method=method, steps=20_000, learning_rate=0.002 if steep else None)
    if trace.outcome is Outcome.CONVERGED:
        assert next(finding.symptom for finding in ds.diagnose(trace).findings) == "converged"


# None of these has a minimum anywhere, though a descent comes to rest at the flat point.
_FORMULAS = {
    "x³": (0.5,),
    "x⁵": (0.3,),
    "tanh(x)³": (1.0,),
    "x - sin(x)": (1.0,),
    "x² + y³": (1.0, 0.3),
    "x² - y⁴": (1.0, 1e-9),
    "x⁴ - y⁴": (1.0, 0.0),
    "x³ - 3x·y²": (1.0, 0.0),
    "(y - x²)·(y - 2x²)": (0.5, 0.4),
}


@pytest.mark.parametrize("text", _FORMULAS)
@pytest.mark.parametrize("method", _METHODS)
def test_a_flat_point_of_a_formula_that_falls_on_is_never_called_a_minimum(text: str, method: Any) -> None:
    diagnosis = ds.diagnose(ds.descend(text, _FORMULAS[text], method=method, steps=2000))
    assert "At a" not in str(diagnosis)
    assert "converged" not in {finding.symptom for finding in diagnosis.findings}
