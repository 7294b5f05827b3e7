"""Quantiles of the F distribution and of Student's t, for the intervals of a fit.

`scipy.special` has both. Importing it takes longer than a small fit with all its findings, so they are computed here:
each is the inverse of the regularised incomplete beta function, whose continued fraction is that of Didonato and Morris
(1992), as in DLMF 8.17.22. The tests hold them against SciPy's to ten digits.
"""

from __future__ import annotations

import math
import statistics

_TINY = 1e-300
_ENOUGH = 1e-15
_SETTLED = 1e-13
_ROUNDS = 200  # Newton's method takes four to eight; bisection, to which it falls back, sixty
_MOST_TERMS = 100_000
_LARGE = 50.0  # from here on three terms of Stirling's series give sixteen digits


def t_quantile(confidence: float, freedom: float) -> float:
    """Return the number that |t| stays below with a probability, for Student's t.

    Args:
        confidence: the probability.
        freedom: the degrees of freedom; ∞ for the normal distribution. Without any it is NaN.

    >>> round(t_quantile(0.95, 10), 6)
    2.228139
    """
    if math.isinf(freedom):
        return -statistics.NormalDist().inv_cdf((1 - confidence) / 2)
    return math.sqrt(f_quantile(confidence, 1.0, freedom)) if freedom > 0 else math.nan


def f_quantile(confidence: float, above: float, below: float) -> float:
    """Return the number that F stays below with a probability.

    Args:
        confidence: the probability, above 0 and below 1.
        above: the degrees of freedom of the numerator.
        below: those of the denominator.

    >>> round(f_quantile(0.95, 3, 7), 6)
    4.346831
    """
    if not (0 < confidence < 1 and above > 0 and below > 0):
        return math.nan
    # P(F > f) = I_x(below/2, above/2) at x = 1/(1 + eᵘ), u = ln(above·f/below): the whole axis, without cancellation.
    a, b = below / 2, above / 2
    tail = 1 - confidence
    low, high, u = -700.0, 700.0, math.log(above / below)  # where f is 1
    for _ in range(_ROUNDS):
        log_x, log_y = -_softplus(u), -_softplus(-u)
        upper, lower = _incomplete_beta(a, b, log_x, log_y)
        # The logarithm of the smaller side is nearly straight far out, where Newton's method would otherwise crawl.
        side = upper if tail < 0.5 else lower
        gap = math.log(max(side, _TINY)) - math.log(tail if tail < 0.5 else confidence)
        falls = tail < 0.5
        low, high = (u, high) if (gap > 0) == falls else (low, u)
        slope = math.exp(a * log_x + b * log_y - _log_beta(a, b)) / max(side, _TINY)
        step = gap / slope * (1 if falls else -1) if slope > 0 else math.inf
        following = u + step if low < u + step < high else (low + high) / 2
        settled = abs(following - u) <= _SETTLED
        u = following
        if settled:
            break
    return below / above * math.exp(u)


def _softplus(u: float) -> float:
    """Return ln(1 + eᵘ)."""
    return u + math.log1p(math.exp(-u)) if u > 0 else math.log1p(math.exp(u))


def _incomplete_beta(a: float, b: float, log_x: float, log_y: float) -> tuple[float, float]:
    """Return I_x(a, b) and 1 − I_x(a, b), from ln x and ln(1 − x)."""
    x = math.exp(log_x)
    front = math.exp(a * log_x + b * log_y - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        share = front * _continued_fraction(a, b, x) / a
        return share, 1 - share
    share = front * _continued_fraction(b, a, math.exp(log_y)) / b
    return 1 - share, share


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _MOST_TERMS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + numerator * d)
            c = _away_from_zero(1 + numerator / c)
            factor = c * d
            fraction *= factor
        if abs(factor - 1) < _ENOUGH:
            break
    return fraction


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY


def _log_beta(a: float, b: float) -> float:
    """Return ln B(a, b), without the cancellation of large lnΓ."""
    small, large = sorted((a, b))
    if large < _LARGE:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    # lnΓ(large) − lnΓ(large + small) by Stirling's series, whose largest terms cancel in exact form.
    main = -(large - 0.5) * math.log1p(small / large) - small * math.log(large + small) + small
    difference = main + _stirling(large) - _stirling(large + small)
    if small < _LARGE:
        return math.lgamma(small) + difference
    return difference + (small - 0.5) * math.log(small) - small + 0.5 * math.log(2 * math.pi) + _stirling(small)


def _stirling(z: float) -> float:
    """Return what Stirling's series adds to (z − ½) ln z − z + ½ ln 2π."""
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * z * z)) / (z * z)) / (z * z)) / z
