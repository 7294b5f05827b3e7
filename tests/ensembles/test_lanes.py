"""BFGS of many lanes against its equations and SciPy; batches on every core come back in order."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import pytest
import scipy.optimize

from downslope._arrays import NUMPY_ARRAYS
from downslope.ensembles._lanes import Lanes, begin_lanes, chosen_lanes, count, on_device, step_lanes
from downslope.ensembles._lanes import _updated_inverse as updated_inverse

OPEN = (np.full(2, -np.inf), np.full(2, np.inf))


def rosenbrock(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and gradients at rows."""
    return scipy.optimize.rosen(points.T), scipy.optimize.rosen_der(points.T).T


def run(at: Callable, starts: np.ndarray, bounds=OPEN, most: int = 400) -> tuple[Lanes, list[np.ndarray], np.ndarray]:
    """Take lanes to their ends; return them, the values at each iteration, and which are stuck."""
    heights = []
    lanes = begin_lanes(np, np.asarray(starts, float), np.full(len(starts), 0.1))
    stuck = np.zeros(len(starts), bool)
    for _ in range(most):
        with np.errstate(all="ignore"):  # as in the loops
            after, progress = step_lanes(NUMPY_ARRAYS, at, lanes, bounds)
        lanes = chosen_lanes(np, stuck, lanes, after)
        stuck = stuck | progress.stuck
        heights.append(lanes.value)
        if stuck.all():
            break
    return lanes, heights, stuck


def test_each_lane_ends_at_the_minimum_and_never_climbs() -> None:
    starts = np.array([[-1.2, 1.0], [2.0, -2.0], [0.0, 0.0], [5.0, 20.0]])
    lanes, heights, stuck = run(rosenbrock, starts)
    assert stuck.all()
    np.testing.assert_allclose(lanes.point, 1.0, atol=1e-6)
    assert np.all(np.diff(np.array(heights), axis=0) <= 0)
    assert len(heights) < 200


def test_it_takes_about_as_many_evaluations_as_scipys() -> None:
    start = np.array([-1.2, 1.0])
    theirs = scipy.optimize.minimize(scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, method="BFGS")
    lanes, _, _ = run(rosenbrock, start[None])
    assert int(lanes.tried[0]) < 2 * theirs.nfev


@pytest.mark.parametrize(
    "bounds", [([0.0, -np.inf], [0.5, np.inf]), ([-2.0, 1.5], [2.0, 3.0]), ([1.5, 0.0], [3.0, 1.0])]
)
def test_in_bounds_it_ends_where_scipy_ends(bounds) -> None:
    low, high = np.array(bounds)
    start = np.clip([0.3, 1.7], low, high)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen,
        start,
        jac=scipy.optimize.rosen_der,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    lanes, _, _ = run(rosenbrock, start[None], (low, high))
    np.testing.assert_allclose(lanes.point[0], theirs.x, rtol=1e-5)
    assert np.all((lanes.point >= low) & (lanes.point <= high))


def lanes_with(inverse: np.ndarray, taken: int) -> Lanes:
    count, size = inverse.shape[:2]
    zeros, flat = np.zeros((count, size)), np.zeros(count)
    return Lanes(zeros, flat, zeros, inverse, zeros, flat + 1, flat.astype(int), np.full(count, taken), flat + 1)


def test_the_update_is_that_of_the_books() -> None:
    """B ← (I − syᵀ/sᵀy) B (I − ysᵀ/sᵀy) + ssᵀ/sᵀy, and so By = s."""
    random = np.random.default_rng(0)
    factors = random.normal(size=(5, 3, 3))
    before = factors @ factors.transpose(0, 2, 1) + np.eye(3)
    moved, change = random.normal(size=(2, 5, 3))
    change *= np.sign(np.sum(moved * change, axis=1))[:, None]
    after = updated_inverse(np, lanes_with(before, 2), moved, change, np.ones(5, bool))
    for lane in range(5):
        s, y, product = moved[lane], change[lane], moved[lane] @ change[lane]
        keep = np.eye(3) - np.outer(s, y) / product
        np.testing.assert_allclose(after[lane], keep @ before[lane] @ keep.T + np.outer(s, s) / product, rtol=1e-9)
        np.testing.assert_allclose(after[lane] @ y, s, rtol=1e-9)
        np.testing.assert_allclose(after[lane], after[lane].T, rtol=1e-9)
        assert np.linalg.eigvalsh(after[lane])[0] > 0


def test_after_the_first_step_the_inverse_is_scaled_to_the_curvature_along_it() -> None:
    moved, change = np.array([[2.0, 0.0]]), np.array([[8.0, 0.0]])
    after = updated_inverse(np, lanes_with(np.eye(2)[None], 1), moved, change, np.ones(1, bool))
    np.testing.assert_allclose(after[0], np.eye(2) / 4, rtol=1e-12)


@pytest.mark.parametrize("cosine", [-1.0, 0.0])
def test_without_positive_curvature_the_next_step_is_longer(cosine) -> None:
    moved, change = np.array([[1.0, 0.0]]), np.array([[cosine, 1.0 if cosine == 0 else 0.0]])
    before = np.eye(2)[None] * 0.5
    after = updated_inverse(np, lanes_with(before, 3), moved, change, np.ones(1, bool))
    refused = updated_inverse(np, lanes_with(before, 3), moved, change, np.zeros(1, bool))
    np.testing.assert_allclose(after, 4 * before)
    np.testing.assert_allclose(refused, before)


def test_a_narrow_quadratic_takes_few_evaluations() -> None:
    curvatures = np.geomspace(1, 100, 6)
    lanes, heights, stuck = run(
        lambda p: ((p * p * curvatures).sum(axis=1), 2 * p * curvatures),
        np.ones((3, 6)),
        (np.full(6, -9.0), np.full(6, 9.0)),
    )
    assert stuck.all()
    np.testing.assert_allclose(lanes.point, 0, atol=1e-6)
    # The bottom is at 0, so that no value is small beside it: a lane goes on until rounding ends it.
    assert np.all(heights[60] < 1e-9 * heights[0])
    assert len(heights) < 120


def test_a_start_without_a_value_ends_at_once() -> None:
    with np.errstate(all="ignore"):
        _, heights, stuck = run(lambda p: (np.log(p).sum(axis=1), 1 / p), np.array([[-1.0, 1.0], [-2.0, -1.0]]), most=3)
    assert stuck.all()
    assert len(heights) == 1


def test_batches_come_back_to_the_host() -> None:
    run = jax.jit(lambda piece: piece * 2)
    results = [on_device(run, np.full(4, float(number)), number, "float64") for number in range(2 * count() + 1)]
    assert [result[0] for result in results] == [2.0 * number for number in range(len(results))]
    assert all(type(result) is np.ndarray and result.dtype == np.float64 for result in results)
