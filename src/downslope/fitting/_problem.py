"""The residuals of a fit as a function of the free parameters, for compiled programs.

Each robust loss ρ is written as the square of a transformed residual b(u) with b² = ρ(u²), so that a sum of squares of
the transformed residuals is the loss, and every method for least squares minimises it. With u the residual over its
scale:

    linear     ρ = u²
    huber      ρ = u² up to |u| = 1, 2|u| − 1 beyond
    soft_l1    ρ = 2(√(1 + u²) − 1)
    cauchy     ρ = ln(1 + u²)

Reference: Triggs et al., "Bundle adjustment: a modern synthesis", 2000.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope._engine import jax, structure_of
from downslope._errors import SettingError, nearest
from downslope._numbers import median
from downslope._types import Columns, Point
from downslope.descent import Objective
from downslope.fitting._likelihoods import LIKELIHOODS
from downslope.fitting._model import EquationModel
from downslope.fitting._orthogonal import TRIES_IN_JAX, begin, step
from downslope.formulas import evaluate, jax_functions, numpy_functions, stable, with_limits

_MAD = 1.4826  # standard deviation over median |r| of a normal distribution


def _linear(u: Any, numpy: Any) -> Any:
    return u


def _huber(u: Any, numpy: Any) -> Any:
    size = numpy.abs(u)
    # Both branches of `where` are differentiated: without this guard, √(2|u| − 1) gives NaN slopes for |u| < 1/2.
    beyond = numpy.where(size > 1, size, 1.0)
    return numpy.where(size <= 1, u, numpy.sign(u) * numpy.sqrt(2 * beyond - 1))


def _soft_l1(u: Any, numpy: Any) -> Any:
    # √(2(√(1 + u²) − 1)), rearranged so that nothing cancels near 0 and the sign of u is kept.
    return u * numpy.sqrt(2 / (numpy.sqrt(1 + u * u) + 1))


def _cauchy(u: Any, numpy: Any) -> Any:
    # u·√(ln(1 + u²)/u²) has the sign of u and a slope at 0, which √ln(1 + u²) has not.
    tiny = u * u == 0  # of 0 as of 1e-200, whose square underflows
    square = numpy.where(tiny, 1.0, u * u)
    return numpy.where(tiny, u, u * numpy.sqrt(numpy.log1p(square) / square))


LOSSES: Mapping[str, Callable[[Any, Any], Any]] = {
    "linear": _linear,
    "huber": _huber,
    "soft_l1": _soft_l1,
    "cauchy": _cauchy,
}


def checked_loss(name: str) -> str:
    """Return the identifier of a loss whose name may contain spaces, hyphens or underscores.

    Raises:
        SettingError: for an unknown loss.

    >>> checked_loss("soft-L1")
    'soft_l1'
    """
    identifier, known = str(name).lower().replace("-", "_").replace(" ", "_"), (*LOSSES, *LIKELIHOODS)
    if identifier not in known:
        close = nearest(identifier, known)
        raise SettingError(
            f"there is no loss {name!r}; there are {', '.join(known)}",
            hint=f"did you mean {close}?" if close else None,
        )
    return identifier


def typical_deviation(residuals: np.ndarray) -> float:
    """Estimate the standard deviation of the residuals from the median of their absolute values."""
    return _MAD * float(median(np.abs(residuals)))


def rows_of_loss(loss: str, predicted: Any, arguments: Any, numpy: Any = np) -> Any:
    """Return residuals whose squares add up to a loss or a deviance, by `numpy` or `jax.numpy`.

    Args:
        loss: a name of `LOSSES` or of `LIKELIHOODS`.
        predicted: the predictions, shape (…, rows).
        arguments: the data: `measured`, `weight` and `loss_scale`.
        numpy: `numpy` or `jax.numpy`.
    """
    if loss in LIKELIHOODS:
        return LIKELIHOODS[loss].root(predicted, arguments.measured, numpy) * arguments.weight
    return transformed(loss, (predicted - arguments.measured) * arguments.weight, arguments.loss_scale, numpy)


def scores_of_loss(loss: str, predicted: np.ndarray, arguments: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ψ and ψ′ at each row, the derivatives of half the loss by the weighted prediction; None for squares."""
    if loss in LIKELIHOODS:
        likelihood = LIKELIHOODS[loss]
        slope = likelihood.slope(predicted, arguments.measured)
        return slope * arguments.weight, likelihood.curvature(predicted, arguments.measured)
    return scores(loss, (predicted - arguments.measured) * arguments.weight, arguments.loss_scale)


