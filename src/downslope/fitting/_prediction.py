"""What a fit predicts, with the band that the errors of its parameters make."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import double_precision, jax
from downslope._errors import DataError, SettingError
from downslope.fitting._problem import Given, Problem

if TYPE_CHECKING:
    from downslope.fitting._result import Fit, Prediction

_BANDS = ("confidence", "prediction")


def predicted_with_band(fit: Fit, data: Mapping[str, Any] | None, band: str, confidence: float) -> Prediction:
    """Return predictions and the ends of their band; see `Fit.predict`."""
    from downslope.fitting._result import Prediction

    if band not in _BANDS:
        raise SettingError(f"a band is {' or '.join(_BANDS)}, not {band!r}")
    if not 0 < confidence < 1:
        raise SettingError(f"the confidence lies between 0 and 1, not {confidence}")
    given = fit.given if data is None else _at(fit, data)
    free = np.array([fit[name] for name in fit.free])
    value, slopes = predicted_with_slopes(fit.problem, free, given)
    covariance = np.nan_to_num(fit.covariance, nan=0.0)
    with np.errstate(invalid="ignore"):
        variance = np.einsum("ri,ij,rj->r", slopes, covariance, slopes)
    if band == "prediction":
        variance = variance + fit.uncertainty.residual_variance
    half = fit.half_width(confidence) * np.sqrt(variance)
    return Prediction(value, value - half, value + half)


def predicted_with_slopes(problem: Problem, free: np.ndarray, given: Given) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions, shape (rows,), and their derivatives by the free parameters, shape (rows, free)."""
    with double_precision():
        return jax().device_get(_program(problem)(free, given))


def _at(fit: Fit, data: Mapping[str, Any]) -> Given:
    """Return the data of a prediction."""
    missing = [name for name in fit.given.columns if name not in data]
    if missing:
        raise DataError(f"a prediction needs the column {missing[0]}", hint=f"columns: {', '.join(fit.given.columns)}")
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(data[name], float)) for name in fit.given.columns))
    rows = np.zeros(columns[0].shape if columns else 1)
    return fit.given._replace(
        columns=dict(zip(fit.given.columns, columns, strict=True)), measured=rows, weight=np.ones_like(rows)
    )


@functools.lru_cache(maxsize=64)
def _program(problem: Problem) -> Any:
    """Return the compiled program `(free, given) → (predictions, their derivatives)`."""

    def run(free: Any, given: Given) -> tuple[Any, Any]:
        def rows(at: Any) -> tuple[Any, Any]:
            predicted = problem.predicted(at, given)
            return predicted, predicted

        slopes, value = jax().jacfwd(rows, has_aux=True)(free)
        return value, slopes

    return jax().jit(run)
