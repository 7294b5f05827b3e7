"""Wrong arguments of backprop raise a DownslopeError with a sentence, never a raw error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from jax import numpy as jnp

import downslope as ds

WRONG = [None, 3, 2.5, True, [], {}, (), b"x", set(), math.nan, np.zeros(0), np.zeros((2, 2)), object(), len]


def refuses(call: Callable[[], Any]) -> None:
    """Check that a call raises a DownslopeError with a message."""
    with pytest.raises(ds.DownslopeError) as raised:
        call()
    assert raised.value.message


def square(point: dict[str, Any]) -> Any:
    return jnp.sum(point["x"] ** 2)


@pytest.mark.parametrize("value", WRONG)
def test_the_objective(value: Any) -> None:
    refuses(lambda: ds.backprop(value, at={"x": 1}))


@pytest.mark.parametrize("value", [None, [], {}, (), b"x", set(), math.nan, object(), len, "x"])
def test_the_point(value: Any) -> None:
    refuses(lambda: ds.backprop("x²", at=value))
    refuses(lambda: ds.backprop("x² + y²", at=value))
    refuses(lambda: ds.backprop(square, at=value))
    refuses(lambda: ds.backprop("x²", at={"x": value}))
    refuses(lambda: ds.backprop(square, at={"x": value}))


@pytest.mark.parametrize("value", WRONG[1:])
def test_the_table(value: Any) -> None:
    refuses(lambda: ds.backprop("mean((x - size)²)", at={"x": 1}, data=value))


@pytest.mark.parametrize("value", [3, "x", [], {}, len])
def test_the_loss(value: Any) -> None:
    refuses(lambda: ds.backprop("x²", at={"x": 1}, loss=value))


@pytest.mark.parametrize("value", [3, "x", [], b"x", {"x": 3}, {3: "m"}, {"z": "m"}, {"x": "nosuch"}])
def test_the_units(value: Any) -> None:
    refuses(lambda: ds.backprop("x²", at={"x": 1}, units=value))
    refuses(lambda: ds.backprop(square, at={"x": 1.0}, units=value))


def test_units_are_shown() -> None:
    units = {"time": "hour", "Battery": "percent"}
    result = ds.backprop("Battery(time) = 100 - 10×time²", at={"time": 2}, units=units)
    assert "Units: Battery in percent, ∂Battery/∂time in %/h" in str(result).splitlines()
    assert result.as_dict()["units"] == units
    assert "Units" not in str(ds.backprop("x²", at={"x": 1}))
