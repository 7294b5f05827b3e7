"""The residuals of a fit and their derivatives in NumPy, by our own rules: a fit to a small table compiles nothing."""

from __future__ import annotations

import functools

import numpy as np

from downslope._engine import double_precision, jax
from downslope.fitting._problem import (
    FitArguments,
    FitProblem,
    bend_of_loss,
    compiled_hessian,
    compiled_with_slopes,
    rows_of_loss,
    scores_of_loss,
)
from downslope.formulas import ARRAYS, Formula, NumericFormula, weighted_sum, with_trees

MOST_ROWS = 4096  # beyond, a compiled fit is faster by more than it takes to compile
_FACTORS = "ψ/σ"  # an equation reads it as a quotient, so no column has this name
_DIFFERENCE = 6e-6  # of a parameter: the cube root of the rounding error balances it against that of the difference
_BLOCK = 1 << 18  # numbers of a column at many points, so that operations stay in a cache


def is_small(arguments: FitArguments) -> bool:
    """Return whether a fit to some data runs in NumPy."""
    return len(arguments.measured) <= MOST_ROWS


def predicted_with_slopes(
    problem: FitProblem, free: np.ndarray, arguments: FitArguments
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions, shape (rows,), and their derivatives by the free parameters, shape (rows, free)."""
    if is_small(arguments):
        return NumericProblem(problem, arguments).predicted_with_slopes(free)
    with double_precision():
        return jax().device_get(compiled_with_slopes(problem)(free, arguments))


def highest_curvature(problem: FitProblem, arguments: FitArguments, free: np.ndarray) -> float:
    """Return the highest eigenvalue of the Hessian of the mean square at a point."""
    if is_small(arguments):
        hessian = NumericProblem(problem, arguments).hessian(free)
    else:
        with double_precision():
            hessian = np.asarray(compiled_hessian(problem)(free, arguments))
    hessian = 2 * hessian / len(arguments.measured)
    return float(np.linalg.eigvalsh(hessian)[-1]) if np.all(np.isfinite(hessian)) else np.nan


class NumericProblem:
    """A fit's residuals over some data.

    Points have the shape (free,), or (points, free) for many at once; results then have the points as first axis.

    Args:
        problem: the structure of the fit.
        arguments: the data.
    """

    def __init__(self, problem: FitProblem, arguments: FitArguments) -> None:
        self._problem = problem
        self._arguments = arguments
        fixed = {name: np.float64(value) for name, value in arguments.fixed.items()}
        self._data = {name: np.asarray(column, float) for name, column in arguments.columns.items()} | fixed
        self._right = problem.right
        for name, tie in reversed(problem.ties):
            self._right = with_trees(self._right, {name: tie})

    def predicted(self, free: np.ndarray) -> np.ndarray:
        """Return the predictions, shape (…, rows)."""
        with np.errstate(all="ignore"):
            return self._rows(self._model.value(self._point(free)), free)

    def predicted_with_slopes(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the predictions, shape (…, rows), and their derivatives, shape (…, rows, free)."""
        with np.errstate(all="ignore"):
            value, slopes = self._model.value_and_slopes(self._point(free))
            predicted = self._rows(value, free)
            jacobian = np.stack([self._rows(slope, free) for slope in slopes], axis=-1)
            if free.ndim == 1 and not np.all(np.isfinite(jacobian)):
                jacobian = self._with_differences(free, predicted, jacobian)
            return predicted, jacobian

    def _with_differences(self, free: np.ndarray, predicted: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
        """Return a Jacobian with central differences where the chain rule has no number but the model has."""
        absent = ~np.isfinite(jacobian) & np.isfinite(predicted)[:, None]
        slopes = np.array(jacobian)
        for index in np.flatnonzero(absent.any(axis=0)):
            step = _DIFFERENCE * (abs(free[index]) or 1.0)
            apart = np.array([free, free])
            apart[:, index] += (step, -step)
            higher, lower = self.predicted(apart)
            difference = (higher - lower) / (apart[0, index] - apart[1, index])
            rows = absent[:, index]
            slopes[rows, index] = difference[rows]
        return slopes

    def linearised(
        self, free: np.ndarray, measured: np.ndarray | None = None, weight: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the residuals, weighted and transformed by the loss, and their Jacobian.

        Args:
            free: the points.
            measured: the left side at each point and row, shape (points, rows); that of the data if None.
            weight: the weights, likewise.
        """
        predicted, slopes = self.predicted_with_slopes(free)
        data = self._arguments
        data = data if measured is None else data._replace(measured=measured)
        data = data if weight is None else data._replace(weight=weight)
        with np.errstate(all="ignore"):
            rows = rows_of_loss(self._problem.loss, predicted, data)
            known = scores_of_loss(self._problem.loss, predicted, data)
            factor = data.weight if known is None else data.weight * bend_of_loss(rows, known)
        return rows, slopes * factor[..., None]

    def squares(self, free: np.ndarray) -> np.ndarray:
        """Return the sums of squares at many points, shape (points,)."""
        block = max(1, _BLOCK // len(self._arguments.measured))
        return np.concatenate([self._squares(free[first : first + block]) for first in range(0, len(free), block)])

    def _squares(self, free: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            rows = rows_of_loss(self._problem.loss, self.predicted(free), self._arguments)
            return np.sum(rows * rows, axis=-1)

    def hessian(self, free: np.ndarray) -> np.ndarray:
        """Return the Hessian of half the squares at a point, shape (free, free)."""
        predicted, slopes = self.predicted_with_slopes(free)
        weight = self._arguments.weight
        with np.errstate(all="ignore"):
            known = scores_of_loss(self._problem.loss, predicted, self._arguments)
            plain = (predicted - self._arguments.measured) * weight
        score, bend = (plain, np.ones_like(plain)) if known is None else known
        jacobian = slopes * weight[:, None]
        with np.errstate(all="ignore"):
            # Σ ψᵢwᵢ·pᵢ with its factors held constant bends by the second derivatives of the predictions alone.
            curved = np.array(self._weighted(score * weight).hessian(free), dtype=float)
            return jacobian.T @ (bend[:, None] * jacobian) + curved

    @functools.cached_property
    def _model(self) -> NumericFormula:
        return NumericFormula(Formula(None, self._problem.free, self._right, tuple(self._data)), ARRAYS, self._data)

    def _weighted(self, factors: np.ndarray) -> NumericFormula:
        return NumericFormula(
            Formula(None, self._problem.free, weighted_sum(self._right, _FACTORS), (*self._data, _FACTORS)),
            ARRAYS,
            {**self._data, _FACTORS: factors},
        )

    def _point(self, free: np.ndarray) -> list[np.ndarray]:
        return [free[..., index, None] if free.ndim > 1 else free[index] for index in range(len(self._problem.free))]

    def _rows(self, value: np.ndarray, free: np.ndarray) -> np.ndarray:
        return np.broadcast_to(value, (*free.shape[:-1], len(self._arguments.measured)))
