"""The iterations of a solver as a trace."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import downslope as ds
from downslope.fitting._equivalent import Rewriting
from downslope.fitting._least_squares import Solution, better, is_bounded, levenberg_marquardt, trust_region
from downslope.fitting._model import model_of
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.tables import read_table
from tests.fitting.problems import DECAY, curve, decay


def test_the_trace_holds_the_way_of_the_mean_square():
    columns = decay()
    found = ds.fit(DECAY, columns, start={"a": 1, "k": 1, "c": 0})
    trace = found.trace
    assert trace.coordinate_names == ("a", "c", "k")
    for row in (0, len(trace) // 2, -1):
        a, c, k = trace.coordinates[row]
        residuals = curve(columns["x"], a, k, c) - columns["y"]
        assert trace.columns["value"][row] == pytest.approx(np.mean(residuals**2), rel=1e-12)
        slope = 2 * np.mean(residuals * np.exp(-k * columns["x"]))
        assert trace.gradients[row, 0] == pytest.approx(slope, rel=1e-9, abs=1e-12)
    assert np.all(np.diff(trace.columns["value"]) <= 1e-15)
    assert found.objective(found.values) == pytest.approx(trace.value)
    assert trace.start == {"a": 1, "k": 1, "c": 0}
    assert trace.end_spectrum.lowest > 0


def test_a_trace_of_a_fit_is_kept_like_any_other(tmp_path):
    trace = ds.fit(DECAY, decay()).trace
    ds.save(trace, tmp_path / "run")
    again = ds.load(tmp_path / "run")
    assert np.array_equal(again.coordinates, trace.coordinates)
    assert again.plan["method"] == "levenberg-marquardt"


def solution(squares=(2.0, 1.0), still=True, undetermined=()) -> Solution:
    random = np.random.default_rng(0)
    slopes = random.normal(size=(5, 2))
    return Solution(
        "levenberg-marquardt",
        random.normal(size=(2, 2)),
        random.normal(size=(2, 2)),
        np.array(squares),
        slopes,
        slopes.T @ slopes,
        still,
        undetermined,
    )


def test_the_better_is_the_lower_and_of_equals_the_sound_one() -> None:
    low, high, lost = solution((2.0, 1.0)), solution((2.0, 1.5)), solution((2.0, np.nan))
    stalled = solution((2.0, 1.0), still=False)
    assert better([high, low]) is low
    assert better([lost, high]) is high
    assert better([stalled, low]) is low
    assert better([stalled, high]) is stalled
    assert better([lost]) is lost
    assert solution(undetermined=(1,)).sound is False


def test_scaled_parameters_have_scaled_derivatives() -> None:
    whole = solution()
    scaled = whole.scaled(np.array([2.0, 5.0]), np.array([False, True]))
    np.testing.assert_allclose(scaled.points, whole.points[:, [1]] * 5)
    np.testing.assert_allclose(scaled.gradients, whole.gradients[:, [1]] / 5)
    np.testing.assert_allclose(scaled.jacobian, whole.jacobian[:, [1]] / 5)
    np.testing.assert_allclose(scaled.hessian, whole.hessian[[1]][:, [1]] / 25)


def test_rewritten_parameters_have_their_derivatives_with_them() -> None:
    whole = solution(undetermined=(0,))
    swapped = whole.rewritten(("a", "b"), Rewriting({"a": ("b", -1.0, 3.0), "b": ("a", 1.0, 0.0)}))
    np.testing.assert_allclose(swapped.points, np.column_stack([3 - whole.points[:, 1], whole.points[:, 0]]))
    np.testing.assert_allclose(swapped.gradients, np.column_stack([-whole.gradients[:, 1], whole.gradients[:, 0]]))
    np.testing.assert_allclose(swapped.hessian, swapped.jacobian.T @ swapped.jacobian)
    assert swapped.undetermined == (1,)


def test_the_trust_region_ends_where_levenberg_and_marquardt_and_scipy_do() -> None:
    columns = decay()
    model = model_of(DECAY, read_table(columns), None, ())
    problem = FitProblem(model.equation.right.body, model.parameters, model.parameters, (), "linear")
    arguments = FitArguments({"x": columns["x"]}, columns["y"], np.ones(40), {}, np.float64(1))
    start, ends = np.array([1.0, 1.0, 0.0]), (np.array([-np.inf, 0.0, -np.inf]), np.array([np.inf, 0.4, np.inf]))
    assert is_bounded(ends)
    start = np.clip(start, *ends)
    theirs = scipy.optimize.least_squares(
        lambda p: curve(columns["x"], *p) - columns["y"], start - [0, 1e-3, 0], bounds=ends, xtol=1e-15, ftol=1e-15
    )
    region = trust_region(problem, arguments, ends, start, 500)
    np.testing.assert_allclose(region.end, theirs.x, rtol=1e-5)
    np.testing.assert_allclose(region.end, levenberg_marquardt(problem, arguments, ends, start, 500).end, rtol=1e-6)
    assert len(region.points) == len(region.gradients) == len(region.squares)
    assert region.method == "trust region"
