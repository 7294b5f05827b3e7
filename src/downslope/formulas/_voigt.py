"""The Voigt profile, the convolution of a normal and a Lorentz distribution, as a function of formulas.

With Faddeeva's function w(z) and z = (x + iγ)/(σ√2), the profile is V = Re w(z)/(σ√(2π)). Beside it stands
D = Im w(z)/(σ√(2π)), since w′ = −2zw + 2i/√π makes the slopes of each a combination of both:

    ∂V/∂x = −(xV − γD)/σ²        ∂V/∂γ = (xD + γV − 1/π)/σ²
    ∂D/∂x = −(xD + γV − 1/π)/σ²  ∂D/∂γ = −(xV − γD)/σ²

Both are homogeneous of degree −1, so the slope by σ follows: σ·∂V/∂σ = −(V + x·∂V/∂x + γ·∂V/∂γ). Widths below 0 count
as their absolute values, so that a fit never leaves the profiles.

NumPy takes w from SciPy. JAX has none; there it is Weideman's rational series of 64 terms, with an error below 1e-13.

Reference: Weideman, "Computation of the complex error function", 1994.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from downslope.formulas.expressions import Call, Expression, ForeignFunction, product_of, with_trees
from downslope.formulas.reading import formula

_TERMS = 64


def _in_numpy(x: Any, sigma: Any, gamma: Any) -> Any:
    import numpy
    from scipy.special import wofz

    size = numpy.abs(sigma)  # a width and its negative are the same curve
    return wofz((x + 1j * numpy.abs(gamma)) / (size * math.sqrt(2))) / (size * math.sqrt(2 * math.pi))


def _real(x: Any, sigma: Any, gamma: Any) -> Any:
    return _in_numpy(x, sigma, gamma).real


def _imaginary(x: Any, sigma: Any, gamma: Any) -> Any:
    return _in_numpy(x, sigma, gamma).imag


@functools.cache
def _coefficients() -> tuple[float, tuple[float, ...]]:
    """Return L and the coefficients of Weideman's series, the highest power first."""
    import numpy

    count = 2 * _TERMS
    length = math.sqrt(_TERMS / math.sqrt(2))
    angles = numpy.arange(-count + 1, count) * math.pi / count
    points = length * numpy.tan(angles / 2)
    values = numpy.concatenate([[0.0], numpy.exp(-(points**2)) * (length**2 + points**2)])
    series = numpy.real(numpy.fft.fft(numpy.fft.fftshift(values))) / (2 * count)
    return length, tuple(map(float, series[1 : _TERMS + 1][::-1]))


def _faddeeva_in_jax(z: Any) -> Any:
    """Return w(z) in the upper half plane."""
    from downslope._engine import jax

    length, series = _coefficients()
    below = length - 1j * z
    value = jax().numpy.polyval(jax().numpy.asarray(series), (length + 1j * z) / below)
    return 2 * value / below**2 + 1 / math.sqrt(math.pi) / below


def _both_in_jax(x: Any, sigma: Any, gamma: Any) -> Any:
    from downslope._engine import jax

    size = jax().numpy.abs(sigma)
    return _faddeeva_in_jax((x + 1j * jax().numpy.abs(gamma)) / (size * math.sqrt(2))) / (size * math.sqrt(2 * math.pi))


def _real_in_jax(x: Any, sigma: Any, gamma: Any) -> Any:
    return _both_in_jax(x, sigma, gamma).real


def _imaginary_in_jax(x: Any, sigma: Any, gamma: Any) -> Any:
    return _both_in_jax(x, sigma, gamma).imag


_ALONG = "-(x×V - g×D)/s²"
_ACROSS = "(x×D + g×V - 1/π)/s²"
_RULES = {
    "V": (_ALONG, f"-(V + x×({_ALONG}) + g×({_ACROSS}))/s", _ACROSS),
    "D": (f"-{_ACROSS}", f"-(D - x×({_ACROSS}) + g×({_ALONG}))/s", _ALONG),
}


def _slope(letter: str, arguments: tuple[Expression, ...], index: int) -> Expression:
    """Return the slope of V or D by an argument, in terms of both."""
    x, s, g = arguments
    trees = {"x": x, "s": s, "g": Call("abs", (g,)), "V": Call(VOIGT, arguments), "D": Call(_DISPERSION, arguments)}
    slope = with_trees(_parsed(_RULES[letter][index]), trees)
    return product_of([Call("sign", (g,)), slope]) if index == 2 else slope


@functools.cache
def _parsed(text: str) -> Expression:
    return formula(text).body


def _voigt_slope(arguments: tuple[Expression, ...], index: int) -> Expression:
    return _slope("V", arguments, index)


def _dispersion_slope(arguments: tuple[Expression, ...], index: int) -> Expression:
    return _slope("D", arguments, index)


_COLUMNS = (False, False, False)
VOIGT = ForeignFunction("voigt", _real, _COLUMNS, "rule", rule=_voigt_slope, in_jax=_real_in_jax)
_DISPERSION = ForeignFunction("voigt_D", _imaginary, _COLUMNS, "rule", rule=_dispersion_slope, in_jax=_imaginary_in_jax)
