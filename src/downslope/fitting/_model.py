"""An equation over a table as a function of its parameters."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._column_names import resembling, typed
from downslope._copies import fields_alone
from downslope._errors import DataError, FormulaError, UnitError, nearest
from downslope._types import Columns, Plain
from downslope.fitting._named_models import equation_with_models
from downslope.formulas import (
    Equation,
    ForeignFunction,
    book,
    checked_units,
    dimensions,
    evaluate,
    jax_functions,
    numpy_functions,
    stable,
    unit_of_powers,
    with_limits,
    with_numbers,
)
from downslope.tables import Clock, Table, checked_time_unit

if TYPE_CHECKING:
    from downslope.fitting._groups import Grouping

_LONG = 4  # letters; an unknown name at least as long that resembles a column's is treated as a misspelling


@dataclass(frozen=True, eq=False)
class EquationModel:
    """An equation whose names are resolved against a table.

    Args:
        equation: its two sides.
        columns: the columns that occur, in the table's order.
        parameters: the names that are not columns, in order of appearance.
        units: units of columns, by name.
        notes: how the table and the equation were interpreted, as sentences.
        clocks: the unit and origin of time in the columns of dates.
        read: how the table's file was understood, as plain data.
        grouping: how the parameters follow from those of the equation, where each group of rows has its own.
    """

    equation: Equation
    columns: tuple[str, ...]
    parameters: tuple[str, ...]
    units: Mapping[str, str]
    notes: tuple[str, ...]
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    read: Plain = field(default_factory=dict)
    grouping: Grouping | None = None

    __getstate__ = fields_alone

    @functools.cached_property
    def dimensions(self) -> dict[str, dict[str, float] | None]:
        """The exponent of each column in the dimension of each parameter; None where it is not determined."""
        if self.grouping is not None:
            own = self.grouping.model.dimensions
            return {name: own[source] for name, source in self.grouping.sources.items()}
        of_python = getattr(self.equation.right.body, "function", None)
        if isinstance(of_python, ForeignFunction) and of_python.rule is None:
            return dict.fromkeys(self.parameters)  # what a Python function does to its arguments is not known
        left, right = self.equation.left.body, self.equation.right.body
        exponents = dimensions(left, right, self.columns, self.parameters)
        return {
            name: None if powers is None else {column: float(power) for column, power in powers.items()}
            for name, powers in exponents.items()
        }

    def unit(self, parameter: str) -> str | None:
        """Return the unit of a parameter; None if it is dimensionless or unknown."""
        powers = self.dimensions[parameter]
        # Names of columns in place of units would look like a unit and be none.
        if not powers or not all(column in self.units for column in powers):
            return None
        unit = unit_of_powers(powers, self.units)
        return None if unit == "1" else unit

    @property
    def right_columns(self) -> tuple[str, ...]:
        """The columns of the right side that are in the table."""
        columns = self.equation.right.columns
        return columns if self.grouping is None else tuple(c for c in columns if c not in self.grouping.indicators)

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
        right = stable(with_limits(self.equation.right.body, frozenset(self.equation.right.columns)))
        value = evaluate(right, {**columns, **parameters}, jax_functions())
        return value + 0.0 * columns[self.columns[0]]  # broadcasts a constant model to one number per row


def model_of(
    text: str | Equation,
    table: Table,
    units: Mapping[str, str] | None,
    named: tuple[str, ...],
    taken: tuple[str, ...] = (),
) -> EquationModel:
    """Parse an equation and resolve its names against a table.

    Args:
        text: the equation, or what was read from it.
        table: the table.
        units: units of columns by name, or None.
        named: names that the user refers to as parameters, in a start or bounds.
        taken: columns used elsewhere in the fit, as weights for example.

    Raises:
        FormulaError: for an equation that cannot be parsed, has no parameters, or has a parameter that looks like a
            misspelt column; if the left side has no column.
        DataError: for a unit of a name that is not a column.
        UnitError: for unknown units.
    """
    read = text if isinstance(text, Equation) else equation_with_models(text, table)
    text = read.text
    used = {*read.left.columns, *read.right.columns}
    unused = [name for name in table if name not in {*used, *taken}]
    for name in read.right.variables:
        close = nearest(name, unused) or (resembling(name, unused) if len(name) >= _LONG else None)
        if close and len(name) >= _LONG and name not in named:
            raise FormulaError(
                f"the table has no column {name}, but it has {close}",
                text=text,
                position=max(text.rfind(name), 0),
                width=len(name),
                hint=f"did you mean {typed(close)}? If {name} is a parameter, give it bounds or a start",
            )
    if not read.right.variables:
        raise FormulaError(f"{read.read_as} has no parameter to fit", hint="names that are not columns are parameters")
    if not read.left.columns:
        raise FormulaError(f"the left side of {read.read_as} contains no column", hint=f"columns: {', '.join(table)}")
    if not read.right.columns and len(read.right.variables) > 1 and not {*read.right.variables} & {*named}:
        names = f"{', '.join(read.right.variables[:-1])} and {read.right.variables[-1]}"
        meant = ((name, resembling(name, unused)) for name in read.right.variables)
        close = next((f"did you mean {typed(column)} for {name}?" for name, column in meant if column), None)
        raise FormulaError(
            f"no column of the table occurs on the right of {read.read_as}: {names} are no columns; it has "
            f"{', '.join(table)}",
            hint=close or "name the column that the model depends on",
        )
    parts = [name for name in dict.fromkeys((*read.left.columns, *read.right.columns)) if name not in list(table)]
    columns = (*(name for name in table if name in used), *parts)
    all_units = _units(table, columns, units, read)
    notes = (*table.notes_on(columns), *read.left.notes, *read.right.notes, _roles(columns, read.right.variables))
    clocks = {c.name: c.clock for c in table.columns if c.clock is not None and c.name in columns}
    return EquationModel(read, columns, read.right.variables, all_units, notes, clocks, table.read)


def in_units(table: Table, units: Mapping[str, str] | None) -> tuple[Table, dict[str, str]]:
    """Return the table with its dates counted in the units of time that are said, and the units by whole names.

    Raises:
        DataError: for a unit of a name that is no column, and for another unit than one of time for dates.
    """
    clocks = {}
    units = {table.name_of(name, "column to have a unit"): unit for name, unit in (units or {}).items()}
    for name, unit in units.items():
        if name in table and (column := table.column(name)).clock is not None:
            clocks[name] = replace(column.clock, unit=checked_time_unit(name, unit))
    return (table.counted_in(clocks) if clocks else table), units


def _units(table: Table, columns: tuple[str, ...], units: Mapping[str, str] | None, read: Equation) -> dict[str, str]:
    """Return the units of the equation's columns: those of the headings that are units, and those that are said.

    Raises:
        DataError: for a unit of a name that is no column of the equation.
        UnitError: for an unknown unit that is said.
    """
    for name in units or {}:
        if name not in columns:
            raise DataError(f"units has {name!r}, which is not a column of {read.read_as}")
    for side in (read.left, read.right):
        checked_units({name: unit for name, unit in (units or {}).items() if name in side.columns}, side)
    written = {}
    for name, unit in table.units.items():
        side = next((side for side in (read.left, read.right) if name in side.columns), None)
        if side is not None and name not in (units or {}):
            with contextlib.suppress(UnitError):  # brackets hold other things than units too
                written[name] = checked_units({name: unit}, side)[name]
    return written | dict(units or {})


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
    # A curve is drawn over one column, with the medians of the others as single numbers.
    shape = np.broadcast_shapes(*(np.shape(column) for column in columns.values()))
    return np.broadcast_to(np.asarray(values, dtype=float), shape).copy()
