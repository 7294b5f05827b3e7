"""Curvature by Bates and Watts: of the model as a surface of predictions, and of its parameters as a grid on it.

With V the Jacobian of the weighted predictions, V = QR, and W the second derivatives, row by row, A = R⁻ᵀWR⁻¹ is the
acceleration in coordinates in which equal steps move the predictions equally. Its part along Q bends the grid of the
parameters on the surface of predictions, which another choice of parameters can undo (parameter effects); its part
across bends the surface itself (intrinsic). The root mean square over all directions, relative to the radius s√p of a
residual's deviation and to the border √F of the confidence region,

    c√F,    c² = s²p · Σ (2 Σᵢⱼ aᵢⱼ² + (Σᵢ aᵢᵢ)²) / (p(p + 2)),

is far below 1 where linear intervals and regions are right.

Reference: Bates and Watts, Nonlinear Regression Analysis and Its Applications, 1988, chapter 7.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from downslope.fitting._numeric_problem import NumericProblem
from downslope.fitting._quantiles import f_quantile

if TYPE_CHECKING:
    from downslope.fitting._result import Fit

_STEP = 0.02  # standard errors of the differences of slopes, which are of fourth order
_LARGE = 1e7  # numbers; a Jacobian at several points beyond it takes too long to be worth the answer


class Curvature(NamedTuple):
    """The curvature of a model at a fit, in units of the border of its confidence region: c√F of Bates and Watts.

    Args:
        intrinsic: of the predictions as a surface.
        parameter_effects: of the parameters on it.
    """

    intrinsic: float
    parameter_effects: float


UNKNOWN = Curvature(np.nan, np.nan)


def curvature(fit: Fit) -> Curvature:
    """Return the curvature of a fit; see `Fit.curvature`."""
    best = np.array([fit[name] for name in fit.free])
    errors = fit.uncertainty.standard_errors
    kept = np.flatnonzero([fit.parameters[name].role != "at bound" for name in fit.free])
    variance = 1.0 if fit.uncertainty.absolute else fit.uncertainty.residual_variance
    if fit.loss != "linear" or fit.uncertainty.undetermined or not variance > 0 or not len(kept):
        return UNKNOWN
    if not np.all(errors[kept] > 0) or len(fit.measured) * len(best) * 4 * len(kept) > _LARGE:
        return UNKNOWN
    numeric = NumericProblem(fit.problem, fit.arguments)
    with np.errstate(all="ignore"):
        jacobian = numeric.linearised(best)[1][:, kept] * errors[kept]
        second = _second_derivatives(numeric, best, errors, kept)
    if not (np.all(np.isfinite(second)) and np.all(np.isfinite(jacobian))):
        return UNKNOWN
    along, upper = np.linalg.qr(jacobian)
    inverse = np.linalg.inv(upper)
    acceleration = np.einsum("rij,ik,jl->rkl", second, inverse, inverse)
    tangent = np.einsum("rt,rkl->tkl", along, acceleration)
    normal = acceleration - np.einsum("rt,tkl->rkl", along, tangent)
    border = _border(fit, len(kept))
    scale = np.sqrt(variance * len(kept)) * border
    return Curvature(float(scale * _root_mean_square(normal)), float(scale * _root_mean_square(tangent)))


def _second_derivatives(numeric: NumericProblem, best: np.ndarray, errors: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the second derivatives of each row by parameters in units of their errors, shape (rows, kept, kept)."""
    second = []
    for index in kept:
        step = np.zeros_like(best)
        step[index] = _STEP * errors[index]
        near, far = best + np.multiply.outer([1, -1, 2, -2], step), [8.0, -8.0, -1.0, 1.0]
        slopes = numeric.linearised(near)[1][..., kept] * errors[kept]
        second.append(np.einsum("p,prk->rk", far, slopes) / (12 * _STEP))
    both = np.stack(second, axis=1)
    return (both + np.swapaxes(both, 1, 2)) / 2


def _root_mean_square(acceleration: np.ndarray) -> float:
    """Return the root of the mean square of the acceleration over all directions of length 1."""
    count = acceleration.shape[-1]
    traces = np.trace(acceleration, axis1=1, axis2=2)
    return float(np.sqrt((2 * np.sum(acceleration**2) + np.sum(traces**2)) / (count * (count + 2))))


def _border(fit: Fit, count: int) -> float:
    """Return √F at the level of the fit's intervals."""
    if fit.uncertainty.absolute:
        from scipy.special import chdtri

        return float(np.sqrt(chdtri(count, 1 - fit.confidence) / count))
    return math.sqrt(f_quantile(fit.confidence, count, fit.degrees_of_freedom))
