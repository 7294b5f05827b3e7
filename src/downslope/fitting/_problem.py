"""The residuals of a fit as a function of the free parameters, in the form that compiled programs take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope._engine import double_precision, jax
from downslope._errors import SettingError, nearest
from downslope._types import Columns, Point
from downslope.descent import Objective
from downslope.fitting._model import EquationModel
from downslope.formulas import evaluate, jax_functions

# How residuals count: plainly squared, or less so the larger they are.


_MAD = 1.4826  # median |r| of a normal distribution times this is its standard deviation


def _linear(u: Any, numpy: Any) -> Any:
    return u


def _huber(u: Any, numpy: Any) -> Any:
    size = numpy.abs(u)
    beyond = numpy.where(size > 1, size, 1.0)  # inside, the root has a slope that is not used
    return numpy.where(size <= 1, u, numpy.sign(u) * numpy.sqrt(2 * beyond - 1))


def _soft_l1(u: Any, numpy: Any) -> Any:
    return u * numpy.sqrt(2 / (numpy.sqrt(1 + u * u) + 1))


def _cauchy(u: Any, numpy: Any) -> Any:
    square = numpy.where(u == 0, 1.0, u * u)
    return numpy.where(u == 0, u, u * numpy.sqrt(numpy.log1p(square) / square))


LOSSES: Mapping[str, Callable[[Any, Any], Any]] = {
    "linear": _linear,
    "huber": _huber,
    "soft_l1": _soft_l1,
    "cauchy": _cauchy,
}


def checked_loss(name: str) -> str:
    """Return the identifier of a loss, spelt with spaces, hyphens or underscores.

    Raises:
        SettingError: if there is none of this name.

    >>> checked_loss("soft-L1")
    'soft_l1'
    """
    found = str(name).lower().replace("-", "_").replace(" ", "_")
    if found not in LOSSES:
        close = nearest(found, LOSSES)
        raise SettingError(
            f"there is no loss {name!r}; there are {', '.join(LOSSES)}",
            hint=f"did you mean {close}?" if close else None,
        )
    return found


def typical_deviation(residuals: np.ndarray) -> float:
    """Return the standard deviation of most residuals, from the median of their sizes."""
    return _MAD * float(np.median(np.abs(residuals)))


def scores(loss: str, residuals: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ψ and ψ′ at each residual, the slopes of half the loss; None for least squares.

    Args:
        loss: a name of `LOSSES`.
        residuals: shape (rows,), weighted.
        scale: the residual from which on a robust loss counts less.
    """
    if loss == "linear":
        return None
    u = residuals / scale
    size = np.abs(u)
    if loss == "huber":
        return scale * np.clip(u, -1, 1), np.where(size <= 1, 1.0, 0.0)
    if loss == "soft_l1":
        root = np.sqrt(1 + u * u)
        return scale * u / root, root**-3
    return scale * u / (1 + u * u), (1 - u * u) / (1 + u * u) ** 2


@dataclass(frozen=True)
class FitProblem:
    """What a compiled program is made for; two fits of one equation share it.

    Args:
        right: the tree of the model's side.
        parameters: every parameter, in order.
        free: those to find.
        ties: those that follow from others, each with its tree.
        loss: how residuals count: a name of `LOSSES`.
    """

    right: Any
    parameters: tuple[str, ...]
    free: tuple[str, ...]
    ties: tuple[tuple[str, Any], ...]
    loss: str

    def everything(self, free: Any, arguments: FitArguments) -> dict[str, Any]:
        """Return every parameter by name.

        Args:
            free: shape (free,).
            arguments: the fixed ones.
        """
        found = dict(arguments.fixed) | {name: free[place] for place, name in enumerate(self.free)}
        return found | {name: evaluate(tree, found, jax_functions()) for name, tree in self.ties}

    def predicted(self, free: Any, arguments: FitArguments) -> Any:
        """Return the model's side, shape (rows,)."""
        values = {**arguments.columns, **self.everything(free, arguments)}
        return evaluate(self.right, values, jax_functions()) + 0.0 * arguments.measured

    def residuals(self, free: Any, arguments: FitArguments) -> Any:
        """Return what is squared and added up, shape (rows,): weighted, and bent by the loss."""
        plain = (self.predicted(free, arguments) - arguments.measured) * arguments.weight
        return LOSSES[self.loss](plain / arguments.loss_scale, jax().numpy) * arguments.loss_scale


class FitArguments(NamedTuple):
    """The data of a problem, handed to compiled programs as arguments.

    Args:
        columns: the columns of the model's side, each of shape (rows,).
        measured: the measured side, shape (rows,).
        weight: what each residual is multiplied by, shape (rows,).
        fixed: the parameters that are held, by name.
        loss_scale: the residual from which on a robust loss counts less.
    """

    columns: Columns
    measured: np.ndarray
    weight: np.ndarray
    fixed: Mapping[str, Any]
    loss_scale: Any

    def rows(self, chosen: np.ndarray) -> FitArguments:
        """Return the same with some of the rows."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return self._replace(columns=columns, measured=self.measured[chosen], weight=self.weight[chosen])


# The mean of the squared residuals as an objective of the free parameters, to go down and to be drawn.


_WEIGHT = "1/σ"  # reads as a quotient, so no column of an equation is called so


def mean_square(model: EquationModel, problem: FitProblem, arguments: FitArguments) -> Objective:
    """Return the mean of the squared residuals, weighted and bent by the loss, as an objective."""
    measured = model.equation.left.read_as

    def value(point: Point, data: Columns) -> Any:
        here = arguments._replace(
            columns={name: data[name] for name in arguments.columns}, measured=data[measured], weight=data[_WEIGHT]
        )
        rows = problem.residuals(jax().numpy.stack([point[name] for name in problem.free]), here)
        return (rows @ rows) / len(arguments.measured)

    return Objective(
        function=value,
        name="mean square",
        read_as=f"mean square of {model.equation.read_as}",
        names=problem.free,
        data={**arguments.columns, measured: arguments.measured, _WEIGHT: arguments.weight},
        units={name: unit for name in problem.free if (unit := model.unit(name))},
    )


def highest_curvature(problem: FitProblem, arguments: FitArguments, free: np.ndarray) -> float:
    """Return the highest eigenvalue of the Hessian of the mean square at a point."""

    def value(at: Any) -> Any:
        rows = problem.residuals(at, arguments)
        return rows @ rows

    with jax().enable_x64(True):
        hessian = np.asarray(jax().jit(jax().hessian(value))(free)) / len(arguments.measured)
    return float(np.linalg.eigvalsh(hessian)[-1]) if np.all(np.isfinite(hessian)) else np.nan


def predicted_with_slopes(
    problem: FitProblem, free: np.ndarray, arguments: FitArguments
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions, shape (rows,), and their derivatives by the free parameters, shape (rows, free)."""
    with double_precision():
        return jax().device_get(_program(problem)(free, arguments))


@functools.lru_cache(maxsize=64)
def _program(problem: FitProblem) -> Any:
    """Return the compiled program `(free, arguments) → (predictions, their derivatives)`."""

    def run(free: Any, arguments: FitArguments) -> tuple[Any, Any]:
        def rows(at: Any) -> tuple[Any, Any]:
            predicted = problem.predicted(at, arguments)
            return predicted, predicted

        slopes, value = jax().jacfwd(rows, has_aux=True)(free)
        return value, slopes

    return jax().jit(run)
