"""The search for the lowest valley, against published minima."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import downslope as ds

FUNCTIONS = json.loads((Path(__file__).parents[1] / "data" / "functions.json").read_text(encoding="utf-8"))["functions"]
# One of each kind of ground; benchmarks/global_search.py searches them all.
PUBLISHED = {
    "Univariate P07": "waves and a logarithm in one dimension",
    "Branin": "three minima of one depth",
    "Chichinadze": "waves of two lengths along a narrow ridge",
    "El-Attar-Vidyasagar-Dutta": "far bounds, and a lowest value above zero",
    "Hansen": "hundreds of minima, nine of one depth",
    "Jennrich-Sampson": "a steep and narrow place among exponentials",
    "Michalewicz 2-D": "flat ground with steep valleys",
    "Powell singular": "four dimensions, no curvature at the bottom in two of them",
    "Rosenbrock": "a long curved valley",
    "Shekel 5": "five narrow pits in four dimensions",
    "Wayburn-Seader 1": "sixth powers, two minima in a curved valley",
    "Zettl": "a lowest value just below zero",
}
QUARTIC = ("x⁴ - 4x² + x", {"x": (-3, 3)})
RASTRIGIN = "20 + x² - 10cos(2πx) + y² - 10cos(2πy)"


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_minima_are_found(name):
    problem = next(one for one in FUNCTIONS if one["name"] == name)
    names = problem["variables"]
    bounds = dict(zip(names, problem["bounds"], strict=True))
    found = ds.search(f"f({', '.join(names)}) = {problem['formula_textbook']}", bounds, evaluations=10_000 * len(names))
    assert found.value == pytest.approx(problem["minimum_value"], abs=1e-6 * max(1, abs(problem["minimum_value"])))
    for name, (low, high) in bounds.items():
        assert low <= found.point[name] <= high


@pytest.mark.slow
def test_a_rastrigin_in_ten_dimensions_wherever_it_lies_in_its_box():
    place = np.linspace(-1, 2, 10)

    def rastrigin(point):
        from jax import numpy

        away = point["x"] - place
        return numpy.sum(away**2 - 10 * numpy.cos(2 * np.pi * away) + 10)

    made = ds.objective(rastrigin)  # compiled once: the box is data
    for seed in range(3):
        middle = place - np.random.default_rng(seed).uniform(-4, 4, 10)
        box = ({"x": middle - 5.12}, {"x": middle + 5.12})
        found = ds.search(made, box, target=1e-6, evaluations=200_000, seed=seed)
        assert found.stopped == "target"
        assert found.point["x"] == pytest.approx(place, abs=1e-3)


def test_evidence_is_rounds_that_ended_at_the_lowest():
    found = ds.search(*QUARTIC)
    assert found.stopped == "evidence"
    assert found.confirmations >= 3
    assert found.confirmations == sum(basin.count for basin in found.basins if abs(basin.value - found.value) < 1e-8)
    assert found.best.kind == "minimum"
    assert "ended there" in found.sentence
    assert found.evaluations_to_best <= found.evaluations


def test_limits_hold():
    counted = ds.search(*QUARTIC, confirmations=0, evaluations=3000)
    assert counted.stopped == "evaluations"
    assert counted.evaluations <= 3000
    timed = ds.search(*QUARTIC, confirmations=0, seconds=0.05)
    assert timed.stopped == "time"
    aimed = ds.search(*QUARTIC, confirmations=0, target=-5.0)
    assert aimed.stopped == "target"
    assert aimed.value <= -5.0


def test_a_search_that_hardly_began_says_what_it_met():
    found = ds.search(*QUARTIC, evaluations=64)
    assert np.isfinite(found.value)
    assert found.rounds == 0
    assert "No round ended" in found.sentence


def test_a_seed_gives_the_same_search_again():
    box = {"x": (-5, 5), "y": (-5, 5)}
    one, same, other = (ds.search(RASTRIGIN, box, confirmations=0, evaluations=128, seed=seed) for seed in (1, 1, 2))
    assert one.as_dict() | {"seconds": 0} == same.as_dict() | {"seconds": 0}
    assert one.point != other.point


def test_a_minimum_on_the_edge_is_exactly_there():
    found = ds.search("(x + 10)² + (y + 10)² + e^(-x² - y²)", {"x": (-10, 10), "y": (-10, 10)})
    assert (found.point["x"], found.point["y"]) == (-10, -10)
    assert found.value == pytest.approx(0, abs=1e-12)


def test_without_bounds_it_looks_about_a_centre():
    found = ds.search(RASTRIGIN, spread=2.0, centre={"x": 3.0, "y": -2.0})
    assert found.value == pytest.approx(0, abs=1e-6)
    assert [found.point["x"], found.point["y"]] == pytest.approx([0, 0], abs=1e-6)


def test_the_compiled_search_takes_over_and_ends_at_the_same_point(monkeypatch):
    monkeypatch.setattr("downslope.ensembles._search.COMPILING", 0.02)
    in_numpy, later = (ds.search(*QUARTIC, engine=engine, seconds=600) for engine in ("numpy", "auto"))
    assert (in_numpy.engine, later.engine) == ("numpy", "numpy, jax")
    assert in_numpy.compiling == 0
    assert 0 < later.compiling < later.seconds
    assert "compiling" in str(later)
    for found in (in_numpy, later):
        assert (found.stopped, found.best.kind) == ("evidence", "minimum")
        assert found.value == pytest.approx(-5.444192066610897, rel=1e-15)
    # Random numbers do not depend on the engine; paths part by rounding alone.
    assert later.evaluations_to_best == in_numpy.evaluations_to_best


PUBLISHED_BOXES = {
    "f(x, y) = -(y + 47)sin(√|x/2 + y + 47|) - x sin(√|x - y - 47|)": (512, -959.6406627, {"x": 512, "y": 404.2318}),
    "f(x, y) = -cos(x)·cos(y)·e^(-(x - π)² - (y - π)²)": (100, -1.0, {"x": np.pi, "y": np.pi}),
    "f(x, y) = 20 + e - 20e^(-0.2√((x² + y²)/2)) - e^((cos(2πx) + cos(2πy))/2)": (32.768, 0.0, {"x": 0, "y": 0}),
    RASTRIGIN: (5.12, 0.0, {"x": 0, "y": 0}),
}


@pytest.mark.parametrize("text", PUBLISHED_BOXES)
def test_formulas_are_searched_without_compiling(text):
    half, value, point = PUBLISHED_BOXES[text]
    found = ds.search(text, {"x": (-half, half), "y": (-half, half)}, seed=3, seconds=600)
    assert (found.engine, found.stopped) == ("numpy", "evidence")
    assert found.value == pytest.approx(value, abs=1e-7)
    assert found.point == pytest.approx(point, abs=1e-4)


def test_a_lowest_value_in_a_gap_is_a_minimum():
    """Curvatures beside 0/0 are rounding, and called the lowest value of Damavandi's function a maximum."""
    text = "f(x) = (1 - |sin(π(x - 2))/(π(x - 2))|⁵)·(2 + (x - 7)²)"
    found = ds.search(text, {"x": (0, 14)}, seconds=600)
    assert found.best.kind == "minimum"
    assert found.point["x"] == pytest.approx(2, abs=1e-6)
    assert "(" not in found.sentence


