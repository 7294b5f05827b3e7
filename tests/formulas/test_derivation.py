"""Each step of a derivation is right, and what a learner reads is what a book would say."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.formulas import evaluate, jax_functions, names_in
from downslope.formulas.derivations._steps import law_as_latex, numbered, walk

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
    for step in walk(derivation.root):
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
    rules = {step.rule for text in TEXTS for step in walk(ds.derive(f"f(x) = {text}").root)}
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
    # A step stands below those that it uses: a learner reads towards the derivative, not away from it.
    assert [step["number"] for step in steps] == ["1", "2", "3", "4"]
    assert steps[-1]["rule"] == "chain"
    assert steps[-1]["uses"] == ["1", "3"]
    assert steps[-1]["bindings"]["u"] == "x² + 1"
    assert "u = x² + 1" in derivation.text()
    assert derivation.text().rstrip().endswith("f'(x) = 2x·cos(x² + 1)")
    assert derivation.latex().startswith("\\begin{align*}")
    assert derivation.html().count("<li>") == len(steps)
    assert "<b" not in ds.derive("f(x) = x").html().replace("<b>", "").replace("<br>", "")


@pytest.mark.parametrize("text", TEXTS)
def test_text_latex_and_html_have_the_same_steps_in_the_same_order(text: str) -> None:
    derivation = ds.derive(f"f(x) = {text}")
    steps = derivation.as_dict()["steps"]
    plain, latex, page = derivation.text(), derivation.latex(), derivation.html()
    assert [line.split("  ")[0] for line in plain.splitlines() if line[:1].isdigit()] == [s["number"] for s in steps]
    assert latex.count(r" && \text{") == len(steps) == page.count("<li>")
    for step in numbered(derivation.root):
        assert law_as_latex(step.step.law) in latex
    for step in steps:
        assert step["law"] in plain
        assert all(int(number) < int(step["number"]) for number in step["uses"])


def filled(text: str, by: str = "x") -> list[str]:
    """Return the last step's result, from the rule with the parts filled in to the derivative."""
    step = ds.derive(text, by).as_dict()["steps"][-1]
    return [*step["worked"], step["after"]]


def test_the_rule_is_filled_in_before_it_is_simplified() -> None:
    assert filled("(x+1)/(x-1)") == ["(1·(x - 1) - (x + 1)·1)/(x - 1)²", "-2/(x - 1)²"]
    assert filled("(3x²+1)⁵") == ["5u⁴·6x", "5(3x² + 1)⁴·6x", "30x·(3x² + 1)⁴"]
    assert filled("x·e^x") == ["1·e^x + x·e^x", "(x + 1)e^x"]
    assert filled("4x - 1") == ["4 + 0", "4"]
    assert filled("x³") == ["3x²"]


def test_brackets_show_what_is_differentiated() -> None:
    text = ds.derive("(x + 1)/(x - 1)").text()
    assert "d/dx [(x + 1)/(x - 1)] =" in text
    assert "d/dx sin(x) = cos(x)" in ds.derive("sin x").text()
    assert "∂/∂x [x²y] = y·2x = 2xy" in ds.derive("x²y", "x").text()


def test_a_maximum_is_differentiated_piece_by_piece() -> None:
    assert str(ds.derive("max(x, 1-x)").derivative) == "{1 if x > 1/2, -1 if x < 1/2}"
    assert str(ds.derive("max(0, x)²").derivative) == "{0 if x < 0, 2x if x > 0}"
    assert "step" not in ds.derive("min(x, x²)").text()


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("|x|", ["x = 0"]),
        ("|x² - 2|", ["x = -√2", "x = √2"]),
        ("x|x|", []),
        ("max(x, 1-x)", ["x = 1/2"]),
        ("max(0, x)²", []),
        ("√x", ["x = 0"]),
        ("x^(2/3)", ["x = 0"]),
        ("x^(3/2)", []),
        ("ln|x|", []),
        ("x - |x² - 2x|", ["x = 0", "x = 2"]),
        ("sign(x - 3)", ["x = 3"]),
    ],
)
def test_where_there_is_no_derivative(text: str, places: list[str]) -> None:
    derivation = ds.derive(text)
    assert derivation.as_dict()["gaps"] == places
    assert ("no derivative where" in derivation.text()) == bool(places)
    assert ("no derivative where" in derivation.latex()) == bool(places)


