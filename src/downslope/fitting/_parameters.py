"""The parameters of a fit with their errors and intervals, free or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._engine import double_precision, jax
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._result import Parameter
from downslope.fitting._uncertainty import Uncertainty


def parameters_of(
    model: EquationModel,
    problem: FitProblem,
    arguments: FitArguments,
    free: np.ndarray,
    held: np.ndarray,
    sure: Uncertainty,
    confidence: float,
) -> dict[str, Parameter]:
    """Return every parameter by name, in order of appearance.

    The error of a tied parameter t(p) is √(∇tᵀ C ∇t), with C the covariance of the free ones.

    Args:
        model: the equation.
        problem: what was fitted.
        arguments: its data.
        free: the free parameters, shape (free,).
        held: whether each rests on a bound, shape (free,).
        sure: how sure they are.
        confidence: of the intervals, between 0 and 1.
    """
    width = sure.half_width(confidence)
    roles = dict.fromkeys(arguments.fixed, "fixed") | dict.fromkeys((name for name, _ in problem.ties), "tied")
    roles |= {name: "at bound" for name, rests in zip(problem.free, held, strict=True) if rests}
    values, errors = _values(problem, arguments, free), dict(zip(problem.free, sure.standard_errors, strict=True))
    errors |= dict.fromkeys(arguments.fixed, 0.0) | _tied_errors(problem, arguments, free, held, sure)
    found = {}
    for name in model.parameters:
        half = errors[name] * width if errors[name] else 0.0
        found[name] = Parameter(
            name=name,
            value=values[name],
            standard_error=float(errors[name]),
            low=float(values[name] - half),
            high=float(values[name] + half),
            unit=model.unit(name),
            role=roles.get(name, "free"),
        )
    return found


def _values(problem: FitProblem, arguments: FitArguments, free: np.ndarray) -> Mapping[str, float]:
    """Return every parameter by name."""
    with double_precision():
        return {name: float(value) for name, value in problem.everything(free, arguments).items()}


def _tied_errors(
    problem: FitProblem, arguments: FitArguments, free: np.ndarray, held: np.ndarray, sure: Uncertainty
) -> dict[str, float]:
    """Return the standard errors of the tied parameters."""
    if not problem.ties:
        return {}

    def tied(at: Any) -> dict[str, Any]:
        values = problem.everything(at, arguments)
        return {name: values[name] for name, _ in problem.ties}

    with double_precision():
        slopes = jax().device_get(jax().jacfwd(tied)(free))
    errors = {}
    for name, slope in slopes.items():
        rests = bool(np.any(held & (slope != 0)))  # on what has no error of its own
        errors[name] = np.nan if rests else float(np.sqrt(sure.variance(slope[None])[0]))
    return errors
