"""Losses and residuals against SciPy's definitions and finite differences."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds
from downslope.fitting._model import model_of
from downslope.fitting._numeric_problem import highest_curvature, predicted_with_slopes
from downslope.fitting._problem import (
    LOSSES,
    FitArguments,
    FitProblem,
    checked_loss,
    mean_square,
    scores,
)
from downslope.formulas import formula
from downslope.tables import read_table
from tests.fitting.problems import DECAY, curve, decay


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_scores_are_the_slopes_of_half_the_loss(loss):
    residuals = np.array([-3.0, -0.7, -0.2, 0.1, 0.5, 2.2])
    scale, step = 0.6, 1e-5

    def half(at):
        return (LOSSES[loss](at / scale, np) * scale) ** 2 / 2

    first, second = scores(loss, residuals, scale)
    assert first == pytest.approx((half(residuals + step) - half(residuals - step)) / (2 * step), rel=1e-6)
    curvature = (half(residuals + step) - 2 * half(residuals) + half(residuals - step)) / step**2
    assert second == pytest.approx(curvature, abs=1e-4)


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
@given(residuals=st.lists(st.floats(-50, 50), min_size=1, max_size=6), scale=st.floats(0.01, 20))
def test_the_squares_of_bent_residuals_are_the_loss_that_scipy_computes(loss, residuals, scale) -> None:
    rows = np.array(residuals)
    bent = LOSSES[loss](rows / scale, np) * scale
    theirs = scipy.optimize.least_squares(lambda p: rows + 0 * p[0], [0.0], loss=loss, f_scale=scale, max_nfev=1)
    assert bent @ bent / 2 == pytest.approx(theirs.cost, rel=1e-9, abs=1e-12)
    assert np.all(np.sign(bent) == np.sign(rows / scale))  # the quotient of the smallest numbers is 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("residual", [0.0, 1e-12, -0.3, 0.5, 1.0, -1.0, 40.0])
def test_bent_residuals_have_a_slope_everywhere(loss, residual) -> None:
    """The branch that `where` does not take is differentiated as well, and must not be NaN there."""
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(lambda u: LOSSES[loss](u, jax.numpy))(residual)
    value, slope, step = float(value), float(slope), 1e-7
    either_side = [(LOSSES[loss](residual + by, np) - value) / by for by in (-step, step)]
    assert min(either_side) - 1e-4 <= slope <= max(either_side) + 1e-4


def test_an_unknown_loss_is_answered_by_the_nearest() -> None:
    assert checked_loss("Soft L1") == checked_loss("soft-l1") == "soft_l1"
    with pytest.raises(ds.SettingError, match=r"there is no loss 'cauchi'.*\ndid you mean cauchy"):
        checked_loss("cauchi")


def problem_and_data(loss: str = "linear") -> tuple[FitProblem, FitArguments, dict[str, np.ndarray]]:
    columns = decay()
    model = model_of(DECAY, read_table(columns), None, ())
    problem = FitProblem(model.equation.right.body, model.parameters, ("a", "k"), (("c", formula("a/3").body),), loss)
    weight = np.linspace(0.5, 2, len(columns["x"]))
    return problem, FitArguments({"x": columns["x"]}, columns["y"], weight, {}, np.float64(0.1)), columns


def test_residuals_are_weighted_differences_with_ties_filled_in() -> None:
    problem, arguments, columns = problem_and_data()
    free = np.array([3.0, 0.5])
    assert problem.everything(free, arguments) == {"a": 3.0, "k": 0.5, "c": pytest.approx(1.0)}
    with jax.enable_x64(True):
        rows = np.asarray(problem.residuals(free, arguments))
        value, slopes = predicted_with_slopes(problem, free, arguments)
    wanted = curve(columns["x"], 3, 0.5, 1)
    np.testing.assert_allclose(rows, (wanted - columns["y"]) * arguments.weight, rtol=1e-12)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    by_a = np.exp(-0.5 * columns["x"]) + 1 / 3  # c follows from a
    by_k = -3 * columns["x"] * np.exp(-0.5 * columns["x"])
    np.testing.assert_allclose(slopes, np.column_stack([by_a, by_k]), rtol=1e-12)


@pytest.mark.parametrize("loss", ["linear", "huber"])
def test_the_mean_square_is_that_of_the_residuals(loss) -> None:
    problem, arguments, columns = problem_and_data(loss)
    model = model_of(DECAY, read_table(columns), None, ())
    objective = mean_square(model, problem, arguments)
    plain = (curve(columns["x"], 2, 0.4, 2 / 3) - columns["y"]) * arguments.weight
    bent = LOSSES[loss](plain / 0.1, np) * 0.1
    assert objective({"a": 2.0, "k": 0.4}) == pytest.approx(np.mean(bent**2), rel=1e-12)
    assert objective.names == ("a", "k")


def test_the_highest_curvature_is_that_of_the_hessian() -> None:
    columns = {"x": np.linspace(0, 3, 7), "y": np.zeros(7)}
    model = model_of("y = w x + b", read_table(columns), None, ())
    problem = FitProblem(model.equation.right.body, ("w", "b"), ("w", "b"), (), "linear")
    arguments = FitArguments({"x": columns["x"]}, columns["y"], np.ones(7), {}, np.float64(1))
    design = np.column_stack([columns["x"], np.ones(7)])
    wanted = np.linalg.eigvalsh(2 * design.T @ design / 7)[-1]
    assert highest_curvature(problem, arguments, np.zeros(2)) == pytest.approx(wanted, rel=1e-12)


def test_rows_can_be_chosen() -> None:
    _, arguments, columns = problem_and_data()
    few = arguments.rows(np.array([0, 5, 7]))
    np.testing.assert_array_equal(few.columns["x"], columns["x"][[0, 5, 7]])
    np.testing.assert_array_equal(few.measured, columns["y"][[0, 5, 7]])
    np.testing.assert_array_equal(few.weight, arguments.weight[[0, 5, 7]])
