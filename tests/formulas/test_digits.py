"""Values and derivatives where the written form subtracts nearly equal numbers, compared with mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import downslope as ds
from downslope._engine import double_precision, jax
from downslope.formulas import ARRAYS, FLOATS, NumericFormula, formula

_FAR = (0.3, 5.0, -5.0, 20.0, -20.0, 40.0, -40.0)
_NEAR = (1e-9, -1e-9, 1e-5, -1e-5, 0.01, 0.7, -0.7, 3.0, -3.0)
_FORMS: dict[str, tuple[Callable[[Any], Any], tuple[float, ...]]] = {
    "tanh(x)": (mpmath.tanh, (*_FAR, *_NEAR, 300.0)),
    "1 - tanh(x)²": (lambda x: mpmath.sech(x) ** 2, (*_FAR, *_NEAR)),
    "1 - tanh(x)": (lambda x: 2 / (mpmath.exp(2 * x) + 1), (*_FAR, *_NEAR)),
    "tanh(x) + 1": (lambda x: 2 / (mpmath.exp(-2 * x) + 1), (*_FAR, *_NEAR)),
    "sigmoid(x)": (lambda x: 1 / (1 + mpmath.exp(-x)), (*_FAR, *_NEAR, 700.0, -700.0)),
    "1 - sigmoid(x)": (lambda x: 1 / (1 + mpmath.exp(x)), (*_FAR, 700.0)),
    "1/(1 + e^(-x))": (lambda x: 1 / (1 + mpmath.exp(-x)), (*_FAR, *_NEAR, 700.0, -700.0)),
    "softplus(x)": (lambda x: mpmath.log1p(mpmath.exp(x)), (*_FAR, *_NEAR, -700.0, 700.0)),
    "ln(1 + e^x)": (lambda x: mpmath.log1p(mpmath.exp(x)), (*_FAR, *_NEAR, -700.0, 1000.0)),
    "-ln(sigmoid(x))": (lambda x: mpmath.log1p(mpmath.exp(-x)), (*_FAR, *_NEAR, -1000.0, 700.0)),
    "-ln(1 - sigmoid(x))": (lambda x: mpmath.log1p(mpmath.exp(x)), (*_FAR, *_NEAR, -700.0, 1000.0)),
    "1 - cos(x)": (lambda x: 2 * mpmath.sin(x / 2) ** 2, (*_NEAR, 40.0)),
    "cos(x) - 1 + x²": (lambda x: x**2 - 2 * mpmath.sin(x / 2) ** 2, _NEAR),
    "e^x - 1": (mpmath.expm1, (*_NEAR, 40.0, -40.0)),
    "1 - exp(-x)": (lambda x: -mpmath.expm1(-x), (*_NEAR, 40.0, -40.0)),
    "ln(1 + x)": (mpmath.log1p, (1e-9, -1e-9, 1e-5, -1e-5, 0.01, 0.7, -0.7, 3.0, 40.0)),
    "√(1 + x²) - 1": (lambda x: x**2 / (mpmath.sqrt(1 + x**2) + 1), (*_NEAR, 40.0)),
    "√(1 + x²) - x": (lambda x: 1 / (mpmath.sqrt(1 + x**2) + x), (*_FAR, *_NEAR, 400.0, 1e6)),
    "1 - erf(x)": (mpmath.erfc, (0.3, 5.0, -5.0, 20.0)),
}


def _truth(text: str, x: float) -> tuple[float, float]:
    """Return the value and the derivative, rounded from 900 digits."""
    function, _ = _FORMS[text]
    with mpmath.workdps(900):
        return float(function(mpmath.mpf(x))), float(mpmath.diff(function, mpmath.mpf(x), h=mpmath.mpf(10) ** -400))


@pytest.mark.parametrize("text", _FORMS)
def test_no_digits_are_lost(text: str) -> None:
    points = _FORMS[text][1]
    expected = np.array([_truth(text, x) for x in points]).T
    read = formula(f"f(x) = {text}")
    single = [NumericFormula(read, FLOATS).value_and_gradient([x]) for x in points]
    many, (slopes,) = NumericFormula(read, ARRAYS).value_and_gradient([np.array(points)])
    goal = ds.objective(f"f(x) = {text}")
    with double_precision():
        program = jax().vmap(jax().value_and_grad(lambda x: goal.function({"x": x}, {})))
        compiled = np.array(program(np.array(points)))
    computed = [np.array([[value, *slope] for value, slope in single]).T, np.array([many, slopes]), compiled]
    np.testing.assert_allclose(computed, [expected] * 3, rtol=8 * np.finfo(float).eps)
    np.testing.assert_allclose(read(x=np.array(points)), expected[0], rtol=8 * np.finfo(float).eps)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("x", _FAR)
def test_second_derivatives_and_backpropagation_keep_their_digits(name: str, x: float) -> None:
    function, _ = _FORMS[f"{name}(x)"]
    with mpmath.workdps(60):
        slope = float(mpmath.diff(function, mpmath.mpf(x), h=mpmath.mpf(10) ** -25))
        bend = float(mpmath.diff(function, mpmath.mpf(x), 2, h=mpmath.mpf(10) ** -18))
    result = ds.backprop(f"y = {name}(x)", at={"x": x})
    assert float(result.gradient["x"]) == pytest.approx(slope, rel=2e-15)
    assert result.edges[0].local == pytest.approx(slope, rel=2e-15)
    ((own,),) = NumericFormula(formula(f"y(x) = {name}(x)")).hessian([x])
    goal = ds.objective(f"y(x) = {name}(x)")
    with double_precision():
        compiled = float(jax().hessian(goal.function)({"x": x}, {})["x"]["x"])
    assert [own, compiled] == pytest.approx([bend, bend], rel=4e-15)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("x", [5.0, -5.0, 20.0, -20.0, 40.0])
def test_backpropagation_through_a_program_keeps_its_digits(name: str, x: float) -> None:
    function = jax().numpy.tanh if name == "tanh" else jax().nn.sigmoid
    _, slope = _truth(f"{name}(x)", x)
    result = ds.backprop(lambda at: function(at["x"]), at={"x": x})
    assert float(result.gradient["x"]) == pytest.approx(slope, rel=2e-15)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_a_derivative_that_derive_printed_keeps_its_digits(name: str) -> None:
    derivative = ds.derive(f"f(x) = {name}(x)").derivative
    assert derivative(x=20.0) == pytest.approx(_truth(f"{name}(x)", 20.0)[1], rel=2e-15)


def test_what_is_printed_stays_as_it_was_written() -> None:
    assert formula("f(x) = 1 - cos(x)").read_as == "f(x) = 1 - cos(x)"
    assert ds.derive("tanh(x)").derivative.read_as.endswith("1 - tanh(x)²")
    assert str(ds.slope("tanh(x)", {"x": 20.0}).gradient["x"]).startswith("1.6993417021166")
    assert not math.isnan(float(ds.slope("ln(1+exp(-x))", {"x": 20.0}).gradient["x"]))
