"""Likelihoods of counts as losses: Poisson and binomial.

Twice the logarithm of the likelihood's distance from its greatest possible value is the deviance, a sum over the rows.
Each row's part is the square of a signed root b, so that every method for least squares finds the greatest likelihood:

    poisson    b² = 2(μ − y + y ln(y/μ))
    binomial   b² = 2(y ln(y/p) + (1 − y) ln((1 − y)/(1 − p))), y a share of trials, whose number is the weight

With h(t) = t − ln(1 + t) both are sums of h at the relative distances, y·h((μ − y)/y) of a count, which loses no digits
where μ is near y. Errors come from the expected information: the variance of a count is μ, that of a share p(1 − p)/n.

Reference: McCullagh and Nelder, "Generalized Linear Models", 2nd edition, 1989.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import DataError, SettingError

if TYPE_CHECKING:
    from downslope.fitting._problem import FitArguments

_NEAR = 0.01  # relative distance below which a series replaces t − ln(1 + t)


@dataclass(frozen=True)
class Likelihood:
    """A likelihood as a loss.

    Args:
        name: its name.
        root: the signed root b of a row's deviance, from prediction, measured value and `numpy` or `jax.numpy`.
        slope: the derivative of half the deviance by the prediction.
        curvature: its second derivative.
        variance: the variance of a measurement of weight 1, from the prediction.
        log_likelihood: the logarithm of the likelihood of each row, from prediction, measured value and squared weight.
        fault: what a measured value must not be: a test of the values, and a sentence and a hint where it fails.
    """

    name: str
    root: Callable[[Any, Any, Any], Any]
    slope: Callable[[Any, Any], Any]
    curvature: Callable[[Any, Any], Any]
    variance: Callable[[Any], Any]
    log_likelihood: Callable[[Any, Any, Any], Any]
    fault: tuple[Callable[[Any], Any], str, str]


def _ratio(t: Any, numpy: Any) -> Any:
    """Return 2(t − ln(1 + t))/t², which is 1 at 0."""
    near = numpy.abs(t) < _NEAR
    # Both branches of `where` are differentiated by JAX, so that the one not in force must be finite too.
    small, far = numpy.where(near, t, 0.0), numpy.where(near, 1.0, t)
    series = 1 + small * (-2 / 3 + small * (1 / 2 + small * (-2 / 5 + small * (1 / 3 + small * (-2 / 7 + small / 4)))))
    return numpy.where(near, series, 2 * (far - numpy.log1p(far)) / (far * far))


def _poisson_root(predicted: Any, measured: Any, numpy: Any) -> Any:
    none = measured == 0
    count = numpy.where(none, 1.0, measured)
    away = predicted - count
    some = away * numpy.sqrt(_ratio(away / count, numpy) / count)
    return numpy.where(none, numpy.sqrt(2 * numpy.where(none, predicted, 1.0)), some)


def _poisson_logarithm(predicted: Any, measured: Any, weight: Any) -> Any:
    from scipy.special import gammaln, xlogy

    return weight * (xlogy(measured, predicted) - predicted - gammaln(measured + 1))


def _binomial_root(predicted: Any, measured: Any, numpy: Any) -> Any:
    none, every = measured == 0, measured == 1
    share = numpy.where(none | every, 0.5, measured)
    away = predicted - share
    ratio = _ratio(away / share, numpy) / share + _ratio(-away / (1 - share), numpy) / (1 - share)
    some = away * numpy.sqrt(ratio)
    low = numpy.sqrt(-2 * numpy.log1p(-numpy.where(none, predicted, 0.5)))
    high = -numpy.sqrt(-2 * numpy.log(numpy.where(every, predicted, 0.5)))
    return numpy.where(none, low, numpy.where(every, high, some))


def _binomial_logarithm(predicted: Any, measured: Any, weight: Any) -> Any:
    from scipy.special import gammaln, xlog1py, xlogy

    hits = measured * weight
    ways = gammaln(weight + 1) - gammaln(hits + 1) - gammaln(weight - hits + 1)
    return ways + xlogy(hits, predicted) + xlog1py(weight - hits, -predicted)


LIKELIHOODS: Mapping[str, Likelihood] = {
    "poisson": Likelihood(
        "poisson",
        _poisson_root,
        lambda mean, count: 1 - count / mean,
        lambda mean, count: count / mean**2,
        lambda mean: mean,
        _poisson_logarithm,
        (
            lambda count: count < 0,
            "a count is 0 or more",
            'loss="poisson" is for counts; give sigma for other measurements',
        ),
    ),
    "binomial": Likelihood(
        "binomial",
        _binomial_root,
        lambda chance, share: (chance - share) / (chance * (1 - chance)),
        lambda chance, share: share / chance**2 + (1 - share) / (1 - chance) ** 2,
        lambda chance: chance * (1 - chance),
        _binomial_logarithm,
        (
            lambda share: (share < 0) | (share > 1),
            "a share of trials lies between 0 and 1",
            'put the share on the left, as in "dead/total = …", and give weights="total"',
        ),
    ),
}


def check_measured(loss: str, measured: np.ndarray, numbers: np.ndarray, left: str) -> None:
    """Raise for a measured value that a likelihood does not have.

    Args:
        loss: its name.
        measured: the left side of the equation, shape (rows,).
        numbers: the numbers of these rows, counted from 1.
        left: the left side as it was written.

    Raises:
        DataError: naming the first row.
    """
    wrong, sentence, hint = LIKELIHOODS[loss].fault
    bad = np.flatnonzero(wrong(measured))
    if len(bad):
        raise DataError(f"row {numbers[bad[0]]}: {left} is {measured[bad[0]]:g}, but {sentence}", hint=hint)


def check_choices(loss: str, sigma: Any, absolute_sigma: bool, loss_scale: float | None) -> None:
    """Raise for choices that contradict a likelihood.

    Raises:
        SettingError: for deviations, which follow from the likelihood.
    """
    if sigma is not None or absolute_sigma:
        name = "sigma" if sigma is not None else "absolute_sigma"
        raise SettingError(f"the {loss} likelihood implies its own deviations, so it takes no {name}")
    if loss_scale is not None:
        raise SettingError(f"the {loss} likelihood has no scale", hint="loss_scale goes with huber, soft-L1 or cauchy")


def information_factor(loss: str, predicted: np.ndarray) -> np.ndarray:
    """Return what residuals and slopes are multiplied by so that JᵀJ is the expected information, shape (rows,)."""
    with np.errstate(all="ignore"):
        return 1 / np.sqrt(LIKELIHOODS[loss].variance(predicted))


def residual_weights(loss: str, predicted: np.ndarray, arguments: FitArguments) -> np.ndarray:
    """Return what residuals are multiplied by to have one variance, shape (rows,); of counts, that of their mean."""
    return arguments.weight * information_factor(loss, predicted) if loss in LIKELIHOODS else arguments.weight


def deviance(loss: str, predicted: np.ndarray, arguments: FitArguments) -> float:
    """Return the deviance: twice the logarithm of the greatest possible likelihood over that of the model."""
    with np.errstate(all="ignore"):
        roots = LIKELIHOODS[loss].root(predicted, arguments.measured, np) * arguments.weight
    return float(np.sum(roots * roots))


def log_likelihood(loss: str, predicted: np.ndarray, arguments: FitArguments) -> float:
    """Return the logarithm of the likelihood."""
    with np.errstate(all="ignore"):
        return float(np.sum(LIKELIHOODS[loss].log_likelihood(predicted, arguments.measured, arguments.weight**2)))
