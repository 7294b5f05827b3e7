"""The judge of points, against kinds known from theory: the same answer at every scale, offset and rotation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sympy

from downslope._judge import _NODES, _WEIGHTS, Surface, judge
from downslope._judgement import Judgement


def surface(text: str, names: str = "x y", is_smooth: bool = False) -> Surface:
    """Return a surface with SymPy's derivatives."""
    symbols = sympy.symbols(names, real=True, seq=True)
    f = sympy.sympify(text, locals={symbol.name: symbol for symbol in symbols})

    def rows(expression):
        function = sympy.lambdify(symbols, expression, [{"DiracDelta": np.zeros_like}, "numpy"])

        def values(points):
            with np.errstate(all="ignore"):
                return np.broadcast_to(np.asarray(function(*points.T), float), len(points)).copy()

        return values

    value = rows(f)
    slopes = [rows(f.diff(s)) for s in symbols]
    bends = [[rows(f.diff(s, t)) for t in symbols] for s in symbols]
    return Surface(
        value,
        lambda points: np.stack([slope(points) for slope in slopes], axis=1),
        lambda point: np.array([[float(bend(point[None])[0]) for bend in row] for row in bends]),
        is_smooth,
    )


SMOOTH = [
    ("x**2 + y**2", "minimum", True),
    ("-x**2 - 1e7*y**2", "maximum", True),
    ("x**2 - 1e9*y**2", "saddle", True),
    ("1e-12*x**2 + 1e12*y**2", "minimum", True),
    ("x*y", "saddle", True),
    ("x**2 - y**4", "saddle", True),
    ("x**2 + y**4", "minimum", True),
    ("x**2 + y**3", "saddle", True),
    ("(x**2 - y)*(x**2 - 3*y)", "saddle", True),
    ("(x**2 - y)*(2*x**2 - 3*y)", "saddle", True),
    ("x**4 + 2*y**4 - 1", "minimum", True),
    ("-x**4 - y**6 + 1e10", "maximum", True),
    ("y**3 - 3*x**2*y", "saddle", True),
    ("x**4 - 3*x**2*y**2 + y**4", "saddle", True),
    ("x**4 - x**2*y**2 + y**4", "minimum", True),
    ("(x - y)**2 + (x + y)**4", "minimum", True),
    ("(x - y)**2", "minimum", False),
    ("x**2*y**2", "minimum", False),
    ("-(x*y)**2", "maximum", False),
    ("7.0 + 0*x", "level", False),
    ("2*x - y + x*y", "slope", None),
]


@pytest.mark.parametrize(("text", "kind", "isolated"), SMOOTH)
def test_smooth_ground(text: str, kind: str, isolated: bool | None) -> None:
    judgement = judge(surface(text, is_smooth=True), np.zeros(2))
    assert (judgement.kind, judgement.smoothness) == (kind, "smooth")
    assert judgement.isolated is isolated


@pytest.mark.parametrize("factor", [1e-10, 1.0, 1e10])
@pytest.mark.parametrize("offset", [0.0, 1e12])
@pytest.mark.parametrize(("text", "kind"), [("x**2", "minimum"), ("-x**4", "maximum"), ("x**3", "inflection")])
def test_one_variable_at_every_scale_and_offset(text: str, kind: str, offset: float, factor: float) -> None:
    judgement = judge(surface(f"{factor}*({text}) + {offset}", "x", True), np.zeros(1))
    assert judgement.kind == kind
    moved = judge(surface(f"{factor}*({text}) + {offset}".replace("x", "(x - 3)"), "x", True), np.array([3.0]))
    assert moved.kind == kind


@pytest.mark.parametrize("turn", [0.1, 0.7, 2.0])
@pytest.mark.parametrize(("text", "kind"), [("u**2 - v**4", "saddle"), ("(u**2 - v)*(u**2 - 3*v)", "saddle")])
def test_turned_ground(text: str, kind: str, turn: float) -> None:
    text = text.replace("u", f"({np.cos(turn)}*x + {np.sin(turn)}*y)").replace(
        "v", f"({np.cos(turn)}*y - {np.sin(turn)}*x)"
    )
    assert judge(surface(text, is_smooth=True), np.zeros(2)).kind == kind


