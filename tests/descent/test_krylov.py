"""The ends that the compiled Lanczos finds on a batch are those of the dense matrix."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from downslope.descent._curvature import end_pairs, krylov_program
from downslope.descent.batches._probe import Probe


def dense(eigenvalues, seed=0):
    """Return a symmetric matrix of given eigenvalues, and its eigenvectors as columns."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))
    return (basis * eigenvalues) @ basis.T, basis


def found(matrix, *, root=None, products=24, slope=True, start=None, at=None):
    """Return the ends of a quadratic form, whose Hessian is the matrix."""

    def value(point, memory, batch):
        flat = jnp.concatenate([point["a"], point["b"]])
        return flat @ batch @ flat / 2

    size = len(matrix)
    place = np.linspace(1, 2, size, dtype=np.float32) if at is None else at
    point = {"a": place[:2], "b": place[2:]}
    start = np.random.default_rng(5).normal(size=size) if start is None else start
    program = jax.jit(krylov_program(value))
    with jax.enable_x64(False):
        given = (point, (), np.asarray(matrix, np.float32))
        return end_pairs(program, given, root, start, products, slope=slope), place


@pytest.mark.parametrize("seed", range(3))
def test_the_ends_are_those_of_the_matrix(seed):
    spread = np.concatenate([np.linspace(-1, 1, 200), [-4.0, 30.0]])
    matrix, basis = dense(np.sort(spread), seed)
    pairs, place = found(matrix)
    assert pairs.highest == pytest.approx(30, rel=1e-3)
    assert pairs.lowest == pytest.approx(-4, rel=1e-3)
    assert abs(pairs.directions @ basis[:, [0, -1]]) == pytest.approx(np.eye(2), abs=1e-2)
    assert pairs.directions.dtype == np.float32
    gradient = matrix @ place
    assert pairs.along_gradient == pytest.approx(gradient @ matrix @ gradient / (gradient @ gradient), rel=1e-4)


def test_a_look_that_begins_where_the_last_ended_takes_eight_products():
    matrix, basis = dense(np.sort(np.concatenate([np.linspace(-1, 1, 200), [-4.0, 30.0]])))
    start = basis[:, 0] + basis[:, -1] + 0.02 * np.random.default_rng(0).normal(size=202)
    pairs, _ = found(matrix, products=8, start=start)
    assert pairs.highest == pytest.approx(30, rel=1e-3)
    assert pairs.lowest == pytest.approx(-4, rel=1e-2)


@pytest.mark.parametrize("factor", [1e-24, 1e24])
def test_squares_may_leave_the_range_of_single_precision(factor):
    matrix, _ = dense(np.array([-2.0, 0.5, 1, 3, 7, 9]))
    pairs, _ = found(matrix * factor, slope=False)
    assert (pairs.lowest, pairs.highest) == pytest.approx((-2 * factor, 9 * factor), rel=1e-4)


def test_a_scaled_matrix_is_scaled_on_both_sides():
    matrix, _ = dense(np.linspace(-1, 6, 20))
    root = np.geomspace(1e-3, 1, 20)
    pairs, _ = found(matrix, root=root, slope=False)
    assert pairs.highest == pytest.approx(np.linalg.eigvalsh(matrix / np.outer(root, root))[-1], rel=1e-4)
    assert np.isnan(pairs.along_gradient)


@pytest.mark.parametrize("eigenvalues", [[0.0] * 5, [0.0, 0, 0, 0, 3], [2.0] * 5, [-1.0, 1, 1, 1, 1]])
def test_no_curvature_is_found_that_is_not_there(eigenvalues):
    matrix, _ = dense(np.array(eigenvalues))
    pairs, _ = found(matrix)
    assert pairs.lowest == pytest.approx(min(eigenvalues), abs=1e-5)
    assert pairs.highest == pytest.approx(max(eigenvalues), abs=1e-5)


def test_what_is_not_finite_has_no_directions():
    pairs, _ = found(np.full((5, 5), np.nan))
    assert np.isnan([pairs.lowest, pairs.highest]).all()
    assert pairs.directions is None


def test_along_no_gradient_there_is_no_curvature():
    pairs, _ = found(np.eye(5), at=np.zeros(5, np.float32))
    assert np.isnan(pairs.along_gradient)
    assert pairs.highest == pytest.approx(1)


def test_the_first_direction_follows_from_seed_and_step_alone():
    class Examples:
        measured = (np.zeros((40, 3)),)

    ours, theirs = (Probe(Examples(), 8, 3) for _ in range(2))  # type: ignore[arg-type]
    point = {"w": np.zeros(7)}
    ours._first_direction(point, 0)
    np.testing.assert_array_equal(ours._first_direction(point, 50), theirs._first_direction(point, 50))
