"""What is true at a point, against closed forms, SymPy and published functions."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds

FUNCTIONS = json.loads((Path(__file__).parents[1] / "data" / "functions.json").read_text("utf-8"))["functions"]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function["name"])
def test_published_functions_have_their_minimum_and_gradients_as_sympy_has_them(function) -> None:
    names, formula = function["variables"], ds.formula(function["formula"])
    lowest = dict(zip(names, function["minimiser"], strict=True))
    there = ds.slope(formula, at=lowest)
    for value in (there.value, ds.formula(function["formula_textbook"])(lowest)):
        assert value == pytest.approx(function["minimum_value"], abs=1e-9)
    if function["smooth_at_minimiser"]:
        assert there.kind == "minimum"
    symbols = [sympy.Symbol(name, real=True) for name in names]
    exact = [sympy.lambdify(symbols, formula.expression.diff(one), "math") for one in symbols]
    rng = np.random.default_rng(1)
    points = [np.array(function["minimiser"]) + rng.normal(size=len(names)) * 0.3 for _ in range(3)]
    for place in points:
        found = ds.slope(formula, at=dict(zip(names, place, strict=True)))
        expected = np.array([float(part(*place)) for part in exact])
        ours = np.array([float(found.gradient[name]) for name in names])
        assert np.linalg.norm(ours - expected) <= 1e-10 * max(np.linalg.norm(expected), 1e-6)


def test_the_hill_of_the_article() -> None:
    there = ds.slope("h(x, y) = 100 - x² - 2y²", at={"x": 3, "y": 1})
    assert {name: float(part) for name, part in there.gradient.items()} == {"x": -6, "y": -4}
    assert there.steepness == pytest.approx(np.sqrt(52))
    assert float(there.downhill["x"]) == pytest.approx(6 / np.sqrt(52))
    assert there.largest_stable_rate is None
    assert there.agreement < 1e-9


@pytest.mark.parametrize(("price", "rate"), [(2, 120), (5, 0), (7, -80)])
def test_the_coffee_of_the_article(price: float, rate: float) -> None:
    there = ds.slope("P(p) = -20p² + 200p - 300", at={"p": price}, units={"P": "dollar", "p": "euro"})
    assert float(there.gradient["p"]) == rate
    assert there.kind == ("maximum" if rate == 0 else "slope")
    assert "$/€" in str(there) or "dollar/euro" in str(there)


@given(
    st.lists(st.floats(0.1, 50), min_size=2, max_size=4),
    st.floats(0, 3),
    st.floats(1e-3, 1e3),
)
@settings(max_examples=15)
def test_rotated_quadratics(bends: list[float], angle: float, scale: float) -> None:
    size = len(bends)
    rotation = np.eye(size)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = scale * rotation @ np.diag(bends) @ rotation.T
    bowl = ds.objective(lambda p: p @ jnp.asarray(matrix) @ p / 2)  # compiled once for both places
    there = ds.slope(bowl, at=np.ones(size))
    ordered = scale * np.sort(bends)
    np.testing.assert_allclose(there.eigenvalues, ordered, rtol=1e-8)
    assert there.largest_stable_rate == pytest.approx(2 / ordered[-1], rel=1e-8)
    assert there.best_rate == pytest.approx(2 / (ordered[-1] + ordered[0]), rel=1e-8)
    assert there.condition_number == pytest.approx(ordered[-1] / ordered[0], rel=1e-6)
    assert there.kind == "slope"
    assert ds.slope(bowl, at=np.zeros(size)).kind == "minimum"


@pytest.mark.parametrize(
    ("text", "at", "kind"),
    [
        ("x² - y²", (0, 0), "saddle"),
        ("x²", 0, "minimum"),
        ("-x²", 0, "maximum"),
        ("x⁴", 0, "minimum"),
        ("-x⁴", 0, "maximum"),
        ("x³", 0, "inflection"),
        ("x² + y⁴", (0, 0), "minimum"),
        ("x² - y⁴", (0, 0), "saddle"),
        ("(x - y)²", (0, 0), "minimum"),
        ("f(x) = 3", 0, "level"),
        ("x³ - 3x y²", (0, 0), "saddle"),
        ("sigmoid(x)", -20, "slope"),
        ("ln(x)", 1, "slope"),
        ("ln(x)", -1, "not finite"),
        ("(x² - y)(x² - 3y)", (0, 0), "saddle"),
        ("x² + 1e7y²", (0, 0), "minimum"),
        ("x² + 1e17", 0, "minimum"),
        ("x + sin(x)", np.pi, "inflection"),
        ("x^(2/3)", 0, "minimum"),
        ("2x + |x|", 0, "kink"),
        ("√x", 0, "edge"),
        ("sign(x)", 0, "jump"),
    ],
)
def test_kinds(text: str, at, kind: str) -> None:
    assert ds.slope(text, at=at).kind == kind


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_a_minimum_stays_one_in_other_units(scale: float, shift: float) -> None:
    columns = {"scale": [scale], "shift": [shift]}  # as data they share one program
    bowl = ds.objective("f(x) = mean(scale (x - shift)²)", columns)
    assert ds.slope(bowl, at=shift).kind == "minimum"
    assert ds.slope(bowl, at=shift * 1.01).kind == "slope"


def test_any_tree_and_the_tangent() -> None:
    def loss(point):
        return jnp.sum(point["w"] ** 2) + point["b"] ** 3

    there = ds.slope(loss, at={"w": np.array([1.0, 2.0]), "b": 2.0})
    np.testing.assert_allclose(there.gradient["w"], [2, 4])
    assert float(there.gradient["b"]) == 12
    assert there.tangent({"w": np.array([1.0, 2.5]), "b": 2.0}) == pytest.approx(there.value + 2)


def test_reports_are_plain_data_and_escaped() -> None:
    there = ds.slope("x² + 10y²", at={"x": 3, "y": 1})
    plain = json.loads(json.dumps(there.as_dict()))
    assert plain["gradient"] == {"x": 6.0, "y": 20.0}
    assert plain["largest_stable_rate"] == pytest.approx(0.1)
    assert there._repr_html_().startswith("<table>")
    assert "best fixed α" in str(there)


def test_large_points_have_two_ends() -> None:
    bends = np.linspace(-1, 10, 200)
    there = ds.slope(lambda p: jnp.sum(bends * p["w"] ** 2) / 2, at={"w": np.ones(200)})
    assert there.hessian is None
    assert there.eigenvalues[-1] == pytest.approx(10, rel=1e-3)
    assert there.eigenvalues[0] == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("ln x", 0, "ln(x) is not defined at x = 0; it falls without bound as x → 0⁺"),
        ("ln x", -1, "outside the domain"),
        ("1/x", 0, "rises without bound as x → 0⁺ and falls without bound as x → 0⁻"),
        ("f(x) = x ln x", 0, "f is not defined at x = 0 (the edge of the domain); it tends to 0 as x → 0⁺"),
        ("√(4 - x²)", 2, "the slope grows without bound as x → 2⁻"),
        ("sin(x)/x", 0, "a removable gap); it tends to 1 as x → 0"),
        ("sin(1/x)", 0, "it has no limit there"),
        ("|x|", 0, "a kink: the slope is −1 to the left and 1 to the right"),
        ("relu(x)", 0, "a kink: the slope is 0 to the left and 1 to the right"),
        ("cbrt(x)", 0, "a vertical tangent"),
        ("1/(x - y)", (1, 1), "a pole"),
        ("max(x, y)", (1, 1), "one-sided slopes x: 0 to the left, 1 to the right"),
    ],
)
def test_a_point_without_a_gradient_says_why(text: str, at, words: str) -> None:
    there = ds.slope(text, at=at)
    assert words in str(there)
    assert there.steepness != there.steepness
    json.dumps(there.as_dict(), allow_nan=False)
    assert words.partition(";")[0] in html.unescape(there._repr_html_())


def test_rounding_is_printed_as_zero() -> None:
    said = str(ds.slope("sin(x)", at=np.pi / 2))
    assert "x = 0\n" in said
    assert "uphill" not in said
    assert "tangent" not in said


def test_no_rate_is_stable_where_a_direction_curves_down() -> None:
    for text, at in (("x²y³ - 4y", (2, -1)), ("x² - y²", (1, 1)), ("x² - y⁴", (0, 0))):
        there = ds.slope(text, at=at)
        assert there.largest_stable_rate is None
        assert "largest stable" not in str(there)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_reports_of_numbers_that_are_not_finite(number: float) -> None:
    """Text, HTML and JSON take NaN and ±∞ in every field."""
    there = ds.slope("x² + 10y²", at={"x": 3, "y": 1})
    for field in dataclasses.fields(there):
        value = getattr(there, field.name)
        if isinstance(value, float):
            broken = dataclasses.replace(there, **{field.name: number})
        elif isinstance(value, np.ndarray):
            broken = dataclasses.replace(there, **{field.name: np.full_like(value, number)})
        elif isinstance(value, dict) and field.name != "units":
            broken = dataclasses.replace(there, **{field.name: dict.fromkeys(value, np.asarray(number))})
        else:
            continue
        assert str(broken)
        assert broken._repr_html_()
        json.dumps(broken.as_dict(), allow_nan=False)


def test_a_formula_needs_neither_jax_nor_sympy() -> None:
    code = (
        "import sys, downslope as ds\n"
        "str(ds.slope('x⁴ + |y| + ln(z)', at=(0, 0, 1)))\n"
        "sys.exit(bool({'jax', 'sympy', 'flint'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_gradient_is_by_name_whatever_the_order_of_the_header() -> None:
    found = ds.slope("f(w, b) = w² + 3b", {"w": 1, "b": 2})
    assert (float(found.gradient["w"]), float(found.gradient["b"])) == (2.0, 3.0)


def test_a_power_above_one_is_flat_at_its_base_zero() -> None:
    for text, kind in (("x^(4/3)", "minimum"), ("x^(5/3)", "inflection"), ("(x - 1)^(6/5)", "minimum")):
        at = ds.slope(text, {"x": 1 if "1)^" in text else 0})
        assert at.kind == kind
        assert float(at.gradient["x"]) == 0


@pytest.mark.parametrize("text", ["1/x", "-1/x²", "ln x", "√x", "x ln x", "|x|", "x^(2/3)", "1/x + y²", "√(x² + y²)"])
@pytest.mark.parametrize("x", [1e-7, 1e-15, 1e-100])
def test_the_slope_next_to_a_border_is_that_of_its_side(text: str, x: float) -> None:
    point = {"x": x, "y": 0.0} if "y" in text else {"x": x}
    there = ds.slope(text, point)
    symbol = sympy.Symbol("x", positive=True)
    rules = [
        ("²", "**2"),
        ("ln x", "*log(x)"),
        ("x *", "x*"),
        ("√x", "sqrt(x)"),
        ("√(", "sqrt("),
        ("|x|", "Abs(x)"),
        ("^", "**"),
    ]
    for written, read in rules:
        text = text.replace(written, read)
    expected = sympy.diff(sympy.sympify(text.lstrip("*"), locals={"x": symbol}), symbol).subs("y", 0).subs(symbol, x)
    assert there.kind == "slope"
    assert float(there.gradient["x"]) == pytest.approx(float(expected), rel=1e-6)
    assert math.isfinite(there.steepness)


@pytest.mark.parametrize(("text", "x"), [("tan(x)", math.pi / 2), ("sec(x)", math.pi / 2), ("1/cos(3x)", math.pi / 6)])
def test_a_pole_between_two_floats_is_a_pole(text: str, x: float) -> None:
    assert "is not defined at" in str(ds.slope(text, {"x": x}))
    assert ds.slope("1/x", {"x": 1e-3}).kind == "slope"
