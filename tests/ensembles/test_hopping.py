"""The hops of basin hopping, and the islands that take them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds
from downslope.ensembles._hopping import CHAINS, _anywhere, _begin, _hops, _reflected, programs
from downslope.ensembles._space import program, space_of

BOX = (np.zeros(3), np.ones(3))
CLOUD = (np.full(3, -np.inf), np.full(3, np.inf))


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_points_are_mirrored_into_the_box_as_a_ball_would_bounce(point) -> None:
    with jax.enable_x64(True):
        inside = np.asarray(_reflected(np.array([point]), BOX))[0]
        outside = np.asarray(_reflected(np.array([point]), CLOUD))[0]
    for begun, ended in zip(point, inside, strict=True):
        bounced = begun
        while not 0 <= bounced <= 1:
            bounced = -bounced if bounced < 0 else 2 - bounced
        assert ended == pytest.approx(bounced, abs=1e-12)
    np.testing.assert_array_equal(outside, point)


def test_random_points_fill_the_box_or_make_a_normal_cloud() -> None:
    uniform = np.random.default_rng(0).random((20_000, 3))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(_anywhere(uniform, BOX), uniform)
        cloud = np.asarray(_anywhere(uniform, CLOUD))
    np.testing.assert_allclose(cloud.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(cloud.std(axis=0), 1, atol=0.03)
    assert np.mean(np.abs(cloud) < 1.959964) == pytest.approx(0.95, abs=0.01)


def island(seed: int = 0):
    with jax.enable_x64(True):
        key = jax.random.key_data(jax.random.key(seed))
        begun = _begin(key, BOX, 8)
        base = np.random.default_rng(seed).random((CHAINS, 3))
        return begun._replace(base=base, height=np.arange(CHAINS, dtype=float))


def test_hops_stay_in_the_box_and_go_somewhere() -> None:
    begun = island()
    draws = np.random.default_rng(1).random((CHAINS + 1, 3 * 3 + 4))
    with jax.enable_x64(True):
        targets, reach = (np.asarray(array) for array in _hops(begun, draws, BOX))
    assert np.all((targets >= 0) & (targets <= 1))
    assert np.all(np.max(np.abs(targets - begun.base), axis=1) >= 1e-6)
    assert np.all((reach > 0) & (reach <= 0.1))


def test_where_all_bases_are_one_mixing_gives_way_to_random_changes() -> None:
    begun = island()._replace(base=np.full((CHAINS, 3), 0.4))
    draws = np.random.default_rng(2).random((CHAINS + 1, 3 * 3 + 4))
    draws[:CHAINS, 9] = 0.1  # every chain would mix
    with jax.enable_x64(True):
        targets, _ = _hops(begun, draws, BOX)
    assert np.all(np.max(np.abs(np.asarray(targets) - 0.4), axis=1) >= 1e-6)


def test_an_island_counts_every_evaluation_and_keeps_its_lowest() -> None:
    space = space_of(ds.objective("x⁴ - 4x² + x + y²"), {"x": (-3, 3), "y": (-3, 3)})
    begin, go_on = program(space, programs, 8)
    with jax.enable_x64(True):
        keys = jax.device_get(jax.random.key_data(jax.random.split(jax.random.key(0), 2)))
        islands, lowest = begin((keys, space.unit_bounds)), np.full(2, np.inf)
        for _ in range(5):
            islands = jax.device_get(go_on((islands, np.int64(20), space.origin, space.extent, space.unit_bounds, {})))
            assert np.all(islands.lowest <= lowest)
            lowest = islands.lowest
        assert islands.evaluations.tolist() == [100 * CHAINS] * 2
        assert np.all(islands.reached <= islands.evaluations)
    points = space.origin + space.extent * islands.lowest_point
    values = points[:, 0] ** 4 - 4 * points[:, 0] ** 2 + points[:, 0] + points[:, 1] ** 2
    np.testing.assert_allclose(values, islands.lowest, rtol=1e-12)
    np.testing.assert_allclose(islands.lowest, -5.444192, atol=1e-5)
