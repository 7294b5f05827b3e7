"""The result of `backprop`, and its printing: forward pass, backward pass and chain rule as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope._errors import PointError, nearest
from downslope._text import aligned, number
from downslope._types import Columns, plain
from downslope.backpropagation._graph import Edge, Node, in_short
from downslope.backpropagation._notation import is_number, magnitude, partial, shortened, shown
from downslope.backpropagation._picture import as_dot, as_svg
from downslope.formulas import unit_ratio

_WIDTH = 100
_GAP = 3  # between the columns of a table
_LONGEST_LABEL = 24
_LEAST_LAST = 16


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """A computation at a point with its forward and backward pass.

    Args:
        read_as: the computation in textbook notation.
        name: label of the result.
        nodes: the nodes in the order of the forward pass: inputs, then operations, the result last.
        edges: the edges in the order of the backward pass.
        point: the point, an array by part.
        gradient: the gradient of the result, an array by part.
        largest_difference: the largest difference between an entry of `gradient` and that of another computation.
        units: units by name, the result's own under `name`; empty if they are unknown.
        checked_by: the other computation: "jax.grad", or "ds.slope" for a formula.
    """

    read_as: str
    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    point: Columns
    gradient: Columns
    largest_difference: float
    units: Mapping[str, str] = field(default_factory=dict)
    checked_by: str = "jax.grad"

    @property
    def value(self) -> float:
        """The value of the result."""
        return float(self.nodes[-1].value)

    @property
    def agrees(self) -> bool:
        """Whether the other computation gives the same gradient up to rounding."""
        largest = max((float(np.max(np.abs(array), initial=0.0)) for array in self.gradient.values()), default=0.0)
        # Both gradients are sums of rounded products in different orders: compare to half the digits of the precision.
        digits = max(np.finfo(self.nodes[-1].value.dtype).eps ** 0.5, 1e-9)
        return self.largest_difference <= digits * max(1.0, largest if math.isfinite(largest) else 1.0)

    def __getitem__(self, label: str) -> Node:
        """Return the node with a label.

        Raises:
            PointError: if there is none.
        """
        for node in self.nodes:
            if node.label == label:
                return node
        labels = [node.label for node in self.nodes]
        close = nearest(label, labels)
        raise PointError(
            f"the graph has no node {label!r}",
            hint=f"did you mean {close}?" if close else "it has " + ", ".join(labels),
        )

    def svg(self) -> str:
        """Return the graph as a self-contained SVG document."""
        return as_svg(self.read_as, self.name, self.nodes, self.edges)

    def dot(self) -> str:
        """Return the graph in the DOT language of Graphviz."""
        return as_dot(self.read_as, self.name, self.nodes, self.edges)

    def chain_rule(self) -> tuple[str, ...]:
        """Return each node's gradient as a sum of products, in the order of the backward pass."""
        return tuple(" ".join(pieces) for pieces in written_out(self))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return {
            "read_as": self.read_as,
            "name": self.name,
            "value": plain(self.value),
            "gradient": {part: in_short(array) for part, array in self.gradient.items()},
            "at": {part: in_short(array) for part, array in self.point.items()},
            "units": dict(self.units),
            "nodes": [node.as_dict() for node in self.nodes],
            "edges": [edge.as_dict() for edge in self.edges],
            "chain_rule": list(self.chain_rule()),
            "largest_difference": plain(self.largest_difference),
        }

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return f"<Backpropagation {self.name} = {self.value:.6g}, {len(self.nodes)} nodes, {len(self.edges)} edges>"

    def _repr_html_(self) -> str:
        return self.svg()


def as_text(graph: Backpropagation) -> str:
    """Return the report as aligned lines."""
    forward = _fitted([("node", "computed as", "value", "operation", "which is"), *map(_forward_row, graph.nodes)], {2})
    heads = ("node", f"∂{graph.name}/∂node", "input", "local derivative", "at the point", "passed back")
    backward = _fitted([heads, *_back_rows(graph)], {1, 4, 5})
    lines = [
        "Forward",
        *aligned(forward, words={0, 1, 3, 4}),
        "",
        "Backward",
        *aligned(backward, words={0, 2, 3}),
        "",
        "Chain rule",
        *(line for pieces in written_out(graph) for line in _wrapped(pieces)),
        "",
        *_unit_lines(graph),
        checked(graph),
    ]
    return "\n".join(lines)


def _unit_lines(graph: Backpropagation) -> list[str]:
    """Return the units of the result and its gradient as a line, if they are known."""
    unit = graph.units.get(graph.name)
    if unit is None:
        return []
    slopes = [
        f"{partial(graph.name, part)} in {unit_ratio(unit, graph.units[part])}"
        for part in graph.gradient
        if part in graph.units
    ]
    return [f"Units: {', '.join([f'{graph.name} in {unit}', *slopes])}"]


def checked(graph: Backpropagation) -> str:
    """Return the comparison with another computation as a sentence."""
    if graph.largest_difference == 0:
        return f"Checked: {graph.checked_by} gives exactly this gradient."
    largest = number(graph.largest_difference, 2)
    if graph.agrees:
        return f"Checked: {graph.checked_by} gives the same gradient, the largest difference is {largest}."
    different = f"Checked: {graph.checked_by} gives another gradient, the largest difference is {largest}"
    return f"{different}; is there a kink here?"


