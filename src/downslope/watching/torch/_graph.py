"""The layers of a training step, from the autograd graph of its loss.

At the loss the graph holds the whole step on the very batch: each operation is a node, its operands are the nodes in
`next_functions`, and a parameter is an `AccumulateGrad`. A layer is a product of data with what parameters alone make;
its activation is the one reader of that node, behind views, biases, norms and poolings. So activations that are written
as functions are seen like modules. A node that is not in the tables here is no error: what it is stays unknown.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from downslope.watching.torch._inflow import accumulates, is_input, reached_by_data, unread_parts
from downslope.watching.torch._library import Node
from downslope.watching.torch._nodes import (
    ACTIVATIONS,
    BATCH_NORMS,
    BIAS,
    CONVOLUTIONS,
    LINEAR,
    NORMS,
    POOLS,
    PRODUCTS,
    RECURRENT,
    REDUCING,
    ROOTS,
    SCALED,
    TABLES,
    TYPES,
    UNROLLED,
    VIEWS,
    name_of,
)


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph of a step.

    Args:
        nodes: the operations in forward order, without those that accumulate gradients.
        operands: of each node, what it reads; None for what has no gradient.
        readers: of each node, what reads it.
        parameters: the parameter of each accumulating node, by name; None for one of another model.
        from_data: the nodes that data reach; the others are made of parameters alone.
        wiring: the operation of each node and the numbers of what it reads, by which an equal graph is known.
        layout: that of the last graph, if that is wired like this one.
    """

    nodes: tuple[Node, ...]
    operands: Mapping[Node, tuple[Node | None, ...]]
    readers: Mapping[Node, list[Node]]
    parameters: Mapping[Node, str | None]
    from_data: frozenset[Node]
    wiring: tuple[Any, ...] = ()
    layout: GraphLayout | None = None

    @property
    def reached(self) -> frozenset[str]:
        """The names of the parameters that the loss has a derivative by."""
        return frozenset(name for name in self.parameters.values() if name is not None)

    def holds(self, prefix: str) -> bool:
        """Tell whether some operation's name begins so."""
        return any(name_of(node).startswith(prefix) for node in self.nodes)


@dataclass(eq=False)
class GraphLayer:
    """A layer on the graph.

    Args:
        name: its name.
        node: its product; the gradient that arrives there is that by the pre-activation.
        leaf: the part that it multiplies by.
        bias: the part that it adds, or None.
        input_axes, unit_axes: of the leaf; None where they are not known.
        shape: of the leaf.
        data: the index of the operand that is data.
        activation: the name of the activation; "" where it is not known.
        active: the node of the activation, or None.
        order: depth, height, bypassed, is_only_way, normalised; filled in by `read_layers`.
    """

    name: str
    node: Node
    leaf: str
    bias: str | None
    input_axes: tuple[int, ...] | None
    unit_axes: tuple[int, ...] | None
    shape: tuple[int, ...]
    data: int
    activation: str = ""
    active: Node | None = None
    order: dict[str, Any] = field(default_factory=dict)

    @property
    def is_convolution(self) -> bool:
        """Whether its units stand in the second axis of what it makes."""
        return name_of(self.node) in CONVOLUTIONS

    @property
    def units(self) -> int | None:
        """How many units it has; None where that is not known."""
        if self.unit_axes is None:
            return None
        count = 1
        for axis in self.unit_axes:
            count *= self.shape[axis]
        return count


def read_graph(
    root: Node,
    names: Mapping[int, str],
    buffers: Callable[[], Collection[int]] = frozenset,
    last: GraphLayout | None = None,
) -> Graph:
    """Return the graph behind a node.

    Args:
        root: the node of the loss.
        names: the names of the model's parameters by the `id` of each.
        buffers: the function that returns where the constants of the model lie in memory.
        last: the layout of the last graph: what data reach is the same in one that is wired like it.
    """
    operands: dict[Node, tuple[Node | None, ...]] = {}
    readers: dict[Node, list[Node]] = {}
    parameters: dict[Node, str | None] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node in operands or node in parameters:
            continue
        if accumulates(node):
            parameters[node] = names.get(id(node.variable))
            continue
        sources = tuple(
            None if source is None or is_input(source, names) else source for source, _ in node.next_functions
        )
        operands[node] = sources
        for source in sources:
            if source is not None:
                readers.setdefault(source, []).append(node)
                waiting.append(source)
    # Nodes are numbered as they are made, which is the order of the forward pass.
    nodes = tuple(sorted(operands, key=lambda node: node._sequence_nr()))
    numbers: dict[Node | None, Any] = {node: number for number, node in enumerate(nodes)}
    numbers |= parameters | {None: None}
    wiring = tuple((type(node), *map(numbers.__getitem__, operands[node])) for node in nodes)
    if last is not None and last.wiring == wiring:
        return Graph(nodes, operands, readers, parameters, frozenset(nodes[n] for n in last.from_data), wiring, last)
    return Graph(nodes, operands, readers, parameters, reached_by_data(nodes, operands, readers, buffers()), wiring)


