"""What a fit predicts, with the band that the errors of its parameters make."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import double_precision, jax
from downslope._errors import DataError, SettingError
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.tables import read_table

if TYPE_CHECKING:
    from downslope.fitting._result import Fit, Prediction

_BANDS = ("confidence", "prediction")


def predicted_with_band(fit: Fit, data: Any, band: str, confidence: float, sigma: Any) -> Prediction:
    """Return predictions and the ends of their band; see `Fit.predict`."""
    from downslope.fitting._result import Prediction

    if band not in _BANDS:
        raise SettingError(f"a band is {' or '.join(_BANDS)}, not {band!r}")
    if not 0 < confidence < 1:
        raise SettingError(f"the confidence lies between 0 and 1, not {confidence}")
    arguments = fit.arguments if data is None else _at(fit, data)
    free = np.array([fit[name] for name in fit.free])
    value, slopes = predicted_with_slopes(fit.problem, free, arguments)
    held = np.array([fit.parameters[name].role == "at bound" for name in fit.free])
    with np.errstate(all="ignore"):
        variance = fit.uncertainty.variance(np.where(held, 0.0, slopes))
        if band == "prediction":
            variance = variance + fit.uncertainty.measurement_variance / _weights(fit, data, sigma, len(value)) ** 2
        half = fit.uncertainty.half_width(confidence) * np.sqrt(variance)
    return Prediction(value, value - half, value + half)


def _weights(fit: Fit, data: Any, sigma: Any, rows: int) -> np.ndarray:
    """Return the weight of each measurement that is predicted, shape (rows,)."""
    if sigma is not None:
        try:
            deviations = np.broadcast_to(np.asarray(sigma, float), (rows,))
        except (TypeError, ValueError):
            raise DataError(f"sigma is a number, or one for each of the {rows} rows") from None
        if not np.all(deviations > 0):
            raise DataError("sigma must be above zero")
        return 1 / deviations
    if data is None:
        return fit.arguments.weight
    if np.ptp(fit.arguments.weight) > 0:
        raise SettingError(
            "how exact will the next measurements be? The rows of the fit differ in that", hint="give sigma"
        )
    return np.full(rows, fit.arguments.weight[0])


def predicted_with_slopes(problem: FitProblem, free: np.ndarray, arguments: FitArguments) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions, shape (rows,), and their derivatives by the free parameters, shape (rows, free)."""
    with double_precision():
        return jax().device_get(_program(problem)(free, arguments))


def _at(fit: Fit, data: Any) -> FitArguments:
    """Return the data of a prediction."""
    names = tuple(fit.arguments.columns)
    table = data if isinstance(data, Mapping) else read_table(data)
    missing = [name for name in names if name not in table]
    if missing:
        raise DataError(f"a prediction needs the column {missing[0]}", hint=f"columns: {', '.join(names)}")
    columns = []
    for name in names:
        try:
            columns.append(np.atleast_1d(np.asarray(table[name], float)))
        except (TypeError, ValueError):
            raise DataError(f"column {name}: numbers are needed to predict from") from None
    try:
        columns = np.broadcast_arrays(*columns)
    except ValueError:
        sizes = ", ".join(f"{name} has {len(column)}" for name, column in zip(names, columns, strict=True))
        raise DataError(f"columns of a prediction are of one length, but {sizes}") from None
    rows = np.zeros(columns[0].shape if columns else 1)
    return fit.arguments._replace(columns=dict(zip(names, columns, strict=True)), measured=rows, weight=np.ones_like(rows))


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
