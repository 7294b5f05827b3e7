"""The nodes at which data enter the graph of a step, and parameters used by unknown operations.

What has no gradient is None among the operands of a node: rows of data, but also masks, constants and buffers. So each
operation is judged by what it is and by the shape of its results: those that parameters alone make are no larger than
the parameters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from downslope.watching.torch._library import Node, torch
from downslope.watching.torch._nodes import (
    ACTIVATIONS,
    LOOKED_UP,
    NORMS,
    PRODUCTS,
    RECURRENT,
    REDUCING,
    SCALED,
    name_of,
)

if TYPE_CHECKING:
    from downslope.watching.torch._graph import Graph

_KEPT = ("_saved_self", "_saved_other", "_saved_mat1", "_saved_mat2", "_saved_vec", "_saved_input")
_DOTS = ("DotBackward0", "VdotBackward0")
_JOINS = frozenset({"CatBackward0", "StackBackward0", "WhereBackward0", "ExpandBackward0", "IndexPutBackward0"})


def accumulates(node: Node) -> bool:
    """Tell whether a node accumulates the gradient by a tensor; other nodes are slow to ask for its `variable`."""
    return name_of(node) == "AccumulateGrad"


def is_input(node: Node, names: Mapping[int, str]) -> bool:
    """Tell whether a node accumulates the gradient by data, such as the points of a differential equation."""
    if not accumulates(node):
        return False
    variable = node.variable
    return id(variable) not in names and not isinstance(variable, torch.nn.Parameter)


def reached_by_data(
    nodes: Iterable[Node],
    operands: Mapping[Node, tuple[Node | None, ...]],
    readers: Mapping[Node, list[Node]],
    buffers: Collection[int],
) -> frozenset[Node]:
    """Return the nodes that data reach.

    Args:
        nodes: all of them in forward order.
        operands: of each node, what it reads; None for what has no gradient.
        readers: of each node, what reads it.
        buffers: where the constants of the model lie in memory.
    """
    reached: set[Node] = set()
    for node in nodes:
        sources = operands[node]
        if any(source in reached for source in sources if source is not None) or _enter(
            node, operands, readers, buffers
        ):
            reached.add(node)
    return frozenset(reached)


def _enter(
    node: Node,
    operands: Mapping[Node, tuple[Node | None, ...]],
    readers: Mapping[Node, list[Node]],
    buffers: Collection[int],
) -> bool:
    """Tell whether data enter at a node whose operands with a gradient are made of parameters alone."""
    name, sources = name_of(node), operands[node]
    if name.startswith(LOOKED_UP) or all(source is None for source in sources):
        return True
    if None not in sources or _keeps(node, buffers):
        return False
    if name in PRODUCTS:
        fed = any(data < len(sources) and sources[data] is None for data, _ in PRODUCTS[name])
        return fed and not _is_length(node, operands, readers)
    if name in RECURRENT or name in NORMS:
        return sources[0] is None
    if name.startswith(REDUCING):
        return False
    own = _shape(node)
    return own is not None and all(_shape(source) != own for source in sources if source is not None)


def _is_length(
    node: Node, operands: Mapping[Node, tuple[Node | None, ...]], readers: Mapping[Node, list[Node]]
) -> bool:
    """Tell whether a product is half of uᵀWv with fixed u and v: the spectral norm of W, not a layer."""
    last = readers.get(node, ())
    return (
        name_of(node) == "MvBackward0"
        and bool(last)
        and all(name_of(reader) in _DOTS and None in operands[reader] for reader in last)
    )


def _keeps(node: Node, buffers: Collection[int]) -> bool:
    """Tell whether a node keeps a constant of the model, such as a mask of weights."""
    for attribute in _KEPT:
        try:
            saved: Any = getattr(node, attribute, None)
        except RuntimeError:  # freed
            continue
        if isinstance(saved, torch.Tensor) and saved.numel() > 1 and saved.data_ptr() in buffers:
            return True
    return False


def _shape(node: Node) -> tuple[int, ...] | None:
    """Return the shape of what an operation makes; None where it is not kept."""
    variable = getattr(node, "variable", None)
    if variable is not None:
        return tuple(variable.shape)
    try:
        return tuple(node._input_metadata[0].shape)
    except (AttributeError, IndexError, RuntimeError):
        return None


def unread_parts(graph: Graph, parts: Mapping[str, tuple[int, ...]], known: Collection[Node]) -> dict[str, str]:
    """Return the parts with several axes that only unknown operations use, and the name of the first of these.

    Args:
        graph: the graph.
        parts: the shape of each part.
        known: the products that are layers, or rounds of a loop.
    """
    unread: dict[str, str] = {}
    for source, part in graph.parameters.items():
        if part is None or len(parts[part]) < 2:
            continue
        users, seen, waiting = [], set(), [source]
        while waiting:
            for reader in graph.readers.get(waiting.pop(), ()):
                if reader not in seen:
                    seen.add(reader)
                    (users if reader in graph.from_data else waiting).append(reader)
        if users and not any(_is_known(user, known) for user in users):
            unread[part] = name_of(users[0]).rpartition("Backward")[0] or name_of(users[0])
    return unread


def _is_known(node: Node, known: Collection[Node]) -> bool:
    name = name_of(node)
    is_known = (
        node in known or name in _JOINS or any(name in table for table in (RECURRENT, NORMS, SCALED, ACTIVATIONS))
    )
    return is_known or (name not in PRODUCTS and name.startswith((*LOOKED_UP, *REDUCING)))
