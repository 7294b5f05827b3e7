"""Points as rows, boxes and clouds."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

import downslope as ds
from downslope.ensembles._space import derivatives, even, program, space_of


@pytest.mark.parametrize("size", [1, 2, 3, 6])
@given(seed=st.integers(0, 1000))
def test_even_points_are_spread_better_than_random_ones(size, seed) -> None:
    points = even(256, size, seed)
    assert points.shape == (256, size)
    assert np.all((points >= 0) & (points < 1))
    random = np.random.default_rng(seed).random((256, size))
    assert qmc.discrepancy(points) < 0.5 * qmc.discrepancy(random)


def test_in_one_dimension_they_are_multiples_of_the_golden_ratio() -> None:
    golden = (1 + 5**0.5) / 2
    steps = np.diff(even(20, 1, 7)[:, 0]) % 1.0
    np.testing.assert_allclose(steps, 1 / golden, rtol=1e-12)


def test_a_point_is_a_row_and_a_row_a_point() -> None:
    shaped = {"w": np.arange(6.0).reshape(2, 3), "b": np.array([7.0, 8.0])}
    objective = ds.objective(lambda point: (point["w"] ** 2).sum() + point["b"].sum())
    space = space_of(objective, None, spread=1.0, centre=shaped)
    row = space.layout.row(shaped)
    again = space.layout.point(row)
    assert space.size == 8
    for name in shaped:
        np.testing.assert_array_equal(again[name], shaped[name])
    with jax.enable_x64(True):
        assert float(space.layout.value(row, {})) == pytest.approx(55 + 15)


def test_a_box_scales_what_is_drawn_and_a_cloud_has_its_deviations() -> None:
    objective = ds.objective("x² + y²")
    box = space_of(objective, {"x": (-1, 3), "y": (10, 20)})
    starts = box.drawn(500, 0)
    np.testing.assert_allclose(starts.min(axis=0), [-1, 10], atol=0.1)
    np.testing.assert_allclose(starts.max(axis=0), [3, 20], atol=0.1)
    np.testing.assert_array_equal(box.low, [-1, 10])
    np.testing.assert_array_equal(box.high, [3, 20])
    np.testing.assert_array_equal(box.unit_bounds, [[0, 0], [1, 1]])
    cloud = space_of(objective, None, spread={"x": 2.0, "y": 0.5}, centre={"x": 1.0, "y": -1.0})
    starts = cloud.drawn(4000, 0)
    np.testing.assert_allclose(starts.mean(axis=0), [1, -1], atol=0.1)
    np.testing.assert_allclose(starts.std(axis=0), [2, 0.5], rtol=0.05)
    assert np.all(np.isinf(cloud.low))
    assert not cloud.bounded


def test_derivatives_are_those_of_the_formula() -> None:
    space = space_of(ds.objective("x³ + x y²"), {"x": (0, 1), "y": (0, 1)})
    rows = np.array([[1.0, 2.0], [-0.5, 3.0]])
    with jax.enable_x64(True):
        values, gradients, hessians = jax.device_get(program(space, derivatives)(rows, {}))
    for row, value, gradient, hessian in zip(rows, values, gradients, hessians, strict=True):
        x, y = row
        assert value == pytest.approx(x**3 + x * y**2)
        np.testing.assert_allclose(gradient, [3 * x**2 + y**2, 2 * x * y])
        np.testing.assert_allclose(hessian, [[6 * x, 2 * y], [2 * y, 2 * x]])


@pytest.mark.parametrize(
    ("bounds", "choices", "words"),
    [
        (None, {}, "give bounds or a spread"),
        ({"x": (0, 1), "y": (0, 1)}, {"spread": 1.0}, "not both"),
        ({"x": (0, 1)}, {}, "the bounds lack y"),
        ({"x": (0, 1), "z": (0, 1)}, {}, "no variable 'z'"),
        ({"x": (0, "a"), "y": (0, 1)}, {}, "two finite numbers"),
        ({"x": 3, "y": (0, 1)}, {}, "two finite numbers"),
        ({"x": (0, np.inf), "y": (0, 1)}, {}, "two finite numbers"),
        ({"x": (1, 1), "y": (0, 1)}, {}, "the lower bound of x, 1.0, is not below"),
        ([(0, 1)], {}, r"a \(low, high\) for each of x, y"),
        (3, {}, "for each of x, y"),
        (None, {"spread": "wide"}, "a spread is a number"),
        (None, {"spread": {"x": 1.0}}, "needs a spread above 0"),
        (None, {"spread": -1.0}, "needs a spread above 0"),
        (None, {"spread": {"q": 1.0}}, "no variable 'q'"),
    ],
)
def test_regions_that_make_no_sense(bounds, choices, words) -> None:
    with pytest.raises(ds.PointError, match=words):
        space_of(ds.objective("x² + y²"), bounds, **choices)
