"""The rows that a fit uses: those chosen, complete and of a weight above 0, with their weights."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope._errors import DataError, FormulaError, SettingError, described, nearest
from downslope._numbers import reals
from downslope._text import listed
from downslope._types import Columns
from downslope.fitting._model import EquationModel
from downslope.fitting._orthogonal import by_column
from downslope.formulas import formula
from downslope.tables import Table, check_numbers, refuse_text

_RANGE = re.compile(r"(?P<first>\d*)\s*(?P<colon>:?)\s*(?P<last>\d*)(?<=[\d:])")
_LISTED = 12  # numbers of rows in a sentence
_ASIDE = 1000  # rows that take no part whose cells are kept


@dataclass(frozen=True, eq=False)
class CompleteRows:
    """The rows of a table without missing cells, with their weights.

    Args:
        columns: the columns of the equation.
        measured: the left side of the equation, shape (rows,).
        weight: the factor on each residual, shape (rows,).
        numbers: the numbers of these rows in the table, counted from 1, shape (rows,).
        left_out: numbers of the omitted rows, counted from 1.
        notes: why rows were left out, as sentences.
        aside: the columns of the equation in the rows that take no part, NaN where a cell is missing, for pictures;
            of the first rows where there are many.
        deviations: of columns that are measured with errors, each of shape (rows,); None where there are none.
        aside_numbers: the numbers of the rows of `aside`.
        aside_groups: the number of the group of each of these rows, −1 for none; empty without groups.
    """

    columns: Columns
    measured: np.ndarray
    weight: np.ndarray
    numbers: np.ndarray
    left_out: tuple[int, ...]
    notes: tuple[str, ...]
    aside: Columns = field(default_factory=dict)
    deviations: Columns | None = None
    aside_numbers: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    aside_groups: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))


def rows_of(
    model: EquationModel,
    table: Table,
    sigma: Any,
    weights: Any,
    rows: Any = None,
    where: str | None = None,
    sigma_x: Any = None,
) -> CompleteRows:
    """Return the complete rows of a table, checked, with weights.

    Args:
        model: the equation.
        table: every column of the table.
        sigma: the standard deviation of each measurement: a column's name, an array or a number; None for equal ones.
        weights: the factor on each squared residual, likewise; 0 leaves a row out.
        rows: the rows that take part, counted from 1: "10:200"; None for all.
        where: a condition on columns that they must meet: "x < 5"; None for none.
        sigma_x: the standard deviations of columns of the right side; None for columns without errors.

    Raises:
        DataError: for non-numeric or infinite cells, a left side that is not finite, weights that are not positive, or
            if every row has a missing cell.
    """
    if sigma is not None and weights is not None:
        raise DataError("sigma and weights are alternatives; give only one of them")
    used = {name: table[name] for name in model.columns}
    count = len(next(iter(used.values())))
    weight, notes = np.ones(count), list[str]()
    if sigma is not None:
        weight = 1 / _deviations(sigma, table, count)
    elif weights is not None:
        weight = np.sqrt(_weights(weights, table, count))
    chosen = chosen_rows(rows, where, table, count)
    masked = chosen & (weight == 0)
    if masked.any():
        notes.append(f"{_rows_in_words(np.flatnonzero(masked) + 1)} left out: the weight is 0")
    if not chosen.all():
        notes.append(f"{int(chosen.sum())} of {count} rows were chosen")
    missing = np.zeros(count, dtype=bool)
    for name, column in used.items():
        if column.dtype == object:
            check_numbers(table, [name])
        missing |= np.isnan(column)
    missing |= np.isnan(weight)
    right, left = model.equation.right.columns, model.equation.left.columns
    spread = {} if sigma_x is None else by_column(sigma_x, right, left, table)
    deviations = {name: _deviations(values, table, count, of=name) for name, values in spread.items()}
    for column in deviations.values():
        missing |= np.isnan(column)
    complete = chosen & ~masked & ~missing
    if not complete.any():
        raise DataError(_no_row(chosen, masked))
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
    left_out = tuple(int(row) + 1 for row in np.flatnonzero(chosen & ~masked & missing))
    others = np.flatnonzero(~complete)[:_ASIDE]
    aside = {name: column[others].astype(float) for name, column in used.items() if column.dtype != object}
    deviations = {name: column[complete] for name, column in deviations.items()} or None
    if deviations:
        verb = "is" if len(deviations) == 1 else "are"
        notes.append(f"{listed(list(deviations))} {verb} measured with errors too, so distances are orthogonal")
    return CompleteRows(
        columns, measured, weight[complete], numbers, left_out, tuple(notes), aside, deviations, others + 1
    )


def _no_row(chosen: np.ndarray, masked: np.ndarray) -> str:
    """Return why no row is left."""
    if not chosen.any():
        return "no row of the table was chosen"
    if np.all(masked[chosen]):
        return "every row has a weight of 0, so none can be used"
    return "every row has a missing cell, so none can be used"


def _rows_in_words(numbers: np.ndarray) -> str:
    """Return numbers of rows in words: "row 3", "rows 3, 5 and 8", "rows 3, 5, … (40 rows)"."""
    texts = [str(number) for number in numbers]
    if len(texts) == 1:
        return f"row {texts[0]} is"
    if len(texts) > _LISTED:
        return f"rows {', '.join(texts[:_LISTED])}, … ({len(texts)} rows) are"
    return f"rows {listed(texts)} are"


def chosen_rows(rows: Any, where: str | None, table: Columns, count: int) -> np.ndarray:
    """Return which rows of a table take part, shape (count,).

    Args:
        rows: "10:200", both included and counted from 1, ends may be open, several with commas; or row numbers.
        where: a condition on columns: "x < 5 and group = 2".
        table: the columns.
        count: the number of rows.

    Raises:
        SettingError: for rows that cannot be read.
        FormulaError: for a condition that cannot be read.
    """
    chosen = np.ones(count, bool) if rows is None else _numbered(rows, count)
    return chosen if where is None else chosen & _meeting(where, table, count)


def _numbered(rows: Any, count: int) -> np.ndarray:
    """Return the rows of a range or of numbers, shape (count,)."""
    hint = 'rows="10:200", rows=":50,80:" or rows=[1, 2, 5], counted from 1'
    if isinstance(rows, slice):
        hint = 'rows="10:200" counts from 1 and includes both ends'
    chosen = np.zeros(count, bool)
    parts = rows.split(",") if isinstance(rows, str) else rows
    if not isinstance(parts, Iterable):
        raise SettingError(f"rows are a range or row numbers, not {described(rows)}", hint=hint)
    for part in parts:
        match = _RANGE.fullmatch(str(part).strip())
        if match is None:
            raise SettingError(f"rows has {str(part).strip()!r}, which is neither a row number nor a range", hint=hint)
        first, colon, last = match.group("first"), match.group("colon"), match.group("last")
        low = int(first) if first else 1
        high = int(last) if last else count if colon else low
        if not 1 <= low <= high:
            raise SettingError(f"rows has the range {str(part).strip()}, which holds no row", hint=hint)
        if low > count or (last and high > count):
            raise SettingError(f"rows has {max(low, high)}, but the table has {count} rows")
        chosen[low - 1 : high] = True
    return chosen


def _meeting(where: str, table: Columns, count: int) -> np.ndarray:
    """Return the rows that meet a condition, shape (count,); a missing cell meets none."""
    if not isinstance(where, str):
        raise SettingError(f"where is a condition as text, not {described(where)}", hint='where="x < 5"')
    try:
        read = formula(f"where({where}, 1, 0)", columns=table)
    except FormulaError as error:
        raise FormulaError(f"the condition {where!r} cannot be read: {error.message}", hint=error.hint) from None
    if read.variables:
        close = nearest(read.variables[0], table)
        raise DataError(
            f"where: there is no column {read.variables[0]!r}; the table has {', '.join(table)}",
            hint=f"did you mean {close}?" if close else None,
        )
    columns = {name: table[name] for name in read.columns}
    for name, column in columns.items():
        if column.dtype == object:
            check_numbers(columns, [name])
    met = np.broadcast_to(np.asarray(read(**columns), float), (count,)) == 1
    for column in columns.values():
        met = met & ~np.isnan(column)
    return met


def _check_finite(used: Columns, numbers: np.ndarray) -> None:
    """Raise if a column is infinite in one of these rows, counted from 1."""
    for name, column in used.items():
        bad = numbers[np.isinf(np.asarray(column, float)[numbers - 1])]
        if len(bad):
            raise DataError(f"row {bad[0]}, column {name}: the number is infinite", hint="leave the row out")


def _deviations(values: Any, table: Columns, count: int, of: str | None = None) -> np.ndarray:
    """Return deviations, shape (count,); NaN where they are missing.

    Args:
        values: a column's name, numbers or a number.
        table: the table.
        count: its number of rows.
        of: the column of the right side that they are of, where 0 is a cell without error; None for the left side.
    """
    what = "sigma" if of is None else f"sigma_x of {of}"
    numbers = _numbers(what, values, table, count)
    right = numbers > 0 if of is None else numbers >= 0
    bad = np.flatnonzero(~right & ~np.isnan(numbers) | np.isinf(numbers))
    if len(bad) and of is not None:
        raise DataError(f"row {bad[0] + 1}: {what} must be 0 or more and finite, not {numbers[bad[0]]:g}")
    if len(bad):
        zero = numbers[bad[0]] == 0
        raise DataError(
            f"row {bad[0] + 1}: sigma must be above zero and finite, not {numbers[bad[0]]:g}",
            hint="weights instead of sigma leave a row out where they are 0" if zero else None,
        )
    return numbers


def _weights(values: Any, table: Columns, count: int) -> np.ndarray:
    """Return weights of at least 0, shape (count,); NaN where they are missing."""
    numbers = _numbers("weights", values, table, count)
    bad = np.flatnonzero(~(numbers >= 0) & ~np.isnan(numbers) | np.isinf(numbers))
    if len(bad):
        raise DataError(f"row {bad[0] + 1}: weights must be at least zero and finite, not {numbers[bad[0]]:g}")
    return numbers


def _computed(text: str, table: Columns, count: int) -> np.ndarray | None:
    """Return a formula of columns at each row, such as sqrt(counts) or 1/s²; None if it is none."""
    try:
        read = formula(text, columns=table)
    except FormulaError:
        return None
    if read.variables or not read.columns:
        return None
    columns = {name: table[name] for name in read.columns}
    for name, column in columns.items():
        if column.dtype == object:
            check_numbers(columns, [name])
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(read(**columns), float), (count,))


def _numbers(what: str, values: Any, table: Columns, count: int) -> np.ndarray:
    """Return numbers of each row, shape (count,), NaN for missing ones: a column, a formula of columns, numbers."""
    if isinstance(values, str):
        if values not in table:
            computed = _computed(values, table, count)
            if computed is not None:
                return computed
            close = nearest(values, table)
            raise DataError(
                f"{what}: there is no column {values!r}; the table has {', '.join(table)}",
                hint=f"did you mean {close}?" if close else None,
            )
        name, values = values, table[values]
        if values.dtype == object:
            refuse_text(name, values, table)
    numbers = reals(what, values)
    numbers = np.broadcast_to(numbers, (count,)) if numbers.ndim == 0 else numbers
    if numbers.shape != (count,):
        raise DataError(f"{what} has {len(numbers)} numbers, but the table has {count} rows")
    return numbers
