"""The hops of basin hopping, and the islands that take them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds
from downslope.ensembles._hopping import CHAINS, Islands, _anywhere, _draws, _hops, _reflected, begin, in_numpy
from downslope.ensembles._space import in_units, numeric_objective, space_of

BOX = (np.zeros(3), np.ones(3))
CLOUD = (np.full(3, -np.inf), np.full(3, np.inf))


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_points_are_mirrored_into_the_box_as_a_ball_would_bounce(point) -> None:
    inside = _reflected(np, np.array([point]), BOX)[0]
    outside = _reflected(np, np.array([point]), CLOUD)[0]
    for begun, ended in zip(point, inside, strict=True):
        bounced = begun
        while not 0 <= bounced <= 1:
            bounced = -bounced if bounced < 0 else 2 - bounced
        assert ended == pytest.approx(bounced, abs=1e-12)
    np.testing.assert_array_equal(outside, point)


def test_random_points_fill_the_box_or_make_a_normal_cloud() -> None:
    draws = _draws(np, 5, np.arange(300)[:, None, None], np.arange(4), 3)
    assert draws.shape == (300, 4, CHAINS + 1, 13)
    filled = _anywhere(np, draws, BOX).reshape(-1, 3)
    assert np.all((filled > 0) & (filled < 1))
    np.testing.assert_allclose(filled.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(filled.std(axis=0), 12**-0.5, rtol=0.02)
    cloud = _anywhere(np, draws, CLOUD).reshape(-1, 3)
    np.testing.assert_allclose(cloud.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(cloud.std(axis=0), 1, atol=0.03)
    assert np.mean(np.abs(cloud) < 1.959964) == pytest.approx(0.95, abs=0.01)


def test_draws_differ_by_seed_iteration_and_island_and_by_nothing_else() -> None:
    numbers = np.arange(4)
    several = _draws(np, 5, np.arange(10)[:, None, None], numbers, 3)
    assert len(np.unique(several)) > 0.999 * several.size
    np.testing.assert_array_equal(several[7], _draws(np, 5, 7, numbers, 3))
    np.testing.assert_array_equal(several[7, 2:], _draws(np, 5, 7, numbers[2:], 3))
    assert not np.any(several[7] == _draws(np, 6, 7, numbers, 3))


def islands(seed: int = 0) -> Islands:
    base = np.random.default_rng(seed).random((2, CHAINS, 3))
    heights = np.tile(np.arange(CHAINS, dtype=float), (2, 1))
    return begin(seed, np.arange(2), BOX, 8)._replace(base=base, height=heights)


def test_hops_stay_in_the_box_and_go_somewhere() -> None:
    begun = islands()
    targets, reach = _hops(np, begun, _draws(np, 1, 1, np.arange(2), 3), BOX)
    assert np.all((targets >= 0) & (targets <= 1))
    assert np.all(np.max(np.abs(targets - begun.base), axis=2) >= 1e-6)
    assert np.all((reach > 0) & (reach <= 0.1))


def test_where_all_bases_are_one_mixing_gives_way_to_random_changes() -> None:
    begun = islands()._replace(base=np.full((2, CHAINS, 3), 0.4))
    draws = _draws(np, 2, 1, np.arange(2), 3)
    draws[:, :CHAINS, 9] = 0.1  # every chain would mix
    targets, _ = _hops(np, begun, draws, BOX)
    assert np.all(np.max(np.abs(targets - 0.4), axis=2) >= 1e-6)


def test_an_island_counts_every_evaluation_and_keeps_its_lowest() -> None:
    space = space_of(ds.objective("x⁴ - 4x² + x + y²"), {"x": (-3, 3), "y": (-3, 3)})
    goal = numeric_objective(space)
    assert goal is not None
    at = in_units(goal.values_and_gradients, space.origin, space.extent)
    state, lowest = begin(0, np.arange(2), space.unit_bounds, 8), np.full(2, np.inf)
    for first in range(1, 100, 20):
        state = in_numpy(at, state, 0, first, 20, space.unit_bounds)
        assert np.all(state.lowest <= lowest)
        lowest = state.lowest
    assert state.evaluations.tolist() == [100 * CHAINS] * 2
    assert np.all(state.reached <= state.evaluations)
    points = space.origin + space.extent * state.lowest_point
    values = points[:, 0] ** 4 - 4 * points[:, 0] ** 2 + points[:, 0] + points[:, 1] ** 2
    np.testing.assert_allclose(values, state.lowest, rtol=1e-12)
    np.testing.assert_allclose(state.lowest, -5.444192, atol=1e-5)
