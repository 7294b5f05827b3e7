"""Every critical point is found, once, with its kind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import flint
import mpmath
import numpy as np
import pytest

import downslope as ds
from downslope.formulas.critical import _balls, _line

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
        # A line of minima is one of minima: the kind says what the values do, `isolated` that there are more.
        assert nearest.kind == wanted["kind"].replace("degenerate_line_of_minima", "minimum")
        assert nearest.isolated is not wanted["kind"].startswith("degenerate")
        assert nearest.value == pytest.approx(wanted["value"], abs=1e-9)


@pytest.mark.parametrize(
    ("text", "bounds", "kinds"),
    [
        ("(x²+y-11)²+(x+y²-7)²", box(6), {"minimum": 4, "saddle": 4, "maximum": 1}),
        ("(4-2.1x²+x^4/3)x²+x y+(-4+4y²)y²", box(3, 2), {"minimum": 6, "saddle": 7, "maximum": 2}),
        ("2x²-1.05x^4+x^6/6+x y+y²", box(5), {"minimum": 3, "saddle": 2}),
        ("100(y-x²)²+(1-x)²", box(3), {"minimum": 1}),
        ("20 + x² - 10cos(2πx) + y² - 10cos(2πy)", box(5.12), {"minimum": 121, "saddle": 220, "maximum": 100}),
        ("x³-3x y²", box(2), {"saddle": 1}),
        ("x²y²", box(2), {"minimum": 1}),
        ("x⁴+y⁴", box(2), {"minimum": 1}),
        ("(x-y)²", box(2), {"minimum": 1}),
        ("x² + y⁴", box(2), {"minimum": 1}),
        ("x³ - 3x", {"x": (-3, 3)}, {"minimum": 1, "maximum": 1}),
        ("x⁴", {"x": (-3, 3)}, {"minimum": 1}),
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
    assert found.method == "proved"
    assert [point.exact for point in found] == [{"x": "√2"}, {"x": "-√2"}] or found[0].exact is not None
    assert "Exactly these 2, proved" in found.sentence
    assert ds.critical_points("sin(x)", {"x": (0, 3)})[0].exact is None


def test_a_line_of_them_is_one_and_says_so() -> None:
    (point,) = ds.critical_points("(x - y)²", box(2))
    assert "curve" in point.note
    assert point.isolated is False
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


@pytest.mark.parametrize(
    ("text", "range_", "points"),
    [
        ("|x² - 1| + x", (-3, 3), {-1: "minimum", 0.5: "maximum", 1: "minimum"}),
        ("|x - 1| - |x + 2|/2", (-4, 4), {-2: "kink", 1: "minimum"}),
        ("2x + |x|", (-1, 1), {0: "kink"}),
        ("max(x, x², 2 - x)", (-1, 1.9), {1: "minimum"}),
        ("min(x², (x - 2)²)", (-1, 3), {0: "minimum", 1: "maximum", 2: "minimum"}),
        ("x·|x|", (-1, 1), {0: "inflection"}),
        ("|x|³", (-1, 1), {0: "minimum"}),
        ("cbrt(x)", (-1, 1), {0: "kink"}),
        ("cbrt(x² - 1)", (-2, 2), {-1: "kink", 0: "minimum", 1: "kink"}),
        ("√|x|", (-1, 2), {0: "minimum"}),
        ("√(x²)", (-1, 2), {0: "minimum"}),
        ("relu(x) - x/2", (-1, 2), {0: "minimum"}),
        ("1/(1 + |x|)", (-3, 2), {0: "maximum"}),
        ("e^(-|x - 1|)", (-3, 3), {1: "maximum"}),
    ],
)
def test_kinks_and_cusps(text: str, range_: tuple[float, float], points: dict[float, str]) -> None:
    found = ds.critical_points(text, {"x": range_})
    assert {round(point.point["x"], 9): point.kind for point in found} == points
    assert all(point.certified for point in found if not point.smooth)
    assert found.method == "proved"


@pytest.mark.parametrize(
    ("text", "poles", "points"),
    [
        ("1/x", [0], {}),
        ("x + 1/x", [0], {-1: "maximum", 1: "minimum"}),
        ("1/(x - 1)² + x", [1], {2.25992105: "minimum"}),
        ("tan(x)", [-1.5708, 1.5708], {}),
        ("1/(x³ - x)", [-1, 0, 1], {-0.57735027: "minimum", 0.57735027: "maximum"}),
        ("1/sin(x)", [0], {-1.57079633: "maximum", 1.57079633: "minimum"}),
        ("|x|/x²", [0], {}),
    ],
)
def test_poles_are_named_and_no_points(text: str, poles: list[float], points: dict[float, str]) -> None:
    found = ds.critical_points(text, {"x": (-3, 3)} if text != "tan(x)" else {"x": (-2, 2)})
    assert {round(point.point["x"], 8): point.kind for point in found} == points
    for pole in poles:
        assert f"{pole:g}" in found.sentence.partition("Pole")[2]


@pytest.mark.parametrize(
    ("text", "kind", "limit"),
    [
        ("sin(x)/x", "maximum", 1),
        ("(1 - cos(x))/x²", "maximum", 0.5),
        ("x²/(e^x - 1 - x)", None, 2),
        ("(x² - 4)/(x - 2)", None, 4),
    ],
)
def test_removable_gaps(text: str, kind: str | None, limit: float) -> None:
    at = 2 if "- 2)" in text else 0
    found = ds.critical_points(text, {"x": (-3, 3)})
    in_gap = [point for point in found if abs(point.point["x"] - at) < 1e-6]
    if kind is None:
        assert not in_gap
        assert f"Removable gap at {at}, limit {limit:g}" in found.sentence
        return
    (point,) = in_gap
    assert (point.kind, point.smooth) == (kind, True)
    assert point.value == pytest.approx(limit)


@pytest.mark.parametrize("order", [3, 4, 5, 6, 7])
@pytest.mark.parametrize(("at", "unit"), [(0, "1e-9"), (1, "1e9"), (-2.5, "1")])
def test_multiple_zeros_of_the_slope_are_proved(order: int, at: float, unit: str) -> None:
    (point,) = ds.critical_points(f"{unit}(x - ({at}))^{order} + 7", {"x": (-3, 3)})
    assert point.point["x"] == at
    assert point.kind == ("minimum" if order % 2 == 0 else "inflection")
    assert point.certified


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("1e-8x³ + x⁴", {-7.5e-9: "minimum", 0: "inflection"}),
        ("x³ - 1e-16x", {-1e-8 / 3**0.5: "maximum", 1e-8 / 3**0.5: "minimum"}),
        ("x²(x - 1e-9)²", {0: "minimum", 5e-10: "maximum", 1e-9: "minimum"}),
    ],
)
def test_points_that_lie_close_together_are_all_listed(text: str, kinds: dict[float, str]) -> None:
    formula = ds.formula(text)
    found = ds.critical_points(formula, dict.fromkeys(formula.variables, (-1, 1)))
    listed = {round(point.point["x"] * 1e12): point.kind for point in found}
    assert listed == {round(x * 1e12): kind for x, kind in kinds.items()}
    assert found.method == "proved"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("f(x) = 5", "everywhere"),
        ("f(x, y) = y²", "do"),
        ("max(0, x)", "region"),
        ("|x - 1| + |x + 1|", "region"),
        ("(x + y)²", "curve"),
        ("(x² + y² - 1)²", "curve"),
        ("x³y³", "curve"),
        ("5 - sin(x)³(y - 1)³", "curve"),
        ("x⁴y²", "curve"),
    ],
)
def test_points_that_are_not_isolated_are_said_to_be_more(text: str, words: str) -> None:
    formula = ds.formula(text)
    found = ds.critical_points(formula, dict.fromkeys(formula.variables, (-2, 2)))
    assert words in found.sentence
    assert any(point.isolated is False for point in found)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("√(x² + y²)", {"minimum": 1}),
        ("|x| + |y - 1|", {"minimum": 1}),
        ("|x| - (y - 1)²", {"saddle": 1}),
        ("|x| - |y|", {"saddle": 1}),
        ("max(x + y, x - y) - x + x²", {"minimum": 1}),
        ("2x + |x| + y²", {}),
        ("1/(x² + y²)", {}),
        ("x/(x - y)", {}),
    ],
)
def test_kinks_of_two_variables(text: str, kinds: dict[str, int]) -> None:
    found = ds.critical_points(text, box(2))
    assert Counter(point.kind for point in found) == kinds


def test_numbers_of_every_scale_make_no_difference() -> None:
    for factor in (1e-10, 1e10):
        found = ds.critical_points(f"{factor}(x⁴ - 2x²) + y²", box(2))
        assert Counter(point.kind for point in found) == {"minimum": 2, "saddle": 1}
        assert found.method == "proved"


def test_a_point_on_the_border_of_the_box_counts() -> None:
    (point,) = ds.critical_points("x²", {"x": (0, 2)})
    assert (point.point["x"], point.certified) == (0, True)
    (corner,) = ds.critical_points("x² + y²", {"x": (0, 2), "y": (-1, 0)})
    assert corner.kind == "minimum"


@pytest.mark.parametrize("seed", range(4))
def test_random_sums_of_waves_agree_with_a_fine_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.5, 3, 3).round(2)
    found = ds.critical_points(f"sin({a}x) + {c}cos({b}x) + x²/{20 + seed}", {"x": (-8, 8)})
    x = np.linspace(-8, 8, 200_001)
    slope = a * np.cos(a * x) - c * b * np.sin(b * x) + 2 * x / (20 + seed)
    assert found.method == "proved"
    assert len(found) == np.count_nonzero(np.diff(np.sign(slope)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|x - 1| + y² + z²", [("minimum", (1, 0, 0))]),
        ("|x + y - z| + x² + y² + (z - 1)²", [("minimum", (1 / 3, 1 / 3, 2 / 3))]),
        ("|x - 1| + |y| - z²", [("saddle", (1, 0, 0))]),
        ("max(x + y, z) + x² + y² + z²", [("minimum", (-1 / 6, -1 / 6, -1 / 3))]),
    ],
)
def test_kinks_of_three_variables_on_planes(text: str, expected: list[tuple[str, tuple[float, ...]]]) -> None:
    points = ds.critical_points(text, dict.fromkeys("xyz", (-2, 2)))
    assert [point.kind for point in points] == [kind for kind, _ in expected]
    for point, (_, where) in zip(points, expected, strict=True):
        assert not point.smooth
        assert [point.point[name] for name in "xyz"] == pytest.approx(where, abs=1e-9)


_ON_SPHERE = "{(x - 2)² + y² + z² if x² + y² + z² < 1, (x - 2)² + y² + z² + 5(x² + y² + z² - 1) otherwise}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|x² + y² + z² - 1| + x", [("minimum", (-1, 0, 0)), ("saddle", (1, 0, 0)), ("maximum", (0.5, 0, 0))]),
        ("max(x² + y² + z², 2 - x)", [("minimum", (1, 0, 0))]),
        ("|x² + y² - 1| + |z - x| + y", [("minimum", (0, -1, 0)), ("saddle", (0, 1, 0)), ("saddle", (0, 0.5, 0))]),
        (_ON_SPHERE, [("minimum", (1, 0, 0))]),
        (_ON_SPHERE.replace(" + z²", ""), [("minimum", (1, 0))]),
        ("{x + y² if |x| < 1, x + y² + 3(|x| - 1) otherwise}", [("minimum", (-1, 0))]),
        ("{y + x² if |x| < 1, y + 1 + 3(|x| - 1) otherwise} + y²", [("minimum", (0, -0.5))]),
    ],
)
def test_kinks_on_curved_borders_and_those_of_pieces(text: str, expected: list[tuple[str, tuple[float, ...]]]) -> None:
    names = "xyz"[: len(expected[0][1])]
    points = ds.critical_points(text, dict.fromkeys(names, (-2.5, 2.5)))
    assert [point.kind for point in points] == [kind for kind, _ in expected]
    for point, (_, where) in zip(points, expected, strict=True):
        assert [point.point[name] for name in names] == pytest.approx(where, abs=1e-9)


def test_a_crease_of_equal_values_is_one_curve() -> None:
    points = ds.critical_points("|x² + y² + z² - 4|", dict.fromkeys("xyz", (-3, 3)))
    assert [(point.kind, point.isolated) for point in points] == [("minimum", False), ("maximum", True)]
    assert "sought numerically" in points.sentence


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("cos(x² + y²)", "xy", {1, -1}),
        ("(x² + y² + z² - 1)²", "xyz", {0}),
        ("(x² + y² - 1)²(x² + y² - 3)²", "xy", {0, 1}),
    ],
)
def test_curves_around_a_single_point_are_told_from_it(text: str, names: str, values: set[int]) -> None:
    points = ds.critical_points(text, dict.fromkeys(names, (-2, 2)))
    filled = {round(point.value, 9) for point in points if not point.isolated}
    assert filled == values
    single = [point for point in points if point.isolated]
    assert [(point.kind, *point.point.values()) for point in single] == [("maximum", *[0] * len(names))]


@pytest.mark.parametrize(("text", "x"), [("√(1 - cos(x))", 0), ("acos(cos(x))", 0), ("√(x² - 2x + 1)·e^x", 1)])
def test_a_kink_that_rounding_hides(text: str, x: float) -> None:
    (point,) = [each for each in ds.critical_points(text, {"x": (x - 0.5, x + 0.5)}) if abs(each.point["x"] - x) < 1e-6]
    assert point.kind == "minimum"
    assert not point.smooth
    assert "kink" in str(ds.slope(text, {"x": x}))


def _zero_of_digamma(between: int) -> float:
    """Return the zero of ψ between two poles, by mpmath."""
    middle = mpmath.findroot(mpmath.digamma, (between + 0.01, between + 0.99), solver="anderson")
    return float(middle)


@pytest.mark.parametrize(
    ("text", "shift", "scale"),
    [("gamma(x)", 0.0, 1.0), ("lgamma(x)", 0.0, 1.0), ("x!", -1.0, 1.0), ("Γ(2x)", 0.0, 0.5)],
)
def test_the_turning_points_of_gamma_between_its_poles(text: str, shift: float, scale: float) -> None:
    low, high = scale * (-4.5 + shift), scale * (3 + shift)
    result = ds.critical_points(text, {"x": (low, high)})
    zeros = [_zero_of_digamma(between) for between in (-4, -3, -2, -1)] + [1.4616321449683622]
    assert result.method == "proved"
    assert sorted(point.point["x"] for point in result) == pytest.approx([scale * (x + shift) for x in zeros])
    assert all(point.certified for point in result)


def test_what_was_not_looked_at_in_time_holds_no_points(monkeypatch) -> None:
    monkeypatch.setattr(_line, "_SECONDS_LEAST", 0.0)
    monkeypatch.setattr(_line, "_SECONDS_TOGETHER", 0.0)
    result = ds.critical_points("sin(3x) + x²/10", {"x": (-20, 20)})
    assert result.method == "numeric"
    assert not any(point.certified for point in result)
    assert "did not end in time" in result.sentence
    for point in result:
        assert abs(3 * np.cos(3 * point.point["x"]) + point.point["x"] / 5) < 1e-6


@pytest.mark.parametrize("name", ["gamma", "lgamma", "digamma", "polygamma(1)", "polygamma(2)", "polygamma(3)"])
def test_balls_of_the_gamma_function_hold_its_values(name: str) -> None:
    rng = np.random.default_rng(0)
    name, _, order = name.rstrip(")").partition("(")
    for _ in range(20):
        middle, radius = rng.uniform(-5, 5), 10 ** rng.uniform(-6, 0)
        around = flint.arb(middle, radius)
        function = _balls.balls().function(name)
        ball = function(flint.arb(int(order)), around) if order else function(around)
        for x in middle + radius * rng.uniform(-1, 1, 5):
            value = (
                mpmath.psi(int(order), x)
                if order
                else mpmath.log(abs(mpmath.gamma(x)))
                if name == "lgamma"
                else (mpmath.gamma(x) if name == "gamma" else mpmath.digamma(x))
            )
            margin = 1e-9 * (1 + abs(float(value)))
            assert not ball.is_finite() or ball.lower() - margin <= float(value) <= ball.upper() + margin
        if name != "lgamma" and middle - radius > -1 and middle + radius < 0:
            assert ball.is_finite()


@pytest.mark.parametrize("pole", [0, -1, -3])
def test_quotients_around_the_poles_of_gamma_hold_its_values(pole: int) -> None:
    ball = _balls.Ratio(flint.arb(pole, 0.3))
    for name, order in (("gamma", None), ("digamma", None), ("polygamma", 1), ("polygamma", 2)):
        function = _balls.ratios().function(name)
        arguments = [ball] if order is None else [_balls.Ratio(flint.arb(order)), ball]
        quotient = function(*arguments)
        assert quotient.above.is_finite()
        assert quotient.below is not None
        for x in (pole - 0.25, pole - 0.01, pole + 0.1, pole + 0.29):
            narrow = _balls.Ratio(flint.arb(x))
            value = function(*arguments[:-1], narrow).plain
            expected = mpmath.gamma(x) if name == "gamma" else mpmath.psi(order or 0, x)
            assert float(value.mid()) == pytest.approx(float(expected), rel=1e-12)
            power = 1 if order is None else order + 1
            assert quotient.above.contains(value * narrow.above.__class__(x - pole) ** power)


def test_a_constant_that_only_rounding_shows_is_one(monkeypatch) -> None:
    monkeypatch.setattr(_line, "_SECONDS_TOGETHER", 0.1)
    (everywhere,) = ds.critical_points("sin(x)² + cos(x)²", {"x": (-5, 5)})
    assert "every point there is critical" in everywhere.note
