"""What going forward and backward through a computation found: its nodes, its edges, the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import PointError, nearest
from downslope._types import Columns

_MOST_NUMBERS = 100  # of an array that is written out as plain data


@dataclass(frozen=True, eq=False)
class Node:
    """A quantity of a computation.

    Args:
        label: its short name: that of a part of the point, z₁, z₂, … on the way, the objective's own at the end.
        name: what it is, as a sub-expression in book notation.
        operation: how it comes about, in a word: "product", "sigmoid", …; "given" and "data" for what is not computed.
        computed_as: the operation on the labels of its inputs; empty for what is not computed.
        role: "given" for a part of the point, "data" for a column, "operation", or "result".
        value: its value on the way forward.
        gradient: the derivative of the result by it, of the value's shape: what adds up on the way back.
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
            "value": _plain(self.value),
            "gradient": _plain(self.gradient),
        }


@dataclass(frozen=True, eq=False)
class Edge:
    """The use of one node in another.

    Args:
        source: label of the node that is used.
        target: label of the node that is computed from it.
        operation: the target's operation.
        symbol: the local derivative of the target by the source: in symbols, or the operation where it has none.
        local: the local derivative as a number; None where either node is an array.
        passed: what goes back along the edge, a summand of the source's gradient: the target's gradient times the
            local derivative.
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
            "local": None if self.local is None else _finite(self.local),
            "passed": _plain(self.passed),
        }


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """A computation at a point, forward and backward.

    Args:
        read_as: how what is computed was read.
        name: label of the result.
        nodes: in the order of the way forward: what is given, then every operation, the result last.
        edges: in the order of the way back.
        point: where, an array by part.
        gradient: the derivative of the result by each part, an array by part.
        largest_difference: the largest difference between an entry of `gradient` and that of `jax.grad`.
    """

    read_as: str
    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    point: Columns
    gradient: Columns
    largest_difference: float

    @property
    def value(self) -> float:
        """The value of the result."""
        return float(self.nodes[-1].value)

    @property
    def agrees(self) -> bool:
        """Whether `jax.grad` gives the same gradient, but for rounding."""
        largest = max((float(np.max(np.abs(one), initial=0.0)) for one in self.gradient.values()), default=0.0)
        digits = max(np.finfo(self.nodes[-1].value.dtype).eps ** 0.5, 1e-9)
        return self.largest_difference <= digits * max(1.0, largest if math.isfinite(largest) else 1.0)

    def __getitem__(self, label: str) -> Node:
        """Return the node of a label.

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
        """Return the graph as a picture: a self-contained SVG document."""
        from downslope.backpropagation._picture import as_svg

        return as_svg(self)

    def dot(self) -> str:
        """Return the graph in the language of Graphviz."""
        from downslope.backpropagation._picture import as_dot

        return as_dot(self)

    def chain_rule(self) -> tuple[str, ...]:
        """Return the gradient of each node as the products that add up to it, in the order of the way back."""
        from downslope.backpropagation._chain_rule import written_out

        return tuple(" ".join(pieces) for pieces in written_out(self))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return {
            "read_as": self.read_as,
            "name": self.name,
            "value": _finite(self.value),
            "gradient": {part: _plain(one) for part, one in self.gradient.items()},
            "at": {part: _plain(one) for part, one in self.point.items()},
            "nodes": [node.as_dict() for node in self.nodes],
            "edges": [edge.as_dict() for edge in self.edges],
            "chain_rule": list(self.chain_rule()),
            "largest_difference": _finite(self.largest_difference),
        }

    def __str__(self) -> str:
        from downslope.backpropagation._report import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<Backpropagation {self.name} = {self.value:.6g}, {len(self.nodes)} nodes, {len(self.edges)} edges>"

    def _repr_html_(self) -> str:
        return self.svg()


def is_number(value: np.ndarray) -> bool:
    """Tell whether a value is one real number, which can be written out; of others the norm is told."""
    return value.ndim == 0 and not np.iscomplexobj(value)


def _plain(array: np.ndarray) -> Any:
    """Return a number as it is, an array as its shape and norm, and its numbers if they are few."""
    if is_number(array):
        return _finite(float(array))
    told: dict[str, Any] = {"shape": list(array.shape), "norm": _finite(float(np.linalg.norm(array)))}
    if array.size <= _MOST_NUMBERS and not np.iscomplexobj(array) and np.all(np.isfinite(array)):
        told["values"] = np.asarray(array, float).tolist()
    return told


def _finite(value: float) -> float | None:
    """Return a number, or None for one that JSON has no word for."""
    return value if math.isfinite(value) else None
