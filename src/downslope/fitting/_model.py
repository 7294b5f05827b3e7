"""The model of a fit: an equation over a table, as functions of the parameters."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import DataError, FormulaError, nearest
from downslope._types import Columns
from downslope.formulas import (
    Equation,
    checked_units,
    dimensions,
    equation,
    evaluate,
    jax_functions,
    unit_of_powers,
)
from downslope.tables import check_numbers

_LONG = 4  # letters from which on an unknown name that is like a column's is taken for a slip


@dataclass(frozen=True, eq=False)
class EquationModel:
    """An equation, read over a table.

    Args:
        equation: its two sides.
        columns: the columns that occur, in the table's order.
        parameters: the names to find, in order of appearance.
        units: units of columns, by name.
        notes: sentences on how it was read.
    """

    equation: Equation
    columns: tuple[str, ...]
    parameters: tuple[str, ...]
    units: Mapping[str, str]
    notes: tuple[str, ...]

    @functools.cached_property
    def dimensions(self) -> dict[str, dict[str, float] | None]:
        """The exponent of each column in the dimension of each parameter; None where nothing fixes it."""
        left, right = self.equation.left.body, self.equation.right.body
        found = dimensions(left, right, self.columns, self.parameters)
        return {
            name: None if powers is None else {column: float(power) for column, power in powers.items()}
            for name, powers in found.items()
        }

    def unit(self, parameter: str) -> str | None:
        """Return the unit of a parameter, None for a plain number or where it is not known."""
        powers = self.dimensions[parameter]
        if not powers:
            return None
        # Half-given units would mix units with names of columns.
        units = self.units if all(column in self.units for column in powers) else {}
        if self.units and not units:
            return None
        unit = unit_of_powers(powers, units)
        return None if unit == "1" else unit

    def measured(self, columns: Columns) -> np.ndarray:
        """Return the left side, one number a row."""
        return _rows(self.equation.left(**{name: columns[name] for name in self.equation.left.columns}), columns)

    def predicted(self, parameters: Mapping[str, float], columns: Columns) -> np.ndarray:
        """Return the right side, one number a row."""
        right = self.equation.right
        arguments = {name: columns[name] for name in right.columns} | {
            name: parameters[name] for name in self.parameters
        }
        return _rows(right(**arguments), columns)

    def right(self, parameters: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
        """Return the right side as JAX traces it, one number a row."""
        value = evaluate(self.equation.right.body, {**columns, **parameters}, jax_functions())
        return value + 0.0 * columns[self.columns[0]]  # a constant model too is one number a row


def model_of(
    text: str,
    table: Columns,
    units: Mapping[str, str] | None,
    named: tuple[str, ...],
    taken: tuple[str, ...] = (),
) -> EquationModel:
    """Read an equation over a table.

    Args:
        text: the equation.
        table: the table's columns.
        units: units of columns by name, or None.
        named: names that the user has called parameters.
        taken: columns that have another part in the fit.

    Raises:
        FormulaError: for text that cannot be read, without parameters or with a name like that of a column; if the left
            side names no column.
        DataError: for a unit of what is no column.
        UnitError: for units that are not known.
    """
    read = equation(text, table)
    used = {*read.left.columns, *read.right.columns}
    unused = [name for name in table if name not in {*used, *taken}]
    for name in read.right.variables:
        close = nearest(name, unused)
        if close and len(name) >= _LONG and name not in named:
            raise FormulaError(
                f"{name} is no column of the table, but {close} is",
                text=text,
                position=max(text.rfind(name), 0),
                width=len(name),
                hint=f"did you mean {close}? If {name} is a parameter, give it bounds or a start",
            )
    if not read.right.variables:
        raise FormulaError(f"{read.read_as} has no parameter to find", hint="names that are no columns are parameters")
    if not read.left.columns:
        raise FormulaError(f"the left side of {read.read_as} names no column", hint=f"columns: {', '.join(table)}")
    columns = tuple(name for name in table if name in used)
    for side in (read.left, read.right):
        checked_units({name: unit for name, unit in (units or {}).items() if name in side.columns}, side)
    for name in units or {}:
        if name not in columns:
            raise DataError(f"a unit is given for {name!r}, which is no column of {read.read_as}")
    notes = (*read.left.notes, *read.right.notes, _roles(columns, read.right.variables))
    return EquationModel(read, columns, read.right.variables, dict(units or {}), notes)


def _roles(columns: tuple[str, ...], parameters: tuple[str, ...]) -> str:
    """Return the sentence that says which names are columns and which are parameters."""
    return f"{_listed(columns, 'column')}; {_listed(parameters, 'parameter')}"


def _listed(names: tuple[str, ...], kind: str) -> str:
    """Return names as a list with its verb: size and price are columns."""
    if len(names) == 1:
        return f"{names[0]} is a {kind}"
    return f"{', '.join(names[:-1])} and {names[-1]} are {kind}s"


def _rows(values: Any, columns: Columns) -> np.ndarray:
    """Return values as one number a row."""
    return np.broadcast_to(np.asarray(values, dtype=float), np.shape(next(iter(columns.values())))).copy()


# The rows of a fit: those without missing cells, their weights, and the measured side.


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