def test_a_border_that_is_not_solved_is_a_possible_place() -> None:
    assert "perhaps no derivative where sin(x) = 0" in ds.derive("|sin x|").text()
    assert ds.derive("|x·y|", "x").as_dict()["possible_gaps"] == ["xy = 0"]


def test_higher_and_mixed_derivatives() -> None:
    second = ds.derive("f(x) = x⁴", order=2, at={"x": 2})
    assert str(second.derivative) == "f''(x) = 12x²"
    assert second.value == 48
    assert second.order == 2
    assert second.text().index("f'(x) = 4x³") < second.text().index("f''(x) = 12x²")
    assert second.as_dict()["lower"]["derivative"] == "f'(x) = 4x³"
    mixed = ds.derive("f(x, y) = x²y³", ["x", "y"])
    assert str(mixed.derivative) == "∂²f/∂x∂y = 6xy²"
    assert mixed.read_as == "f(x, y) = x²y³"


def test_a_value_where_there_is_none() -> None:
    at_the_tip = ds.derive("√x", at={"x": 0})
    assert at_the_tip.value is None
    assert at_the_tip.text().endswith("at x = 0: not defined")
    assert "not defined" in at_the_tip.latex()


@pytest.mark.parametrize(
    ("text", "at", "polynomial"),
    [
        ("e^x", 0, "1 + x + x²/2 + x³/6 + x⁴/24"),
        ("sin x", 0, "x - x³/6"),
        ("ln x", 1, "(x - 1) - (x - 1)²/2 + (x - 1)³/3 - (x - 1)⁴/4"),
        ("1/(1-x)", 0, "1 + x + x² + x³ + x⁴"),
        ("|x|", 0, None),
        ("ln x", 0, None),
    ],
)
def test_taylor_polynomials(text: str, at: float, polynomial: str | None) -> None:
    assert ds.derive(text, order=4, at={"x": at}).as_dict()["taylor"] == polynomial


def test_a_kink_has_no_value() -> None:
    assert ds.derive("|x|", at={"x": 0}).value is None
    assert ds.derive("|x|", order=2, at={"x": 0}).value is None
    assert ds.derive("|x|", at={"x": -2}).value == -1
    assert ds.derive("x|x|", at={"x": 0}).value == 0
    assert ds.derive("|x·y|", "x", at={"x": 0, "y": 1}).value is None
    assert ds.derive("|x·y|", "x", at={"x": 0, "y": 0}).value == 0


def test_directional_derivative() -> None:
    along = ds.derive("f(x, y) = x²y", direction={"x": 3, "y": 4}, at={"x": 1, "y": 2})
    assert along.value == pytest.approx(0.6 * 4 + 0.8 * 1)
    assert str(along.derivative) == "D_v f(x, y) = (6xy + 4x²)/5"
    with pytest.raises(ds.PointError, match="must not be zero"):
        ds.derive("x²y", direction={"x": 0})
    with pytest.raises(ds.PointError, match="no variable 'z'"):
        ds.derive("x²y", direction={"z": 1})


@pytest.mark.parametrize(
    ("text", "at", "slope"),
    [
        ("x² + y² = 25", {"x": 3, "y": 4}, -0.75),
        ("x³ + y³ = 6xy", {"x": 3, "y": 3}, -1.0),
        ("x·y = 1", {"x": 2, "y": 0.5}, -0.25),
        ("sin(x y) + y = 0", {"x": 1, "y": 0}, 0.0),
    ],
)
def test_implicit_derivative(text: str, at: dict[str, float], slope: float) -> None:
    assert ds.derive(text, "x", implicit="y", at=at).value == pytest.approx(slope)