def test_rounds_end_where_creases_lead():
    found = ds.search(
        "f(x, y) = 100√|y - 0.01x²| + 0.01|x + 10|", {"x": (-15, -5), "y": (-3, 3)}, evaluations=40_000, confirmations=0
    )
    assert (found.value, found.best.kind) == (0.0, "minimum")
    assert found.point == pytest.approx({"x": -10, "y": 1}, abs=1e-9)
    assert found.confirmations == found.best.count == found.rounds


def test_what_has_no_lowest_value_is_told():
    with pytest.raises(ds.ObjectiveError, match="unbounded below"):
        ds.search("x³", spread=1.0)
    with pytest.raises(ds.ObjectiveError, match="no finite value"):
        ds.search("ln(x)", {"x": (-3, -1)}, evaluations=2000)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"found": -1}, "found"),
        ({"evaluations": 0}, "evaluations"),
        ({"islands": 0}, "islands"),
        ({"seconds": 0}, "above 0"),
    ],
)
def test_limits_that_make_no_sense(choices, told):
    with pytest.raises(ds.SettingError, match=told):
        ds.search(*QUARTIC, **choices)


def test_the_report():
    found = ds.search(*QUARTIC)
    assert "The lowest value found is −5.444192067 at x = −1.473." in str(found)
    assert json.loads(json.dumps(found.as_dict()))["stopped"] == "evidence"


def test_a_region_without_a_value_is_told_long_before_the_time_is_over():
    with pytest.raises(ds.ObjectiveError, match=r"no finite value at any of 1[0-9]{5} points searched"):
        ds.search("√(x - 10)", {"x": (0, 5)}, seconds=600)
