"""The graph of a formula: its operations, their values, and local derivatives by the rules of the textbook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import DataError, FormulaError
from downslope._types import Columns, Point
from downslope.backpropagation._draft import Back, Draft, given
from downslope.backpropagation._notation import free_letter, free_result
from downslope.formulas import (
    Formula,
    Operation,
    book,
    book_name,
    evaluate,
    jax_functions,
    numpy_functions,
    operations,
)

_MOST_NODES = 300


def formula_graph(read: Formula, name: str, point: Point, data: Columns) -> list[Draft]:
    """Return the graph of a formula at a point, the variables first, then the columns, the result last.

    Args:
        read: the formula.
        name: what its value is called.
        point: a number for each variable.
        data: the columns it names, shape (rows,) each.

    Raises:
        FormulaError: if it has more operations than anyone could read.
        DataError: if it names a column that is not there.
    """
    missing = [column for column in read.columns if column not in data]
    if missing:
        raise DataError(f"{read.read_as} needs the column {missing[0]}", hint="hand the table over: data=…")
    names = (*read.variables, *read.columns)
    found = operations(read.body, letter=free_letter({*names, name}), result=free_result(name, names))
    if len(found) > _MOST_NODES:
        raise FormulaError(
            f"the formula has {len(found)} operations, too many to show each", hint="its gradient alone: ds.slope(…)"
        )
    values: dict[str, Any] = {variable: np.asarray(point[variable], float) for variable in read.variables}
    drafts = [given(book_name(variable), value) for variable, value in values.items()]
    for column in read.columns:
        values[column] = np.asarray(data[column], float)
        drafts.append(given(book_name(column), values[column], "data"))
    places = {known: place for place, known in enumerate(values)}
    with np.errstate(all="ignore"):
        for one in found:
            values[one.symbol] = np.asarray(evaluate(one.written, values, numpy_functions()), float)
            places[one.symbol] = len(drafts)
            drafts.append(_draft(one, values, places, is_result=one is found[-1]))
    return drafts


def _draft(one: Operation, values: Mapping[str, Any], places: Mapping[str, int], *, is_result: bool) -> Draft:
    """Return the node of an operation."""
    return Draft(
        label=book_name(one.symbol),
        name=one.name,
        operation=one.kind,
        computed_as=one.computed_as,
        role="result" if is_result else "operation",
        value=values[one.symbol],
        inputs=tuple(places[name] for name in one.partials),
        symbols=tuple(book(tree) for tree in one.partials.values()),
        back=_back([_local(one, name, values) for name in one.partials], [values[name].shape for name in one.partials]),
    )


def _local(one: Operation, name: str, values: Mapping[str, Any]) -> np.ndarray:
    """Return the local derivative of an operation by one of its inputs."""
    found = np.asarray(evaluate(one.partials[name], values, numpy_functions()), float)
    if found.ndim > 0 or np.isfinite(found):
        return found

    # The rule may come to 0·∞ where there is a limit, as x^y by y does at x = 0: there JAX knows better.
    def alone(moved: Any) -> Any:
        return evaluate(one.written, {**values, name: moved}, jax_functions())

    return np.asarray(jax().grad(alone)(float(values[name])), float)


def _back(locals_: list[np.ndarray], shapes: list[tuple[int, ...]]) -> Back:
    """Return what multiplies the gradient that arrives by each local derivative."""

    def back(gradient: np.ndarray) -> list[np.ndarray]:
        return [_of_shape(gradient * local, shape) for local, shape in zip(locals_, shapes, strict=True)]

    return back


def _of_shape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return what goes to an input: added up where one number was used in every row, spread where rows became one."""
    return np.asarray(np.sum(array)) if shape == () else np.broadcast_to(array, shape)
