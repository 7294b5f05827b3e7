"""Covariance, intervals and undetermined directions against NumPy and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import downslope as ds
from downslope.fitting._problem import scores
from downslope.fitting._quantiles import t_quantile
from downslope.fitting._uncertainty import uncertainty
from tests.fitting.problems import curve, decay


def test_with_as_many_rows_as_parameters_nothing_is_known_of_errors():
    found = ds.fit("y = w x + b", {"x": [1, 2], "y": [3, 5]})
    assert [found["w"], found["b"]] == pytest.approx([2, 1])
    assert math.isnan(found.standard_errors["w"])
    assert "not known" in str(found)


def test_a_model_without_numbers_is_a_finding():
    found = ds.fit("y = a ln(x) + b", {"x": [0, 1, 2, 3], "y": [1, 2, 3, 4]})
    assert not found.findings.ok
    assert all(math.isnan(error) for error in found.standard_errors.values())


def linear_case(rows: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a Jacobian whose columns differ a millionfold in length, and residuals."""
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 3)) * [1e-3, 1.0, 1e3], random.normal(size=rows)


def test_the_covariance_is_the_inverse_of_the_normal_matrix_times_the_variance() -> None:
    jacobian, residuals = linear_case()
    free = np.zeros(3, bool)
    inverse = np.linalg.inv(jacobian.T @ jacobian)
    errors = uncertainty(jacobian, residuals, free)
    variance = residuals @ residuals / 27
    np.testing.assert_allclose(errors.covariance, inverse * variance, rtol=1e-9)
    np.testing.assert_allclose(uncertainty(jacobian, residuals, free, absolute=True).covariance, inverse, rtol=1e-9)
    assert errors.residual_variance == errors.measurement_variance == pytest.approx(variance)
    assert errors.degrees_of_freedom == 27
    diagonal = np.sqrt(np.diag(inverse))
    np.testing.assert_allclose(errors.correlation, inverse / np.outer(diagonal, diagonal), rtol=1e-9)


def test_it_is_that_of_scipys_curve_fit() -> None:
    columns = decay()
    values, covariance = scipy.optimize.curve_fit(
        curve, columns["x"], columns["y"], [3, 0.5, 1], xtol=1e-14, ftol=1e-14
    )
    decayed = np.exp(-values[1] * columns["x"])
    jacobian = np.column_stack([decayed, -values[0] * columns["x"] * decayed, np.ones(len(decayed))])
    errors = uncertainty(jacobian, curve(columns["x"], *values) - columns["y"], np.zeros(3, bool))
    np.testing.assert_allclose(errors.covariance, covariance, rtol=1e-5)


def test_errors_go_on_to_quantities_by_their_slopes() -> None:
    jacobian, residuals = linear_case()
    errors = uncertainty(jacobian, residuals, np.zeros(3, bool))
    slopes = np.array([[1.0, 0.0, 0.0], [2.0, -1.0, 0.5]])
    np.testing.assert_allclose(errors.variance(slopes), np.diag(slopes @ errors.covariance @ slopes.T), rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(errors.variance(np.eye(3))), errors.standard_errors, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e7])
def test_units_change_neither_condition_nor_what_is_determined(unit) -> None:
    jacobian, residuals = linear_case()
    plain = uncertainty(jacobian, residuals, np.zeros(3, bool))
    scaled = uncertainty(jacobian * [1, unit, 1], residuals, np.zeros(3, bool))
    assert scaled.condition_number == pytest.approx(plain.condition_number, rel=1e-9)
    np.testing.assert_allclose(scaled.standard_errors, plain.standard_errors / [1, unit, 1], rtol=1e-9)


def test_a_direction_without_effect_is_not_determined() -> None:
    random = np.random.default_rng(4)
    first, third, residuals = random.normal(size=(3, 20))
    errors = uncertainty(np.column_stack([first, 2 * first, third]), residuals, np.zeros(3, bool))
    assert errors.undetermined == (0, 1)
    assert np.isinf(errors.standard_errors).tolist() == [True, True, False]
    assert errors.degrees_of_freedom == 18
    # The third is as certain as in a fit without the superfluous second.
    fewer = uncertainty(np.column_stack([first, third]), residuals, np.zeros(2, bool))
    assert errors.standard_errors[2] == pytest.approx(fewer.standard_errors[1], rel=1e-9)
    # a + 2b is determined, a − 2b is not.
    variances = errors.variance(np.array([[1.0, 2.0, 0.0], [1.0, -2.0, 0.0]]))
    assert variances[0] == pytest.approx(fewer.covariance[0, 0], rel=1e-9)
    assert np.isinf(variances[1])


def test_a_parameter_without_any_effect_is_not_determined() -> None:
    jacobian, residuals = linear_case()
    jacobian[:, 1] = 0
    assert uncertainty(jacobian, residuals, np.zeros(3, bool)).undetermined == (1,)


def test_with_one_on_a_bound_the_others_are_as_certain_as_if_it_were_fixed() -> None:
    jacobian, residuals = linear_case()
    errors = uncertainty(jacobian, residuals, np.array([False, True, False]))
    fewer = uncertainty(jacobian[:, [0, 2]], residuals, np.zeros(2, bool))
    np.testing.assert_allclose(errors.standard_errors[[0, 2]], fewer.standard_errors, rtol=1e-12)
    assert np.isnan(errors.standard_errors[1])


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_of_a_robust_loss_it_is_the_sandwich(loss) -> None:
    jacobian, residuals = linear_case()
    residuals = residuals * 0.4  # of size 1 and less ψ′ of each loss is positive
    first, second = scores(loss, residuals, 1.5)
    bread = np.linalg.inv(jacobian.T @ (jacobian * second[:, None]))
    meat = (jacobian * first[:, None]).T @ (jacobian * first[:, None])
    errors = uncertainty(jacobian, residuals, np.zeros(3, bool), scores=(first, second))
    np.testing.assert_allclose(errors.covariance, bread @ meat @ bread * 30 / 27, rtol=1e-8)


def test_outliers_whose_curvature_is_negative_count_as_long_as_the_sum_is_positive() -> None:
    jacobian, residuals = linear_case()
    residuals[0] = 5.0
    first, second = scores("cauchy", residuals, 2.0)
    assert second[0] < 0
    bread = np.linalg.inv(jacobian.T @ (jacobian * second[:, None]))
    meat = (jacobian * first[:, None]).T @ (jacobian * first[:, None])
    errors = uncertainty(jacobian, residuals, np.zeros(3, bool), scores=(first, second))
    np.testing.assert_allclose(errors.covariance, bread @ meat @ bread * 30 / 27, rtol=1e-7)


def test_where_the_model_is_not_finite_nothing_is_known() -> None:
    jacobian, residuals = linear_case()
    jacobian[3, 1] = np.nan
    errors = uncertainty(jacobian, residuals, np.zeros(3, bool))
    assert np.all(np.isnan(errors.standard_errors))
    assert errors.undetermined == ()


@pytest.mark.parametrize("freedom", [1, 3, 27, 1000, np.inf])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.999])
def test_half_widths_are_those_of_students_distribution(confidence, freedom) -> None:
    wanted = scipy.stats.norm if np.isinf(freedom) else scipy.stats.t(freedom)
    assert t_quantile(confidence, freedom) == pytest.approx(wanted.ppf(0.5 + confidence / 2), rel=1e-9)
    assert np.isnan(t_quantile(confidence, 0))
