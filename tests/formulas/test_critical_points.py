"""Every critical point is found, once, with its kind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import downslope as ds

PUBLISHED = json.loads((Path(__file__).parents[1] / "data" / "stationary_points.json").read_text("utf-8"))["problems"]


def box(width: float, height: float | None = None) -> dict[str, tuple[float, float]]:
    height = width if height is None else height
    return {"x": (-width, width), "y": (-height, height)}


@pytest.mark.parametrize("problem", PUBLISHED, ids=lambda problem: problem["name"])
def test_published_stationary_points(problem) -> None:
    names, reach = problem["variables"], problem["search_box"]
    found = ds.critical_points(problem["formula"], dict.fromkeys(names, (-reach, reach)))
    assert len(found) == len(problem["stationary_points"])
    for wanted in problem["stationary_points"]:
        nearest = min(
            found,
            key=lambda one: np.hypot.reduce([one.point[n] - c for n, c in zip(names, wanted["point"], strict=True)]),
        )
        np.testing.assert_allclose([nearest.point[name] for name in names], wanted["point"], atol=1e-8)
        assert nearest.kind == wanted["kind"].split("_")[0]
        assert nearest.value == pytest.approx(wanted["value"], abs=1e-9)


@pytest.mark.parametrize(
    ("text", "bounds", "kinds"),
    [
        ("(x²+y-11)²+(x+y²-7)²", box(6), {"minimum": 4, "saddle": 4, "maximum": 1}),
        ("(4-2.1x²+x^4/3)x²+x y+(-4+4y²)y²", box(3, 2), {"minimum": 6, "saddle": 7, "maximum": 2}),
        ("2x²-1.05x^4+x^6/6+x y+y²", box(5), {"minimum": 3, "saddle": 2}),
        ("100(y-x²)²+(1-x)²", box(3), {"minimum": 1}),
        ("20 + x² - 10cos(2πx) + y² - 10cos(2πy)", box(5.12), {"minimum": 121, "saddle": 220, "maximum": 100}),
        ("x³-3x y²", box(2), {"degenerate": 1}),
        ("x²y²", box(2), {"degenerate": 1}),
        ("x⁴+y⁴", box(2), {"degenerate": 1}),
        ("(x-y)²", box(2), {"degenerate": 1}),
        ("x² + y⁴", box(2), {"degenerate": 1}),
        ("x³ - 3x", {"x": (-3, 3)}, {"minimum": 1, "maximum": 1}),
        ("x⁴", {"x": (-3, 3)}, {"degenerate": 1}),
        ("e^(-x²)", {"x": (-3, 3)}, {"maximum": 1}),
        ("ln(x)/x", {"x": (-1, 10)}, {"maximum": 1}),
        ("1/x", {"x": (-2, 2)}, {}),
        ("2x + 1", {"x": (-2, 2)}, {}),
        ("sin(x)", {"x": (-10, 10)}, {"minimum": 3, "maximum": 3}),
        ("x² + x y + y² - 3x", box(5), {"minimum": 1}),
    ],
)
def test_known_landscapes(text: str, bounds, kinds: dict[str, int]) -> None:
    assert Counter(point.kind for point in ds.critical_points(text, bounds=bounds)) == kinds


def test_mueller_and_browns_potential() -> None:
    text = (
        "-200exp(-(x-1)²-10y²)-100exp(-x²-10(y-0.5)²)-170exp(-6.5(x+0.5)²+11(x+0.5)(y-1.5)-6.5(y-1.5)²)"
        "+15exp(0.7(x+1)²+0.6(x+1)(y-1)+0.7(y-1)²)"
    )
    found = ds.critical_points(text, {"x": (-1.5, 1.2), "y": (-0.2, 2)})
    assert Counter(point.kind for point in found) == {"minimum": 3, "saddle": 2}
    assert found[0].value == pytest.approx(-146.6995, abs=1e-3)


def test_three_dimensions() -> None:
    text = "(" + " + ".join(f"x{i}⁴ - 16x{i}² + 5x{i}" for i in (1, 2, 3)) + ")/2"
    found = ds.critical_points(text, {f"x{i}": (-5, 5) for i in (1, 2, 3)})
    assert Counter(point.kind for point in found) == {"minimum": 8, "saddle": 18, "maximum": 1}
    assert found[0].value == pytest.approx(-39.16616570377 * 3)


@pytest.mark.parametrize(("f", "g"), [("x⁴ - 2x²", "y³ - 3y"), ("sin(2x)", "cos(y)"), ("x² ", "y⁴ - y² + y/5")])
def test_a_separable_sum_has_the_product_of_its_parts(f: str, g: str) -> None:
    one = ds.critical_points(f, {"x": (-2.9, 2.9)})
    other = ds.critical_points(g, {"y": (-2.9, 2.9)})
    both = ds.critical_points(f"{f} + {g}", box(2.9))
    expected = sorted((p.point["x"], q.point["y"]) for p in one for q in other)
    np.testing.assert_allclose(sorted((p.point["x"], p.point["y"]) for p in both), expected, atol=1e-7)


def test_exact_points_say_so() -> None:
    found = ds.critical_points("x³ - 6x", {"x": (-3, 3)})
    assert found.method == "symbolic"
    assert [point.exact for point in found] == [{"x": "√2"}, {"x": "-√2"}] or found[0].exact is not None
    assert "exactly" in found.sentence
    assert ds.critical_points("sin(x)", {"x": (0, 3)}).method == "numeric"


def test_a_line_of_them_is_one_and_says_so() -> None:
    (point,) = ds.critical_points("(x - y)²", box(2))
    assert "line" in point.note
    assert point.point == {"x": 0.0, "y": 0.0}


@pytest.mark.parametrize(
    ("text", "bounds", "error"),
    [
        ("x²", {"y": (0, 1)}, ds.PointError),
        ("x² + y²", {"x": (0, 1)}, ds.PointError),
        ("x²", {"x": (1, 0)}, ds.PointError),
        ("x²", {"x": (0, float("inf"))}, ds.PointError),
        ("+".join(f"x{i}" for i in range(9)), {f"x{i}": (0, 1) for i in range(9)}, ds.FormulaError),
    ],
)
def test_errors(text: str, bounds, error) -> None:
    with pytest.raises(error):
        ds.critical_points(text, bounds=bounds)
