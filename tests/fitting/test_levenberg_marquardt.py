"""The step and the way of Levenberg and Marquardt against its equations, NumPy, SciPy and Optimistix."""

from __future__ import annotations

import jax
import numpy as np
import optimistix
import pytest
import scipy.optimize

from downslope.fitting._constraints import constraints
from downslope.fitting._least_squares import levenberg_marquardt
from downslope.fitting._levenberg_marquardt import MarquardtState, _solved, many
from downslope.fitting._model import model_of
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.tables import read_table

X = np.linspace(0.1, 6, 30)
NOISE = np.random.default_rng(3).normal(0, 0.02, len(X))
CASES = {
    "decay": ("y = a e^(-k x) + c", (3.0, 0.5, 1.0), (1.0, 1.0, 0.0)),
    "peak": ("y = a e^(-(x - m)²/w²)", (2.0, 3.0, 1.2), (1.0, 2.2, 2.0)),
    "saturation": ("y = a x / (b + x)", (5.0, 2.0), (1.0, 0.5)),
    "logistic": ("y = a / (1 + e^(-k (x - m)))", (4.0, 2.0, 2.5), (3.0, 1.0, 3.0)),
    "waves": ("y = a sin(w x) + c", (1.5, 2.1, 0.3), (1.0, 2.0, 0.0)),
}


