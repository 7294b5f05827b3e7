"""The residuals of a fit and their derivatives in NumPy: a fit to a small table compiles nothing."""

from __future__ import annotations

import functools

import numpy as np

from downslope._engine import double_precision, jax
from downslope.fitting._orthogonal import Shifts, effective_weight, movable_model, settled_slopes
from downslope.fitting._problem import (
    FitArguments,
    FitProblem,
    bend_of_loss,
    compiled_hessian,
    compiled_with_slopes,
    rows_of_loss,
    scores_of_loss,
)
from downslope.formulas import (
    ARRAYS,
    ForeignFunction,
    Formula,
    NumericFormula,
    weighted_sum,
    with_trees,
)

# Beyond, a compiled fit is faster by more than the seconds that it takes to compile: a million rows of an exponential
# with an offset took 4.1 s of the CPU, 6.9 s compiled and 1.8 s again; four million 16.6 s, 13.6 s and 9.0 s.
MOST_ROWS = 1 << 21
_FACTORS = "ψ/σ"  # an equation reads it as a quotient, so no column has this name
_DIFFERENCE = 6e-6  # of a parameter: the cube root of the rounding error balances it against that of the difference
_BLOCK = 1 << 18  # numbers of a column at many points, so that operations stay in a cache


def is_small(arguments: FitArguments) -> bool:
    """Return whether a fit to some data runs in NumPy, as one with errors in columns always does."""
    return len(arguments.measured) <= MOST_ROWS or bool(arguments.deviations)


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
            weight: the weights, likewise; with errors in columns, a row's squares are multiplied as those of `measured`
                are, whose errors and shifts keep their proportion.
        """
        if self._arguments.deviations:
            return self._orthogonal(free, weight)
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
        if self._arguments.deviations:
            return np.sum(self._orthogonal(free, None)[0] ** 2, axis=-1)
        with np.errstate(all="ignore"):
            rows = rows_of_loss(self._problem.loss, self.predicted(free), self._arguments)
            return np.sum(rows * rows, axis=-1)

    def hessian(self, free: np.ndarray) -> np.ndarray:
        """Return the Hessian of half the squares at a point, shape (free, free)."""
        if self._arguments.deviations:
            return self._hessian_by_differences(free)
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

    def shifts(self, free: np.ndarray) -> Shifts:
        """Return the best shifts of the columns with errors at a point."""
        return self._shifted(free)[0]

    def _orthogonal(self, free: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return one residual a row, whose square is its part of the squares of both errors, and the Jacobian."""
        data = self._arguments
        if free.ndim > 1 and self._is_foreign:
            each = [self._orthogonal(point, None) for point in free]
            rows, jacobian = np.stack([rows for rows, _ in each]), np.stack([slopes for _, slopes in each])
        else:
            best, slopes = self._shifted(free)
            rows = np.copysign(np.sqrt(best.squares), best.predicted - data.measured)
            deviations = self._deviations(free)
            jacobian = slopes * effective_weight(data.weight, deviations, best.slopes)[..., None]
        if weight is None:
            return rows, jacobian
        factor = weight / data.weight
        return rows * factor, jacobian * factor[..., None]

    def _shifted(self, free: np.ndarray) -> tuple[Shifts, np.ndarray]:
        """Return the best shifts at points, and the slopes by the parameters there, shape (…, rows, free)."""
        data, names = self._arguments, tuple(self._arguments.deviations or ())
        point, deviations = self._point(free), self._deviations(free)
        columns = np.stack([np.broadcast_to(self._data[name], deviations.shape[1:]) for name in names])

        def shaped(value: np.ndarray) -> np.ndarray:
            return self._rows(value, free)

        with np.errstate(all="ignore"):
            rows = data.measured, data.weight, deviations, columns
            best, slopes = settled_slopes(self._movable.value_and_slopes, point, shaped, *rows)
        return best, np.stack(slopes, axis=-1)

    def _deviations(self, free: np.ndarray) -> np.ndarray:
        """Return the deviations of the columns with errors, shape (columns, …, rows)."""
        deviations = np.stack([np.asarray(each, float) for each in (self._arguments.deviations or {}).values()])
        shape = (len(deviations), *free.shape[:-1], deviations.shape[1])
        return np.broadcast_to(deviations.reshape(len(deviations), *(1,) * (free.ndim - 1), -1), shape)

    def _hessian_by_differences(self, free: np.ndarray) -> np.ndarray:
        """Return the Hessian of half the squares from their gradients on both sides of a point."""

        def gradient(at: np.ndarray) -> np.ndarray:
            rows, jacobian = self._orthogonal(at, None)
            return jacobian.T @ rows

        steps = np.diag(_DIFFERENCE * np.where(free == 0, 1.0, np.abs(free)))
        columns = [(gradient(free + step) - gradient(free - step)) / (2 * step.sum()) for step in steps]
        hessian = np.array(columns)
        return (hessian + hessian.T) / 2

    @functools.cached_property
    def _is_foreign(self) -> bool:
        """Whether the model is a Python function, which takes columns of one row of numbers."""
        function = getattr(self._right, "function", None)
        return isinstance(function, ForeignFunction) and function.rule is None

    @functools.cached_property
    def _movable(self) -> NumericFormula:
        """The model as a function of the parameters and of the columns with errors."""
        columns, moved = self._arguments.columns, tuple(self._arguments.deviations or ())
        return movable_model(self._right, self._problem.free, self._data, columns, moved)

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
