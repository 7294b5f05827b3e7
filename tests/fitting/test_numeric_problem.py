"""Residuals, derivatives and fits in NumPy beside the compiled ones."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import downslope as ds
from downslope.fitting import _least_squares, _starts
from downslope.fitting._levenberg_marquardt import many_in_numpy
from downslope.fitting._numeric_problem import NumericProblem
from downslope.fitting._problem import LOSSES
from tests.fitting.problems import DECAY, decay
from tests.fitting.test_problem import problem_and_data

POINTS = np.array([[3.0, 0.5], [1.0, 2.0], [-0.3, 0.1]])


@pytest.mark.parametrize("loss", LOSSES)
def test_residuals_and_derivatives_are_those_of_jax(loss: str) -> None:
    problem, arguments, _ = problem_and_data(loss)
    numeric = NumericProblem(problem, arguments)
    rows, jacobian = numeric.linearised(POINTS)
    with jax.enable_x64(True):
        for index, point in enumerate(POINTS):
            at = jax.numpy.asarray(point)
            np.testing.assert_allclose(rows[index], problem.residuals(at, arguments), rtol=1e-12)
            slopes = jax.jacfwd(problem.residuals)(at, arguments)
            np.testing.assert_allclose(jacobian[index], slopes, rtol=1e-10, atol=1e-12)
            alone = numeric.linearised(point)
            np.testing.assert_allclose(alone[0], rows[index], rtol=1e-14)
            np.testing.assert_allclose(alone[1], jacobian[index], rtol=1e-14)
    np.testing.assert_allclose(numeric.squares(POINTS), np.sum(rows**2, axis=1), rtol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_hessian_is_the_derivative_of_the_gradient(loss: str) -> None:
    problem, arguments, _ = problem_and_data(loss)
    numeric = NumericProblem(problem, arguments)

    def gradient(free: np.ndarray) -> np.ndarray:
        rows, jacobian = numeric.linearised(free)
        return jacobian.T @ rows

    point, step = np.array([2.9, 0.45]), 1e-6
    columns = [(gradient(point + h) - gradient(point - h)) / (2 * step) for h in step * np.eye(2)]
    np.testing.assert_allclose(numeric.hessian(point), np.column_stack(columns), rtol=1e-5, atol=1e-5)


def test_many_starts_side_by_side_end_where_each_does_alone() -> None:
    problem, arguments, _ = problem_and_data()
    linearised = NumericProblem(problem, arguments).linearised
    bounds = np.array([0.1, 0.2]), np.array([5.0, 3.0])
    starts = np.array([[1.0, 1.0], [4.0, 0.3], [np.nan, 1.0], [0.2, 2.9]])
    ends, squares = many_in_numpy(linearised, starts, bounds, True, 60)[:2]
    for start, end, left in zip(starts, ends, squares, strict=True):
        alone, squares_alone = many_in_numpy(linearised, start[None], bounds, True, 60)[:2]
        np.testing.assert_allclose(alone[0], end, rtol=1e-9)
        np.testing.assert_allclose(squares_alone[0], left, rtol=1e-9)


@pytest.mark.parametrize("start", [{"a": 1.0, "k": 1.0, "c": 0.0}, None])
def test_a_compiled_fit_ends_at_the_same_parameters(monkeypatch: pytest.MonkeyPatch, start: dict | None) -> None:
    in_numpy = ds.fit(decay(), DECAY, start=start)
    for module in (_least_squares, _starts):
        monkeypatch.setattr(module, "is_small", lambda arguments: False)
    in_jax = ds.fit(decay(), DECAY, start=start)
    assert in_numpy.trace.outcome is in_jax.trace.outcome
    assert in_numpy.trace.plan["engine"] == "numpy"
    for name, parameter in in_jax.parameters.items():
        assert in_numpy[name] == pytest.approx(parameter.value, rel=1e-8)
        assert in_numpy.parameters[name].standard_error == pytest.approx(parameter.standard_error, rel=1e-6)
