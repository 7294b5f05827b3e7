"""Secants, slices and the compass: against differences and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lab.asking import ask, refusal

WIDTHS = [3, 1, 0.1, 0.001, -0.5]


@pytest.mark.parametrize(
    ("formula", "function", "slope", "at"),
    [
        ("P(p) = -20p² + 200p - 300", lambda p: -20 * p**2 + 200 * p - 300, lambda p: 200 - 40 * p, 2.0),
        ("g(u) = sin(u) e^u", lambda u: np.sin(u) * np.exp(u), lambda u: (np.sin(u) + np.cos(u)) * np.exp(u), -1.2),
        ("1/x", lambda x: 1 / x, lambda x: -1 / x**2, 0.7),
        ("|x|", abs, np.sign, 1.5),
    ],
)
def test_secants_close_in_on_the_slope(formula: str, function, slope, at: float) -> None:
    name = formula.split("(")[1][0] if "=" in formula else "x"
    reply = ask("secants", formula=formula, start={name: at}, widths=WIDTHS, box={name: [at - 2, at + 2]})
    assert reply["slope"] == pytest.approx(slope(at), rel=1e-8)
    for secant in reply["secants"]:
        assert secant["slope"] == pytest.approx(
            (function(at + secant["width"]) - function(at)) / secant["width"], rel=1e-6
        )
    x, f, slopes = (
        np.array([np.nan if value is None else value for value in reply["curve"][key]]) for key in (name, "f", "slope")
    )
    drawn = np.isfinite(f)
    assert drawn.sum() > 100
    assert f[drawn] == pytest.approx(function(x[drawn]), rel=1e-5, abs=1e-9)
    assert slopes[drawn] == pytest.approx(slope(x[drawn]), rel=1e-5, abs=1e-9)
    assert reply["slope_range"][0] < 0 < reply["slope_range"][1]


def test_a_typed_function_gets_its_own_start_and_box() -> None:
    reply = ask("secants", formula="ln(x)", start=None, box=None, widths=[])
    [start] = reply["start"].values()
    low, high = reply["box"]["x"]
    assert low < start < high
    assert reply["slope"] == pytest.approx(1 / start)
    assert None in reply["curve"]["f"] or low >= 0  # nothing is drawn where there is no value


def test_slices_are_the_function_along_either_variable() -> None:
    reply = ask(
        "slices", formula="f(x, y) = x² y + sin(y)", start={"x": 1.5, "y": -0.5}, box={"x": [-2, 2], "y": [-1, 1]}
    )
    along_x, along_y = reply["slices"]["x"], reply["slices"]["y"]
    assert along_x["f"] == pytest.approx([x**2 * -0.5 + math.sin(-0.5) for x in along_x["at"]], rel=1e-5)
    assert along_y["f"] == pytest.approx([2.25 * y + math.sin(y) for y in along_y["at"]], rel=1e-5, abs=1e-9)
    assert reply["gradient"] == pytest.approx({"x": 2 * 1.5 * -0.5, "y": 2.25 + math.cos(-0.5)})


@pytest.mark.parametrize(("formula", "start"), [("100 - x² - 2y²", (3.0, 1.0)), ("x y + cos(y)", (-1.0, 2.0))])
def test_the_compass_is_steepest_along_the_gradient_and_level_across(formula: str, start: tuple[float, float]) -> None:
    reply = ask("compass", formula=formula, start=dict(zip("xy", start, strict=True)), directions=360)
    slopes = np.array(reply["slopes"])
    assert slopes.max() == pytest.approx(reply["steepness"], rel=1e-3)
    assert abs(int(slopes.argmax()) - reply["uphill"]) <= 0.5001
    turned = math.radians(reply["uphill"] + 90)
    assert math.cos(turned) * reply["gradient"]["x"] + math.sin(turned) * reply["gradient"]["y"] == pytest.approx(
        0, abs=1e-6
    )
    ahead = ask(
        "slices",
        formula=formula,
        start={"x": start[0] + 1e-5 * math.cos(1), "y": start[1] + 1e-5 * math.sin(1)},
        box=None,
    )
    one_radian = np.interp(math.degrees(1), reply["angles"], slopes)
    assert (ahead["value"] - reply["value"]) / 1e-5 == pytest.approx(one_radian, abs=1e-2)


@pytest.mark.parametrize(
    ("verb", "fields", "said"),
    [
        ("secants", {"formula": "x + y", "widths": []}, "of one variable, not of 2"),
        ("secants", {"formula": "x²", "widths": [0]}, "not zero"),
        ("secants", {"formula": "x²", "widths": [True]}, "not zero"),
        ("secants", {"formula": "x²", "widths": [1] * 40}, "up to 32"),
        ("slices", {"formula": "x²"}, "of two variables, not of 1"),
        ("compass", {"formula": "x y", "directions": 10**9}, "from 4 to 360"),
        ("compass", {"formula": "x +", "directions": 8}, ""),
    ],
)
def test_what_makes_no_sense_is_refused(verb: str, fields: dict[str, object], said: str) -> None:
    assert said in refusal(verb, **fields)["message"]