def test_a_float_next_to_a_flat_inflection_is_one() -> None:
    ground = surface("x + sin(x)", "x", True)
    for turns in (-5, -3, -1, 1, 3, 5):
        assert judge(ground, np.array([turns * np.pi])).kind == "inflection"
    assert judge(ground, np.array([np.pi + 1e-3])).kind == "slope"


@pytest.mark.parametrize("text", ["1/x", "1/x**2", "1/x**6", "1/x - x", "log(x)"])
@pytest.mark.parametrize("x", [1e-8, 1e-15, 1e-40])
def test_steep_ground_next_to_a_pole_is_no_flat_point(text: str, x: float) -> None:
    """One of Newton's steps from there is short, but the next ones lead further and further away."""
    assert judge(surface(text, "x", True), np.array([x])).kind == "slope"


def test_digits_that_cancel_decide_nothing() -> None:
    assert judge(surface("1 - cos(x) - x**2/2", "x", True), np.zeros(1)).kind in ("maximum", "degenerate")


ROUGH = [
    ("Abs(x)", 0.0, "minimum", "kink"),
    ("-Abs(x - 2) + 1e6", 2.0, "maximum", "kink"),
    ("2*x + Abs(x)", 0.0, "slope", "kink"),
    ("Max(x, 1 - x)", 0.5, "minimum", "kink"),
    ("Abs(x)**(2/3)", 0.0, "minimum", "cusp"),
    ("sqrt(Abs(x))", 0.0, "minimum", "cusp"),
    ("sign(x)*Abs(x)**(1/3)", 0.0, "slope", "cusp"),
    ("x*Abs(x)", 0.0, "inflection", "smooth"),
    ("Abs(x)**1.5", 0.0, "minimum", "smooth"),
    ("sqrt(x**2 + 1e-12)", 0.0, "minimum", "smooth"),
    ("1/x", 0.0, "undefined", "pole"),
    ("-1/(x - 3)**2", 3.0, "undefined", "pole"),
    ("log(x)", 0.0, "undefined", "pole"),
    ("log(x)", -1.0, "undefined", "undefined"),
    ("x*log(x)", 0.0, "undefined", "edge"),
    ("sqrt(1 - x)", 1.0, "minimum", "edge"),
    ("sin(x)/x", 0.0, "maximum", "gap"),
    ("(exp(x) - 1)/x", 0.0, "slope", "gap"),
    ("(1 - cos(x))/x**2", 0.0, "maximum", "gap"),
    ("sin(1/x)", 0.0, "undefined", "jump"),
]


@pytest.mark.parametrize(("text", "at", "kind", "smoothness"), ROUGH)
def test_rough_ground(text: str, at: float, kind: str, smoothness: str) -> None:
    judgement = judge(surface(text, "x"), np.array([at]))
    assert (judgement.kind, judgement.smoothness) == (kind, smoothness)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sqrt(x**2 + y**2)", "minimum"),
        ("Abs(x) + Abs(y)", "minimum"),
        ("Abs(x) - y**2", "saddle"),
        ("Abs(y - x**2) + x**2/100", "minimum"),
        ("Abs(y - x**2) - x**2/100", "saddle"),
        ("Max(x, y)", "slope"),
    ],
)
def test_kinks_of_two_variables(text: str, kind: str) -> None:
    judgement = judge(surface(text), np.zeros(2))
    assert (judgement.kind, judgement.smoothness) == (kind, "kink")


def test_one_sided_slopes_are_in_the_units_of_the_coordinate() -> None:
    right, left = judge(surface("3*Abs(x - 200)", "x"), np.array([200.0])).sides
    assert right.slope == pytest.approx(3)
    assert left.slope == pytest.approx(3)


def test_a_judgement_is_plain_data() -> None:
    for text, at in (("x**2", 0.0), ("Abs(x)", 0.0), ("log(x)", 0.0)):
        judgement = judge(surface(text, "x"), np.array([at]))
        stored = json.loads(json.dumps(judgement.as_dict(), allow_nan=False))
        again = Judgement.from_dict(stored)
        assert again.kind == judgement.kind
        assert again.as_dict() == judgement.as_dict()


def test_the_rule_of_integration_is_that_of_numpy() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    assert np.array_equal(_NODES, nodes)
    assert np.array_equal(_WEIGHTS, weights)
