"""How sure the parameters are: covariance, intervals, and which of them the data cannot tell.

At the end of a fit with residuals r, Jacobian J of the predictions and n − p degrees of freedom, the covariance is
s²(JᵀJ)⁻¹ with s² = rᵀr/(n − p). It is computed from the singular values of J with its columns scaled to length 1, so
that units change nothing. A direction whose singular value is nothing but rounding is one that the data do not
determine; the parameters that take part in it have no finite error. For a robust loss it is the sandwich
H⁻¹(Σ ψᵢ² JᵢᵀJᵢ)H⁻¹ with H = Σ ψ′ᵢ JᵢᵀJᵢ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-12  # a singular value below this, of columns of length 1, is none
_TAKES_PART = 0.05  # of a direction of length 1


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How sure the free parameters are, in their order.

    Args:
        covariance: shape (free, free); infinite on the diagonal of what is not determined.
        undetermined: places of the parameters that the data do not determine.
        condition_number: largest over smallest singular value of the scaled Jacobian.
        weakest: shape (free,), the direction of the smallest singular value, its parameters in their own lengths.
        degrees_of_freedom: rows less free parameters.
        residual_variance: s², NaN without degrees of freedom.
    """

    covariance: np.ndarray
    undetermined: tuple[int, ...]
    condition_number: float
    weakest: np.ndarray
    degrees_of_freedom: int
    residual_variance: float

    @property
    def standard_errors(self) -> np.ndarray:
        """The square roots of the diagonal, shape (free,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """The correlation matrix, shape (free, free); NaN where an error is not finite or zero."""
        errors = self.standard_errors
        with np.errstate(all="ignore"):
            matrix = self.covariance / np.outer(errors, errors)
        matrix[~np.isfinite(matrix)] = np.nan
        determined = np.isfinite(errors)
        matrix[determined, determined] = 1.0
        return np.clip(matrix, -1.0, 1.0)


def uncertainty(
    jacobian: np.ndarray,
    residuals: np.ndarray,
    held: np.ndarray,
    *,
    absolute: bool = False,
    scores: tuple[np.ndarray, np.ndarray] | None = None,
) -> Uncertainty:
    """Return how sure the parameters are.

    Args:
        jacobian: shape (rows, free), of the weighted predictions.
        residuals: shape (rows,), weighted, as they were before a robust loss bent them.
        held: shape (free,), whether a parameter presses against a bound; such ones have no error of their own.
        absolute: whether the weights are one over true standard deviations, so that s² is 1.
        scores: ψ and ψ′ of a robust loss at each row, or None for least squares.
    """
    rows, free = jacobian.shape
    freedom = rows - int(np.sum(~held))
    variance = float(residuals @ residuals) / freedom if freedom > 0 else np.nan
    inside = np.where(held, 0.0, jacobian)
    if scores is not None:
        inside = inside * np.sqrt(np.maximum(scores[1], 0.0))[:, None]
    lengths = np.linalg.norm(inside, axis=0)
    safe = np.where(lengths > 0, lengths, 1.0)
    _, singular, directions = np.linalg.svd(inside / safe, full_matrices=False)
    none = singular <= _ROUNDING * max(singular[0], np.finfo(float).tiny) if len(singular) else np.zeros(0, bool)
    lost = directions[none]
    undetermined = tuple(int(place) for place in np.flatnonzero(_share(lost, free) > _TAKES_PART) if not held[place])
    inverse = (directions[~none].T / singular[~none] ** 2) @ directions[~none] / np.outer(safe, safe)
    if scores is None:
        covariance = inverse * (1.0 if absolute else variance)
    else:
        slopes = jacobian * scores[0][:, None]
        correction = rows / freedom if freedom > 0 else np.nan
        covariance = inverse @ (slopes.T @ slopes) @ inverse * correction
    covariance[undetermined, undetermined] = np.inf
    covariance[held, :] = covariance[:, held] = np.nan
    kept = singular[: int(np.sum(~held))]
    condition = float(kept[0] / kept[-1]) if len(kept) and kept[-1] > 0 else np.inf
    weakest = directions[len(kept) - 1] if len(kept) else np.zeros(free)
    return Uncertainty(covariance, undetermined, condition, weakest, freedom, variance)


def _share(directions: np.ndarray, free: int) -> np.ndarray:
    """Return how much each parameter takes part in some directions, shape (free,)."""
    return np.sqrt(np.sum(directions**2, axis=0)) if len(directions) else np.zeros(free)


def quantile(confidence: float, freedom: int) -> float:
    """Return the half-width of an interval in standard errors, by Student's distribution.

    >>> round(quantile(0.95, 10), 3)
    2.228
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2)) if freedom > 0 else np.nan
