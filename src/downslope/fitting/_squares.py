"""The mean of the squared residuals as an objective of the free parameters, to go down and to be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._types import Columns, Point
from downslope.descent import Objective
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem

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