def read_layers(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[GraphLayer], list[dict[str, Any]]]:
    """Return the layers of a graph in forward order, and what is used in loops and recurrences, as facts.

    Args:
        graph: the graph.
        shapes: the shape of each parameter, by name.
    """
    products = [layer for node in graph.nodes if (layer := _layer(node, graph, shapes)) is not None]
    uses = Counter(layer.leaf for layer in products)
    loops = {leaf for leaf, count in uses.items() if count >= UNROLLED}
    layers = [layer for layer in products if layer.leaf not in loops]
    nested: list[dict[str, Any]] = [
        {"leaves": [leaf], "inside": "loop", "length": uses[leaf]}
        for leaf in dict.fromkeys(x.leaf for x in products)
        if leaf in loops
    ]
    for node in graph.nodes:
        if name_of(node) in RECURRENT:
            sources = (graph.parameters.get(source) for source in graph.operands[node])
            leaves = [leaf for leaf in sources if leaf is not None and len(shapes[leaf]) > 1]
            nested.append({"leaves": leaves, "inside": RECURRENT[name_of(node)]})
    _name(layers, products)
    for layer in layers:
        layer.activation, layer.active = _activation(layer.node, graph)
        if layer.bias is None:
            layer.bias = _added(layer.node, graph)
    for layer, order in zip(layers, _orders(graph, products, layers), strict=True):
        layer.order = order
    return layers, nested


class GraphLayout(NamedTuple):
    """What was read from a graph, with the numbers of nodes in place of these.

    Args:
        wiring: that of the graph.
        from_data: the nodes that data reach.
        layers: each layer, the number of its product and that of its activation.
        nested: what is used in loops and recurrences.
        unread: parts that only unknown operations use, and the name of one of these.
    """

    wiring: tuple[Any, ...]
    from_data: tuple[int, ...]
    layers: tuple[tuple[GraphLayer, int, int | None], ...]
    nested: list[dict[str, Any]]
    unread: Mapping[str, str]


def read_layers_again(
    graph: Graph, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[GraphLayer], list[dict[str, Any]], GraphLayout]:
    """Return the layers as `read_layers` does, without a search where the graph is wired like the last one."""
    last = graph.layout
    if last is not None:
        layers = [
            dataclasses.replace(layer, node=graph.nodes[product], active=None if act is None else graph.nodes[act])
            for layer, product, act in last.layers
        ]
        return layers, last.nested, last
    layers, nested = read_layers(graph, shapes)
    numbers: dict[Any, int] = {node: number for number, node in enumerate(graph.nodes)}
    kept = tuple(
        (dataclasses.replace(layer, node=None, active=None), numbers[layer.node], numbers.get(layer.active))
        for layer in layers
    )
    rounds = (node for entry in nested if "length" in entry for node in loops_of(graph, shapes, *entry["leaves"]))
    unread = unread_parts(graph, shapes, {*(layer.node for layer in layers), *rounds})
    from_data = tuple(numbers[node] for node in graph.nodes if node in graph.from_data)
    return layers, nested, GraphLayout(graph.wiring, from_data, kept, nested, unread)


def loops_of(graph: Graph, shapes: Mapping[str, tuple[int, ...]], leaf: str) -> list[Node]:
    """Return the products with one leaf in forward order: the rounds of a loop."""
    return [node for node in graph.nodes if (layer := _layer(node, graph, shapes)) and layer.leaf == leaf]


