"""The uncertainty of the parameters: covariance, intervals, and the parameters that the data do not determine.

At the end of a fit with residuals r, Jacobian J of the predictions and n − p degrees of freedom, the covariance is
s²(JᵀJ)⁻¹ with s² = rᵀr/(n − p), or (JᵀJ)⁻¹ where the deviations of the measurements are known. It is computed from the
singular values of J with its columns scaled to length 1, so that units change nothing. A direction whose singular value
is zero within rounding is not determined by the data; a quantity that changes along it has no finite error. For a
robust loss the covariance is the sandwich H⁻¹(Σ ψᵢ² JᵢᵀJᵢ)H⁻¹ with H = Σ ψ′ᵢ JᵢᵀJᵢ; where that H is not positive, ψ′
below 0 counts as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem, typical_deviation
from downslope.fitting._quantiles import t_quantile
from downslope.formulas import Formula, NumericFormula, with_trees

_ROUNDING = 1e-12  # a singular value below this share of the largest is 0
_TAKES_PART = 0.05  # component of a unit direction from which on a parameter counts as part of it
_ALONG = 1e-6  # share of a quantity's gradient along an undetermined direction from which on it has no finite error


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The uncertainty of the free parameters, in their order.

    Args:
        covariance: shape (free, free); infinite on the diagonal for undetermined parameters, NaN for those on a bound.
        determined: the covariance within the determined directions alone, 0 elsewhere.
        lost: the undetermined directions, shape (directions, free), of length 1 after scaling by `effects`.
        effects: lengths of the Jacobian's columns, shape (free,).
        undetermined: indices of the parameters that take part in undetermined directions.
        condition_number: largest over smallest singular value of the scaled Jacobian.
        weakest: the direction of the smallest singular value, scaled by `effects`, shape (free,).
        degrees_of_freedom: number of rows minus number of determined directions.
        residual_variance: s², NaN without degrees of freedom.
        measurement_variance: variance of a measurement of weight 1; for a robust loss, estimated from the median.
        absolute: whether the deviations of the measurements are known.
    """

    covariance: np.ndarray
    determined: np.ndarray
    lost: np.ndarray
    effects: np.ndarray
    undetermined: tuple[int, ...]
    condition_number: float
    weakest: np.ndarray
    degrees_of_freedom: int
    residual_variance: float
    measurement_variance: float
    absolute: bool

    def variance(self, slopes: np.ndarray) -> np.ndarray:
        """Return the variances of quantities from their derivatives by the free parameters (error propagation).

        Args:
            slopes: shape (quantities, free).

        Returns:
            Shape (quantities,); ∞ for a quantity that the data do not determine.
        """
        variances = np.einsum("qi,ij,qj->q", slopes, self.determined, slopes)
        along = np.abs((slopes / self.effects) @ self.lost.T)
        size = np.linalg.norm(slopes / self.effects, axis=1, keepdims=True)
        return np.where(np.any(along > _ALONG * size, axis=1), np.inf, variances)

    def half_width(self, confidence: float) -> float:
        """Return the half-width of an interval in standard errors."""
        return t_quantile(confidence, np.inf if self.absolute else self.degrees_of_freedom)

    @property
    def standard_errors(self) -> np.ndarray:
        """The standard errors, shape (free,)."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """The correlation matrix, shape (free, free); NaN where an error is zero or not finite."""
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
    """Compute the uncertainty of the free parameters at the end of a fit.

    Args:
        jacobian: shape (rows, free), of the weighted predictions.
        residuals: shape (rows,), weighted but not transformed by a robust loss.
        held: which parameters are pushed against a bound, shape (free,); they have no error.
        absolute: whether the weights are 1/σ with known σ, so that s² = 1.
        scores: ψ and ψ′ of a robust loss at each row; None for least squares.
    """
    rows, free = jacobian.shape
    if not (np.all(np.isfinite(jacobian)) and np.all(np.isfinite(residuals))):
        return _unknown(free, rows - int(np.sum(~held)), absolute)
    # With a parameter held at its bound the others are as certain as if it were fixed there.
    kept = np.flatnonzero(~held)
    lengths = np.linalg.norm(jacobian[:, kept], axis=0)
    effects = np.ones(free)
    effects[kept] = np.where(lengths > 0, lengths, 1.0)
    singular, inner = _singular(jacobian[:, kept] / effects[kept], None if scores is None else scores[1])
    directions = np.zeros((len(singular), free))
    directions[:, kept] = inner
    # From J D⁻¹ = UΣVᵀ: (JᵀJ)⁻¹ = D⁻¹VΣ⁻²VᵀD⁻¹. Singular values of J keep the digits that JᵀJ would lose, and with
    # columns of length 1 they do not depend on units. Directions with a singular value of 0 are left out, not inverted.
    known = singular > _ROUNDING * max(singular[0], np.finfo(float).tiny) if len(singular) else np.zeros(0, bool)
    freedom = rows - int(np.sum(known))
    variance = float(residuals @ residuals) / freedom if freedom > 0 else np.nan
    measured = 1.0 if absolute else variance
    inverse = (directions[known].T / singular[known] ** 2) @ directions[known] / np.outer(effects, effects)
    if scores is None:
        determined = inverse * measured
    else:
        # The sandwich (Huber, White) takes the spread of the scores ψᵢJᵢ themselves, so that no variance is assumed for
        # outliers. n/(n − p) corrects its bias in small samples, as n − p does for s².
        slopes = jacobian * scores[0][:, None]
        determined = inverse @ (slopes.T @ slopes) @ inverse * (rows / freedom if freedom > 0 else np.nan)
        measured = typical_deviation(residuals) ** 2
    lost = directions[~known]
    undetermined = tuple(map(int, np.flatnonzero(_share(lost, free) > _TAKES_PART)))
    covariance = determined.copy()
    covariance[undetermined, undetermined] = np.inf
    covariance[held, :] = covariance[:, held] = np.nan
    return Uncertainty(
        covariance=covariance,
        determined=determined,
        lost=lost,
        effects=effects,
        undetermined=undetermined,
        condition_number=float(singular[0] / singular[-1]) if len(singular) and singular[-1] > 0 else np.inf,
        weakest=directions[-1] if len(singular) else np.zeros(free),
        degrees_of_freedom=freedom,
        residual_variance=variance,
        measurement_variance=measured,
        absolute=absolute,
    )


def _unknown(free: int, freedom: int, absolute: bool) -> Uncertainty:
    """Return an uncertainty of NaN, for an end at which the model is not finite."""
    matrix = np.full((free, free), np.nan)
    return Uncertainty(
        covariance=matrix,
        determined=matrix,
        lost=np.zeros((0, free)),
        effects=np.ones(free),
        undetermined=(),
        condition_number=np.nan,
        weakest=np.zeros(free),
        degrees_of_freedom=freedom,
        residual_variance=np.nan,
        measurement_variance=np.nan,
        absolute=absolute,
    )


def _singular(scaled: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the singular values of a weighted Jacobian, descending, and their directions, shape (values, free).

    Args:
        scaled: shape (rows, free).
        weights: ψ′ of a robust loss at each row; None for weights of 1.
    """
    # ψ′ < 0 has no square root to multiply the rows by. Where H = Σ ψ′JᵀJ is still positive definite, its eigenvalues
    # are used; otherwise such outliers count as 0.
    if weights is not None and np.any(weights < 0):
        values, vectors = np.linalg.eigh(scaled.T @ (scaled * weights[:, None]))
        if values[0] > _ROUNDING * values[-1]:
            return np.sqrt(values[::-1]), vectors.T[::-1]
    if weights is not None:
        scaled = scaled * np.sqrt(np.maximum(weights, 0.0))[:, None]
    _, singular, directions = np.linalg.svd(scaled, full_matrices=False)
    return singular, directions


