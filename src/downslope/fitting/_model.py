"""An equation over a table as a function of its parameters."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._copies import fields_alone
from downslope._errors import DataError, FormulaError, nearest
from downslope._types import Columns
from downslope.formulas import (
    Equation,
    book,
    checked_units,
    dimensions,
    equation,
    evaluate,
    jax_functions,
    numpy_functions,
    unit_of_powers,
    with_limits,
    with_numbers,
)

_LONG = 4  # letters; an unknown name at least as long that resembles a column's is treated as a misspelling


@dataclass(frozen=True, eq=False)
class EquationModel:
    """An equation whose names are resolved against a table.

    Args:
        equation: its two sides.
        columns: the columns that occur, in the table's order.
        parameters: the names that are not columns, in order of appearance.
        units: units of columns, by name.
        notes: how the equation was interpreted, as sentences.
    """

    equation: Equation
    columns: tuple[str, ...]
    parameters: tuple[str, ...]
    units: Mapping[str, str]
    notes: tuple[str, ...]

    __getstate__ = fields_alone

    @functools.cached_property
    def dimensions(self) -> dict[str, dict[str, float] | None]:
        """The exponent of each column in the dimension of each parameter; None where it is not determined."""
        left, right = self.equation.left.body, self.equation.right.body
        exponents = dimensions(left, right, self.columns, self.parameters)
        return {
            name: None if powers is None else {column: float(power) for column, power in powers.items()}
            for name, powers in exponents.items()
        }

    def unit(self, parameter: str) -> str | None:
        """Return the unit of a parameter; None if it is dimensionless or unknown."""
        powers = self.dimensions[parameter]
        if not powers:
            return None
        # Units for only some of the columns would give a mixture of units and column names.
        units = self.units if all(column in self.units for column in powers) else {}
        if self.units and not units:
            return None
        unit = unit_of_powers(powers, units)
        return None if unit == "1" else unit

    def measured(self, columns: Columns) -> np.ndarray:
        """Return the left side of the equation, shape (rows,)."""
        return _rows(self.equation.left(**{name: columns[name] for name in self.equation.left.columns}), columns)

    def predicted(self, parameters: Mapping[str, float], columns: Columns) -> np.ndarray:
        """Return the right side of the equation, shape (rows,)."""
        right = self.equation.right
        values = {name: columns[name] for name in right.columns} | {name: parameters[name] for name in self.parameters}
        predicted = _rows(right(**values), columns)
        if np.all(np.isfinite(predicted)):
            return predicted
        limited = with_limits(right.body, frozenset(right.columns))
        with np.errstate(all="ignore"):
            return _rows(evaluate(limited, values, numpy_functions()), columns)

    def with_values(self, values: Mapping[str, float]) -> str:
        """Return the equation in book notation, with numbers in place of parameters.

        Args:
            values: a number for each parameter to replace.
        """
        left, right = self.equation.left, self.equation.right
        return f"{left.read_as} = {book(with_numbers(right.body, values))}"

    def right(self, parameters: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
        """Return the right side of the equation as a JAX expression, shape (rows,)."""
        right = with_limits(self.equation.right.body, frozenset(self.equation.right.columns))
        value = evaluate(right, {**columns, **parameters}, jax_functions())
        return value + 0.0 * columns[self.columns[0]]  # broadcasts a constant model to one number per row


def model_of(
    text: str,
    table: Columns,
    units: Mapping[str, str] | None,
    named: tuple[str, ...],
    taken: tuple[str, ...] = (),
) -> EquationModel:
    """Parse an equation and resolve its names against a table.

    Args:
        text: the equation.
        table: the table's columns.
        units: units of columns by name, or None.
        named: names that the user refers to as parameters, in a start or bounds.
        taken: columns used elsewhere in the fit, as weights for example.

    Raises:
        FormulaError: for an equation that cannot be parsed, has no parameters, or has a parameter that looks like a
            misspelt column; if the left side has no column.
        DataError: for a unit of a name that is not a column.
        UnitError: for unknown units.
    """
    read = equation(text, table)
    used = {*read.left.columns, *read.right.columns}
    unused = [name for name in table if name not in {*used, *taken}]
    for name in read.right.variables:
        close = nearest(name, unused)
        if close and len(name) >= _LONG and name not in named:
            raise FormulaError(
                f"the table has no column {name}, but it has {close}",
                text=text,
                position=max(text.rfind(name), 0),
                width=len(name),
                hint=f"did you mean {close}? If {name} is a parameter, give it bounds or a start",
            )
    if not read.right.variables:
        raise FormulaError(f"{read.read_as} has no parameter to fit", hint="names that are not columns are parameters")
    if not read.left.columns:
        raise FormulaError(f"the left side of {read.read_as} contains no column", hint=f"columns: {', '.join(table)}")
    columns = tuple(name for name in table if name in used)
    for side in (read.left, read.right):
        checked_units({name: unit for name, unit in (units or {}).items() if name in side.columns}, side)
    for name in units or {}:
        if name not in columns:
            raise DataError(f"units has {name!r}, which is not a column of {read.read_as}")
    notes = (*read.left.notes, *read.right.notes, _roles(columns, read.right.variables))
    return EquationModel(read, columns, read.right.variables, dict(units or {}), notes)


def _roles(columns: tuple[str, ...], parameters: tuple[str, ...]) -> str:
    """Return a sentence on which names are columns and which are parameters."""
    return f"{_listed(columns, 'column')}; {_listed(parameters, 'parameter')}"


def _listed(names: tuple[str, ...], kind: str) -> str:
    """Return a clause such as "size and price are columns"."""
    if len(names) == 1:
        return f"{names[0]} is a {kind}"
    return f"{', '.join(names[:-1])} and {names[-1]} are {kind}s"


def _rows(values: Any, columns: Columns) -> np.ndarray:
    """Return values broadcast to one number per row."""
    return np.broadcast_to(np.asarray(values, dtype=float), np.shape(next(iter(columns.values())))).copy()
