"""Wrong arguments raise a DownslopeError with a sentence, never a raw error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import downslope as ds

WRONG = [None, 3, 2.5, True, [], {}, (), b"x", set(), math.nan, np.zeros(0), np.zeros((2, 2)), object(), len]
BOX = {"x": (-1, 1)}


def refuses(call: Callable[[], Any]) -> None:
    """Check that a call raises a DownslopeError with a message."""
    with pytest.raises(ds.DownslopeError) as raised:
        call()
    assert raised.value.message
    assert not raised.value.message.startswith("'NoneType'")


@pytest.mark.parametrize("value", WRONG)
def test_the_text_is_text(value: Any) -> None:
    refuses(lambda: ds.formula(value))
    refuses(lambda: ds.derive(value))
    refuses(lambda: ds.chain(value, "u = x²"))
    refuses(lambda: ds.chain("y = u²", value))
    refuses(lambda: ds.critical_points(value, BOX))


@pytest.mark.parametrize("value", [value for value in WRONG[1:] if not isinstance(value, dict)])
def test_units_map_names_to_texts(value: Any) -> None:
    refuses(lambda: ds.formula("x²", units=value))
    refuses(lambda: ds.derive("x²", units=value))
    refuses(lambda: ds.chain("y = u²", "u = x²", units=value))
    refuses(lambda: ds.critical_points("x²", BOX, units=value))


@pytest.mark.parametrize("units", [{"x": 3}, {"x": None}, {3: "m"}, {"x": b"m"}, {"x": "no such unit"}, {"z": "m"}])
def test_units_of_one_name(units: Any) -> None:
    refuses(lambda: ds.formula("x²", units=units))
    refuses(lambda: ds.chain("y = u²", "u = x²", units=units))
    refuses(lambda: ds.critical_points("x²", BOX, units=units))


@pytest.mark.parametrize("value", [3, None, True, "x", b"x", [3], {1: 2}, len])
def test_columns_are_names(value: Any) -> None:
    refuses(lambda: ds.formula("x²", columns=value))
    refuses(lambda: ds.derive("x²", columns=value))


@pytest.mark.parametrize("value", WRONG[1:])
def test_the_variable_is_a_name(value: Any) -> None:
    refuses(lambda: ds.derive("x²", value))
    refuses(lambda: ds.formula("x²").derivative(value))


@pytest.mark.parametrize("value", [*WRONG, "x", {"x": None}, {"x": 3}, {"x": "ab"}, {"x": (1, 2, 3)}, {3: (0, 1)}])
def test_bounds_are_ranges_by_name(value: Any) -> None:
    refuses(lambda: ds.critical_points("x²", value))


@pytest.mark.parametrize(
    "bounds", [{"x": (1, 1)}, {"x": (2, 1)}, {"x": (math.nan, 1)}, {"x": (-math.inf, 1)}, {"x": (0, 10**400)}]
)
def test_bounds_increase(bounds: Any) -> None:
    refuses(lambda: ds.critical_points("x²", bounds))


@pytest.mark.parametrize("value", WRONG[1:])
def test_a_point_maps_names_to_numbers(value: Any) -> None:
    refuses(lambda: ds.formula("x²")(value))


@pytest.mark.parametrize("value", [None, "a", b"a", {}, object(), [1, "a"], [[1], [1, 2]], len])
def test_a_coordinate_is_a_number(value: Any) -> None:
    refuses(lambda: ds.formula("x²")({"x": value}))
    refuses(lambda: ds.chain("y = u²", "u = x²").at(x=value))


def test_units_are_shown_at_critical_points() -> None:
    units = {"time": "hour", "Battery": "percent"}
    (point,) = ds.critical_points("Battery(time) = (time - 2)² + 3", {"time": (0, 5)}, units=units)
    assert str(point) == "minimum at time = 2 hour, value 3 percent"
    assert point.units == {"time": "hour"}
    assert point.unit == "percent"


def test_a_unit_of_no_name_in_a_chain_is_refused() -> None:
    with pytest.raises(ds.UnitError, match="did you mean temperature"):
        ds.chain("Q(time) = 5×time", "T(temperature) = -2×temperature", units={"temperatur": "delta_degC"})
