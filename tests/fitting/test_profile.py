"""Profile intervals against ends that were computed by root finding, and against lmfit."""

import math
from typing import Any

import numpy as np
import pytest

import downslope as ds

BOD = {"t": [1, 2, 3, 4, 5, 7], "demand": [8.3, 10.3, 19, 16, 15.6, 19.8]}
OXYGEN = "demand = A (1 - e^(-k t))"
UNSATURATED = {"x": [0.1, 0.2, 0.3, 0.5, 0.7, 1], "y": [0.198, 0.41, 0.575, 0.99, 1.31, 1.88]}


def test_profile_intervals_are_those_of_lmfit():
    lmfit = pytest.importorskip("lmfit")
    time, demand = np.array(BOD["t"], float), np.array(BOD["demand"])
    parameters = lmfit.Parameters()
    parameters.add("A", 19.0)
    parameters.add("k", 0.5)
    least = lmfit.Minimizer(lambda now: now["A"] * (1 - np.exp(-now["k"] * time)) - demand, parameters)
    expected = lmfit.conf_interval(least, least.minimize(), sigmas=[0.95])
    ends = ds.fit(OXYGEN, BOD).profile_intervals()
    for name in ("A", "k"):
        low, high = expected[name][0][1], expected[name][2][1]
        assert ends[name].low == pytest.approx(low, abs=0.01 * (high - low))
        assert ends[name].high == pytest.approx(high, abs=0.01 * (high - low))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_squares_at_an_end_have_risen_by_the_level(level):
    from scipy.stats import f as f_distribution

    fit = ds.fit(OXYGEN, BOD, start={"A": 19, "k": 0.5})
    low, _ = fit.profile_intervals(level)["k"]
    at_end = ds.fit(OXYGEN, BOD, start={"A": 19}, fixed={"k": low})
    rise = (at_end.residual_sum_of_squares - fit.residual_sum_of_squares) / fit.uncertainty.residual_variance
    assert rise == pytest.approx(f_distribution.ppf(level, 1, 4), rel=1e-5)


def test_a_linear_model_has_its_linear_intervals():
    fit = ds.fit("y = a + b x + c x²", {"x": [0, 1, 2, 3, 4, 6], "y": [1.0, 2.2, 2.9, 4.3, 4.8, 7.2]})
    for name, (low, high) in fit.profile_intervals().items():
        assert (low, high) == pytest.approx((fit.parameters[name].low, fit.parameters[name].high), rel=1e-6)


def test_known_deviations_take_chi_square():
    fit = ds.fit("y = a x", {"x": [1, 2, 3], "y": [1.1, 1.9, 3.2]}, sigma=0.1, absolute_sigma=True)
    low, high = fit.profile_intervals(0.95)["a"]
    assert (high - low) / 2 == pytest.approx(1.959964 * fit.standard_errors["a"], rel=1e-6)


def test_open_ends_are_infinite_and_bounds_end_an_interval():
    open_ends = ds.fit("y = V x/(K + x)", UNSATURATED).profile_intervals()
    assert open_ends["V"].high == math.inf
    assert open_ends["K"].low == pytest.approx(5.77426, rel=1e-4)
    bounded = ds.fit("y = V x/(K + x)", UNSATURATED, bounds={"K": (6.0, 20.0)}).profile_intervals()
    assert bounded["K"] == (6.0, 20.0)


def test_a_parameter_at_its_bound_has_one_free_end():
    fit = ds.fit("y = a + b x", {"x": [0, 1, 2, 3], "y": [-0.2, 1.1, 1.9, 3.1]}, bounds={"a": (0, None)})
    assert fit.parameters["a"].role == "at bound"
    low, high = fit.profile_intervals()["a"]
    assert low == 0
    assert 0 < high < 1


def test_tied_fixed_and_undetermined_parameters_have_intervals():
    table = {"x": [0, 1, 2, 3], "y": [0.1, 3.1, 5.9, 9.1]}
    tied = ds.fit("y = a x + b x + c", table, ties={"b": "2a"}, fixed={"c": 0.1})
    ends = tied.profile_intervals()
    assert ends["b"] == pytest.approx((2 * ends["a"].low, 2 * ends["a"].high))
    assert ends["c"] == (0.1, 0.1)
    lost = ds.fit("y = a b x", table).profile_intervals()
    assert lost["a"] == (-math.inf, math.inf)


def test_an_exact_fit_has_intervals_of_no_width():
    ends = ds.fit("y = a x", {"x": [1, 2, 4], "y": [2, 4, 8]}).profile_intervals()
    assert ends["a"] == (2.0, 2.0)


@pytest.mark.parametrize("choices", [{"loss": "cauchy"}, {"level": 0.0}, {"level": 1}, {"level": "95"}])
def test_what_has_no_profile_is_refused_in_words(choices):
    level = choices.pop("level", 0.95)
    fit: Any = ds.fit("y = a x", {"x": [1, 2, 4], "y": [2.1, 4, 8]}, **choices)
    with pytest.raises(ds.SettingError, match=r"least squares|between 0 and 1"):
        fit.profile_intervals(level)


def test_a_profile_is_the_root_of_the_rise_of_the_squares():
    fit = ds.fit(OXYGEN, BOD, start={"A": 19, "k": 0.5})
    profile = fit.profile("k")
    assert np.all(np.diff(profile.values) > 0)
    assert np.all(np.diff(profile.zeta) > 0)
    ends = np.interp([-profile.quantile, profile.quantile], profile.zeta, profile.values)
    assert ends == pytest.approx(profile.interval, abs=0.05)
    assert profile.linear[-1] == pytest.approx((profile.values[-1] - fit["k"]) / fit.standard_errors["k"])


def test_a_region_of_a_linear_model_is_its_ellipse():
    fit = ds.fit("y = a + b x", {"x": [0, 1, 2, 3, 5], "y": [1.0, 2.2, 2.9, 4.3, 5.9]})
    region = fit.confidence_region("a", "b")
    assert region.points == pytest.approx(region.linear, rel=1e-6)
    assert region.points[0] == pytest.approx(region.points[-1])


def test_lopsided_intervals_are_a_note_with_the_profile_beside():
    fit = ds.fit(OXYGEN, BOD, start={"A": 19, "k": 0.5})
    note = next(finding for finding in fit.findings if finding.symptom == "not_linear")
    assert note.severity.value == "note"
    assert "k 0.13 … 1.81" in note.sentence
    assert "by profile" in str(fit)
    assert fit.as_dict()["profile"]["k"] == pytest.approx([0.1314, 1.8082], abs=1e-3)


def test_intervals_may_be_profiles_throughout():
    fit = ds.fit(OXYGEN, BOD, start={"A": 19, "k": 0.5}, intervals="profile")
    assert fit.parameters["A"].high == pytest.approx(38.4562, rel=1e-4)
    assert "95 % by profile" in str(fit)


def test_a_region_that_goes_far_on_one_side_has_points_there():
    oxygen = {"t": [1, 2, 3, 4, 5, 7], "demand": [8.3, 10.3, 19, 16, 15.6, 19.8]}
    region = ds.fit("demand = A (1 - e^(-k t))", oxygen).confidence_region("A", "k")
    assert region.points.shape == region.linear.shape == (65, 2)
    t, demand = (np.array(column, float) for column in oxygen.values())
    squares = [np.sum((demand - a * (1 - np.exp(-k * t))) ** 2) for a, k in region.points]
    assert squares == pytest.approx([squares[0]] * 65, rel=1e-6)
    # Evenly spaced, 64 rays reach k = 4.6; a constant is within the region, at any k that is large enough.
    assert region.points[:, 1].max() > 5
