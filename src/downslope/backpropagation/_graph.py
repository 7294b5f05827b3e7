"""The computation graph, also of a formula, and the backward pass that computes its gradients by the chain rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import DataError, FormulaError
from downslope._types import Columns, Point, plain
from downslope.backpropagation._notation import free_letter, free_result, is_number
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

_MOST_NUMBERS = 100  # larger arrays are exported as shape and norm only


@dataclass(frozen=True, eq=False)
class Node:
    """A quantity of a computation.

    Args:
        label: its short name: a part of the point, z₁, z₂, … for intermediate values, the objective's name for the
            result.
        name: the sub-expression that it is the value of, in textbook notation.
        operation: the operation that computes it, in a word: "product", "sigmoid", …; "given" or "data" for inputs.
        computed_as: the operation applied to the labels of its inputs; empty for inputs.
        role: "given" for a part of the point, "data" for a column, "operation", or "result".
        value: its value.
        gradient: the derivative of the result with respect to it, of the same shape as the value.
    """

    label: str
    name: str
    operation: str
    computed_as: str
    role: str
    value: np.ndarray
    gradient: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the node as plain data."""
        return {
            "label": self.label,
            "name": self.name,
            "operation": self.operation,
            "computed_as": self.computed_as,
            "role": self.role,
            "value": in_short(self.value),
            "gradient": in_short(self.gradient),
        }


@dataclass(frozen=True, eq=False)
class Edge:
    """The use of a node as an input of another.

    Args:
        source: label of the input node.
        target: label of the node computed from it.
        operation: the target's operation.
        symbol: the local derivative of the target by the source in symbols; the operation if it has no short form.
        local: the local derivative as a number; None if either node is an array.
        passed: the contribution to the source's gradient: the target's gradient times the local derivative.
    """

    source: str
    target: str
    operation: str
    symbol: str
    local: float | None
    passed: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the edge as plain data."""
        return {
            "source": self.source,
            "target": self.target,
            "operation": self.operation,
            "symbol": self.symbol,
            "local": None if self.local is None else plain(self.local),
            "passed": in_short(self.passed),
        }


# The vector-Jacobian product of an operation: from the gradient of its result to that of each of its inputs.
Back = Callable[[np.ndarray], Sequence[Any]]


@dataclass(frozen=True, eq=False)
class Draft:
    """A node before the backward pass.

    Args:
        label, name, operation, computed_as, role, value: as in `Node`.
        inputs: indices of the nodes that it is computed from, without duplicates.
        symbols: the local derivative by each input, in symbols or words.
        back: maps the gradient of the node to its contribution to each input's gradient.
    """

    label: str
    name: str
    operation: str
    computed_as: str
    role: str
    value: np.ndarray
    inputs: tuple[int, ...] = ()
    symbols: tuple[str, ...] = ()
    back: Back = lambda gradient: ()


def leaf_draft(label: str, value: Any, role: str = "given") -> Draft:
    """Return the draft of an input: a part of the point or a column of the table."""
    return Draft(label, label, role, "", role, np.asarray(value))


def with_gradients(drafts: Sequence[Draft]) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """Run the backward pass: accumulate each node's gradient from the nodes that use it.

    Args:
        drafts: the nodes in topological order, the result last.

    Returns:
        The nodes in the same order, and the edges in the order of the backward pass.
    """
    # Reverse-mode differentiation: in reverse topological order, a node's gradient is complete before it is passed on.
    gradients = [np.zeros_like(draft.value) for draft in drafts]
    gradients[-1] = np.ones_like(drafts[-1].value)
    edges: list[Edge] = []
    with np.errstate(all="ignore"):
        for index in reversed(range(len(drafts))):
            for source, edge in zip(drafts[index].inputs, _edges(drafts, index, gradients[index]), strict=True):
                gradients[source] = gradients[source] + edge.passed
                edges.append(edge)
    nodes = tuple(_node(draft, gradient) for draft, gradient in zip(drafts, gradients, strict=True))
    return nodes, tuple(edges)


def _edges(drafts: Sequence[Draft], index: int, gradient: np.ndarray) -> list[Edge]:
    """Return the edges from a node's inputs to the node, with the gradient passed along each."""
    draft, edges = drafts[index], []
    passed = draft.back(gradient)
    # The pullback of 1 is the local derivative itself; for arrays that would be a Jacobian, which is never built.
    unit = draft.back(np.ones_like(draft.value)) if is_number(draft.value) else passed
    for position, source in enumerate(draft.inputs):
        below = drafts[source]
        local = float(unit[position]) if is_number(draft.value) and is_number(below.value) else None
        contribution = np.asarray(passed[position])
        edges.append(Edge(below.label, draft.label, draft.operation, draft.symbols[position], local, contribution))
    return edges


def _node(draft: Draft, gradient: np.ndarray) -> Node:
    """Return a draft as a node with its gradient."""
    return Node(draft.label, draft.name, draft.operation, draft.computed_as, draft.role, draft.value, gradient)


def in_short(array: np.ndarray) -> Any:
    """Return a scalar as a number; an array as its shape and norm, with its values if it is small."""
    if is_number(array):
        return plain(float(array))
    record: dict[str, Any] = {"shape": list(array.shape), "norm": plain(float(np.linalg.norm(array)))}
    # JSON has neither complex numbers nor infinity.
    if array.size <= _MOST_NUMBERS and not np.iscomplexobj(array) and np.all(np.isfinite(array)):
        record["values"] = np.asarray(array, float).tolist()
    return record


# The computation graph of a formula: its operations, their values, and symbolic local derivatives.


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
    derivative = np.asarray(evaluate(operation.stable_partials[name], values, numpy_functions()), float)
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
