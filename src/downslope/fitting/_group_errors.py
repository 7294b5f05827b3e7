"""The uncertainty of the parameters of many groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from downslope.fitting._lanes import LaneProblem, by_length, cholesky, lane_data, normal_of, substituted
from downslope.fitting._likelihoods import LIKELIHOODS, information_factor
from downslope.fitting._problem import FitArguments, FitProblem, scores_of_loss
from downslope.fitting._uncertainty import uncertainty

_WELL_APART = 1e-6  # a squared pivot of scaled JᵀJ from which on its inverse has ten digits


@dataclass(frozen=True, eq=False)
class GroupErrors:
    """The uncertainty of the free parameters of each group.

    Args:
        inverse: (JᵀJ)⁻¹, shape (free, free, groups); of a robust loss the whole covariance.
        unknown: which parameters have no finite error: undetermined, shape (free, groups).
        held: which are on a bound, shape (free, groups).
        squares: the weighted sums of squared residuals, shape (groups,).
        degrees_of_freedom: rows minus determined parameters, shape (groups,).
        absolute: whether the inverse is the covariance as it is.
    """

    inverse: np.ndarray
    unknown: np.ndarray
    held: np.ndarray
    squares: np.ndarray
    degrees_of_freedom: np.ndarray
    absolute: bool

    @property
    def variances(self) -> np.ndarray:
        """The residual variance of each group, NaN without degrees of freedom, shape (groups,)."""
        with np.errstate(all="ignore"):
            return np.where(self.degrees_of_freedom > 0, self.squares / self.degrees_of_freedom, np.nan)

    @property
    def pooled_variance(self) -> float:
        """The residual variance of all groups together."""
        fits = np.isfinite(self.squares)
        freedom = int(np.sum(np.maximum(self.degrees_of_freedom[fits], 0)))
        return float(np.sum(self.squares[fits])) / freedom if freedom > 0 else np.nan

    def covariances(self, pooled: bool = True) -> np.ndarray:
        """Return the covariance of each group, shape (free, free, groups)."""
        if self.absolute:
            return self.inverse
        return self.inverse * (self.pooled_variance if pooled else self.variances)

    def standard_errors(self, pooled: bool = True) -> np.ndarray:
        """Return the standard errors, shape (free, groups)."""
        errors = np.sqrt(np.einsum("iig->ig", self.covariances(pooled)))
        return np.where(self.held, np.nan, np.where(self.unknown, np.inf, errors))


def group_errors(
    problem: FitProblem,
    arguments: FitArguments,
    rows: np.ndarray,
    free: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    absolute: bool,
) -> GroupErrors:
    """Return the uncertainty of each group at the end of its fit.

    Args:
        problem: the structure of the fit of one group.
        arguments: the data of all groups.
        rows: the numbers of each group's rows, −1 for padding, shape (rows, groups).
        free: the parameters, shape (free, groups).
        bounds: their bounds.
        absolute: whether the weights are 1/σ with known σ.
    """
    count, groups = free.shape
    inverse = np.zeros((count, count, groups))
    unknown, held = np.zeros((count, groups), bool), np.zeros((count, groups), bool)
    squares, freedom = np.empty(groups), np.empty(groups, dtype=int)
    lengths = np.sum(rows >= 0, axis=0)
    for lanes in by_length(lengths):
        data = lane_data(arguments, rows[: lengths[lanes].max(), lanes])
        of = LaneProblem(problem, data)
        at = free[:, lanes]
        predicted, slopes = of.predicted_with_slopes(at)
        with np.errstate(all="ignore"):
            if data.deviations:  # orthogonal distances, whose slopes are weighted already
                plain, jacobian = of.rows(at)
            else:
                plain, jacobian = (predicted - data.measured) * data.weight, [slope * data.weight for slope in slopes]
            squares[lanes] = np.einsum("rl,rl->l", plain, plain)
            score = scores_of_loss(problem.loss, predicted, data)
            pull = plain if score is None else score[0]
            gradient = np.array([np.einsum("rl,rl->l", slope, pull) for slope in jacobian])
            low, high = (ends[:, lanes] for ends in bounds)
            held[:, lanes] = ((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0))
            if problem.loss in LIKELIHOODS:  # the expected information, beside which no score is needed
                factor, score = information_factor(problem.loss, predicted), None
                plain, jacobian = plain * factor, [slope * factor for slope in jacobian]
                squares[lanes] = np.einsum("rl,rl->l", plain, plain)
            normal = normal_of(jacobian)
            length = np.sqrt(np.einsum("iil->il", normal))
            lower, pivots = cholesky(normal / (length[:, None] * length[None, :]))
            units = [substituted(lower, np.eye(count)[:, index, None] + np.zeros(len(lanes))) for index in range(count)]
            inverse[:, :, lanes] = np.array(units) / (length[:, None] * length[None, :])
        freedom[lanes] = lengths[lanes] - count
        plainly = (pivots > _WELL_APART) & ~held[:, lanes].any(axis=0) & (score is None)
        # The others one by one, by the singular values of J: a bound, a robust loss, or what the data do not determine.
        for lane in np.flatnonzero(~plainly):
            group, inside = lanes[lane], slice(lengths[lanes[lane]])
            errors = uncertainty(
                np.column_stack([slope[inside, lane] for slope in jacobian]),
                plain[inside, lane],
                held[:, group],
                absolute=score is None,
                scores=None if score is None else (score[0][inside, lane], score[1][inside, lane]),
            )
            inverse[:, :, group] = errors.determined
            unknown[list(errors.undetermined), group] = True
            freedom[group] = errors.degrees_of_freedom
    return GroupErrors(inverse, unknown, held, squares, freedom, absolute or problem.loss != "linear")


def weighted_rows(problem: FitProblem, arguments: FitArguments, rows: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the residual of each row in units of its deviation; with errors in columns, the orthogonal distance.

    Args:
        problem: the structure of the fit of one group.
        arguments: the data of all groups.
        rows: the numbers of each group's rows, −1 for padding, shape (rows, groups).
        free: the parameters, shape (free, groups).
    """
    residuals = np.empty(len(arguments.measured))
    lengths = np.sum(rows >= 0, axis=0)
    for lanes in by_length(lengths):
        index = rows[: lengths[lanes].max(), lanes]
        own, _ = LaneProblem(problem, lane_data(arguments, index)).rows(free[:, lanes])
        residuals[index[index >= 0]] = own[index >= 0]
    return residuals