def case(name: str, bounds=None) -> tuple[FitProblem, FitArguments, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return a problem with noise, its data, its bounds and a start."""
    text, truth, start = CASES[name]
    model = model_of(text, read_table({"x": X, "y": X}), None, ())
    limits = constraints(model, None, None, bounds)
    problem = FitProblem(model.equation.right.body, model.parameters, limits.free, (), "linear")
    measured = model.predicted(dict(zip(model.parameters, truth, strict=True)), {"x": X}) + NOISE
    arguments = FitArguments({"x": X}, measured, np.ones(len(X)), {}, np.float64(1.0))
    return problem, arguments, limits.bounds, np.array(start)


@pytest.mark.parametrize("name", CASES)
def test_it_ends_where_optimistix_ends(name) -> None:
    problem, arguments, bounds, start = case(name)
    with jax.enable_x64(True):
        solver = optimistix.LevenbergMarquardt(rtol=1e-10, atol=1e-12)
        theirs = optimistix.least_squares(
            lambda free, data: problem.residuals(free, data), solver, jax.numpy.asarray(start), arguments, max_steps=500
        )
    ours = levenberg_marquardt(problem, arguments, bounds, start, 500)
    assert ours.still
    np.testing.assert_allclose(ours.end, theirs.value, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_its_record_is_that_of_the_residuals(name) -> None:
    problem, arguments, bounds, start = case(name)
    solution = levenberg_marquardt(problem, arguments, bounds, start, 500)
    np.testing.assert_array_equal(solution.points[0], start)
    assert np.all(np.diff(solution.squares) <= 1e-15 * solution.squares[:-1])
    with jax.enable_x64(True):
        residuals, jacobian = problem.residuals, jax.jacfwd(problem.residuals)
        for point, gradient, squares in zip(solution.points, solution.gradients, solution.squares, strict=True):
            rows, slopes = np.asarray(residuals(point, arguments)), np.asarray(jacobian(point, arguments))
            assert squares == pytest.approx(rows @ rows / 2, rel=1e-12)
            np.testing.assert_allclose(gradient, slopes.T @ rows, rtol=1e-9, atol=1e-12)
    # At the end the gradient is rounding beside its terms.
    np.testing.assert_allclose(solution.gradients[-1], 0, atol=1e-9 * np.linalg.norm(solution.jacobian))


def state(jacobian: np.ndarray, damping: float, scale: np.ndarray) -> MarquardtState:
    nothing = np.zeros(())
    return MarquardtState(
        np.zeros(jacobian.shape[1]), np.zeros(len(jacobian)), jacobian, nothing, scale, np.asarray(damping),
        nothing, nothing, nothing, nothing,
    )  # fmt: skip


@pytest.mark.parametrize("damping", [1e-12, 1e-3, 1.0, 1e6])
def test_a_step_solves_the_damped_normal_equations(damping) -> None:
    random = np.random.default_rng(0)
    jacobian, residuals = random.normal(size=(12, 4)) * [1, 10, 0.01, 3], random.normal(size=12)
    scale = np.linalg.norm(jacobian, axis=0)
    with jax.enable_x64(True):
        step = np.asarray(_solved(np, jacobian, residuals, state(jacobian, damping, scale)))
    left = jacobian.T @ jacobian + damping * np.diag(scale**2)
    np.testing.assert_allclose(left @ step, -jacobian.T @ residuals, rtol=1e-9, atol=1e-12)


def test_with_little_damping_it_is_the_step_of_gauss_and_newton_with_much_a_short_one_downhill() -> None:
    random = np.random.default_rng(1)
    jacobian, residuals = random.normal(size=(12, 3)), random.normal(size=12)
    scale = np.linalg.norm(jacobian, axis=0)
    with jax.enable_x64(True):
        newton = np.asarray(_solved(np, jacobian, residuals, state(jacobian, 1e-20, scale)))
        short = np.asarray(_solved(np, jacobian, residuals, state(jacobian, 1e12, scale)))
    np.testing.assert_allclose(newton, np.linalg.lstsq(jacobian, -residuals, rcond=None)[0], rtol=1e-9)
    np.testing.assert_allclose(short * 1e12, -(jacobian.T @ residuals) / scale**2, rtol=1e-9)


def test_columns_parallel_to_nine_digits_keep_theirs() -> None:
    """The normal equations would square the condition number, and keep none."""
    random = np.random.default_rng(2)
    first = random.normal(size=40)
    jacobian = np.column_stack([first, first + 1e-9 * random.normal(size=40)])
    wanted = np.array([1.0, -2.0])
    with jax.enable_x64(True):
        step = np.asarray(_solved(np, jacobian, -jacobian @ wanted, state(jacobian, 1e-30, np.ones(2))))
    np.testing.assert_allclose(step, wanted, rtol=1e-5)
    normal = np.linalg.lstsq(jacobian.T @ jacobian, jacobian.T @ jacobian @ wanted, rcond=None)[0]
    assert np.max(np.abs(normal - wanted)) > 0.1


@pytest.mark.parametrize(
    "bounds", [{"k": (0, 0.3)}, {"c": (1.5, None), "k": (None, 0.7)}, {"a": (0, 2), "k": (0, 0.4)}]
)
def test_in_bounds_it_ends_where_scipy_ends(bounds) -> None:
    problem, arguments, ends, start = case("decay", bounds)
    start = np.clip(start, *ends)
    ours = levenberg_marquardt(problem, arguments, ends, start, 500)

    def residuals(free: np.ndarray) -> np.ndarray:
        return free[0] * np.exp(-free[1] * X) + free[2] - arguments.measured

    inside = np.clip(start, ends[0] + 1e-3, ends[1] - 1e-3)
    theirs = scipy.optimize.least_squares(residuals, inside, bounds=ends, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(ours.end, theirs.x, rtol=1e-5)
    low, high = ends
    assert np.all((ours.points >= low) & (ours.points <= high))
    # Karush, Kuhn and Tucker: no slope inside, and outward ones on a bound.
    slope, size = ours.gradients[-1], np.linalg.norm(ours.jacobian, axis=0)
    at_low, at_high = ours.end <= low, ours.end >= high
    assert np.all(np.abs(slope / size)[~(at_low | at_high)] < 1e-8)
    assert np.all(slope[at_low] > 0)
    assert np.all(slope[at_high] < 0)


@pytest.mark.parametrize("bounds", [None, {"k": (0, 0.3)}])
def test_side_by_side_each_start_ends_where_it_ends_alone(bounds) -> None:
    problem, arguments, ends, start = case("decay", bounds)
    starts = np.clip(start * np.array([[1.0], [0.5], [2.0], [1.3]]), *ends)
    with jax.enable_x64(True):
        points, squares = jax.device_get(many(problem, 60, bounds is not None)(starts, arguments, ends))
    for begun, point, height in zip(starts, points, squares, strict=True):
        alone = levenberg_marquardt(problem, arguments, ends, begun, 60)
        np.testing.assert_allclose(point, alone.end, rtol=1e-8)
        assert height == pytest.approx(alone.squares[-1], rel=1e-9)


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**13])
def test_the_unit_of_a_parameter_changes_nothing(unit) -> None:
    """With D the lengths of the columns a parameter in other units takes the same steps; powers of 2 round alike."""
    model = model_of("y = a e^(-u k x) + c", read_table({"x": X, "y": X, "u": X}), None, ())
    ways = []
    for factor in (1.0, unit):
        problem = FitProblem(model.equation.right.body, model.parameters, model.parameters, (), "linear")
        measured = case("decay")[1].measured
        columns = {"x": X, "u": np.full(len(X), factor)}
        arguments = FitArguments(columns, measured, np.ones(len(X)), {}, np.float64(1.0))
        open_ends = np.full(3, -np.inf), np.full(3, np.inf)
        solution = levenberg_marquardt(problem, arguments, open_ends, np.array([1.0, 1.0 / factor, 0.0]), 300)
        ways.append(solution.points * [1.0, factor, 1.0])
    assert ways[0].shape == ways[1].shape
    np.testing.assert_allclose(ways[0], ways[1], rtol=1e-9)


def test_limits_of_steps_hold_and_what_is_not_finite_ends_at_once() -> None:
    problem, arguments, bounds, start = case("decay")
    for steps in (0, 1, 3):
        solution = levenberg_marquardt(problem, arguments, bounds, start, steps)
        assert len(solution.points) <= steps + 1
        assert not solution.still
    gone = levenberg_marquardt(problem, arguments, bounds, np.array([1.0, -1e4, 0.0]), 100)
    assert len(gone.points) == 1
    assert not gone.finite
    assert not gone.sound