def _layer(node: Node, graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> GraphLayer | None:
    """Return the layer whose product a node is, or None."""
    name, sources = name_of(node), graph.operands[node]
    for data, kernel in PRODUCTS.get(name, ()):
        if max(data, kernel) >= len(sources):
            continue
        source, other = sources[kernel], sources[data]
        if source is None or source in graph.from_data or (node if other is None else other) not in graph.from_data:
            continue
        leaf, passed = _leaf(source, graph)
        if leaf is None:
            leaf, passed = _largest(source, graph, shapes), None
        if leaf is None:
            return None
        bias = sources[BIAS[name]] if name in BIAS and len(sources) > BIAS[name] else None
        inputs, units = (None, None) if passed is None else _axes(node, kernel > data, passed, shapes[leaf])
        return GraphLayer(
            name=leaf,
            node=node,
            leaf=leaf,
            bias=None if bias is None else _leaf(bias, graph)[0],
            input_axes=inputs,
            unit_axes=units,
            shape=shapes[leaf],
            data=data,
        )
    return None


def _leaf(node: Node, graph: Graph) -> tuple[str | None, list[str]]:
    """Return the parameter that a node shows, through views, and the names of these; None for anything else."""
    passed: list[str] = []
    while node is not None and node not in graph.parameters:
        name, sources = name_of(node), graph.operands.get(node, ())
        if name not in VIEWS or len(sources) != 1:
            return None, passed
        passed.append(name)
        node = sources[0]
    return graph.parameters.get(node), passed


def _largest(node: Node, graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Return the largest of the parameters that a kernel is computed from; None for none of the model's."""
    waiting, names, seen = [node], [], set()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        if source in graph.parameters:
            names.append(graph.parameters[source])
        else:
            waiting += [inner for inner in graph.operands.get(source, ()) if inner is not None]
    known = [name for name in names if name is not None]
    return max(known, key=lambda name: _size(shapes[name]), default=None)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def _axes(
    node: Node, is_right: bool, passed: list[str], shape: tuple[int, ...]
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Return the axes of a leaf that a product sums over, and those of its units; None where they are not known."""
    name = name_of(node)
    turns = [step for step in passed if step not in TYPES]
    if name in CONVOLUTIONS:
        if turns or len(shape) < 3:
            return None, None
        inside = tuple(range(2, len(shape)))
        return ((0, *inside), (1,)) if getattr(node, "_saved_transposed", False) else ((1, *inside), (0,))
    if len(shape) != 2 or any(step not in ("TBackward0", "TransposeBackward0", "PermuteBackward0") for step in turns):
        return None, None
    # As an operand on the right the kernel is (inputs, units); each turn exchanges the two.
    units_last = is_right and name not in LINEAR
    if len(turns) % 2:
        units_last = not units_last
    return ((0,), (1,)) if units_last else ((1,), (0,))


def _name(layers: list[GraphLayer], products: list[GraphLayer]) -> None:
    """Name layers by the branch that holds their kernel, or by the kernel where the branch holds several."""
    kernels = {layer.leaf for layer in products}
    uses: Counter[str] = Counter()
    for layer in layers:
        branch = layer.leaf.rpartition("/")[0]
        alone = branch and sum(leaf.startswith(f"{branch}/") for leaf in kernels) == 1
        uses[layer.leaf] += 1
        again = f" ({uses[layer.leaf]})" if uses[layer.leaf] > 1 else ""
        layer.name = f"{branch if alone else layer.leaf}{again}"


def _activation(node: Node, graph: Graph) -> tuple[str, Node | None]:
    """Return the activation behind a product and its node; "linear" without a node where the next product follows."""
    bent = False  # by a norm over units, which is no linear map
    while True:
        readers = list(dict.fromkeys(graph.readers.get(node, ())))
        if readers and all(is_product(reader, node, graph) for reader in readers):
            return ("" if bent else "linear"), None
        if len(readers) != 1:
            return "", None
        reader = readers[0]
        name = name_of(reader)
        if name in ACTIVATIONS:
            return activation_name(reader), reader
        if name in NORMS and name not in BATCH_NORMS:
            bent = True
        elif not (name in VIEWS or name in NORMS or name in POOLS or is_scaled(reader, node, graph)):
            return "", None
        node = reader


def is_product(node: Node, source: Node, graph: Graph) -> bool:
    """Tell whether a node multiplies another, as data, by what parameters make."""
    sources = graph.operands[node]
    return any(
        data < len(sources)
        and sources[data] is source
        and kernel < len(sources)
        and sources[kernel] is not None
        and sources[kernel] not in graph.from_data
        for data, kernel in PRODUCTS.get(name_of(node), ())
    )


def is_scaled(node: Node, source: Node, graph: Graph) -> bool:
    """Tell whether a node shifts another or multiplies it by what no data reach."""
    others = [other for other in graph.operands[node] if other is not None and other is not source]
    return name_of(node) in SCALED and not any(other in graph.from_data for other in others)


def activation_name(node: Node) -> str:
    """Return the name of the activation of a node."""
    name = ACTIVATIONS[name_of(node)].name
    if name == "elu" and abs(float(getattr(node, "_saved_scale", 1.0)) - 1.0507) < 1e-3:
        return "selu"
    if name == "hardtanh":
        low, high = (getattr(node, f"_saved_{end}", None) for end in ("min", "max"))
        if low is None:
            low, high = (getattr(node, f"_saved_{end}_val", None) for end in ("min", "max"))
        return "relu" if low == 0 and high is None else "hardtanh"
    return name


def _added(node: Node, graph: Graph) -> str | None:
    """Return the parameter that is added behind a product without a bias of its own."""
    readers = list(dict.fromkeys(graph.readers.get(node, ())))
    while len(readers) == 1 and name_of(readers[0]) in VIEWS:
        node = readers[0]
        readers = list(dict.fromkeys(graph.readers.get(node, ())))
    if len(readers) != 1 or name_of(readers[0]) != "AddBackward0":
        return None
    others = [other for other in graph.operands[readers[0]] if other is not node and other is not None]
    return _leaf(others[0], graph)[0] if len(others) == 1 else None


class _Reached(NamedTuple):
    """The products that reach a node with no other in between; see `programs` for the four sets."""

    any: frozenset[int] = frozenset()
    raw: frozenset[int] = frozenset()
    reduced: frozenset[int] = frozenset()
    rooted: frozenset[int] = frozenset()


_NOTHING = _Reached()


def _orders(graph: Graph, products: list[GraphLayer], layers: list[GraphLayer]) -> list[dict[str, Any]]:
    """Return where each layer lies among the others."""
    from downslope.programs import DATA, orders_of

    multiplied = {layer.node for layer in products} | {node for node in graph.nodes if name_of(node) in RECURRENT}
    # A table of embeddings is a product with what is 1 at one token and 0 elsewhere: what it makes is no data.
    tables = {node for node in graph.nodes if name_of(node) in TABLES and _is_own(node, graph)}
    multiplied |= tables
    nodes = [node for node in graph.nodes if node in multiplied]
    numbers = {node: number for number, node in enumerate(nodes)}
    reached: dict[Node, _Reached] = {}
    read: list[_Reached] = []
    last = _NOTHING
    for node in graph.nodes:
        sources = [reached.get(source, _NOTHING) for source in graph.operands[node]]
        joined = _Reached(*(frozenset().union(*sets) for sets in zip(*sources, strict=True))) if sources else _NOTHING
        if node in numbers:
            fed = node in tables or any(source is None for source in _data_of(node, graph))
            read.append(joined._replace(any=joined.any | {DATA}) if fed else joined)
            own = frozenset({numbers[node]})
            joined = _Reached(own, own)
        else:
            joined = _passed(node, sources, joined)
            if node in graph.from_data and not any(source in graph.from_data for source in graph.operands[node]):
                joined = joined._replace(any=joined.any | {DATA})  # looked up, or a norm of the data
        reached[node] = last = joined
    raw = frozenset().union(last.raw, *(entry.raw for entry in read))
    orders = orders_of(tuple(entry.any for entry in read), last.any, raw)
    return [dataclasses.asdict(orders[numbers[layer.node]]) for layer in layers]


def _is_own(node: Node, graph: Graph) -> bool:
    """Tell whether a table is a parameter of the model, behind views."""
    source = graph.operands[node][0]
    return source is not None and _leaf(source, graph)[0] is not None


def _data_of(node: Node, graph: Graph) -> list[Node | None]:
    """Return the operands of a product that are data."""
    name, sources = name_of(node), graph.operands[node]
    if name in RECURRENT:
        return list(sources[:1])
    for data, kernel in PRODUCTS.get(name, ()):
        if kernel < len(sources) and sources[kernel] is not None and sources[kernel] not in graph.from_data:
            return [sources[data]]
    return []


def _passed(node: Node, sources: list[_Reached], joined: _Reached) -> _Reached:
    """Return what reaches a node that is no product: as in JAX programs, a norm takes the scale of what it reads."""
    name = name_of(node)
    if name in NORMS:
        return _Reached(joined.any)
    if name.startswith(REDUCING):
        joined = joined._replace(reduced=joined.reduced | joined.raw)
    if name.startswith(ROOTS):
        joined = joined._replace(rooted=joined.rooted | joined.reduced)
    if name.startswith(("Mul", "Div")) and len(sources) == 2:
        left, right = sources
        divided = (left.raw - left.rooted) & right.rooted | (right.raw - right.rooted) & left.rooted
        joined = _Reached(joined.any, *(sets - divided for sets in joined[1:]))
    return joined


def values_of_norm(node: Node) -> int | None:
    """Return the number of values behind each statistic of a norm over a batch in training; None for other nodes."""
    if name_of(node) not in NORMS or not getattr(node, "_saved_training", name_of(node) == "CudnnBatchNormBackward0"):
        return None
    if "BatchNorm" not in name_of(node):
        return None
    try:
        saved = node._saved_input
    except RuntimeError:
        return None
    return int(saved.numel() // max(saved.shape[1], 1)) if saved.dim() > 1 else None
