"""Special functions: Γ and its relatives, the error function's complement, and Bessel functions of whole order.

SciPy is imported when one of them is first computed on an array, since importing it takes longer than most answers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

# An order beyond this is no textbook's, and would need more nodes below.
HIGHEST_ORDER = 20


@functools.cache
def numpy_special() -> Mapping[str, Callable[..., Any]]:
    """Return the NumPy implementation of each special function."""
    return {
        "besselj": lambda order, x: _scipy().jv(order, x),
        "digamma": lambda x: _scipy().digamma(x),
        "erfc": lambda x: _one_or_many(math.erfc, "erfc", x),
        "factorial": lambda x: _one_or_many(lambda value: _gamma(value + 1.0), "gamma", x, 1.0),
        "gamma": lambda x: _one_or_many(_gamma, "gamma", x),
        "lgamma": lambda x: _one_or_many(_lgamma, "gammaln", x),
        "polygamma": lambda order, x: _scipy().polygamma(order, x),
    }


def _scipy() -> Any:
    import scipy.special

    return scipy.special


def _one_or_many(scalar: Callable[[float], float], name: str, x: Any, shift: float = 0.0) -> Any:
    """Return a function of one number by `math`, of an array by SciPy."""
    import numpy

    if numpy.ndim(x) == 0:
        return numpy.float64(scalar(float(x)))
    return getattr(_scipy(), name)(numpy.asarray(x) + shift)


def _gamma(x: float) -> float:
    try:
        return math.gamma(x)
    except OverflowError:
        return math.inf
    except ValueError:  # a pole, whose sides differ in sign
        return math.nan


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (OverflowError, ValueError):
        return math.inf


@functools.cache
def jax_special() -> Mapping[str, Callable[..., Any]]:
    """Return the JAX implementation of each special function."""
    from downslope._engine import jax

    module = jax()
    special = module.scipy.special
    return {
        "besselj": _jax_bessel,
        "digamma": special.digamma,
        "erfc": module.lax.erfc,
        "factorial": lambda x: special.gamma(x + 1.0),
        "gamma": special.gamma,
        "lgamma": special.gammaln,
        "polygamma": lambda order, x: special.polygamma(int(order), x),
    }


def _jax_bessel(order: float, x: Any) -> Any:
    """Return Jₙ(x), from which JAX derives every derivative.

    Jₙ(x) = (1/π)∫₀^π cos(nτ − x sin τ) dτ. The integrand is smooth and periodic, so that the trapezoidal rule converges
    faster than any power of the number of nodes once that exceeds |x|. Beyond, Hankel's asymptotic series is as exact
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 9.1.21 and 9.2.5).
    """
    from downslope._engine import jax

    numpy = jax().numpy
    n = int(order)
    if n < 0:
        return (-1) ** n * _jax_bessel(-n, x)
    x = numpy.asarray(x, dtype=float)
    border = 30.0 + n * n
    nodes = int(1.2 * border) + 24
    angles = (numpy.arange(nodes) + 0.5) * (math.pi / nodes)
    # Both branches are computed everywhere. Each gets an argument it can take, lest gradients become 0·NaN.
    is_near = numpy.abs(x) <= border
    near = numpy.where(is_near, x, 0.0)[..., None]
    by_rule = numpy.mean(numpy.cos(n * angles - near * numpy.sin(angles)), axis=-1)
    far = numpy.where(is_near, border + 1.0, numpy.abs(x))
    sign = numpy.where(x < 0, (-1.0) ** n, 1.0)
    return numpy.where(is_near, by_rule, sign * _hankel(n, far))


def _hankel(n: int, x: Any) -> Any:
    """Return Jₙ(x) for x far above n², by the asymptotic series."""
    from downslope._engine import jax

    numpy = jax().numpy
    even, odd, term = 1.0, 0.0, 1.0
    for k in range(1, 22):
        term = term * (4 * n * n - (2 * k - 1) ** 2) / (k * 8 * x)
        if k % 2:
            odd = odd + (-1) ** (k // 2) * term
        else:
            even = even + (-1) ** (k // 2) * term
    phase = x - (n / 2 + 0.25) * math.pi
    return numpy.sqrt(2 / (math.pi * x)) * (even * numpy.cos(phase) - odd * numpy.sin(phase))
