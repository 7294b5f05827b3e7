"""Each step of a derivation is right, and what a learner reads is what a book would say."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.formulas import evaluate, jax_functions, names_in
from downslope.formulas._derivation import walk

FORMULAS = """
3 | x | x + 2 | 4 - x | 5x | -5x | x/3 | x² | x³ - 2x | 4x⁷ | x^(1/2) | x^-2 | x^2.5 | 1/x | 3/x²
(x+1)/(x+2) | x/(x²+1) | x²sin(x) | x·exp(x)·cos(x) | (x+1)(x+2)(x+3)(x+4) | x·x·x | (x+1)(x+1) | e^x
e^(-x²/2) | exp(3x) | 2^x | 3^(x²) | x^x | (x²+1)^x | ln(x) | ln(x²+1) | log10(x) | log2(3x) | sin(x)
sin(3x+1) | cos(x²) | tan(x/2) | sin²x | sin(cos(x)) | asin(x/4) | acos(x/5) | atan(x) | atan(x²) | sinh(x)
cosh(2x) | tanh(x) | tanh(x²-1) | asinh(x) | acosh(x+2) | atanh(x/4) | √x | √(x²+1) | cbrt(x) | cbrt(x²+1)
|x| | |x-3| | max(x, 1) | min(x, 1) | max(x, x², 2) | relu(x-1) | sigmoid(x) | sigmoid(2x-1) | softplus(x)
softplus(-x) | erf(x) | erf(x/2) | sign(x) | step(x) | πx² | ex + π | (2x+1)^5 | ((x²+1)²+1)² | 1/(1+e^(-x))
""".replace("\n", " | ").split(" | ")
TEXTS = [text for text in FORMULAS if text]
POINTS = (0.37, 1.21, 1.93)


def slopes(tree, variable: str, x: float) -> tuple[float, float]:
    """Return the derivative of a tree by JAX at a point, every other name held at a value of its own."""
    held = {name: 0.61 + 0.1 * place for place, name in enumerate(sorted(names_in(tree))) if name != variable}
    with jax.enable_x64(True):
        return float(jax.grad(lambda at: evaluate(tree, {**held, variable: at}, jax_functions()) + 0.0 * at)(x)), held


@pytest.mark.parametrize("text", TEXTS)
def test_every_step_agrees_with_jax(text: str) -> None:
    derivation = ds.derive(f"f(x) = {text}")
    for _, step in walk(derivation.root):
        finite = 0
        for x in POINTS:
            expected, held = slopes(step.before, step.variable, x)
            with jax.enable_x64(True):
                found = float(evaluate(step.after, {**held, step.variable: x}, jax_functions()))
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), f"{step.rule} at {x}"
            finite += np.isfinite(expected)
        assert finite, f"{step.rule} was never tried inside its domain"


def test_there_are_enough_of_them() -> None:
    assert len(TEXTS) >= 60
    rules = {step.rule for text in TEXTS for _, step in walk(ds.derive(f"f(x) = {text}").root)}
    assert rules >= {
        *(
            "constant",
            "variable",
            "sum",
            "constant_multiple",
            "product",
            "quotient",
            "power",
            "exponential",
            "logarithm",
        ),
        *("trigonometric", "chain", "general_power", "root", "absolute_value", "maximum", "function", "hyperbolic"),
    }


@pytest.mark.parametrize("text", TEXTS)
def test_the_answer_is_the_formulas_own_derivative(text: str) -> None:
    formula = ds.formula(f"f(x) = {text}")
    ours, theirs = ds.derive(formula).derivative, formula.derivative()
    for x in POINTS:
        assert ours(x=x) == pytest.approx(theirs(x=x), rel=1e-9, abs=1e-12)


_LEAVES = st.sampled_from(["x", "2", "3x", "x²"])
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-·"), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
        st.tuples(st.sampled_from(["sin", "tanh", "sigmoid", "atan"]), inner).map(lambda p: f"{p[0]}({p[1]})"),
    ),
    max_leaves=5,
)


@given(_TREES)
@settings(max_examples=60)
def test_any_derivation_agrees_with_jax(text: str) -> None:
    derivation = ds.derive(f"f(x) = {text}")
    expected, _ = slopes(derivation.root.before, "x", 0.731)
    assert derivation.derivative(x=0.731) == pytest.approx(expected, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(
    ("text", "by", "answer"),
    [
        ("f(x) = x² - 4x + 5", "x", "f'(x) = 2x - 4"),
        ("P(p) = -20p² + 200p - 300", "p", "P'(p) = -40p + 200"),
        ("Quality(T, t) = -0.01T² - 0.5t² + 3T + 10t", "T", "∂Quality/∂T = -0.02T + 3"),
        ("Quality(T, t) = -0.01T² - 0.5t² + 3T + 10t", "t", "∂Quality/∂t = -t + 10"),
        ("h(x, y) = 100 - x² - 2y²", "x", "∂h/∂x = -2x"),
        ("h(x, y) = 100 - x² - 2y²", "y", "∂h/∂y = -4y"),
        ("Battery(time) = 100 - 10×time", "time", "Battery'(time) = -10"),
    ],
)
def test_the_articles_derivatives_read_as_in_the_article(text: str, by: str, answer: str) -> None:
    assert str(ds.derive(text, by).derivative) == answer


def test_eighty_factors_are_bounded() -> None:
    derivation = ds.derive("(x+y)" * 80, "x")
    assert str(derivation.derivative) == "80(x + y)⁷⁹"
    assert len(derivation.text()) < 5000
    different = ds.derive("".join(f"(x+{place}y)" for place in range(1, 20)), "x")
    assert different.derivative(x=0.1, y=0.2) == pytest.approx(
        ds.formula("".join(f"(x+{place}y)" for place in range(1, 20))).derivative("x")(x=0.1, y=0.2), rel=1e-9
    )


def test_four_renderings_of_one_walk() -> None:
    derivation = ds.derive("f(x) = sin(x² + 1)")
    steps = derivation.as_dict()["steps"]
    assert [step["number"] for step in steps][:2] == ["1", "1.1"]
    assert steps[0]["rule"] == "chain"
    assert steps[0]["bindings"]["u"] == "x² + 1"
    assert "u = x² + 1" in derivation.text()
    assert derivation.latex().startswith("\\begin{align*}")
    assert derivation.html().count("<li>") == len(steps)
    assert "<b" not in ds.derive("f(x) = x").html().replace("<b>", "").replace("<br>", "")


def test_a_derivative_carries_its_unit() -> None:
    derivation = ds.derive("Battery(time) = 100 - 10×time", units={"time": "hour", "Battery": "percent"})
    assert derivation.derivative.unit == "%/h"
    assert "%/h" in derivation.text()


def test_sums_over_a_table() -> None:
    derivation = ds.derive("L(w) = mean((price - w×size)²) + sum(w + price)", "w", columns=["price", "size"])
    price, size = np.array([100.0, 200, 300]), np.array([50.0, 100, 150])
    found = derivation.derivative(w=0.5, price=price, size=size)
    assert found == pytest.approx(np.mean(-2 * size * (price - 0.5 * size)) + 3)


def test_the_chain_rule_for_two_formulas() -> None:
    units = {"Quality": "points", "time": "minute", "Time": "minute", "temperature": "delta_degC"}
    both = ds.chain("Quality(time) = 5×time", "Time(temperature) = -2×temperature", units=units)
    assert both.at(temperature=180) == -10
    assert both.unit == "points/°C"
    assert "5 × (-2) = -10" in both.text()
    curved = ds.chain("y(u) = sin(u)", "u(x) = x²")
    assert curved.at(x=0.7) == pytest.approx(1.4 * np.cos(0.49))


def test_units_that_do_not_fit_show_both() -> None:
    with pytest.raises(ds.UnitError, match=r"kilogram.*minute|minute.*kilogram"):
        ds.chain("Quality(time) = 5×time", "Time(x) = -2x", units={"time": "minute", "Time": "kilogram"})


@pytest.mark.parametrize(
    ("text", "by", "told"),
    [
        ("f(x) = x²", "y", "no variable 'y'"),
        ("x y", None, "name the variable to differentiate by"),
        ("f(long) = long²", "lomg", "did you mean long"),
    ],
)
def test_errors(text: str, by: str | None, told: str) -> None:
    with pytest.raises(ds.FormulaError, match=told):
        ds.derive(text, by)
