"""A fit is converged, or a finding says why not: which row, which parameter."""

import numpy as np
import pytest

import downslope as ds

RELEASE = {
    "minutes": [0, 5, 10, 15, 20, 30, 45, 60, 90, 120],
    "released": [0, 34.3, 48.6, 58.4, 65.9, 75.8, 84.6, 90.1, 95.1, 97.7],
}
WEIBULL = "released = A (1 - exp(-(minutes/T)^b))"


def test_a_zero_inside_a_power_stops_no_fit():
    fit = ds.fit(WEIBULL, RELEASE, start={"A": 90, "T": 20, "b": 1})
    assert fit["b"] == pytest.approx(0.6807515153, rel=1e-6)
    assert fit.standard_errors["T"] == pytest.approx(0.144385, rel=1e-4)
    assert fit.trace.outcome is ds.Outcome.CONVERGED
    assert fit.as_dict()["outcome"] == "converged"


def test_a_stuck_fit_names_row_and_parameter():
    # With steps given nothing else is tried, so the fit ends at its start: at x = 2 the root has no slope.
    fit = ds.fit("y = a √(x - c)", {"x": [2, 3, 5, 9], "y": [0.1, 1.0, 1.7, 2.6]}, start={"a": 1, "c": 2}, steps=20)
    assert not fit.findings.ok
    problem = fit.findings[0]
    assert problem.symptom == "no_slope"
    assert problem.parts == ("c",)
    assert "Row 1" in problem.sentence
    assert "x = 2" in problem.sentence


def test_a_start_without_value_is_searched_on():
    table = {"x": [1, 2, 3, 4, 6, 8], "y": [2.364, 3.75, 4.837, 5.737, 7.06, 8.261]}
    fit = ds.fit("y = a √(x - c)", table, start={"a": 1, "c": 2})
    assert fit["a"] == pytest.approx(3.0, abs=0.1)
    assert any("another start" in note for note in fit.notes)
    stuck = ds.fit("y = a √(x - c)", table, start={"a": 1, "c": 2}, steps=20)
    assert stuck.findings[0].symptom == "no_value"
    assert "Row 1" in stuck.findings[0].sentence


def test_a_slope_that_only_the_chain_rule_lacks_is_taken_by_differences():
    fit = ds.fit("y = √((x - c)²) + d", {"x": [0, 1, 2, 3, 5], "y": [3.1, 2.0, 1.1, 2.1, 4.0]}, start={"c": 1, "d": 1})
    assert fit["c"] == pytest.approx(2.0, abs=0.1)
    assert np.all(np.isfinite(list(fit.standard_errors.values())))


def test_no_degrees_of_freedom_is_a_problem():
    fit = ds.fit("y = a + b x", {"x": [0, 1], "y": [1, 3]})
    assert [finding.symptom for finding in fit.findings if finding.severity.value == "problem"] == ["no_error"]


@pytest.mark.parametrize(("sigma", "symptom"), [(0.01, "misfit"), (0.12, None), (9.0, "sigma_too_large")])
def test_chi_square_judges_known_deviations(sigma, symptom):
    table = {"x": [0, 1, 2, 3, 4, 5, 6, 7], "y": [0.1, 1.0, 2.1, 2.8, 4.1, 5.0, 5.9, 7.2]}
    fit = ds.fit("y = a + b x", table, sigma=sigma, absolute_sigma=True)
    from scipy.stats import chi2

    assert fit.chi_square == pytest.approx(np.sum((fit.residuals / sigma) ** 2))
    assert fit.reduced_chi_square == pytest.approx(fit.chi_square / 6)
    assert fit.p_value == pytest.approx(chi2.sf(fit.chi_square, 6))
    symptoms = set(fit.findings.symptoms) & {"misfit", "sigma_too_large"}
    assert symptoms == ({symptom} if symptom else set())
    assert "χ²/ν" in str(fit)


def test_chi_square_is_not_known_without_deviations():
    fit = ds.fit("y = a x", {"x": [1, 2, 3], "y": [1, 2.1, 2.9]})
    assert np.isnan([fit.chi_square, fit.reduced_chi_square, fit.p_value]).all()


def test_an_outlier_is_named_by_its_row():
    x = np.arange(12.0)
    y = 2 * x + np.tile([0.1, -0.1, 0.05], 4)
    y[6] += 5
    fit = ds.fit("y = a + b x", {"x": x, "y": y})
    note = next(finding for finding in fit.findings if finding.symptom == "outlier")
    assert note.evidence["rows"] == [7]
    assert note.severity.value == "note"
