"""Values and derivatives by our own rules, beside SymPy's and beside differences."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downslope.formulas import ARRAYS, FLOATS, Algebra, Formula, NumericFormula, formula
from downslope.formulas.expressions import (
    FUNCTIONS,
    UNITY,
    ZERO,
    Call,
    Combination,
    Comparison,
    Name,
    Negative,
    Number,
    Piecewise,
)

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SAMPLE = 25


@pytest.fixture(scope="module")
def problems() -> list[tuple[str, dict[str, float]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module("generated_formulas").generated(SAMPLE, seed=18)


def by_differences(read: NumericFormula, point: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient and Hessian by central differences of values and of gradients."""
    steps = 1e-5 * np.eye(len(point))
    gradient = [(read.value([*(point + h)]) - read.value([*(point - h)])) / 2e-5 for h in steps]
    hessian = [
        (np.array(read.value_and_gradient([*(point + h)])[1]) - read.value_and_gradient([*(point - h)])[1]) / 2e-5
        for h in steps
    ]
    return np.array(gradient), np.array(hessian)


def test_derivatives_are_those_of_sympy(problems) -> None:
    import sympy

    for text, start in problems[:12]:
        read = formula(text)
        point = {sympy.Symbol(name, real=True): value for name, value in start.items()}
        symbols = [sympy.Symbol(name, real=True) for name in read.variables]
        expression = read.expression
        value, gradient, hessian = NumericFormula(read).value_gradient_hessian([start[n] for n in read.variables])

        def at(tree: Any, point: Any = point) -> float:
            return float(tree.evalf(25, subs=point))

        assert value == pytest.approx(at(expression), rel=1e-13), text
        slopes = [expression.diff(symbol) for symbol in symbols]
        assert list(gradient) == pytest.approx([at(slope) for slope in slopes], rel=1e-12, abs=1e-13), text
        expected = [at(slope.diff(symbol)) for slope in slopes for symbol in symbols]
        assert np.ravel(hessian) == pytest.approx(expected, rel=1e-11, abs=1e-12), text


def test_derivatives_are_those_of_differences(problems) -> None:
    for text, start in problems:
        read = NumericFormula(formula(text))
        point = [start[name] for name in read.variables]
        value, gradient, hessian = read.value_gradient_hessian(point)
        assert read.value(point) == value
        assert read.value_and_gradient(point) == (value, gradient)
        slopes, curvatures = by_differences(read, point)
        assert np.allclose(gradient, slopes, rtol=1e-6, atol=1e-6), text
        assert np.allclose(hessian, curvatures, rtol=1e-6, atol=1e-6), text
        direction = [0.3, -1.7][: len(point)]
        assert np.allclose(read.hessian_times(point, direction), np.array(hessian) @ direction, rtol=1e-12), text


def test_arrays_hold_many_points_at_once(problems) -> None:
    rng = np.random.default_rng(3)
    for text, _ in problems:
        read = formula(text)
        points = rng.normal(size=(5, len(read.variables)))
        value, gradient, hessian = NumericFormula(read, ARRAYS).value_gradient_hessian(points.T)
        for row, point in enumerate(points):
            alone = NumericFormula(read).value_gradient_hessian(point.tolist())
            assert value[row] == pytest.approx(alone[0], rel=1e-13), text
            together = [np.broadcast_to(entry, 5)[row] for entry in gradient]
            assert together == pytest.approx(list(alone[1]), rel=1e-12, abs=1e-14), text
            bent = [[np.broadcast_to(entry, 5)[row] for entry in line] for line in hessian]
            assert np.ravel(bent) == pytest.approx(np.ravel(alone[2]), rel=1e-11, abs=1e-13), text


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if function.arity[0] == 1])
def test_every_function_has_its_derivative(name: str) -> None:
    for x in (0.4, 1.7):
        read = NumericFormula(formula(f"f(x) = {name}(x)"))
        value, gradient, hessian = read.value_gradient_hessian([x])
        if math.isfinite(value):
            slopes, curvatures = by_differences(read, [x])
            assert gradient[0] == pytest.approx(slopes[0], rel=1e-7, abs=1e-9)
            assert hessian[0][0] == pytest.approx(curvatures[0, 0], rel=1e-6, abs=1e-8)