def _share(directions: np.ndarray, free: int) -> np.ndarray:
    """Return the component of each parameter in the span of some directions, shape (free,)."""
    return np.sqrt(np.sum(directions**2, axis=0)) if len(directions) else np.zeros(free)


def information_criterion(squares: float, rows: int, cost: float, *, absolute: bool) -> float:
    """Return an information criterion of least squares: n·ln(RSS/n) + cost, or RSS + cost where σ is known.

    Args:
        squares: the weighted sum of squared residuals RSS.
        rows: their number n.
        cost: the price of all parameters, 2p for Akaike's criterion and p·ln n for Schwarz's.
        absolute: whether the deviations of the measurements are known.
    """
    if absolute:
        return squares + cost
    return rows * float(np.log(squares / rows)) + cost if squares > 0 else -np.inf


@dataclass(frozen=True)
class Parameter:
    """A parameter of a fit with its uncertainty.

    Args:
        name: its name.
        value: the estimate, or the fixed value.
        standard_error: its standard error; 0 for a fixed parameter, ∞ for one that the data do not determine, NaN for
            one on a bound or without degrees of freedom.
        low, high: the ends of its confidence interval.
        unit: its unit, a product of the columns' units; None if it is dimensionless, or they have none.
        role: "free", "fixed", "tied" or "at bound".
    """

    name: str
    value: float
    standard_error: float
    low: float
    high: float
    unit: str | None = None
    role: str = "free"

    def as_dict(self) -> dict[str, Any]:
        """Return the parameter as plain data."""
        return {
            "value": self.value,
            "standard_error": self.standard_error,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "role": self.role,
        }