def _forward_row(node: Node) -> tuple[str, ...]:
    """Return a node as a row of the forward table."""
    which_is = "" if node.name in (node.label, node.computed_as) else node.name
    return shortened(node.label, _LONGEST_LABEL), node.computed_as, shown(node.value), node.operation, which_is


def _back_rows(graph: Backpropagation) -> list[tuple[str, ...]]:
    """Return the rows of the backward table: the nodes from the result back, a row for each input."""
    below: dict[str, list[Edge]] = {node.label: [] for node in graph.nodes}
    for edge in graph.edges:
        below[edge.target].append(edge)
    rows = []
    for node in reversed(graph.nodes):
        first = (shortened(node.label, _LONGEST_LABEL), magnitude(node.gradient))
        edges = [_edge_cells(edge) for edge in below[node.label]] or [("", "", "", "")]
        rows += [(*(first if index == 0 else ("", "")), *cells) for index, cells in enumerate(edges)]
    return rows


def _edge_cells(edge: Edge) -> tuple[str, ...]:
    """Return an edge as cells of the backward table."""
    local = "" if edge.local is None else number(edge.local)
    return shortened(edge.source, _LONGEST_LABEL), edge.symbol, local, magnitude(edge.passed)


def _fitted(rows: list[tuple[str, ...]], whole: set[int]) -> list[tuple[str, ...]]:
    """Truncate a table to `_WIDTH` columns: first its last column if that holds words, then the widest word columns.

    Args:
        rows: the rows, the headings first.
        whole: indices of the number columns, which are never truncated.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = [index for index in range(len(widths)) if index not in whole]
    # One column at a time from the widest: all word columns shrink evenly, numbers stay readable.
    while sum(widths) + _GAP * (len(widths) - 1) > _WIDTH:
        spare = words[-1] == len(widths) - 1 and widths[-1] > _LEAST_LAST
        widths[-1 if spare else max(words, key=lambda index: widths[index])] -= 1
    return [tuple(shortened(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _wrapped(pieces: list[str]) -> list[str]:
    """Join pieces of a line, and break it where it would be too long, later lines indented."""
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= _WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(shortened(f"    {piece}", _WIDTH))
    return lines


def written_out(result: Backpropagation) -> list[list[str]]:
    """Return a line for each node in the order of the backward pass, as pieces between which it may be broken."""
    uses: dict[str, list[Edge]] = {node.label: [] for node in result.nodes}
    for edge in result.edges:
        uses[edge.source].append(edge)
    gradients = {node.label: node.gradient for node in result.nodes}
    return [_line(result.name, node, uses[node.label], gradients) for node in reversed(result.nodes)]


def _line(result: str, node: Node, uses: list[Edge], gradients: dict[str, np.ndarray]) -> list[str]:
    """Return a node's gradient as pieces of a line."""
    left = partial(result, node.label)
    if node.label == result:
        return [left, "= 1"]
    if not uses:
        return [left, f"= 0, as {result} does not depend on {node.label}"]
    terms = _summed([_term(result, edge) for edge in uses])
    # A product of arrays has no short form in numbers: show the norm of the sum only.
    if not is_number(node.gradient):
        return [f"‖{left}‖", *_normed(terms), f"= {number(float(np.linalg.norm(node.gradient)))}"]
    numbers = _summed([_product(result, edge, gradients[edge.target], index) for index, edge in enumerate(uses)])
    chain = [terms, *([numbers] if all(edge.local is not None for edge in uses) else [])]
    end = [number(float(node.gradient))]
    # Equal neighbours in the chain, such as a symbol that is itself the number, are shown once.
    equals = [
        side
        for index, side in enumerate([*chain, end])
        if index == 0 or _comparable(side) != _comparable(chain[index - 1])
    ]
    return [left, *(piece for first, *rest in equals for piece in (f"= {first}", *rest))]


def _normed(terms: list[str]) -> list[str]:
    """Return a symbolic sum inside norm bars."""
    first, *rest = terms
    bare = [f"= ‖{first}", *rest]
    return [*bare[:-1], f"{bare[-1]}‖"]


def _summed(terms: list[str]) -> list[str]:
    """Return terms with plus signs before all but the first."""
    return [terms[0], *(f"+ {term}" for term in terms[1:])]


def _term(result: str, edge: Edge) -> str:
    """Return a use's contribution in symbols: ∂L/∂z · ∂z/∂x, or the local derivative if the use is the result."""
    if edge.target != result:
        return f"{partial(result, edge.target)} · {partial(edge.target, edge.source)}"
    return edge.symbol if edge.symbol != edge.operation else f"({edge.operation})'"


def _product(result: str, edge: Edge, gradient: np.ndarray, index: int) -> str:
    """Return a use's contribution in numbers, negative factors in parentheses."""
    if edge.local is None:
        return ""
    if edge.target == result:
        return number(edge.local) if index == 0 else _signed(edge.local)
    arriving = number(float(gradient)) if index == 0 else _signed(float(gradient))
    return f"{arriving} × {_signed(edge.local)}"


def _comparable(pieces: list[str]) -> str:
    """Return pieces as a text for comparison, with a uniform minus sign."""
    return " ".join(pieces).replace("-", "−")


def _signed(value: float) -> str:
    """Return a number, in parentheses if it is negative."""
    shown = number(value)
    return f"({shown})" if shown.startswith("−") else shown
