"""The record of one step: statistics of its layers, their gradients, some rows, and the score.

Everything is read from what the graph keeps for the backward pass. Nothing is computed forward again but the last
product, and no number is fetched: a look leaves tensors where they are, and the instrument transfers them later.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope.watching.torch._curvature import inner_products, noise_scale
from downslope.watching.torch._ending import LossEnding, read_ending
from downslope.watching.torch._graph import (
    Graph,
    GraphLayer,
    GraphLayout,
    activation_name,
    is_product,
    loops_of,
    name_of,
    read_graph,
    read_layers_again,
    values_of_norm,
)
from downslope.watching.torch._library import Node, Tensor, torch
from downslope.watching.torch._nodes import ACTIVATIONS, NORMS, RECURRENT, VIEWS, Mask, applied, masks_of, where
from downslope.watching.torch._scores import score_of

COLUMNS = ("activation_mean", "activation_deviation", "activation_variation", "saturated_share", "dead_share")
_MOST_NUMBERS = 2**18  # of one layer that statistics are taken of; of more, the first examples
_FEWEST_EXAMPLES, _FEW = 16, 64
_MOST_FEATURES = 2**16  # of an example that is kept for comparison


@dataclass(eq=False)
class Sight:
    """What a look found, in tensors that were not fetched.

    Args:
        layers: the layers.
        nested: what is used in loops and recurrences, as facts.
        ending: how the step ends.
        reached: the parts that the loss has a derivative by.
        sums: of each layer the mean, the distance of its units' means from it, that of its numbers from these, and the
            shares that are flat; shape (layers · columns,).
        sizes: of how many numbers and means of units the distances are, shape (layers, 2).
        gradients: the norm of the gradient by each layer's pre-activation; NaN until it arrives.
        rounds: by leaf of a loop, the norm of the gradient in each of its rounds.
        inputs, targets: rows as the network sees them, or None.
        classes: rows of each class, or None.
        score: of classes the right ones and all; of numbers sums for R²; or None.
        recalls: rows of each class and the right ones among them; or None.
        input_size: mean square of what the first layers read, and how many layers these are; or None.
        normalised: whether a norm is on the graph.
        normalised_over: the number of values behind each batch statistic.
        examples: rows of the batch; None where they are not known.
        unread: parts that only operations use that are not known, and the name of one of these.
        masks: factors that may be random masks, of the first look at a graph.
        inner: the inner products of the gradients of the examples, as far as dense layers go; or None.
    """

    layers: list[GraphLayer]
    nested: list[dict[str, Any]]
    ending: LossEnding
    reached: frozenset[str]
    sums: Tensor | None = None
    sizes: np.ndarray | None = None
    gradients: list[Tensor | None] = field(default_factory=list)
    rounds: dict[str, list[Tensor]] = field(default_factory=dict)
    inputs: Tensor | None = None
    targets: Tensor | None = None
    classes: Tensor | None = None
    score: Tensor | None = None
    recalls: Tensor | None = None
    input_size: Tensor | None = None
    normalised: bool = False
    normalised_over: list[int] = field(default_factory=list)
    positions: list[int | None] = field(default_factory=list)
    examples: int | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    masks: list[Mask] = field(default_factory=list)
    inner: Tensor | None = None
    nodes: tuple[Node, ...] = ()
    layout: GraphLayout | None = None
    listen: Callable[[], None] = lambda: None

    def statistics(self, sums: np.ndarray) -> np.ndarray:
        """Return the statistics of the layers, shape (layers, columns), from their sums on the host."""
        assert self.sizes is not None
        table = sums.reshape(-1, len(COLUMNS)).copy()
        within, between = table[:, 2] / np.sqrt(self.sizes[:, 0]), table[:, 1] / np.sqrt(self.sizes[:, 1])
        table[:, 1], table[:, 2] = np.hypot(within, between), within
        return table

    def noise_scale(self) -> float | None:
        """Return the noise scale of the dense layers; None where it was not measured."""
        return None if self.inner is None else noise_scale(self.inner)

    def release(self) -> None:
        """Let the graph go: what is left are names and numbers."""
        self.nodes, self.listen = (), lambda: None
        for layer in self.layers:
            layer.node = layer.active = None
        ending = self.ending
        self.ending = dataclasses.replace(
            ending, predictions=None, targets=None, compares=ending.targets is not None, residual=None, product=None
        )


def look(
    loss: Tensor,
    names: Mapping[int, str],
    parts: Mapping[str, Tensor],
    *,
    rows: bool,
    noise: bool,
    inputs: Sequence[Tensor] = (),
    layout: GraphLayout | None = None,
    buffers: Callable[[], Collection[int]] = frozenset,
) -> Sight | None:
    """Look at a step, between forward and backward; None where there is no graph, or a compiled one.

    Args:
        loss: the loss.
        names: the parts of the model by the `id` of each parameter.
        parts: the parameters by part.
        rows: whether rows are wanted.
        noise: whether what the noise scale needs is wanted.
        inputs: what the model was called with in this step, if that was seen.
        layout: that of the last look, which saves the search.
        buffers: the function that returns where the constants of the model lie in memory.
    """
    root = loss.grad_fn
    if root is None:
        return None
    graph = read_graph(root, names, buffers, layout)
    if graph.holds("CompiledFunction"):
        return None
    shapes = {name: tuple(part.shape) for name, part in parts.items()}
    layers, nested, layout = read_layers_again(graph, shapes)
    sight = Sight(layers, nested, read_ending(root, graph), graph.reached)
    _end_layers(sight)
    sight.unread = layout.unread
    norms = [node for node in graph.nodes if name_of(node) in NORMS]
    sight.normalised = bool(norms)
    sight.normalised_over = [count for node in norms if (count := values_of_norm(node)) is not None]
    with torch.no_grad():
        _complete(sight, parts)
        targets = sight.ending.targets
        sight.examples = int(targets.shape[0]) if targets is not None and targets.dim() else None
        _take_statistics(sight, graph, parts)
        sight.score, sight.classes, sight.recalls = score_of(sight.ending)
        if len(inputs) == 1 and len(inputs[0]) != sight.examples:
            sight.recalls = None  # of words or pixels, whose order says nothing, and some of which are never likeliest
        _take_inputs(sight, graph, parts, rows, inputs)
        sight.masks = masks_of(graph.nodes) if graph.layout is None else []
    sight.nodes, sight.layout = graph.nodes, layout
    sight.listen = lambda: _listen(sight, graph, shapes, noise)
    return sight


def _complete(sight: Sight, parts: Mapping[str, Tensor]) -> None:
    """Compute outputs and targets again of a loss that kept their difference alone."""
    ending = sight.ending
    if ending.residual is None or ending.product is None:
        return
    layer = next((layer for layer in sight.layers if layer.node is ending.product), None)
    outputs = None
    if layer is not None:
        outputs = _product(layer, parts, len(ending.residual))
    elif name_of(ending.product) in ACTIVATIONS:
        kept = ACTIVATIONS[name_of(ending.product)]
        saved = getattr(ending.product, kept.attribute).detach()
        outputs, _ = applied(activation_name(ending.product), saved, kept.is_result, ending.product)
    if outputs is not None and outputs.numel() == ending.residual.numel():
        predictions = outputs.reshape(ending.residual.shape)
        targets = predictions - ending.sign * ending.residual.detach()
        sight.ending = dataclasses.replace(ending, predictions=predictions, targets=targets)


def _end_layers(sight: Sight) -> None:
    """Give the last layer the activation that the network ends with: a softmax of the loss is none."""
    last = [layer for layer in sight.layers if layer.order.get("height") == 0]
    for layer in last:
        if layer.activation == "log_softmax":
            layer.activation, layer.active = "", None
        if len(last) == 1 and not layer.activation and sight.ending.output in ("linear", None):
            layer.activation = sight.ending.output or ""


# --- statistics of the layers ----------------------------------------------------------------------------------------


def _take_statistics(sight: Sight, graph: Graph, parts: Mapping[str, Tensor]) -> None:
    """Take the statistics of all layers."""
    if not sight.layers:
        return
    unknown = torch.full((), math.nan, device=next(iter(parts.values())).device)
    rows = [_of_layer(layer, graph, parts, sight.examples, unknown) for layer in sight.layers]
    sight.positions = [positions for _, _, positions in rows]
    sight.sizes = np.array([sizes for _, sizes, _ in rows], float)
    sight.sums = torch.stack([number for numbers, _, _ in rows for number in numbers])


def _of_layer(
    layer: GraphLayer, graph: Graph, parts: Mapping[str, Tensor], examples: int | None, unknown: Tensor
) -> tuple[list[Tensor], tuple[int, int], int | None]:
    """Return the sums of a layer, of how many numbers and means they are, and how often a unit occurs in an example."""
    nothing: tuple[list[Tensor], tuple[int, int], None] = [unknown] * len(COLUMNS), (1, 1), None
    try:
        saved, flat, whole = _outward(layer, graph, parts)
    except RuntimeError:  # changed in place since, or freed
        return nothing
    if saved is None or not saved.dim() or not saved.numel() or saved.dtype.is_complex:
        return nothing
    units = layer.units
    # Of the first rows alone, which are examples, or examples at their positions.
    positions = max(saved.numel() * whole // (units * examples * len(saved)), 1) if units and examples else None
    numbers = saved.float()
    # The variance in all is that within units and that between their means; `var` takes several times as long.
    centres = numbers.mean(0)
    mean = centres.mean()
    sums = [mean, torch.dist(centres, mean), torch.dist(numbers, centres), unknown, unknown]
    if flat is not None:
        axis = _unit_axis(layer, saved)
        others = [other for other in range(flat.dim()) if other != axis]
        shares = flat.mean(others) if axis is not None and others else None
        sums[3] = (flat if shares is None else shares).mean()
        if shares is not None:
            sums[4] = where(torch.ge, shares, 1.0).mean()
    return sums, (numbers.numel(), centres.numel()), positions


def _outward(layer: GraphLayer, graph: Graph, parts: Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor | None, int]:
    """Return what a layer's activation makes of some rows, and 1 where its slope is flat; None each; and all rows."""
    if layer.active is not None:
        kept = getattr(layer.active, ACTIVATIONS[name_of(layer.active)].attribute).detach()
        is_result = ACTIVATIONS[name_of(layer.active)].is_result
        return *applied(layer.activation, _some(kept), is_result, layer.active), _rows(kept)
    if layer.activation == "linear":
        reader = _next(layer.node, graph)
        if reader is not None:
            kept = _data_of(reader).detach()
            return _some(kept), None, _rows(kept)
    # Nothing keeps what the last layer makes: its product is computed again, of a few examples.
    results = _product(layer, parts)
    return results, None, 1 if results is None else _rows(_data_of(layer.node))


