"""Simplified derivatives look as in a textbook and have the value of the original wherever it has one."""

from __future__ import annotations

import math
import random

import pytest

import downslope as ds
from downslope.formulas import book, formula
from downslope.formulas.symbolic._simplify import agree, simplifier

_DERIVATIVES = {
    "tan(x) - x": "tan(x)²",
    "ln|x|": "1/x",
    "ln|sin x|": "cos(x)/sin(x)",
    "x|x|": "2·|x|",
    "x²|x|": "3x·|x|",
    "(x-1)/(√x-1)": "1/(2√x)",
    "sin(x)/(1+cos(x))": "1/(1 + cos(x))",
    "(1-cos(x))/sin(x)": "1/(cos(x) + 1)",
    "1/(√x - 1)": "-1/(2√x·(√x - 1)²)",
    "1/(√x + √(x+1))": "-1/(2√x·√(x + 1)(√x + √(x + 1)))",
    "ln(x)/x": "(1 - ln(x))/x²",
    "x/(x²+1)": "(1 - x²)/(x² + 1)²",
    "(x³-1)/(x²-1)": "x·(x + 2)/(x + 1)²",
    "x·√(1-x)": "(2 - 3x)/(2√(1 - x))",
    "x/√(1-x²)": "1/(1 - x²)^(3/2)",
    "ln(x + √(x²+1))": "1/√(x² + 1)",
    "x·atan(x) - ln(1+x²)/2": "atan(x)",
    "(2x+1)³(x-1)²": "2(x - 1)(5x - 2)(2x + 1)²",
    "x³(1-x)⁴": "x²(1 - x)³(3 - 7x)",
    "x²e^(-x)": "x·(2 - x)e^(-x)",
    "1/(1+e^(-x))": "e^(-x)/(1 + e^(-x))²",
    "(e^x-e^(-x))/(e^x+e^(-x))": "4/(e^x + e^(-x))²",
    "sin(x)cos(x)": "cos(x)² - sin(x)²",
    "sinh(x)/cosh(x)": "1/cosh(x)²",
    "x^x": "x^x·(ln(x) + 1)",
    "2^x": "2^x·ln(2)",
    "x³ - 3x": "3x² - 3",
    "√(2x)": "1/√(2x)",
    "cbrt(x)·x": "4∛x/3",
    "0.5x² + 0.25x": "x + 0.25",
    "(x²+1)⁵": "10x·(x² + 1)⁴",
}


@pytest.mark.parametrize(("text", "derivative"), _DERIVATIVES.items())
def test_derivatives_look_as_in_a_textbook(text: str, derivative: str) -> None:
    assert book(formula(text).derivative("x").body) == derivative


_FORMS = (
    """
({0})+({1}) | ({0})-({1}) | ({0})·({1}) | ({0})/({1}) | ({0})² | √({0}) | e^({0}) | ln(|{0}|) | sin({0}) | cos({0})
|{0}| | cbrt({0}) | tanh({0}) | ({0})^(3/2) | 1/(1+({0})²)
""".strip()
    .replace("cos({0})\n", "cos({0}) | ")
    .split(" | ")
)


def _random_formula(choose: random.Random, depth: int) -> str:
    """Return a random formula of x and y."""
    if depth == 0:
        return choose.choice(["x", "y", "2", "3x", "x²", "1/3"])
    inner = [_random_formula(choose, depth - 1) for _ in range(2)]
    form = choose.choice(_FORMS)
    return form.format(*inner)


def test_random_derivatives_agree_with_differences() -> None:
    choose = random.Random(18)
    compared = 0
    for _ in range(60):
        try:
            read = ds.formula(f"f(x, y) = {_random_formula(choose, 3)}")
            slope = read.derivative("x")
        except ds.FormulaError:
            continue
        for x, y in ((0.613, 1.37), (-1.21, 0.52), (2.4, -0.83)):
            h = 1e-3
            values = [read(x=x + k * h, y=y) for k in (-2, -1, 1, 2)]
            if not all(map(math.isfinite, values)) or max(map(abs, values)) > 1e6:
                continue
            central = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
            wide = (values[3] - values[0]) / (4 * h)
            # Near a kink or a pole, two differences do not agree with each other.
            if abs(central - wide) < 1e-3 * (1 + abs(central)):
                compared += 1
                assert slope(x=x, y=y) == pytest.approx(central, rel=1e-5, abs=1e-6), read.read_as
    assert compared > 60


def test_a_simplified_tree_is_checked_by_its_values() -> None:
    first, second = formula("√(x²)").body, formula("x").body
    assert not agree(first, second)  # for negative x
    assert not agree(formula("x").body, formula("x²/x + 0·ln(x)").body)  # has no value for negative x
    assert agree(formula("x²/x").body, second)


def test_a_tree_that_cannot_be_tried_stays() -> None:
    nowhere = formula("ln(-1 - x²)·2·x").body
    assert simplifier()(nowhere) == nowhere
