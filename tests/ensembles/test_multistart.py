"""Valleys of many starts, against known minima, exact divides and single descents."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.ensembles._basins import gathered
from downslope.ensembles._descents import bottom_seconds
from downslope.ensembles._space import space_of

HIMMELBLAU = "(x² + y - 11)² + (x + y² - 7)²"
MINIMA = [(3.0, 2.0), (3.584428, -1.848126), (-2.805118, 3.131312), (-3.779310, -3.283186)]


def test_both_valleys_of_the_quartic_and_the_exact_divide():
    found = ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)})
    roots = sorted(np.roots([4, 0, -8, 1]).real)
    assert [basin.point["x"] for basin in found.basins] == pytest.approx([roots[0], roots[2]], abs=1e-9)
    assert [basin.kind for basin in found.basins] == ["minimum", "minimum"]
    np.testing.assert_array_equal(found.basin, np.where(found.starts[:, 0] < roots[1], 0, 1))
    assert sum(basin.share for basin in found.basins) == pytest.approx(1)
    assert [basin.count for basin in found.basins] == np.bincount(found.basin).tolist()
    assert "lowest is −5.44419 at x = −1.473" in found.sentence
    assert "local" in found.sentence


def test_himmelblaus_four_minima_are_equally_deep():
    found = ds.multistart(HIMMELBLAU, {"x": (-5, 5), "y": (-5, 5)})
    assert len(found.basins) == 4
    for x, y in MINIMA:
        assert min(np.hypot(basin.point["x"] - x, basin.point["y"] - y) for basin in found.basins) < 1e-5
    assert "3 others are as deep" in found.sentence
    assert all(share > 0.15 for share in (basin.share for basin in found.basins))


@pytest.mark.parametrize(
    ("text", "bounds", "kind", "value"),
    [
        ("x", {"x": (0, 1)}, "edge", 0.0),
        ("-x²", {"x": (-1, 2)}, "edge", -4.0),
        ("f(x) = 3", {"x": (0, 1)}, "flat", 3.0),
        ("x y", {"x": (-1, 1), "y": (-1, 1)}, "edge", -1.0),
        ("(x - 2)² + y", {"x": (0, 3), "y": (-1, 1)}, "edge", -1.0),
    ],
)
def test_kinds_of_places(text, bounds, kind, value):
    found = ds.multistart(text, bounds, starts=100)
    assert found.lowest.kind == kind
    assert found.lowest.value == pytest.approx(value, abs=1e-9)
    low, high = np.array(list(bounds.values()), float).T
    assert np.all((found.ends >= low) & (found.ends <= high))


@pytest.mark.parametrize(("text", "kind"), [("x² - y²", "saddle"), ("-x² - y²", "maximum"), ("x² + y²", "minimum")])
def test_descents_that_stay_where_they_begin_are_told_by_the_curvature_there(text, kind):
    space = space_of(ds.objective(text), {"x": (-1, 1), "y": (-1, 1)})
    (basin,), _ = gathered(space, np.full((5, 2), 1e-9))
    assert (basin.kind, basin.count) == (kind, 5)


def test_descents_without_end_and_without_numbers_are_lost():
    found = ds.multistart("x³", spread=1.0, starts=200)
    assert found.lost > 50
    assert "fell without end" in found.sentence
    half = ds.multistart("x - ln(x)", {"x": (-2, 4)}, starts=300)
    assert half.lowest.point["x"] == pytest.approx(1)
    assert half.lost == pytest.approx(100, abs=3)
    assert np.all(half.starts[half.basin < 0, 0] <= 0)


def test_more_places_than_can_be_told_apart():
    found = ds.multistart("sin(x)", {"x": (0, 10_000)}, starts=6000)
    assert found.basins[-1].kind == "other"
    assert len(found.basins) == 1001
    assert sum(basin.count for basin in found.basins) == 6000
    assert "more than 1000 places" in found.sentence


@pytest.mark.parametrize("method", ["gradient descent", "momentum", "adam", "rmsprop"])
def test_a_method_takes_every_start_where_descend_would(method):
    found = ds.multistart(
        HIMMELBLAU, {"x": (-5, 5), "y": (-5, 5)}, starts=12, method=method, learning_rate=0.003, steps=250
    )
    for start, end in zip(found.starts, found.ends, strict=True):
        trace = ds.descend(
            HIMMELBLAU, dict(zip("xy", start, strict=True)), method=method, learning_rate=0.003, steps=250
        )
        assert end == pytest.approx(trace.coordinates[-1], rel=1e-6, abs=1e-9)


def test_the_engines_lead_every_start_to_the_same_basin():
    box = {"x": (-5, 5), "y": (-5, 5)}
    in_numpy, in_jax = (ds.multistart(HIMMELBLAU, box, engine=engine) for engine in ("numpy", "jax"))
    assert (in_numpy.engine, in_jax.engine) == ("numpy", "jax")
    assert [basin.point for basin in in_numpy.basins] == [pytest.approx(basin.point) for basin in in_jax.basins]
    np.testing.assert_array_equal(in_numpy.starts, in_jax.starts)
    # A start on a divide may fall to either side.
    assert np.mean(in_numpy.basin == in_jax.basin) > 0.99


@pytest.mark.parametrize(
    ("method", "rate"), [("newton", {}), ("bfgs", {}), ("gradient descent with noise", {"learning_rate": 0.003})]
)
def test_methods_that_look_at_one_point_take_starts_in_turn(method, rate):
    found = ds.multistart(HIMMELBLAU, {"x": (-5, 5), "y": (-5, 5)}, starts=3, method=method, steps=20, **rate)
    assert found.engine == "numpy"
    for start, end in zip(found.starts, found.ends, strict=True):
        trace = ds.descend(
            HIMMELBLAU, dict(zip("xy", start, strict=True)), method=method, steps=20, tolerance=0, **rate
        )
        assert end == pytest.approx(np.clip(trace.coordinates[-1], -5, 5), rel=1e-6, abs=1e-6)


def test_the_engine_is_chosen_by_the_work():
    def engine(starts: int, **choices) -> str:
        return ds.multistart("x²", {"x": (-1, 1)}, starts=starts, **choices).engine

    assert engine(1000) == engine(50, method="adam", steps=100) == "numpy"
    seconds = [bottom_seconds(space_of(ds.objective("x²"), {"x": (-1, 1)}), 10**power) for power in (2, 4, 6)]
    assert seconds[0] < 1.5 < seconds[2]
    assert seconds == sorted(seconds)
    with pytest.raises(ds.SettingError, match="only formulas"):
        ds.multistart(lambda p: p["x"] ** 2, ({"x": -1.0}, {"x": 1.0}), engine="numpy")
    with pytest.raises(ds.SettingError, match="the engine is numpy, jax or auto"):
        engine(5, engine="torch")


@pytest.mark.parametrize("starts", [1, 7, 401])
def test_any_number_of_starts_fills_its_blocks(starts):
    few = ds.multistart(HIMMELBLAU, {"x": (-5, 5), "y": (-5, 5)}, starts=starts, seed=3)
    many = ds.multistart(HIMMELBLAU, {"x": (-5, 5), "y": (-5, 5)}, starts=900, seed=3)
    assert len(few.ends) == starts
    np.testing.assert_array_equal(few.starts, many.starts[:starts])
    np.testing.assert_allclose(few.ends, many.ends[:starts], atol=1e-5)


def test_starts_fill_a_box_evenly():
    found = ds.multistart("x² + y²", {"x": (0, 1), "y": (-2, 2)}, starts=1024)
    counts, *_ = np.histogram2d(*found.starts.T, bins=8, range=[[0, 1], [-2, 2]])
    assert counts.min() >= 10
    assert counts.max() <= 22


@settings(max_examples=8)
@given(st.floats(1e-4, 1e4), st.floats(-100, 100))
def test_units_change_nothing(scale, shift):
    text = "f(x) = mean(((x - shift)/scale)⁴ - 4((x - shift)/scale)² + (x - shift)/scale)"
    columns = {"shift": [shift], "scale": [scale]}  # as data they share one program
    found = ds.multistart(text, {"x": (shift - 3 * scale, shift + 3 * scale)}, starts=200, data=columns)
    plain = ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)}, starts=200)
    assert [basin.count for basin in found.basins] == [basin.count for basin in plain.basins]
    assert [basin.value for basin in found.basins] == pytest.approx([basin.value for basin in plain.basins], rel=1e-6)


def test_a_function_of_arrays_takes_a_pair_of_points():
    def loss(point):
        return ((point["w"] ** 2 - 1) ** 2).sum() + (point["b"] - 0.5) ** 2

    low = {"w": np.full(2, -2.0), "b": -1.0}
    high = {"w": np.full(2, 2.0), "b": 1.0}
    found = ds.multistart(loss, (low, high), starts=200)
    assert len(found.basins) == 4
    assert np.abs(found.lowest.point["w"]) == pytest.approx(np.ones(2))
    assert found.names == ("b", "w[0]", "w[1]")
    json.dumps(found.as_dict())
    for corner in ({"w": np.full(2, np.inf), "b": 1.0}, {"w": np.ones(3), "b": 1.0}):
        with pytest.raises(ds.PointError):
            ds.multistart(loss, (low, corner))


@pytest.mark.parametrize(
    ("choices", "error", "told"),
    [
        ({}, ds.PointError, "bounds or a spread"),
        ({"bounds": {"x": (0, 1)}, "spread": 1.0}, ds.PointError, "not both"),
        ({"bounds": {"y": (0, 1)}}, ds.PointError, "no variable 'y'"),
        ({"bounds": {"x": (1, 0)}}, ds.PointError, "the lower bound of x, 1.0, is not below the upper one, 0.0"),
        ({"bounds": {"x": (0, "far")}}, ds.PointError, "two finite numbers"),
        ({"bounds": {"x": (0, np.inf)}}, ds.PointError, "two finite numbers"),
        ({"spread": 0.0}, ds.PointError, "above 0"),
        ({"spread": 1.0, "centre": {"y": 1}}, ds.PointError, "no variable 'y'"),
        ({"bounds": {"x": (0, 1)}, "starts": 0}, ds.SettingError, "from 1 to"),
        ({"bounds": {"x": (0, 1)}, "starts": 2.5}, ds.SettingError, "whole number"),
        ({"bounds": {"x": (0, 1)}, "learning_rate": 0.1}, ds.SettingError, "needs a method"),
        ({"bounds": {"x": (0, 1)}, "method": "bfgs", "learning_rate": 0.1}, ds.SettingError, "takes no learning rate"),
        ({"bounds": {"x": (0, 1)}, "method": "adam", "steps": -1}, ds.SettingError, "whole number"),
    ],
)
def test_requests_that_make_no_sense(choices, error, told):
    with pytest.raises(error, match=told):
        ds.multistart("x²", **choices)


def test_ends_that_one_bottom_draws_together_are_one_place():
    found = ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)}, method="gradient descent", learning_rate=0.001, steps=900)
    assert sorted(basin.kind for basin in found.basins) == ["minimum", "minimum", "not at rest"]


def test_a_kink_is_a_minimum_and_kinks_are_told_apart():
    found = ds.multistart("f(x) = |x² - 1| + 0.3x", {"x": (-2, 2)}, starts=300)
    assert [(basin.kind, round(basin.point["x"], 6)) for basin in found.basins] == [("minimum", -1), ("minimum", 1)]
    slope = ds.multistart("|x| + |y|", {"x": (-1, 2), "y": (-2, 1)}, starts=100, method="adam", steps=3)
    assert {basin.kind for basin in slope.basins} == {"not at rest"}


def test_the_unit_of_the_value_changes_nothing():
    for unit in (1.0, 1e-10, 1e9):
        ground = ds.objective("f(x) = mean(unit (x⁴ - 4x² + x))", {"unit": [unit]})  # as data they share one program
        found = ds.multistart(ground, {"x": (-3, 3)}, starts=300)
        assert "The other minimum is local." in found.sentence
        best = ds.search(ground, {"x": (-3, 3)})
        assert (best.stopped, best.confirmations) == ("evidence", best.rounds)


def test_plateaus_of_two_heights_are_two_places():
    found = ds.multistart("f(x) = 3 + tanh(20x)", {"x": (-5, 5)}, starts=300)
    assert {round(basin.value, 6) for basin in found.basins if basin.kind == "flat"} == {2.0, 4.0}


def test_the_report_is_short_and_plain():
    found = ds.multistart("20 + x² - 10cos(2πx) + y² - 10cos(2πy)", {"x": (-5.12, 5.12), "y": (-5.12, 5.12)})
    text = str(found)
    assert len(text.splitlines()) < 20
    assert "lowest minimum" in text
    assert "more" in text
    assert "<table>" in found._repr_html_()
    assert json.loads(json.dumps(found.as_dict()))["starts"] == 1000
