"""Derivatives as formulas: in a book's words, and equal to JAX's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from work import calls_of

from downslope._engine import double_precision, jax
from downslope._errors import FormulaError
from downslope.formulas import Formula, evaluate, formula, jax_functions
from downslope.formulas._sympy import from_sympy, to_sympy
from downslope.formulas.expressions import FUNCTIONS

_DATA = Path(__file__).parents[1] / "data"
_PUBLISHED = json.loads((_DATA / "functions.json").read_text(encoding="utf-8"))["functions"]


def _jax_gradient(read: Formula, point: dict[str, Any], data: dict[str, Any] | None = None) -> dict[str, float]:
    with double_precision():
        arrays = {name: jax().numpy.asarray(value, dtype=float) for name, value in point.items()}
        slope = jax().grad(lambda at: evaluate(read.body, {**at, **(data or {})}, jax_functions()))(arrays)
        return {name: float(value) for name, value in slope.items()}


@pytest.mark.parametrize(
    ("text", "derivatives"),
    [
        ("f(x) = x² - 4x + 5", ["f'(x) = 2x - 4"]),
        ("P(p) = -20p² + 200p - 300", ["P'(p) = -40p + 200"]),
        ("Battery(time) = 100 - 10×time", ["Battery'(time) = -10"]),
        ("h(x, y) = 100 - x² - 2y²", ["∂h/∂x = -2x", "∂h/∂y = -4y"]),
        (
            "Quality(T, t) = -0.01T² - 0.5t² + 3T + 10t",
            ["∂Quality/∂T = -0.02T + 3", "∂Quality/∂t = -t + 10"],
        ),
        ("y = x³", ["y' = 3x²"]),
        ("x²/2", ["x"]),
        ("f(x) = 3", ["f'(x) = 0"]),
        ("f(x) = x/3", ["f'(x) = 1/3"]),
        ("f(x) = e^(-x²/2)", ["f'(x) = -x·e^(-x²/2)"]),
        ("f(x) = √(x² + 1)", ["f'(x) = x/√(x² + 1)"]),
        ("f(x) = ln(x)/x", ["f'(x) = (1 - ln(x))/x²"]),
        ("f(x) = (x + 1)/(x - 1)", ["f'(x) = -2/(x - 1)²"]),
        ("f(x) = |x|", ["f'(x) = sign(x)"]),
        ("f(x) = max(x, 0)", ["f'(x) = {1 if x > 0, 0 if x < 0}"]),
        ("f(x) = softplus(3x)", ["f'(x) = 3sigmoid(3x)"]),
        ("f(x) = (x + 1)^5", ["f'(x) = 5(x + 1)⁴"]),
    ],
)
def test_in_the_words_of_a_book(text: str, derivatives: list[str]) -> None:
    assert [one.read_as for one in formula(text).gradient()] == derivatives


def test_second_derivatives() -> None:
    rows = formula("h(x, y) = x²y³").hessian()
    assert [[one.read_as for one in row] for row in rows] == [
        ["∂²h/∂x² = 2y³", "∂²h/∂x∂y = 6xy²"],
        ["∂²h/∂y∂x = 6xy²", "∂²h/∂y² = 6x²y"],
    ]
    assert rows[0][1].latex == r"\frac{\partial^{2} h}{\partial x \partial y} = 6 x y^{2}"
    assert formula("f(x) = x³").derivative().derivative().read_as == "f''(x) = 6x"


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if name != "count"])
@pytest.mark.parametrize("x", [0.31, 0.87, -0.4, 1.6])
def test_every_function_differentiates_as_jax_does(name: str, x: float) -> None:
    arguments = "x²/2, 0.3x" if FUNCTIONS[name].arity[0] == 2 else "x²/2 + 0.3x"
    # An order or a degree is a number; and outside of its domain a derivative means nothing.
    special = {"besselj": "2, x²/2 + 0.3x", "polygamma": "2, x²/2 + 0.3x", "root": "x²/2 + 0.3x, 5"}
    arguments = special.get(name, "x²/2 + 0.3" if name == "asech" else arguments)
    read = formula(f"f(x) = {name}({arguments})")
    found = read.derivative()(x=x)
    assert found == pytest.approx(_jax_gradient(read, {"x": x})["x"], rel=1e-12, nan_ok=True)
    again = formula(f"f(x) = {read.derivative().read_as.partition(' = ')[2]}")
    assert again(x=x) == pytest.approx(found, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("problem", _PUBLISHED, ids=lambda problem: problem["name"])
def test_gradients_of_published_functions(problem: dict[str, Any]) -> None:
    read = formula(problem["formula"])
    point = dict(zip(problem["variables"], problem["start"], strict=True))
    expected = _jax_gradient(read, point)
    scale = max(map(abs, expected.values()))
    for derivative, name in zip(read.gradient(), read.variables, strict=True):
        assert derivative(point) == pytest.approx(expected[name], rel=1e-10, abs=1e-12 * scale)


def test_sums_over_columns() -> None:
    data = {"price": np.array([100.0, 200.0, 300.0]), "size": np.array([50.0, 100.0, 150.0])}
    loss = formula("Loss(w) = mean((price - w×size)²)", columns=data)
    assert loss.derivative()(w=0, **data) == pytest.approx(-46666.666666666664)
    shifted = formula("S(w) = sum(w + price)", columns=data)
    assert shifted.derivative()(w=0, price=data["price"]) == 3
    squares = formula("S(w) = sum((w - size)²)", columns=data)
    assert squares.derivative()(w=1, size=data["size"]) == pytest.approx(
        _jax_gradient(squares, {"w": 1.0}, {"size": data["size"]})["w"]
    )


def test_to_sympy_is_exact() -> None:
    x = sympy.Symbol("x", real=True)
    assert formula("0.26x² + x/3 + √2·π").expression == sympy.Rational(13, 50) * x**2 + x / 3 + sympy.sqrt(2) * sympy.pi


_TEXTS = st.recursive(
    st.sampled_from(["x", "y", "2", "0.5", "π", "3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-·/"), inner).map(lambda parts: f"({''.join(parts)})"),
        st.tuples(inner, st.integers(1, 3)).map(lambda parts: f"({parts[0]})^{parts[1]}"),
        st.tuples(st.sampled_from(["sin", "cos", "exp", "tanh", "sigmoid", "abs", "atan"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
    ),
    max_leaves=6,
)


@given(_TEXTS)
@settings(max_examples=150)
def test_any_formula_differentiates_as_jax_does(text: str) -> None:
    try:
        read = formula(f"f(x, y) = {text}")
        gradient = read.gradient()
    except FormulaError:
        return
    point = {"x": 0.7312, "y": -1.2178}
    expected = _jax_gradient(read, point)
    for derivative, name in zip(gradient, read.variables, strict=True):
        found = derivative(point)
        if np.isfinite(found) and np.isfinite(expected[name]):
            assert found == pytest.approx(expected[name], rel=1e-8, abs=1e-8)
    if np.isfinite(read(point)):
        assert from_sympy(to_sympy(read.body)) is not None


@pytest.mark.parametrize(
    "text",
    ["(x+y)" * 80, "(x + y + z)^500", "".join(f"(x + {i}y)" for i in range(1, 41)), "sin(" * 50 + "x" + ")" * 50],
    ids=["eighty times", "power", "forty factors", "nested"],
)
def test_large_formulas_differentiate_in_bounded_time(text: str) -> None:
    def differentiate() -> None:
        assert formula(text).derivative("x").read_as

    calls_of(differentiate, at_most=6_000_000)


def test_high_powers_are_not_multiplied_out() -> None:
    assert formula("(2x)^9999").derivative("x").read_as == "19998(2x)^9998"


@pytest.mark.parametrize("text", ["√(-1)·x", "x·ln(-1)", "x/0"])
def test_what_has_no_derivative_to_write_is_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        formula(text).derivative("x")


def test_a_derivative_by_another_name_is_refused() -> None:
    with pytest.raises(FormulaError, match="did you mean price"):
        formula("f(price, size) = price·size").derivative("prise")
    with pytest.raises(FormulaError, match="name the variable to differentiate by"):
        formula("x·y").derivative()
