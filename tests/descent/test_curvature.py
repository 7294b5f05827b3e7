"""The two ends of a large Hessian against the whole of it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import downslope as ds
from downslope.descent._curvature import hessian_ends, split


@pytest.mark.parametrize("seed", range(4))
def test_lanczos_agrees_with_the_whole_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(150, 150)))
    bends = np.sort(rng.normal(size=150) * 10 ** rng.uniform(-2, 1, size=150))
    matrix = basis @ np.diag(bends) @ basis.T
    objective = ds.objective(lambda p: p["w"] @ jnp.asarray(matrix) @ p["w"] / 2)
    ends = hessian_ends(objective, {"w": np.zeros(150)})
    scale = np.max(np.abs(bends))
    assert ends.highest == pytest.approx(bends[-1], abs=1e-3 * scale)
    assert ends.lowest == pytest.approx(bends[0], abs=1e-2 * scale)
    assert abs(ends.highest_direction["w"] @ basis[:, -1]) == pytest.approx(1, abs=2e-2)


def test_directions_come_by_part() -> None:
    objective = ds.objective(lambda p: 5 * jnp.sum(p["a"] ** 2) + jnp.sum(p["b"] ** 2))
    ends = hessian_ends(objective, {"a": np.ones((3, 2)), "b": np.ones(4)})
    assert ends.highest == pytest.approx(10)
    assert ends.lowest == pytest.approx(2)
    assert ends.highest_direction["a"].shape == (3, 2)
    assert np.linalg.norm(ends.highest_direction["b"]) < 1e-6


def test_a_hessian_that_is_no_number_says_so() -> None:
    ends = hessian_ends(ds.objective(lambda p: jnp.sum(jnp.log(p))), -np.ones(20) * 0.0)
    assert np.isnan(ends.highest)


def test_split_is_the_order_of_the_tree() -> None:
    parts = split(np.arange(5.0), {"b": np.zeros(2), "a": np.zeros((1, 3))})
    np.testing.assert_array_equal(parts["a"], [[0, 1, 2]])
    np.testing.assert_array_equal(parts["b"], [3, 4])
