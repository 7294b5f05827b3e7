"""A graph whose values are known and whose gradients are not, and the way back through it by the chain rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.backpropagation._result import Edge, Node, is_number

# The gradient that arrives at a node, into what goes on to each of its inputs, in their order.
Back = Callable[[np.ndarray], Sequence[Any]]


@dataclass(frozen=True, eq=False)
class Draft:
    """A node before the way back.

    Args:
        label, name, operation, computed_as, role, value: as in `Node`.
        inputs: places of the nodes that it is computed from, each once.
        symbols: the local derivative by each of them, in words or symbols.
        back: what the gradient that arrives becomes at each of them.
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


def given(label: str, value: Any, role: str = "given") -> Draft:
    """Return a node that is not computed: a part of the point, or a column of the table."""
    return Draft(label, label, role, "", role, np.asarray(value))


def with_gradients(drafts: Sequence[Draft]) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """Go back through a graph, adding up at each node what comes from the nodes that use it.

    Args:
        drafts: every node after those that it is computed from, the result last.

    Returns:
        The nodes in the same order, and the edges in the order of the way back.
    """
    gradients = [np.zeros_like(draft.value) for draft in drafts]
    gradients[-1] = np.ones_like(drafts[-1].value)
    edges: list[Edge] = []
    with np.errstate(all="ignore"):
        for place in reversed(range(len(drafts))):
            for source, edge in zip(drafts[place].inputs, _edges(drafts, place, gradients[place]), strict=True):
                gradients[source] = gradients[source] + edge.passed
                edges.append(edge)
    nodes = tuple(_node(draft, gradient) for draft, gradient in zip(drafts, gradients, strict=True))
    return nodes, tuple(edges)


def _edges(drafts: Sequence[Draft], place: int, gradient: np.ndarray) -> list[Edge]:
    """Return the edges of a node to its inputs, with what goes back along each."""
    draft, edges = drafts[place], []
    passed = draft.back(gradient)
    unit = draft.back(np.ones_like(draft.value)) if is_number(draft.value) else passed
    for number, source in enumerate(draft.inputs):
        below = drafts[source]
        local = float(unit[number]) if is_number(draft.value) and is_number(below.value) else None
        one = np.asarray(passed[number])
        edges.append(Edge(below.label, draft.label, draft.operation, draft.symbols[number], local, one))
    return edges


def _node(draft: Draft, gradient: np.ndarray) -> Node:
    """Return a node with its gradient."""
    return Node(draft.label, draft.name, draft.operation, draft.computed_as, draft.role, draft.value, gradient)