@pytest.mark.parametrize(
    ("text", "order", "derivative"),
    [
        ("x² + y² = 25", 2, "d²y/dx² = -25/y³"),
        ("x³ + y³ = 6xy", 2, "d²y/dx² = -16xy/(y² - 2x)³"),
        ("x²/4 + y²/9 = 1", 3, "d³y/dx³ = -2187x/(16y⁵)"),
        ("e^y + x y = 2", 2, "d²y/dx² = y·(2x - y·e^y + 2e^y)/(x + e^y)³"),
        ("√x + √y = 3", 2, "d²y/dx² = 3/(2x^(3/2))"),
    ],
)
def test_higher_implicit_derivatives_use_the_equation(text: str, order: int, derivative: str) -> None:
    assert str(ds.derive(text, "x", implicit="y", order=order).derivative) == derivative


@pytest.mark.parametrize("text", ["x y + y² = 3", "sin(x + y) = y", "y³ = x² + x y²"])
def test_second_implicit_derivatives_agree_with_sympy(text: str) -> None:
    x, y = sympy.symbols("x y")
    left, right = text.replace("²", "**2").replace("³", "**3").replace("x y", "x*y").split("=")
    equation = sympy.sympify(left) - sympy.sympify(right)
    high = sympy.nsolve(equation.subs(x, 0.7), y, 0.9)
    there = {"x": 0.7, "y": float(high)}
    expected = float(sympy.idiff(equation, y, x, 2).subs({x: 0.7, y: high}))
    derivation = ds.derive(text, "x", implicit="y", order=2, at=there)
    assert derivation.value == pytest.approx(expected)
    assert derivation.lower is not None
    assert derivation.lower.at(**there) == pytest.approx(float(sympy.idiff(equation, y, x).subs({x: 0.7, y: high})))


def test_the_steps_of_a_second_implicit_derivative_end_with_the_chain_rule() -> None:
    text = ds.derive("x² + y² = 25", "x", implicit="y", order=2, at={"x": 3, "y": 4}).text()
    assert "implicit, from 2 and 4:  d²y/dx² = ∂g/∂x + ∂g/∂y·dy/dx   with g = -x/y" in text
    assert "d²y/dx² = -1/y + (x/y²)(-x/y) = -(y² + x²)/y³ = -25/y³" in text
    assert text.endswith("at x = 3, y = 4: d²y/dx² = -25/4³ = −0.390625")
    latex = ds.derive("x² + y² = 25", "x", implicit="y", order=2).latex()
    assert r"\frac{d^{2}y}{dx^{2}} &= -\frac{25}{y^{3}}" in latex


def test_implicit_derivatives_off_the_curve_are_refused() -> None:
    with pytest.raises(ds.PointError, match="not on the curve"):
        ds.derive("x² + y² = 25", "x", implicit="y", at={"x": 1, "y": 1})
    with pytest.raises(ds.FormulaError, match="does not determine y"):
        ds.derive("x² + 0y = 25", "x", implicit="y")
    with pytest.raises(ds.PointError, match="not on the curve"):
        ds.derive("x² + y² = 25", "x", implicit="y", order=2, at={"x": 1, "y": 1})
    with pytest.raises(ds.SettingError, match="cannot be combined with direction"):
        ds.derive("x² + y² = 25", "x", implicit="y", direction={"x": 1})


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


def test_chains_of_any_length_and_of_several_variables() -> None:
    three = ds.chain("y = sin(u)", "u = v²", "v = 3x + 1")
    assert three.text().startswith("dy/dx = dy/du · du/dv · dv/dx")
    assert three.at(x=0.3) == pytest.approx(np.cos(1.9**2) * 2 * 1.9 * 3)
    spread = ds.chain("z = x²y", "x(t) = cos(t)", "y(t) = 3t")
    assert "dz/dt = ∂z/∂x · dx/dt + ∂z/∂y · dy/dt" in spread.text()
    assert spread.at(t=0.7) == pytest.approx(-2 * np.cos(0.7) * 2.1 * np.sin(0.7) + 3 * np.cos(0.7) ** 2)
    free = ds.chain("z = x²y", "x = s·t", "y = s + t", by="s")
    assert free.at(s=1.5, t=0.5) == pytest.approx(3 * 1.5**2 * 0.25 + 2 * 1.5 * 0.125)
    with pytest.raises(ds.FormulaError, match="defines no variable"):
        ds.chain("z = x²y", "x = t", "w = t²")
    with pytest.raises(ds.FormulaError, match="name the variable"):
        ds.chain("z = x²y", "x = s·t", "y = s + t")


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