def bend_of_loss(rows: np.ndarray, known: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the derivative of the rows of a loss by the weighted prediction.

    Args:
        rows: b, with b² the loss.
        known: ψ and ψ′.
    """
    # b² = ρ, so b·b′ = ρ′/2 = ψ; where b is 0, b′² = ψ′.
    flat = rows == 0
    return np.where(flat, np.sqrt(np.maximum(known[1], 0.0)), known[0] / np.where(flat, 1.0, rows))


def scores(loss: str, residuals: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ψ and ψ′ at each residual, the first two derivatives of half the loss; None for least squares.

    Args:
        loss: a name of `LOSSES`.
        residuals: shape (rows,), weighted.
        scale: the residual from which on a robust loss grows more slowly than the square.
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
    """The structure of a fit, the key of its compiled programs.

    It holds no data: fits of one equation to several tables share their programs, and no program keeps a table alive.

    Args:
        right: expression tree of the right side of the equation.
        parameters: names of all parameters, in order.
        free: names of the free parameters.
        ties: parameters computed from others, each with its expression tree.
        loss: a name of `LOSSES`.
    """

    right: Any
    parameters: tuple[str, ...]
    free: tuple[str, ...]
    ties: tuple[tuple[str, Any], ...]
    loss: str

    def everything(self, free: Any, arguments: FitArguments) -> dict[str, Any]:
        """Return all parameters by name.

        Args:
            free: the free parameters, shape (free,).
            arguments: holds the fixed ones.
        """
        values = dict(arguments.fixed) | {name: free[index] for index, name in enumerate(self.free)}
        functions = numpy_functions() if isinstance(free, np.ndarray) else jax_functions()
        return values | {name: evaluate(tree, values, functions) for name, tree in self.ties}

    def predicted(self, free: Any, arguments: FitArguments) -> Any:
        """Return the right side of the equation, shape (rows,)."""
        values = {**arguments.columns, **self.everything(free, arguments)}
        right = stable(with_limits(self.right, frozenset(arguments.columns)))
        return evaluate(right, values, jax_functions()) + 0.0 * arguments.measured

    def residuals(self, free: Any, arguments: FitArguments) -> Any:
        """Return the residuals whose squares are summed, shape (rows,): weighted and transformed by the loss."""
        if arguments.deviations:
            return self._orthogonal(free, arguments)
        return rows_of_loss(self.loss, self.predicted(free, arguments), arguments, jax().numpy)

    def _orthogonal(self, free: Any, arguments: FitArguments) -> Any:
        """Return residuals and shifts in units of their deviations, shape (rows · (1 + columns with errors),)."""
        numpy, lax = jax().numpy, jax().lax
        names = tuple(arguments.deviations or ())
        deviations = numpy.stack([numpy.asarray((arguments.deviations or {})[name]) for name in names])

        def predicted(at: Any, shift: Any) -> Any:
            moved = {name: arguments.columns[name] + shift[index] for index, name in enumerate(names)}
            return self.predicted(at, arguments._replace(columns={**arguments.columns, **moved}))

        def with_slopes(shift: Any) -> tuple[Any, Any]:
            # A row's prediction depends on its own shifts alone, so one tangent of ones has every row's slope.
            at = lax.stop_gradient(free)
            tangents = [numpy.zeros_like(shift).at[index].set(1.0) for index in range(len(names))]
            pushed = [jax().jvp(lambda each: predicted(at, each), (shift,), (tangent,)) for tangent in tangents]
            slopes = numpy.stack([slope for _, slope in pushed])
            return pushed[0][0], numpy.where(numpy.isfinite(slopes), slopes, 0.0)

        data = (arguments.measured, arguments.weight, deviations)
        best = lax.fori_loop(
            0,
            TRIES_IN_JAX,
            lambda _, state: step(numpy, with_slopes, *data, state),
            begin(numpy, with_slopes, *data),
        )
        # At the best shifts the squares do not change with them, so their slopes by the parameters need none of theirs.
        shift = lax.stop_gradient(best.shift)
        residuals = (predicted(free, shift) - arguments.measured) * arguments.weight
        apart = shift / numpy.where(deviations > 0, deviations, 1.0)
        return numpy.concatenate([residuals, apart.ravel()])


def transformed(loss: str, residuals: Any, scale: Any, numpy: Any = np) -> Any:
    """Return residuals whose squares add up to the loss, by `numpy` or `jax.numpy`."""
    return LOSSES[loss](residuals / scale, numpy) * scale


class FitArguments(NamedTuple):
    """The data of a fit, passed to compiled programs as arguments.

    Args:
        columns: the columns of the right side of the equation, each of shape (rows,).
        measured: the left side, shape (rows,).
        weight: the factor on each residual, shape (rows,).
        fixed: the fixed parameters, by name.
        loss_scale: the residual from which on a robust loss grows more slowly than the square.
        deviations: of columns that are measured with errors, each of shape (rows,); None where there are none.
    """

    columns: Columns
    measured: np.ndarray
    weight: np.ndarray
    fixed: Mapping[str, Any]
    loss_scale: Any
    deviations: Columns | None = None

    def rows(self, chosen: np.ndarray) -> FitArguments:
        """Return the data restricted to some rows."""
        return self._replace(
            columns={name: column[chosen] for name, column in self.columns.items()},
            measured=self.measured[chosen],
            weight=self.weight[chosen],
            deviations=self.deviations and {name: column[chosen] for name, column in self.deviations.items()},
        )


_WEIGHT = "1/σ"  # an equation reads it as a quotient, so no column has this name


def _deviation(column: str) -> str:
    """Return what the deviations of a column are called beside the columns."""
    return f"{column}/σ"


def mean_square(model: EquationModel, problem: FitProblem, arguments: FitArguments) -> Objective:
    """Return the mean of the squared residuals, weighted and transformed by the loss, as an objective."""
    measured = model.equation.left.read_as
    function = _MeanSquare(
        problem,
        tuple(arguments.columns),
        measured,
        tuple((name, float(value)) for name, value in arguments.fixed.items()),
        float(arguments.loss_scale),
        tuple(arguments.deviations or ()),
    )
    deviations = {_deviation(name): column for name, column in (arguments.deviations or {}).items()}
    return Objective(
        function=function,
        name="mean square",
        read_as=f"mean square of {model.equation.read_as}",
        names=problem.free,
        data={**arguments.columns, measured: arguments.measured, _WEIGHT: arguments.weight, **deviations},
        units={name: unit for name in problem.free if (unit := model.unit(name))},
        structure=structure_of(function),
    )


@dataclass(frozen=True)
class _MeanSquare:
    """The mean of the squared residuals at a point.

    It holds no table: the columns come as arguments, and caches of programs keep functions.

    Args:
        problem: the structure of the fit.
        columns: the names of the columns of the right side.
        measured: the name of the left side.
        fixed: the fixed parameters.
        loss_scale: as in `FitArguments`.
        uncertain: the columns that are measured with errors.
    """

    problem: FitProblem
    columns: tuple[str, ...]
    measured: str
    fixed: tuple[tuple[str, float], ...]
    loss_scale: float
    uncertain: tuple[str, ...] = ()

    def __call__(self, point: Point, data: Columns) -> Any:
        arguments = FitArguments(
            columns={name: data[name] for name in self.columns},
            measured=data[self.measured],
            weight=data[_WEIGHT],
            fixed=dict(self.fixed),
            loss_scale=self.loss_scale,
            deviations={name: data[_deviation(name)] for name in self.uncertain} or None,
        )
        rows = self.problem.residuals(jax().numpy.stack([point[name] for name in self.problem.free]), arguments)
        return (rows @ rows) / len(arguments.measured)


@functools.lru_cache(maxsize=64)
def compiled_with_slopes(problem: FitProblem) -> Any:
    """Return the compiled program `(free, arguments) → (predictions, their derivatives)`."""

    def run(free: Any, arguments: FitArguments) -> tuple[Any, Any]:
        def rows(at: Any) -> tuple[Any, Any]:
            predicted = problem.predicted(at, arguments)
            return predicted, predicted

        slopes, value = jax().jacfwd(rows, has_aux=True)(free)
        return value, slopes

    return jax().jit(run)


def compiled_hessian(problem: FitProblem) -> Any:
    """Return the compiled program `(free, arguments) → Hessian of half the squares`."""

    def half_squares(at: Any, arguments: FitArguments) -> Any:
        rows = problem.residuals(at, arguments)
        return rows @ rows / 2

    return jax().jit(jax().hessian(half_squares))
