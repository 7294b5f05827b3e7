"""Piecewise expressions: evaluation, derivatives inside the pieces, printing, SymPy and back."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from downslope._engine import double_precision, jax
from downslope.formulas import Formula, book, evaluate, formula, jax_functions, numpy_functions
from downslope.formulas._sympy import from_sympy, to_sympy
from downslope.formulas.evaluation import operations
from downslope.formulas.expressions import Call, Combination, Comparison, Name, Number, Piecewise, Power, latex

X = Name("x")


def _whole(value: int) -> Number:
    return Number(Fraction(value))


BETWEEN = Combination("and", (Comparison(_whole(-1), "<", X), Comparison(X, "≤", _whole(1))))
THREE = Piecewise((Call("ln", (X,)), Power(X, _whole(2)), X), (Comparison(X, ">", _whole(1)), BETWEEN))
OPEN_ENDED = Piecewise((X,), (Comparison(X, "≥", _whole(0)),))


def test_the_first_condition_that_holds_decides() -> None:
    read = Formula(None, ("x",), THREE)
    assert [read(x=value) for value in (np.e, 0.5, -2.0)] == [1.0, 0.25, -2.0]
    np.testing.assert_array_equal(read(x=np.array([np.e, 0.5, -2.0])), [1.0, 0.25, -2.0])
    assert np.isnan(Formula(None, ("x",), OPEN_ENDED)(x=-1))


def test_printing() -> None:
    assert book(THREE) == "{ln(x) if x > 1, x² if -1 < x ≤ 1, x otherwise}"
    assert latex(OPEN_ENDED) == r"\begin{cases} x & \text{if } x \ge 0 \end{cases}"


def test_sympy_and_back() -> None:
    assert book(from_sympy(to_sympy(THREE))) == book(THREE)


def test_the_derivative_is_left_undefined_at_the_borders() -> None:
    slope = Formula("f", ("x",), THREE).derivative()
    assert [slope(x=value) for value in (2.0, 0.5, -2.0)] == [0.5, 1.0, 1.0]
    assert np.isnan([slope(x=1.0), slope(x=-1.0)]).all()


@pytest.mark.parametrize(
    ("text", "slope", "bend"),
    [
        ("{x² if x < 1, 2x - 1 otherwise}", 2.0, math.nan),
        ("{x³ if x < 1, 3x² - 3x + 1 if x ≥ 1}", 3.0, 6.0),
        ("{x² if 2x ≤ 2, x if x > 1}", math.nan, math.nan),
        ("{x² if x < 1, 2x + 1 otherwise}", math.nan, math.nan),  # the slopes are equal, the values are not
        ("{x² if |x| ≤ 1, 2x - 1 otherwise}", math.nan, math.nan),  # they meet at 1, not at -1
    ],
)
def test_a_derivative_exists_at_a_border_where_values_and_slopes_meet(text: str, slope: float, bend: float) -> None:
    first = formula(text).derivative()
    assert first(x=1.0) == pytest.approx(slope, nan_ok=True)
    assert first.derivative()(x=1.0) == pytest.approx(bend, nan_ok=True)
    assert formula(first.read_as).read_as == first.read_as


def test_each_piece_is_an_input_of_the_operation() -> None:
    *_, last = operations(THREE, letter="z", result="f")
    assert last.kind == "piecewise"
    values = {"x": 3.0, "z_1": 1.0, "z_2": 9.0}
    assert {name: evaluate(tree, values, numpy_functions()) for name, tree in last.partials.items()} == {
        "z_1": 1.0,
        "z_2": 0.0,
        "x": 0.0,
    }


def test_a_piece_that_is_not_in_force_leaves_gradients_finite() -> None:
    with double_precision():
        slope = jax().vmap(jax().grad(lambda x: evaluate(THREE, {"x": x}, jax_functions())))
        np.testing.assert_allclose(slope(np.array([2.0, 0.5, -2.0, 0.0])), [0.5, 1.0, 1.0, 0.0])