def parameters_of(
    model: EquationModel,
    problem: FitProblem,
    arguments: FitArguments,
    free: np.ndarray,
    held: np.ndarray,
    uncertainty: Uncertainty,
    confidence: float,
) -> dict[str, Parameter]:
    """Return all parameters with their errors by name, in order of appearance.

    The error of a tied parameter t(p) is √(∇tᵀ C ∇t), with C the covariance of the free ones.

    Args:
        model: the equation.
        problem: the structure of the fit.
        arguments: its data.
        free: the free parameters, shape (free,).
        held: which of them are on a bound, shape (free,).
        uncertainty: their uncertainty.
        confidence: level of the intervals, between 0 and 1.
    """
    width = uncertainty.half_width(confidence)
    roles = dict.fromkeys(arguments.fixed, "fixed") | dict.fromkeys((name for name, _ in problem.ties), "tied")
    roles |= {name: "at bound" for name, rests in zip(problem.free, held, strict=True) if rests}
    values = _values(problem, arguments, free)
    errors = dict(zip(problem.free, uncertainty.standard_errors, strict=True))
    errors |= dict.fromkeys(arguments.fixed, 0.0) | _tied_errors(problem, arguments, free, held, uncertainty)
    parameters = {}
    for name in model.parameters:
        half = errors[name] * width if errors[name] else 0.0
        parameters[name] = Parameter(
            name=name,
            value=values[name],
            standard_error=float(errors[name]),
            low=float(values[name] - half),
            high=float(values[name] + half),
            unit=model.unit(name),
            role=roles.get(name, "free"),
        )
    return parameters


def _values(problem: FitProblem, arguments: FitArguments, free: np.ndarray) -> Mapping[str, float]:
    """Return the values of all parameters by name."""
    with np.errstate(all="ignore"):
        return {name: float(value) for name, value in problem.everything(free, arguments).items()}


def _tied_errors(
    problem: FitProblem, arguments: FitArguments, free: np.ndarray, held: np.ndarray, uncertainty: Uncertainty
) -> dict[str, float]:
    """Return the standard errors of the tied parameters by name."""
    errors, fixed, trees = {}, {name: float(value) for name, value in arguments.fixed.items()}, {}
    for name, tie in problem.ties:
        trees[name] = with_trees(tie, trees)
        tied = NumericFormula(Formula(None, problem.free, trees[name], tuple(fixed)), data=fixed)
        slope = np.array(tied.value_and_slopes(free.tolist())[1], dtype=float)
        rests = bool(np.any(held & (slope != 0)))  # depends on a parameter that has no error
        errors[name] = np.nan if rests else float(np.sqrt(uncertainty.variance(slope[None])[0]))
    return errors