def _rows(tensor: Tensor) -> int:
    return len(tensor) if tensor.dim() else 1


def _some(tensor: Tensor) -> Tensor:
    """Return the first examples of a tensor, as many as are looked at."""
    if tensor.dim() < 2 or tensor.numel() <= _MOST_NUMBERS:
        return tensor
    size = tensor[0].numel()
    return tensor[: max(min(_MOST_NUMBERS // max(size, 1), len(tensor)), min(_FEWEST_EXAMPLES, len(tensor)))]


def _unit_axis(layer: GraphLayer, saved: Tensor) -> int | None:
    """Return the axis of the units in what a layer makes; None where it cannot be told."""
    units = layer.units
    if units is None:
        return None
    if layer.is_convolution and saved.dim() > 2 and saved.shape[1] == units:
        return 1
    return saved.dim() - 1 if saved.dim() > 1 and saved.shape[-1] == units else None


def _next(node: Node, graph: Graph) -> Node | None:
    """Return the next product behind views alone, whose data are what a layer makes."""
    while True:
        readers = list(dict.fromkeys(graph.readers.get(node, ())))
        if not readers:
            return None
        if name_of(readers[0]) not in VIEWS:
            return readers[0] if is_product(readers[0], node, graph) else None
        node = readers[0]


def _data_of(node: Node) -> Tensor:
    """Return what a product multiplies by its kernel, as it is kept."""
    for attribute in ("_saved_mat1", "_saved_input", "_saved_self", "_saved_batch1"):
        saved = getattr(node, attribute, None)
        if saved is not None:
            return saved
    raise RuntimeError("the data of a product were not kept")


def _product(layer: GraphLayer, parts: Mapping[str, Tensor], most: int = _FEW) -> Tensor | None:
    """Return what a dense layer makes of a few examples; None where its operands were not kept."""
    first = getattr(layer.node, "_saved_mat1", None)
    first = getattr(layer.node, "_saved_self", None) if first is None else first
    second = getattr(layer.node, "_saved_mat2", None)
    if first is None or second is None or first.dim() != 2 or second.dim() != 2 or first.dtype != second.dtype:
        return None
    if layer.data != (1 if name_of(layer.node) == "AddmmBackward0" else 0):
        return None  # the kernel stands on the left, and the examples side by side
    results = first.detach()[:most] @ second.detach()
    bias = None if layer.bias is None else parts[layer.bias].detach()
    return results if bias is None or bias.dim() != 1 else results + bias.to(results.dtype)


# --- rows, inputs ----------------------------------------------------------------------------------------------------


def _take_inputs(sight: Sight, graph: Graph, parts: Mapping[str, Tensor], rows: bool, called: Sequence[Tensor]) -> None:
    """Take what the first layers read, and rows of it with their targets where they are certain to belong together."""
    numbers = [source.detach() for source in _first_inputs(sight, graph)]
    squares = [_mean_square(_some(source)) for source in numbers if source.is_floating_point()]
    if squares and len(squares) == len(numbers):
        sight.input_size = torch.stack(squares).mean() if len(squares) > 1 else squares[0]
    ending, examples = sight.ending, sight.examples
    if not rows or examples is None or ending.targets is None:
        return
    if ending.name == "custom" and not ending.takes:
        return
    # As the model was called; where that was not seen, as its first layer reads them, unless one before is cut off.
    whole = all(name in sight.reached for name, part in parts.items() if part.dim() > 1)
    sources = called if len(called) == 1 and called[0].is_floating_point() else numbers if whole else []
    inputs = _rows_of(sources[0], examples) if len(sources) == 1 else None
    if inputs is None or inputs[0].numel() > _MOST_FEATURES:
        return
    sight.inputs = inputs.float().reshape(examples, -1).clone()
    sight.targets = ending.targets.detach().reshape(examples, *ending.targets.shape[1:]).clone()


def _mean_square(tensor: Tensor) -> Tensor:
    return torch.linalg.vector_norm(tensor, dtype=torch.float32).square() / max(tensor.numel(), 1)


def _first_inputs(sight: Sight, graph: Graph) -> list[Tensor]:
    """Return the data that the first layers read as they are; nothing where some first layer reads something else."""
    sources: list[Tensor] = []
    first = [layer.node for layer in sight.layers if layer.order.get("depth") == 0]
    first += [node for node in graph.nodes if name_of(node) in RECURRENT and graph.operands[node][0] is None]
    for node in first:
        before = next((layer.data for layer in sight.layers if layer.node is node), 0)
        source = graph.operands[node][before]
        while source is not None and name_of(source) in VIEWS and len(graph.operands[source]) == 1:
            source = graph.operands[source][0]
        if source is None:
            try:
                sources.append(_data_of(node))
            except RuntimeError:
                return []
        elif name_of(source) in NORMS and graph.operands[source][0] is None:
            sources.append(source._saved_input)
        else:
            return []
    return _distinct(sources)


def _distinct(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors without those that show the same memory."""
    return list({(tensor.data_ptr(), tuple(tensor.shape)): tensor for tensor in tensors}.values())


def _rows_of(data: Tensor, examples: int) -> Tensor | None:
    """Return data with a row for each example in front; None where it is not certain which entries are an example's."""
    if data.dim() and data.shape[0] == examples:
        return data
    base = data._base
    if base is not None and base.dim() and base.is_contiguous() and data.is_contiguous() and data.numel():
        # Folded, as (examples · positions, features): in the memory of its base the examples lie one after another.
        size = base[0].numel()
        if size * examples == data.numel() and data.storage_offset() % max(size, 1) == base.storage_offset() % max(
            size, 1
        ):
            return data.reshape(examples, -1)
    axes = [axis for axis, side in enumerate(data.shape) if side == examples]
    return data.movedim(axes[0], 0) if data.dim() > 2 and len(axes) == 1 else None


# --- gradients -------------------------------------------------------------------------------------------------------


def _listen(sight: Sight, graph: Graph, shapes: Mapping[str, tuple[int, ...]], noise: bool) -> None:
    """Take the gradients by the pre-activations when they come by, in this one backward pass."""
    sight.gradients = [None] * len(sight.layers)
    dense = noise and sight.examples is not None and not any("BatchNorm" in name_of(node) for node in graph.nodes)
    for index, layer in enumerate(sight.layers):
        _before_activation(layer, graph).register_prehook(_arrival(sight, index))
        data = _dense_data(layer, sight.examples) if dense else None
        if data is not None:
            layer.node.register_prehook(_products(sight, data, layer.bias is not None))
    for entry in sight.nested:
        if "length" in entry:
            (leaf,) = entry["leaves"]
            norms = sight.rounds.setdefault(leaf, [])
            for node in loops_of(graph, shapes, leaf):
                node.register_prehook(_round(norms))


def _before_activation(layer: GraphLayer, graph: Graph) -> Node:
    """Return the node whose results the activation reads: a norm between it and the product, or the product."""
    node = layer.active
    while node is not None and node is not layer.node:
        node = next((source for source in graph.operands[node] if source in graph.from_data), None)
        if node is not None and name_of(node) in NORMS:
            return node
    return layer.node


def _arrival(sight: Sight, index: int) -> Callable[[tuple[Tensor, ...]], None]:
    """Return what takes the gradient by the pre-activation of a layer."""

    def arrive(gradients: tuple[Tensor, ...]) -> None:
        # Nothing that goes wrong here may reach the backward pass.
        with contextlib.suppress(Exception):
            if gradients[0] is not None and sight.gradients[index] is None:
                sight.gradients[index] = torch.linalg.vector_norm(gradients[0].detach(), dtype=torch.float32)

    return arrive


def _products(sight: Sight, data: Tensor, biased: bool) -> Callable[[tuple[Tensor, ...]], None]:
    """Return what takes the inner products of the examples' gradients in a dense layer."""

    def arrive(gradients: tuple[Tensor, ...]) -> None:
        gradient = gradients[0]
        with contextlib.suppress(Exception):
            if gradient is not None and gradient.shape[0] == data.shape[0] and gradient.dim() == 2:
                inner = inner_products(data, gradient.detach(), biased)
                sight.inner = inner if sight.inner is None else sight.inner + inner

    return arrive


def _round(norms: list[Tensor]) -> Callable[[tuple[Tensor, ...]], None]:
    """Return what takes the gradient of one round of a loop."""

    def arrive(gradients: tuple[Tensor, ...]) -> None:
        if gradients[0] is not None:
            norms.append(torch.linalg.vector_norm(gradients[0], dtype=torch.float32).detach())

    return arrive


def _dense_data(layer: GraphLayer, examples: int | None) -> Tensor | None:
    """Return what a dense layer reads, a row for each example; None for any other layer."""
    if layer.is_convolution or layer.unit_axes is None:
        return None
    try:
        data = _data_of(layer.node).detach()
    except RuntimeError:
        return None
    return data if data.dim() == 2 and data.shape[0] == examples else None
