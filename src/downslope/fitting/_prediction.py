"""Predictions of a fit, with a band for the curve or for the next measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from downslope._errors import DataError, SettingError, described
from downslope._numbers import reals
from downslope.fitting._likelihoods import LIKELIHOODS
from downslope.fitting._numeric_problem import predicted_with_slopes
from downslope.fitting._problem import FitArguments
from downslope.tables import Table, calendar_parts, heading, read_table

if TYPE_CHECKING:
    from downslope.fitting._fitted_equation import FittedEquation
    from downslope.fitting._grouped_fit import GroupedFit
    from downslope.fitting._result import Fit

_BANDS = ("confidence", "prediction")
_CURVE_MARGIN = 0.03  # of the data's range, beyond which a curve does not go


class Prediction(NamedTuple):
    """The predictions of a fit, with a band.

    Args:
        value: shape (rows,).
        low, high: the ends of the band at each row, shape (rows,).
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def predicted_with_band(fit: Fit, data: Any, band: str, confidence: float, sigma: Any) -> Prediction:
    """Return predictions with a band; see `Fit.predict`."""
    if band not in _BANDS:
        raise SettingError(f"a band is {' or '.join(_BANDS)}, not {described(band)}")
    if not 0 < confidence < 1:
        raise SettingError(f"the confidence lies between 0 and 1, not {confidence}")
    arguments = fit.arguments if data is None else _at(fit, data)
    free = np.array([fit[name] for name in fit.free])
    value, slopes = predicted_with_slopes(fit.problem, free, arguments)
    held = np.array([fit.parameters[name].role == "at bound" for name in fit.free])
    with np.errstate(all="ignore"):
        variance = fit.uncertainty.variance(np.where(held, 0.0, slopes))
        if band == "prediction":
            of_one = fit.uncertainty.measurement_variance
            if fit.loss in LIKELIHOODS:
                of_one = LIKELIHOODS[fit.loss].variance(value)
            variance = variance + of_one / _weights(fit, data, sigma, len(value)) ** 2
        half = fit.uncertainty.half_width(confidence) * np.sqrt(variance)
    return Prediction(value, value - half, value + half)


def _weights(fit: Fit, data: Any, sigma: Any, rows: int) -> np.ndarray:
    """Return the weight of each predicted measurement, shape (rows,)."""
    if sigma is not None:
        numbers = reals("sigma", sigma)
        try:
            deviations = np.broadcast_to(numbers, (rows,))
        except ValueError:
            raise DataError(f"sigma is a number, or a number for each of the {rows} rows") from None
        if not np.all(deviations > 0):
            raise DataError("sigma must be above zero")
        return 1 / deviations
    if data is None:
        return fit.arguments.weight
    if np.ptp(fit.arguments.weight) > 0:
        raise SettingError(
            "the rows of the fit have different weights, so that of a new measurement is unknown", hint="give sigma"
        )
    return np.full(rows, fit.arguments.weight[0])


def _table_at(fit: Fit, data: Any) -> Mapping[str, Any]:
    """Return a table to predict from, its columns under the names of the fit, and its dates counted as there."""
    names = fit.arguments.columns
    table = dict(data) if isinstance(data, Mapping) and not isinstance(data, Table) else read_table(data)
    for name, clock in fit.model.clocks.items():
        if name in table:
            # A single date is a column of one row; numbers are elapsed time already.
            dated = table if isinstance(table, Table) else read_table({name: np.atleast_1d(table[name])})
            if dated.kinds[name] == "date":
                counted = dated.counted_in({name: clock})
                table = counted if isinstance(table, Table) else {**table, name: counted[name]}
    for part, column in filter(None, map(calendar_parts, names)):
        if not isinstance(table, Table) and column in table:
            name = f"{part}({column})"
            table[name] = read_table({column: np.atleast_1d(table[column])})[name]
    plain = {name: heading(name).plain for name in names if name not in table}
    renamed = {name: table[part] for name, part in plain.items() if part in table}
    return {name: table[name] for name in names if name in table} | renamed


def _at(fit: Fit, data: Any) -> FitArguments:
    """Return the data to predict from, checked."""
    names = tuple(fit.arguments.columns)
    grouping = fit.model.grouping
    # A curve comes with the columns of the indicators; a table has those that tell groups apart.
    is_curve = grouping is not None and isinstance(data, Mapping) and all(name in data for name in grouping.indicators)
    table = _table_at(fit, data if grouping is None or is_curve else grouping.completed(read_table(data)))
    missing = [name for name in names if name not in table]
    if missing:
        raise DataError(f"a prediction needs the column {missing[0]}", hint=f"columns: {', '.join(names)}")
    columns = []
    for name in names:
        columns.append(np.atleast_1d(reals(name, table[name])))
    try:
        columns = np.broadcast_arrays(*columns)
    except ValueError:
        sizes = ", ".join(f"{name} has {len(column)}" for name, column in zip(names, columns, strict=True))
        raise DataError(f"the columns of a prediction must have equal lengths, but {sizes}") from None
    rows = np.zeros(columns[0].shape if columns else 1)
    return fit.arguments._replace(
        columns=dict(zip(names, columns, strict=True)), measured=rows, weight=np.ones_like(rows)
    )


def columns_along(fit: Fit | GroupedFit, column: str, count: int, points: Any, group: str | None) -> dict[str, Any]:
    """Return columns at which the model is drawn as a curve; see `Fit.columns_along`."""
    data = fit.data
    if fit.group_labels:
        inside = fit.group_rows == (0 if group is None else fit.group_labels.index(group))
        data = {name: values[inside] for name, values in data.items()}
    if points is None:
        low, high = float(data[column].min()), float(data[column].max())
        margin = _CURVE_MARGIN * (high - low or abs(high) or 1.0)
        begin = low if low >= 0 > low - margin else low - margin  # a logarithm or a root would end at 0
        points = np.linspace(begin, high + margin, count)
    # Those of a group's indicators are 1 and 0.
    medians = {name: float(np.median(values)) for name, values in data.items() if name != column}
    return {**medians, column: points}


def bands(fit: FittedEquation, columns: Mapping[str, Any]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return the bands at columns; see `Fit.bands`."""
    kinds = {"prediction": "next measurement", "confidence": "curve"}
    if np.ptp(fit.arguments.weight) != 0:
        del kinds["prediction"]  # the next measurement has no deviation of its own
    percent = f"{fit.confidence * 100:.4g} %"
    with np.errstate(all="ignore"):
        ends = {label: fit.predict(columns, band=kind) for kind, label in kinds.items()}
    return [
        (f"{label}, {percent}", band.low, band.high) for label, band in ends.items() if np.all(np.isfinite(band.low))
    ]
