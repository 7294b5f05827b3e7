"""Reports of results print NaN and ±∞ clearly: no traceback, no word that is none, no JSON that is none."""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import downslope as ds
from tests.broken_numbers import broken

BOWL = functools.partial(ds.descend, "x² + 3y²", {"x": 1.0, "y": 2.0}, steps=12, learning_rate=0.1)
RESULTS: dict[str, Callable[[], Any]] = {
    "trace": BOWL,
    "diagnosis": lambda: ds.diagnose(BOWL()),
    "sweep": lambda: ds.sweep("x² + 3y²", {"x": 1.0, "y": 2.0}, steps=12),
    "race": lambda: ds.compare("x² + 3y²", {"x": 1.0, "y": 2.0}, methods=["momentum", "bfgs"], steps=12),
    "multistart": lambda: ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)}, starts=4),
    "search": lambda: ds.search("x⁴ - 4x² + x", {"x": (-3, 3)}),
    "critical points": lambda: ds.critical_points("x⁴ - 2x²", {"x": (-3, 3)}),
    "fit": lambda: ds.fit("y = a*x + b", {"x": [1.0, 2, 3, 4, 5], "y": [2.1, 3.9, 6.2, 8, 9.9]}),
    "backprop": lambda: ds.backprop("L = (y - w*x)²", {"w": 0.5, "x": 2, "y": 1.25}),
    "slope": lambda: ds.slope("x² + 3y²", {"x": 1.0, "y": 2.0}),
}
# Counted or timed by ourselves, or an argument that is checked: never NaN.
ALWAYS_NUMBERS = ("confidence", "share", "seconds", "compiling", "tolerance", "plan")
# Pictures, and tables that Polars writes.
DRAWN = re.compile(r"<(svg|style|table border=\"1\" class=\"dataframe\").*?</(svg|style|table)>", re.DOTALL)
NO_WORD = re.compile(r"\b(nan|inf|NaN|Infinity)\b")


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_reports_of_numbers_that_are_not_finite(name: str, number: float) -> None:
    result, count = _result(name), 0
    for path, copy in broken(result, number):
        if any(word in path for word in ALWAYS_NUMBERS):
            continue
        count += 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            text = str(copy)
            page = copy._repr_html_() if hasattr(copy, "_repr_html_") else ""
            json.dumps(copy.as_dict() if hasattr(copy, "as_dict") else {}, allow_nan=False)
        assert not NO_WORD.search(text), f"{path}: {text}"
        assert not NO_WORD.search(DRAWN.sub("", page)), path
    assert count


@functools.cache
def _result(name: str) -> Any:
    return RESULTS[name]()


def test_a_value_beyond_the_floats_is_no_pole() -> None:
    assert "is beyond the largest floating-point number" in ds.slope("e^(x²)", {"x": 100}).note
    assert "rises without bound" in ds.slope("e^(1/x²)", {"x": 0}).note
    finding = ds.diagnose(ds.descend("-e^x", {"x": 1.0}, learning_rate=0.0229925, steps=20))
    assert "pole" not in str(finding)
    assert "unbounded below" in str(finding)
    assert "jumped over a pole" in str(ds.diagnose(ds.descend("1/x", {"x": -0.5}, learning_rate=0.3, steps=20)))


@pytest.mark.parametrize(("text", "value"), [("e^(x⁴)", 1.0), ("x² + 1e-17", 1e-17), ("(x² - 2)²·e^(x²)", 0.0)])
def test_small_values_of_critical_points_are_0_only_by_rounding(text: str, value: float) -> None:
    lowest = ds.critical_points(text, {"x": (-20, 20)})[0]
    assert lowest.value == pytest.approx(value, rel=1e-9, abs=0)
