"""The rows of a fit: those without missing cells, their weights, and the measured side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import DataError, nearest
from downslope._types import Columns
from downslope.fitting._model import EquationModel
from downslope.tables import check_numbers


@dataclass(frozen=True, eq=False)
class CompleteRows:
    """The rows that a fit uses.

    Args:
        columns: the columns that occur in the equation, complete rows only.
        measured: the left side, shape (rows,).
        weight: what each residual is multiplied by, shape (rows,).
        left_out: numbers of the rows with missing cells, from 1.
    """

    columns: Columns
    measured: np.ndarray
    weight: np.ndarray
    left_out: tuple[int, ...]


def rows_of(model: EquationModel, table: Columns, sigma: Any, weights: Any) -> CompleteRows:
    """Return the rows of a fit.

    Args:
        model: the equation.
        table: every column of the table.
        sigma: the standard deviation of each measurement: a column's name, numbers or one number; None for equal ones.
        weights: what each squared residual is multiplied by, likewise.

    Raises:
        DataError: for text where a number is needed, for infinite numbers, a left side that is not finite, weights
            that are not above zero, or no row that is complete.
    """
    if sigma is not None and weights is not None:
        raise DataError("sigma and weights are two ways to say one thing; give one of them")
    used = {name: table[name] for name in model.columns}
    count = len(next(iter(used.values())))
    weight = np.ones(count)
    if sigma is not None:
        weight = 1 / _positive("sigma", sigma, table, count)
    elif weights is not None:
        weight = np.sqrt(_positive("weights", weights, table, count))
    missing = np.zeros(count, dtype=bool)
    for name, column in used.items():
        if column.dtype == object:
            check_numbers(used, [name])
        missing |= np.isnan(column)
    complete = ~missing & ~np.isnan(weight)
    if not complete.any():
        raise DataError("no row is complete: every one has a missing cell")
    numbers = np.flatnonzero(complete) + 1
    _check_finite(used, numbers)
    columns = check_numbers({name: column[complete] for name, column in used.items()}, model.columns)
    measured = model.measured(columns)
    bad = np.flatnonzero(~np.isfinite(measured))
    if len(bad):
        raise DataError(
            f"row {numbers[bad[0]]}: {model.equation.left.read_as} is not a finite number "
            f"({len(bad)} such row{'s' if len(bad) > 1 else ''})",
            hint="leave these rows out, or fit another left side",
        )
    return CompleteRows(columns, measured, weight[complete], tuple(int(row) + 1 for row in np.flatnonzero(~complete)))


def _check_finite(used: Columns, numbers: np.ndarray) -> None:
    """Raise for an infinite cell of the rows with these numbers, from 1."""
    for name, column in used.items():
        bad = numbers[np.isinf(np.asarray(column, float)[numbers - 1])]
        if len(bad):
            raise DataError(f"row {bad[0]}, column {name}: the number is infinite", hint="leave the row out")


def _positive(what: str, arguments: Any, table: Columns, count: int) -> np.ndarray:
    """Return numbers above zero, one a row; NaN where they are missing."""
    if isinstance(arguments, str):
        if arguments not in table:
            close = nearest(arguments, table)
            raise DataError(
                f"{what}: there is no column {arguments!r}; the table has {', '.join(table)}",
                hint=f"did you mean {close}?" if close else None,
            )
        arguments = table[arguments]
    try:
        numbers = np.asarray(arguments, dtype=float)
        numbers = np.broadcast_to(numbers, (count,)) if numbers.ndim == 0 else numbers
    except (TypeError, ValueError):
        raise DataError(f"{what} must be numbers") from None
    if numbers.shape != (count,):
        raise DataError(f"{what} has {len(numbers)} numbers, but the table has {count} rows")
    bad = np.flatnonzero(~(numbers > 0) & ~np.isnan(numbers) | np.isinf(numbers))
    if len(bad):
        raise DataError(f"row {bad[0] + 1}: {what} must be above zero and finite, not {numbers[bad[0]]:g}")
    return numbers
