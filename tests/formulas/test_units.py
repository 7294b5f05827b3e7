"""Units travel with a formula and its derivatives; what does not fit is refused with both units shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from downslope._errors import UnitError
from downslope.formulas import formula
from downslope.formulas._units import check_convertible, factor, parse, unit_product, unit_ratio


@pytest.mark.parametrize(
    ("above", "below", "short"),
    [
        ("percent", "hour", "%/h"),
        ("%", "hours", "%/h"),
        ("dollar", "dollar", "1"),
        ("$", "kg", "$/kg"),
        ("point", "degC", "points/°C"),
        ("m/s", "s", "m/s²"),
        ("m²", "m", "m"),
        ("kg*m/s^2", "m", "kg/s²"),
        ("point", "°C*minute", "points/(°C·min)"),
    ],
)
def test_ratios(above: str, below: str, short: str) -> None:
    assert unit_ratio(above, below) == short


def test_products_cancel() -> None:
    assert unit_product("points/minute", "minute/degC") == "points/°C"


def test_derivatives_carry_their_unit() -> None:
    battery = formula("Battery(time) = 100 - 10×time", units={"time": "hour", "Battery": "percent"})
    assert (battery.unit, battery.unit_of("time"), battery.derivative().unit) == ("percent", "hour", "%/h")


def test_a_gradient_has_a_unit_per_coordinate() -> None:
    quality = formula(
        "Quality(T, t) = -0.01T² - 0.5t² + 3T + 10t", units={"T": "degC", "t": "minute", "Quality": "point"}
    )
    assert [one.unit for one in quality.gradient()] == ["points/°C", "points/min"]
    assert [[one.unit for one in row] for row in quality.hessian()] == [
        ["points/°C²", "points/(°C·min)"],
        ["points/(min·°C)", "points/min²"],
    ]


def test_an_unknown_unit_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnitError, match="did you mean hour"):
        formula("Battery(time) = 100 - 10×time", units={"time": "hoor"})


def test_a_unit_for_a_name_that_does_not_occur_is_refused() -> None:
    with pytest.raises(UnitError, match="did you mean time"):
        formula("Battery(time) = 100 - 10×time", units={"tine": "hour"})


def test_units_that_do_not_fit_are_both_shown() -> None:
    with pytest.raises(UnitError, match=r"minute.*degC"):
        check_convertible("minute", "degC", "t")
    assert factor("hour", "minute") == 60


@pytest.mark.parametrize(
    "text", ["9**9**9**9", "m^999999999", "__import__('os')", "3 m", "(", "import os", "x" * 1000, "m\x00", "**"]
)
def test_anything_else_is_refused_at_once(text: str) -> None:
    with pytest.raises(UnitError):
        parse(text)


def test_pint_is_imported_only_for_units() -> None:
    code = (
        "import sys; from downslope.formulas import formula; formula('f(x) = x² - 4x + 5').latex; "
        "print([name for name in ('pint', 'sympy', 'jax', 'polars', 'matplotlib') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
