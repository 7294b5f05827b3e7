"""A Python function as the model of a fit: its arguments named like columns are columns, the others are parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from downslope._errors import DataError, FormulaError, SettingError, described, nearest
from downslope._text import listed
from downslope.formulas import Call, Equation, ForeignFunction, Formula, Name, equation, way_of
from downslope.tables import Table

_WAYS = {
    "jax": "exactly, by JAX",
    "complex step": "exactly, by an imaginary step",
    "differences": "by differences, as its code takes no complex numbers",
}
_EXAMPLE = 'for example ds.fit(decay, table, y="rate") with def decay(x, a, k): …'


def function_equation(
    function: Callable[..., Any], table: Table, measured: str | None
) -> tuple[Equation, dict[str, float]]:
    """Return the equation of a Python function over a table, and the numbers that its parameters have as defaults.

    Args:
        function: takes columns and parameters by position, and returns a number for each row.
        table: the table.
        measured: the left side: a column, or a formula of columns.

    Raises:
        SettingError: if the measured column is not said.
        FormulaError: for a function whose arguments are no columns or no parameters, or that fails.
        DataError: for a left side that is no column.
    """
    name = getattr(function, "__name__", type(function).__name__)
    name = "f" if name == "<lambda>" else name
    if measured is None:
        raise SettingError(f"{name} is the model, but no measured column is named", hint=_EXAMPLE)
    if not isinstance(measured, str):
        raise SettingError(f"y is a column's name or a formula of columns, not {described(measured)}", hint=_EXAMPLE)
    arguments, defaults = _arguments(name, function)
    columns = tuple(argument for argument in arguments if argument in table and argument not in defaults)
    parameters = tuple(argument for argument in arguments if argument not in columns)
    if not columns:
        close = next((f"; did you mean {nearest(a, table)} for {a}?" for a in arguments if nearest(a, table)), "")
        raise FormulaError(
            f"no argument of {name}({', '.join(arguments)}) is a column; the table has {listed(list(table))}{close}",
            hint="name an argument after the column that it receives",
        )
    if not parameters:
        raise FormulaError(f"{name} has no parameter to fit", hint="arguments that are not columns are parameters")
    left = equation(f"{measured} = 0", table).left
    if not left.columns:
        raise DataError(f"{measured} is no column of the table; it has {listed(list(table))}")
    is_column = tuple(argument in columns for argument in arguments)
    rows = _finite_rows(table, columns)
    free = [defaults.get(parameter, 1.0) for parameter in parameters]
    _check_call(name, function, is_column, rows, free)
    way = way_of(function, rows, free, is_column)
    body = Call(ForeignFunction(name, function, is_column, way), tuple(map(Name, arguments)))
    note = f"{name} is a Python function, differentiated {_WAYS[way]}"
    right = Formula(None, parameters, body, columns, text=name, notes=(note,))
    return Equation(left, right, f"{measured} = {name}({', '.join(arguments)})"), defaults


def _arguments(name: str, function: Callable[..., Any]) -> tuple[list[str], dict[str, float]]:
    """Return the names of a function's arguments, and the defaults that are numbers."""
    try:
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise FormulaError(f"the arguments of {name} cannot be read", hint="wrap it: def f(x, a): …") from None
    odd = [each.name for each in known if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.KEYWORD_ONLY)]
    if odd:
        raise FormulaError(
            f"{name} takes {odd[0]} without a position", hint="write its arguments out: def f(x, a, b): …"
        )
    defaults: dict[str, float] = {}
    for each in known:
        if isinstance(each.default, int | float | np.number):
            defaults[each.name] = float(each.default)
        elif each.default is not each.empty:
            raise FormulaError(
                f"{each.name} of {name} has the default {described(each.default)}",
                hint="a default is a number, where the fit starts",
            )
    return [each.name for each in known], defaults


def _finite_rows(table: Table, columns: tuple[str, ...]) -> list[np.ndarray]:
    """Return the columns in some of the rows in which they have numbers."""
    cells = []
    for name in columns:
        if table[name].dtype == object:
            raise DataError(f"{name} is an argument of the model, and its column has no numbers")
        cells.append(table[name])
    whole = np.all(np.isfinite(cells), axis=0)
    chosen = np.flatnonzero(whole)
    if not len(chosen):
        raise DataError(f"no row has a number in {listed(columns)}")
    return [cell[chosen] for cell in cells]


def _check_call(
    name: str, function: Callable[..., Any], is_column: tuple[bool, ...], rows: list[np.ndarray], free: list[float]
) -> None:
    """Raise if a function fails on the table, or returns something else than a number for each row."""
    from downslope._engine import double_precision

    given, numbers = iter(rows), iter(free)
    arguments = [next(given) if each else next(numbers) for each in is_column]
    try:
        # Only what uses JAX has a use for its precision, and only then it is loaded.
        import sys

        with double_precision() if "jax" in sys.modules else np.errstate(all="ignore"), np.errstate(all="ignore"):
            result = np.asarray(function(*arguments))
    except (ArithmeticError, ValueError):
        return  # no value there: the search goes on elsewhere
    except Exception as error:
        raise FormulaError(
            f"{name} failed on the columns: {type(error).__name__}: {error}",
            hint="it receives whole columns as arrays, and numbers for its parameters",
        ) from error
    if result.dtype.kind not in "biuf" or result.shape not in ((), rows[0].shape):
        raise FormulaError(
            f"{name} returned {described(result.tolist() if result.dtype == object else result)} of shape "
            f"{result.shape}, not a number for each of the {len(rows[0])} rows"
        )


def start_from(defaults: Mapping[str, float], start: Mapping[str, float] | None, parameters: Any) -> Any:
    """Return the start that was given, else the defaults of the function where every parameter has one."""
    if start is None and parameters and all(name in defaults for name in parameters):
        return {name: defaults[name] for name in parameters}
    return start
