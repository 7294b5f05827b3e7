"""Values, with NumPy and with JAX, of formulas whose value is known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downslope._engine import double_precision, jax
from downslope._errors import FormulaError, PointError
from downslope.formulas import ARRAYS, Formula, NumericFormula, evaluate, formula, jax_functions, numpy_functions
from downslope.formulas.expressions import FUNCTIONS, SELECTIONS, STABLE

_DATA = Path(__file__).parents[1] / "data"
_PUBLISHED = json.loads((_DATA / "functions.json").read_text(encoding="utf-8"))["functions"]
_STATIONARY = json.loads((_DATA / "stationary_points.json").read_text(encoding="utf-8"))["problems"]


def _in_jax(read: Formula, point: dict[str, Any]) -> float:
    with double_precision():
        arrays = {name: jax().numpy.asarray(value, dtype=float) for name, value in point.items()}
        return float(evaluate(read.body, arrays, jax_functions()))


@pytest.mark.parametrize("problem", _PUBLISHED, ids=lambda problem: problem["name"])
def test_published_functions_at_their_minimiser(problem: dict[str, Any]) -> None:
    point = dict(zip(problem["variables"], problem["minimiser"], strict=True))
    typed, textbook = formula(problem["formula"]), formula(problem["formula_textbook"])
    assert sorted(typed.variables) == sorted(textbook.variables) == sorted(problem["variables"])
    assert typed(point) == pytest.approx(problem["minimum_value"], abs=1e-9)
    assert textbook(point) == typed(point)
    assert formula(typed.read_as)(point) == pytest.approx(typed(point), rel=1e-12)
    assert _in_jax(typed, point) == pytest.approx(problem["minimum_value"], abs=1e-9)


@pytest.mark.parametrize("problem", _STATIONARY, ids=lambda problem: problem["name"])
def test_functions_at_their_stationary_points(problem: dict[str, Any]) -> None:
    read = formula(problem["formula"])
    for place in problem["stationary_points"]:
        point = dict(zip(problem["variables"], place["point"], strict=True))
        assert read(point) == pytest.approx(place["value"], abs=1e-9)
        assert [one(point) for one in read.gradient()] == pytest.approx([0.0] * len(point), abs=1e-9)


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if function.arity[0] == 1])
@pytest.mark.parametrize("x", [0.3, 0.9, 1.7, -0.6])
def test_numpy_and_jax_agree(name: str, x: float) -> None:
    read = formula(f"f(x) = {name}(x)")
    assert read(x=x) == pytest.approx(_in_jax(read, {"x": x}), rel=1e-14, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("√2", math.sqrt(2)),
        ("ln(10)", math.log(10)),
        ("log10(1000)", 3.0),
        ("log2(8)", 3.0),
        ("cbrt(-27)", -3.0),
        ("erf(0.5)", math.erf(0.5)),
        ("sigmoid(-800)", 0.0),
        ("softplus(800)", 800.0),
        ("relu(-2) + relu(3)", 3.0),
        ("step(0) + step(2) + sign(-3)", 0.0),
        ("max(1, 5, 2) - min(4, -1)", 6.0),
        ("arctan(1)", math.pi / 4),
        ("-2²", -4.0),
        ("2^3^2", 512.0),
        ("8/4/2", 1.0),
        ("8/4·2", 4.0),
        ("2^-1", 0.5),
        ("0.1 + 0.2", 0.1 + 0.2),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert formula(text)() == pytest.approx(value, rel=1e-15, abs=1e-300)


def test_numbers_are_the_floats_that_were_typed() -> None:
    assert formula("0.26")() == 0.26
    assert formula("1e-7")() == 1e-7


@pytest.mark.parametrize(
    "text",
    [
        "1/0",
        "1/0 + x",
        "x/0",
        "x + ln(-1)",
        "√(-4)·x",
        "1e308·10",
        "tan(90°) + x",
        "2/sin(π)",
        "{1/0 if x > 0, x otherwise}",
    ],
)
def test_a_part_without_variables_has_a_value(text: str) -> None:
    with pytest.raises(FormulaError, match="no finite real value"):
        formula(text)


@pytest.mark.parametrize("x", [0.0, -0.0, 1.5, -1.0, 700.0, -700.0, 1e200, -1e200])
@pytest.mark.parametrize(
    "text",
    ["x³", "x^(-3)", "x^0.5", "x^(-2/3)", "x^x", "(-2)^x", "(2^x)^3", "1/(0x)", "-x/x²", "e^x/x"],
)
def test_a_number_an_array_and_the_operations_agree_on_powers_and_quotients(text: str, x: float) -> None:
    """At poles, on overflow and where a power is not real as well."""
    read = formula(f"f(x) = {text}")
    expected = read({"x": np.array([x])})[0]
    together = NumericFormula(read, ARRAYS).value([np.array([x])])
    with np.errstate(all="ignore"):
        plain = evaluate(read.body, {"x": x}, numpy_functions())
    values = [plain, read({"x": x}), NumericFormula(read).value([x]), together[0]]
    np.testing.assert_allclose(values, [expected] * 4, rtol=1e-14)


def test_where_a_value_is_not_real_it_is_nan() -> None:
    assert math.isnan(formula("√x")(x=-1))
    assert math.isnan(formula("x^0.5")(x=-1))
    assert math.isnan(formula("ln(x)")(x=-1))


def test_powers_are_the_operations_that_differentiate_best() -> None:
    with double_precision():
        body = formula("x³ + √y + e^z").body
        traced = jax().make_jaxpr(
            lambda x, y, z: evaluate(body, {"x": x, "y": y, "z": z}, jax_functions()),
        )(1.0, 2.0, 3.0)
    assert [equation.primitive.name for equation in traced.eqns] == ["integer_pow", "sqrt", "add", "exp", "add"]


def test_reductions_run_over_columns() -> None:
    read = formula("S(w) = mean(w·size) + sum(size) + count(size)", columns=["size"])
    assert read(w=2, size=[50, 100, 150]) == 200 + 300 + 3


def test_arrays_give_arrays() -> None:
    values = formula("x² + y")(x=np.array([1.0, 2.0, 3.0]), y=1)
    np.testing.assert_array_equal(values, [2.0, 5.0, 10.0])


def test_a_point_with_wrong_names_is_refused() -> None:
    read = formula("f(price) = price²")
    with pytest.raises(PointError, match="did you mean price"):
        read(prise=1)
    with pytest.raises(PointError, match="needs a value for price"):
        read()


def test_every_function_is_computed_by_both() -> None:
    assert set(numpy_functions()) == set(jax_functions()) == {*FUNCTIONS, *SELECTIONS, *STABLE}