# What IEEE 754 says of the value and the slope; NaN stands for itself.
EDGES = [
    ("x^0", 0.0, 1.0, 0.0),
    ("x^x", 0.0, 1.0, math.nan),
    ("|x|", 0.0, 0.0, 0.0),
    ("max(x, -x)", 0.0, 0.0, 0.0),
    ("min(x, 2x)", 0.0, 0.0, 1.5),
    ("√x", 0.0, 0.0, math.inf),
    ("√x", -1.0, math.nan, math.nan),
    ("1/x", 0.0, math.inf, -math.inf),
    ("1/x", -0.0, -math.inf, -math.inf),
    ("1/x²", 0.0, math.inf, math.nan),  # ∞ of the quotient, times the slope 0 of the square
    ("x^(-3)", 0.0, math.inf, -math.inf),
    ("ln x", 0.0, -math.inf, math.inf),
    ("ln x", -1.0, math.nan, -1.0),
    ("e^x", 1000.0, math.inf, math.inf),
    ("x³", -1e200, -math.inf, math.inf),
    ("x^2.5", -1.0, math.nan, math.nan),
    ("cbrt(x)", 0.0, 0.0, math.inf),
    ("asin x", 1.0, math.pi / 2, math.inf),
    ("sigmoid(x)", -1000.0, 0.0, 0.0),
    ("sin x", math.inf, math.nan, math.nan),
    ("1/x", math.nan, math.nan, math.nan),
]


@pytest.mark.parametrize(("text", "x", "value", "slope"), EDGES)
@pytest.mark.parametrize("algebra", [FLOATS, ARRAYS], ids=["floats", "arrays"])
def test_edges_have_the_values_of_ieee_754(text: str, x: float, value: float, slope: float, algebra: Algebra) -> None:
    read = NumericFormula(formula(f"f(x) = {text}"), algebra)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        point = [x if algebra is FLOATS else np.array([x])]
        value_, (slope_,), _ = read.value_gradient_hessian(point)
    assert (float(np.ravel(value_)[0]), float(np.ravel(slope_)[0])) == pytest.approx((value, slope), nan_ok=True)


COLUMNS = {"size": np.array([50.0, 100.0, 150.0]), "price": np.array([100.0, 200.0, 310.0])}


@pytest.mark.parametrize(
    "text",
    [
        "L(w, b) = mean((price - w×size - b)²)",
        "L(w, b) = sum(|price - w×size - b|) + w²",
        "L(w, b) = √(mean((price - w×size)² + b)) + b×count(price)",
        "L(w, b) = mean(price)·w² + sum(w + size×b²)/count(size) + mean(w)",
        "L(w, b) = ln(sum(e^(w×size/100)) + b²) + mean(max(w×size, b×price))",
        "L(w, b) = mean((price - mean(w×size))²)/sum(b + price)",
        "L(w, b) = sum(w + b) × mean(w·b)",
    ],
)
def test_a_table_is_reduced_over_its_rows(text: str) -> None:
    read = formula(text, columns=tuple(COLUMNS))
    point = [1.3, 0.7]
    numeric = NumericFormula(read, ARRAYS, {name: COLUMNS[name] for name in read.columns})
    value, gradient, hessian = numeric.value_gradient_hessian(point)
    columns = {name: COLUMNS[name] for name in read.columns}
    assert value == pytest.approx(read({"w": 1.3, "b": 0.7, **columns}), rel=1e-14)
    slopes, curvatures = by_differences(numeric, point)
    assert np.allclose(np.array(gradient, float), slopes, rtol=1e-6)
    assert np.allclose(np.array(hessian, float), curvatures, rtol=1e-6, atol=1e-4)
    assert np.allclose(numeric.hessian_times(point, [2.0, -1.0]), np.array(hessian, float) @ [2.0, -1.0], rtol=1e-12)


