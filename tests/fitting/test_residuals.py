"""The table of residuals, their tests, the bootstrap and the comparison of fits."""

import itertools
import math

import numpy as np
import pytest

import downslope as ds
from downslope.fitting._residuals import runs_test

X = np.arange(10.0)
Y = 1 + 2 * X + np.array([0.2, -0.1, 0.3, -0.4, 0.1, 0.2, -0.3, 0.1, -0.2, 0.1])


@pytest.fixture(scope="module")
def line():
    return ds.fit("y = a + b x", {"x": X, "y": Y})


def test_the_table_has_leverages_and_standardised_residuals(line):
    frame = line.table()
    assert frame.columns == ["row", "x", "y", "fitted", "residual", "standardised_residual", "leverage"]
    design = np.stack([np.ones(10), X], axis=1)
    hat = np.diag(design @ np.linalg.solve(design.T @ design, design.T))
    assert frame["leverage"].to_numpy() == pytest.approx(hat)
    expected = line.residuals / (line.residual_standard_deviation * np.sqrt(1 - hat))
    assert frame["standardised_residual"].to_numpy() == pytest.approx(expected)


def test_the_probability_of_runs_is_that_of_all_orders():
    signs = np.array([1, 1, 1, -1, -1, -1, -1.0])
    orders = set(itertools.permutations(signs))
    counts = np.array([1 + np.count_nonzero(np.diff(order)) for order in orders])
    for order in list(orders)[:5]:
        runs, expected, p = runs_test(np.array(order))
        assert p == pytest.approx(np.mean(counts <= runs))
        assert expected == pytest.approx(np.mean(counts))


def test_a_curve_that_misses_the_shape_has_few_runs():
    tests = ds.fit("y = a + b x", {"x": X, "y": X**2}).residual_tests()
    assert tests.runs == 3
    assert tests.runs_p_value < 0.05
    assert "runs" in str(tests)


def test_normality_is_that_of_scipy(line):
    from scipy.stats import shapiro

    standardised = line.table()["standardised_residual"].to_numpy()
    assert line.residual_tests().normality_p_value == pytest.approx(shapiro(standardised).pvalue)


@pytest.mark.parametrize("kind", ["cases", "residuals"])
def test_the_bootstrap_of_a_line_has_about_its_errors(line, kind):
    resampled = line.bootstrap(400, kind, seed=1)
    for name, error in resampled.standard_errors.items():
        assert error == pytest.approx(line.standard_errors[name], rel=0.35)
        assert resampled.intervals[name].low < line[name] < resampled.intervals[name].high
    again = line.bootstrap(400, kind, seed=1)
    assert np.array_equal(again.samples, resampled.samples)


def test_a_bootstrap_sample_is_the_fit_to_these_rows(line):
    sample = line.bootstrap(3, "cases", seed=5).samples[0]
    drawn = np.random.default_rng(5).multinomial(10, np.full(10, 0.1), size=3)[0]
    assert sample == pytest.approx(np.polyfit(np.repeat(X, drawn), np.repeat(Y, drawn), 1)[::-1])


def test_an_unknown_kind_of_bootstrap_is_refused(line):
    with pytest.raises(ds.SettingError, match="cases or residuals"):
        line.bootstrap(10, "rows")
    with pytest.raises(ds.SettingError, match="determine"):
        ds.fit("y = a b x", {"x": X, "y": Y}).bootstrap(10)


def test_nested_fits_are_compared_by_f_and_aicc(line):
    from scipy.stats import f as f_distribution

    richer = ds.fit("y = a + b x + c x²", {"x": X, "y": Y})
    for comparison in (ds.compare_fits(line, richer), ds.compare_fits(richer, line)):
        fall = line.residual_sum_of_squares - richer.residual_sum_of_squares
        assert comparison.f == pytest.approx(fall / (richer.residual_sum_of_squares / 7))
        assert comparison.p_value == pytest.approx(f_distribution.sf(comparison.f, 1, 7))
        assert comparison.preferred == "simpler"
        aicc = [
            10 * math.log(fit.residual_sum_of_squares / 10) + 2 * k + 2 * k * (k + 1) / (10 - k - 1)
            for fit, k in ((line, 3), (richer, 4))
        ]
        assert comparison.delta_aicc == pytest.approx(aicc[0] - aicc[1])
        assert "ΔAICc" in str(comparison)


def test_fits_to_different_rows_are_not_compared(line):
    other = ds.fit("y = a + b x", {"x": X[1:], "y": Y[1:]})
    with pytest.raises(ds.DataError, match="different rows"):
        ds.compare_fits(line, other)
    with pytest.raises(ds.DataError, match="different left sides"):
        ds.compare_fits(line, ds.fit("ln(y) = a + b x", {"x": X, "y": Y}))
    with pytest.raises(ds.SettingError, match="two fits"):
        ds.compare_fits(line, 3)  # pyright: ignore[reportArgumentType]  # on purpose


def test_counts_are_standardised_by_the_variance_of_their_mean():
    counts = ds.fit("n = A e^(-x/T)", {"x": X, "n": [21, 15, 13, 8, 5, 2, 3, 0, 1, 0]}, loss="poisson")
    frame = counts.table()
    hat = frame["leverage"].to_numpy()
    assert np.sum(hat) == pytest.approx(2)
    pearson = counts.residuals / np.sqrt(counts.predicted * (1 - hat))
    assert frame["standardised_residual"].to_numpy() == pytest.approx(pearson)
