"""Poisson and binomial likelihoods as losses, against Fisher scoring written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, poisson

import downslope as ds
from downslope.fitting._likelihoods import LIKELIHOODS

X = np.arange(12.0)
COUNTS = np.array([21, 15, 13, 8, 6, 4, 3, 0, 2, 1, 0, 0.0])


def scored(slopes, variance, predicted, measured, start, rounds=60):
    """Return the greatest likelihood and its errors by Fisher scoring."""
    free = np.array(start, float)
    for _ in range(rounds):
        jacobian, mean = slopes(free), predicted(free)
        weight = 1 / variance(mean)
        information = jacobian.T @ (jacobian * weight[:, None])
        free = free + np.linalg.solve(information, jacobian.T @ ((measured - mean) * weight))
    return free, np.sqrt(np.diag(np.linalg.inv(information)))


def test_poisson_is_the_greatest_likelihood_with_counts_of_zero() -> None:
    values, errors = scored(
        lambda p: np.column_stack([np.exp(-X / p[1]), p[0] * X / p[1] ** 2 * np.exp(-X / p[1])]),
        lambda mean: mean,
        lambda p: p[0] * np.exp(-X / p[1]),
        COUNTS,
        [20, 3],
    )
    fit = ds.fit("n = A×e^(-x/T)", {"x": X, "n": COUNTS}, loss="poisson")
    assert list(fit.values.values()) == pytest.approx(values, rel=1e-7)
    assert list(fit.standard_errors.values()) == pytest.approx(errors, rel=1e-6)
    mean = fit.predicted
    assert fit.aic == pytest.approx(4 - 2 * np.sum(poisson.logpmf(COUNTS, mean)))
    best = np.sum(poisson.logpmf(COUNTS, np.maximum(COUNTS, 1e-300)))
    assert fit.deviance == pytest.approx(2 * (best - np.sum(poisson.logpmf(COUNTS, mean))))
    assert np.isnan(fit.r_squared)
    assert fit.findings.ok
    assert "deviance" in str(fit)


def test_binomial_takes_shares_of_trials() -> None:
    dose = np.linspace(-3, 3, 9)
    trials = np.array([20, 25, 30, 20, 20, 25, 30, 20, 10.0])
    hits = np.array([0, 1, 3, 5, 9, 15, 25, 19, 10.0])
    table = {"dose": dose, "total": trials, "dead": hits}
    fit = ds.fit("dead/total = 1/(1 + e^(-(a + b×dose)))", table, loss="binomial", weights="total")

    def share(p):
        return 1 / (1 + np.exp(-(p[0] + p[1] * dose)))

    values, errors = scored(
        lambda p: (share(p) * (1 - share(p)))[:, None] * np.column_stack([np.ones(9), dose]),
        lambda mean: mean * (1 - mean) / trials,
        share,
        hits / trials,
        [0, 1],
    )
    assert list(fit.values.values()) == pytest.approx(values, rel=1e-7)
    assert list(fit.standard_errors.values()) == pytest.approx(errors, rel=1e-6)
    assert fit.aic == pytest.approx(4 - 2 * np.sum(binom.logpmf(hits, trials, fit.predicted)))


@pytest.mark.parametrize(("loss", "measured", "predicted"), [("poisson", 7.0, 7.0), ("binomial", 0.3, 0.3)])
def test_no_digit_is_lost_where_prediction_and_measurement_agree(loss: str, measured: float, predicted: float) -> None:
    likelihood, step = LIKELIHOODS[loss], 1e-9
    root = likelihood.root(np.array([predicted + step]), np.array([measured]), np)[0]
    assert root == pytest.approx(step * np.sqrt(likelihood.curvature(predicted, measured)), rel=1e-6)
    for away in (0.0099, 0.0101):  # either side of where the series takes over
        at = np.array([measured * (1 + away)])
        half = {
            "poisson": lambda mean: mean - measured + measured * np.log(measured / mean),
            "binomial": lambda p: measured * np.log(measured / p) + (1 - measured) * np.log((1 - measured) / (1 - p)),
        }[loss](at)
        assert likelihood.root(at, np.array([measured]), np) ** 2 / 2 == pytest.approx(half, rel=1e-9)


def test_groups_take_likelihoods(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"x": np.tile(X, 2), "n": np.r_[COUNTS, 2 * COUNTS], "run": np.repeat([1.0, 2.0], 12)}
    joint = ds.fit("n = A×e^(-x/T)", table, by="run", loss="poisson")
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    apart = ds.fit("n = A×e^(-x/T)", table, by="run", loss="poisson")
    assert list(apart.values.values()) == pytest.approx(list(joint.values.values()), rel=1e-6)
    assert list(apart.standard_errors.values()) == pytest.approx(list(joint.standard_errors.values()), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "poisson", "sigma": 2.0}, "takes no sigma"),
        ({"loss": "poisson", "absolute_sigma": True}, "takes no absolute_sigma"),
        ({"loss": "poisson", "loss_scale": 1.0}, "has no scale"),
        ({"loss": "binomial"}, "row 1: n is 21, but a share of trials lies between 0 and 1"),
        ({"loss": "possion"}, "did you mean poisson"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ds.DownslopeError, match=message):
        ds.fit("n = A×e^(-x/T)", {"x": X, "n": COUNTS}, **options)
