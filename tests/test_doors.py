"""Doors: whatever a person may pass, a result or a DownslopeError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import downslope as ds


@pytest.mark.parametrize(
    "call",
    [
        lambda: ds.descend("x²", 1.0, seed=2**70),
        lambda: ds.descend("x²", 1.0, record=10**30),
        lambda: ds.search("x⁴", bounds={"x": (-3, 3)}, seed=2**70),
        lambda: ds.sweep("x²", 1.0, [10**400]),
        lambda: ds.train("iris", steps=10**30),
        lambda: ds.train("iris", steps=3, seed=2**40),
        lambda: ds.train("iris", steps=3, hidden=10**12),
    ],
)
def test_numbers_that_no_program_holds_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ds.DownslopeError):
        call()


def test_a_setting_of_another_method_names_that_method() -> None:
    with pytest.raises(ds.SettingError) as raised:
        ds.descend("x²", 1.0, momentum=0.9)
    assert raised.value.hint == "it is a setting of momentum and nesterov: method='momentum'"


def test_a_fit_without_an_equation_says_so() -> None:
    with pytest.raises(ds.FormulaError, match="no equation"):
        ds.fit("coffee.csv")