def test_many_points_over_a_table() -> None:
    read = formula("L(w, b) = mean((price - w×size - b)²) + sum(w + size) + b²", columns=tuple(COLUMNS))
    numeric = NumericFormula(read, ARRAYS, COLUMNS)
    points = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0], [0.0, 0.0]])
    value, gradient, _ = numeric.value_gradient_hessian(points.T[:, :, None])
    for row, point in enumerate(points):
        alone = numeric.value_and_gradient(list(point))
        assert np.ravel(value)[row] == pytest.approx(alone[0])
        assert [np.ravel(entry)[row] for entry in gradient] == pytest.approx(list(alone[1]))


def test_another_algebra() -> None:
    """Exact fractions: no operation of an algebra of one's own goes through floats."""
    exact = Algebra(number=Fraction, constants={}, function={}.__getitem__)
    value, gradient, hessian = NumericFormula(formula("f(x, y) = x³/3 - 0.1x·y²"), exact).value_gradient_hessian(
        [Fraction(1, 7), Fraction(2, 3)]
    )
    x, y = Fraction(1, 7), Fraction(2, 3)
    assert value == x**3 / 3 - x * y**2 / 10
    assert list(gradient) == [x**2 - y**2 / 10, -x * y / 5]
    assert hessian == [[2 * x, -y / 5], [-y / 5, -x / 5]]


def test_a_gradient_loads_neither_jax_nor_sympy() -> None:
    code = (
        "import sys\nfrom downslope.formulas import NumericFormula, formula\n"
        "NumericFormula(formula('x² - 4x + 5')).value_gradient_hessian([1.0])\n"
        "print([name for name in ('jax', 'sympy', 'scipy', 'optax') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_piece_that_is_not_in_force_hands_on_no_slope() -> None:
    x = Name("x")
    pieces = Piecewise(
        (formula("x·ln x").body, formula("√(-x) + y²").body),
        (Comparison(x, ">", ZERO), Combination("and", (Comparison(x, "<", ZERO), Comparison(x, "≥", Negative(UNITY))))),
    )
    read = NumericFormula(Formula("f", ("x", "y"), pieces))
    assert read.value_gradient_hessian([1.0, 2.0]) == (0.0, [1.0, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    assert read.value_gradient_hessian([-0.25, 2.0]) == (4.5, [-1.0, 4.0], [[-2.0, 0.0], [0.0, 2.0]])
    assert math.isnan(read.value([0.0, 2.0]))
    assert math.isnan(read.value([-2.0, 2.0]))
    many = NumericFormula(Formula("f", ("x", "y"), pieces), ARRAYS)
    value, (by_x, by_y) = many.value_and_gradient([np.array([1.0, -0.25]), np.array([2.0, 2.0])])
    np.testing.assert_array_equal([value, by_x, by_y], [[0.0, 4.5], [1.0, -1.0], [0.0, 4.0]])


def test_pieces_over_a_table() -> None:
    read = formula("L(w) = mean((price - w×size)²)", columns=tuple(COLUMNS))
    bound = Number(Fraction(120))
    body = Call("mean", (Piecewise((read.body.arguments[0], Name("w")), (Comparison(Name("size"), "<", bound),)),))
    numeric = NumericFormula(Formula("L", ("w",), body, ("size", "price")), ARRAYS, COLUMNS)
    value, (slope,) = numeric.value_and_gradient([1.5])
    assert value == pytest.approx((25.0**2 + 50.0**2 + 1.5) / 3)
    assert slope == pytest.approx((-2 * 25 * 50 - 2 * 50 * 100 + 1) / 3)


def test_a_descent_that_lands_on_the_kink_of_relu_goes_on() -> None:
    value, gradient = NumericFormula(formula("relu(x) + x")).value_and_gradient([0.0])
    assert (value, *gradient) == (0.0, 1.0)
    assert formula("relu(2x)").derivative().read_as == "{2 if x > 0, 0 otherwise}"
