"""The computation graph of a formula: its operations, their values, and symbolic local derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import DataError, FormulaError
from downslope._types import Columns, Point
from downslope.backpropagation._graph import Back, Draft, leaf_draft
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
    """Return the graph of a formula at a point: variables first, then columns and operations, the result last.

    Args:
        read: the formula.
        name: label of the result.
        point: a number for each variable.
        data: the columns it uses, shape (rows,) each.

    Raises:
        FormulaError: if it has too many operations to show.
        DataError: if a column is missing.
    """
    missing = [column for column in read.columns if column not in data]
    if missing:
        raise DataError(f"{read.read_as} needs the column {missing[0]}", hint="give the table: data=…")
    names = (*read.variables, *read.columns)
    steps = operations(read.body, letter=free_letter({*names, name}), result=free_result(name, names))
    if len(steps) > _MOST_NODES:
        raise FormulaError(
            f"the formula has {len(steps)} operations, too many to show each",
            hint="for its gradient only, use ds.slope(…)",
        )
    # Inputs are nodes as well, in the formula's own order, so that the graph's first nodes are the point.
    values: dict[str, Any] = {variable: np.asarray(point[variable], float) for variable in read.variables}
    drafts = [leaf_draft(book_name(variable), value) for variable, value in values.items()]
    for column in read.columns:
        values[column] = np.asarray(data[column], float)
        drafts.append(leaf_draft(book_name(column), values[column], "data"))
    indices = {known: index for index, known in enumerate(values)}
    # ln(0) gives infinities that the graph shows; NumPy's warnings would repeat them.
    with np.errstate(all="ignore"):
        for step in steps:
            values[step.symbol] = np.asarray(evaluate(step.written, values, numpy_functions()), float)
            indices[step.symbol] = len(drafts)
            drafts.append(_draft(step, values, indices, is_result=step is steps[-1]))
    return drafts


def _draft(operation: Operation, values: Mapping[str, Any], indices: Mapping[str, int], *, is_result: bool) -> Draft:
    """Return the draft of an operation."""
    return Draft(
        label=book_name(operation.symbol),
        name=operation.name,
        operation=operation.kind,
        computed_as=operation.computed_as,
        role="result" if is_result else "operation",
        value=values[operation.symbol],
        inputs=tuple(indices[name] for name in operation.partials),
        symbols=tuple(book(tree) for tree in operation.partials.values()),
        back=_back(
            [_local(operation, name, values) for name in operation.partials],
            [values[name].shape for name in operation.partials],
        ),
    )


def _local(operation: Operation, name: str, values: Mapping[str, Any]) -> np.ndarray:
    """Return the value of an operation's local derivative by an input."""
    derivative = np.asarray(evaluate(operation.partials[name], values, numpy_functions()), float)
    # An entry of a column that is not finite stays: taking limits for single rows would need JAX once a row.
    if derivative.ndim > 0 or np.isfinite(derivative):
        return derivative

    # The symbolic rule can give 0·∞ where the derivative has a limit (x^y by y at x = 0); JAX's rule takes the limit.
    def alone(moved: Any) -> Any:
        return evaluate(operation.written, {**values, name: moved}, jax_functions())

    return np.asarray(jax().grad(alone)(float(values[name])), float)


def _back(locals_: list[np.ndarray], shapes: list[tuple[int, ...]]) -> Back:
    """Return the function that multiplies a gradient by each local derivative."""

    def back(gradient: np.ndarray) -> list[np.ndarray]:
        return [_of_shape(gradient * local, shape) for local, shape in zip(locals_, shapes, strict=True)]

    return back


def _of_shape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Reduce or broadcast a contribution to the input's shape: sum for a scalar used in every row."""
    # The transpose of broadcasting is summing, and the transpose of a mean or sum is broadcasting.
    return np.asarray(np.sum(array)) if shape == () else np.broadcast_to(array, shape)
