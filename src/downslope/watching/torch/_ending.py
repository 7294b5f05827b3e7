"""The end of a step's graph: which loss it is, what it compares, and what the network's last operation is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from downslope.watching.torch._graph import Graph, activation_name, is_scaled, name_of
from downslope.watching.torch._library import Node
from downslope.watching.torch._nodes import ACTIVATIONS, NORMS, VIEWS

SOFTMAX_CROSS_ENTROPY, BINARY_CROSS_ENTROPY = "softmax cross-entropy", "binary cross-entropy"
SQUARED, ABSOLUTE, HUBER, CUSTOM = "mean squared error", "mean absolute error", "huber", "custom"
_NUMBERS = {
    "MseLossBackward0": SQUARED,
    "SmoothL1LossBackward0": HUBER,
    "HuberLossBackward0": HUBER,
}
_BINARY = {"BinaryCrossEntropyWithLogitsBackward0": True, "BinaryCrossEntropyBackward0": False}
_CLASSES = frozenset({"NllLossBackward0", "NllLoss2DBackward0"})
_LOSSES = frozenset({*_NUMBERS, *_BINARY, *_CLASSES})
_MEANS = ("Mean", "Sum")
_ENDS = {"HardtanhBackward0": ("_saved_min_val", "_saved_max_val"), "ClampBackward1": ("_saved_min", "_saved_max")}
# Of those that go on for ever on one side, the least value, to four digits.
_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    **dict.fromkeys(("sigmoid", "softmax", "hardsigmoid"), (0.0, 1.0)),
    **dict.fromkeys(("relu", "softplus", "exponential"), (0.0, None)),
    **dict.fromkeys(("tanh", "sine"), (-1.0, 1.0)),
    **dict.fromkeys(("log_softmax", "log_sigmoid"), (None, 0.0)),
    "elu": (-1.0, None),
    "selu": (-1.7581, None),
    "gelu": (-0.17, None),
    "silu": (-0.2785, None),
    "mish": (-0.3089, None),
    "hardswish": (-0.375, None),
}


@dataclass(frozen=True, eq=False)
class LossEnding:
    """How a step ends.

    Args:
        name: the loss by name; "custom" where it is not known.
        from_logits: whether a cross-entropy takes logits; None for other losses.
        takes: what the loss takes, where neither name nor `from_logits` says it; else an empty text.
        output: the last operation of the network: "linear", an activation, or "" where it is not known.
        bounds: the least and the largest output; None where they are not known.
        outputs: numbers that the network makes of one example; None where that is not known.
        predictions: what is compared with the targets, shape (rows, …): numbers, logits or their log-softmax; or None.
        targets: what it is compared with, shape (rows, …), or None.
        ignored: the target that counts nothing, or None.
        is_broadcast: whether each output is compared with the targets of all rows.
        is_whole: whether nothing is added to the loss, such as a penalty.
        compares: whether there were targets, once these were let go.
        residual: outputs less targets, where the loss keeps no more of them; or None.
        sign: −1 where it is targets less outputs.
        product: the node whose results are the outputs.
    """

    name: str = CUSTOM
    from_logits: bool | None = None
    takes: str = ""
    output: str | None = None
    bounds: tuple[float | None, float | None] | None = None
    outputs: int | None = None
    predictions: Any = None
    targets: Any = None
    ignored: int | None = None
    is_broadcast: bool = False
    is_whole: bool = False
    compares: bool = False
    residual: Any = None
    sign: float = 1.0
    product: Node | None = None

    @property
    def is_of_classes(self) -> bool:
        """Whether the targets are indices of classes."""
        return self.name == SOFTMAX_CROSS_ENTROPY and self.targets is not None

    @property
    def facts(self) -> dict[str, Any]:
        """The facts on network and loss that the graph alone says."""
        facts: dict[str, Any] = {"loss": {"name": self.name, "from_logits": self.from_logits}}
        if self.output is not None and self.outputs is not None:
            facts |= {"output": self.output, "outputs": self.outputs}
            facts["output_bounds"] = None if self.bounds is None else list(self.bounds)
        if self.is_whole:
            facts["l2"] = 0.0
        return facts


def read_ending(root: Node, graph: Graph) -> LossEnding:
    """Return how a step ends.

    Args:
        root: the node of the loss.
        graph: the graph behind it.
    """
    losses = [node for node in graph.nodes if name_of(node) in _LOSSES]
    if len(losses) != 1:
        return LossEnding() if losses else _written_out(root, graph)
    (node,) = losses
    name, whole = name_of(node), _below(root, graph) is node
    if name in _CLASSES:
        return _of_classes(node, graph, whole)
    source = graph.operands[node][0]
    if name in _BINARY:
        output, bounds = _output(source, graph)
        predictions, targets = node._saved_self, node._saved_target
        return LossEnding(
            name=BINARY_CROSS_ENTROPY,
            from_logits=_BINARY[name],
            output=output,
            bounds=bounds,
            outputs=_width(predictions),
            predictions=predictions,
            targets=targets,
            is_whole=whole,
        )
    return _of_numbers(_NUMBERS[name], source, node._saved_self, node._saved_target, graph, whole)


def _below(node: Node, graph: Graph) -> Node:
    """Return the node behind factors, views and means of one operand."""
    while True:
        sources = [source for source in graph.operands[node] if source is not None]
        if len(sources) != 1 or sources[0] in graph.parameters:
            return node
        (source,) = sources
        if not (name_of(node) in VIEWS or name_of(node).startswith(_MEANS) or is_scaled(node, source, graph)):
            return node
        node = source


def _of_classes(node: Node, graph: Graph, whole: bool) -> LossEnding:
    """Return how a step ends with the negative logarithm of the likelihood of classes."""
    source, targets = graph.operands[node][0], node._saved_target
    while source is not None and name_of(source) in VIEWS:
        source = next(iter(graph.operands.get(source, ())), None)
    is_softmax = source is not None and name_of(source) == "LogSoftmaxBackward0"
    predictions = node._saved_self
    outputs = int(predictions.shape[1] if predictions.dim() > 1 else predictions.shape[0])
    if predictions.dim() != 2:  # pixels: not a class for each example
        predictions = targets = None
    output, bounds = _output(graph.operands[source][0] if is_softmax else source, graph)
    ignored = getattr(node, "_saved_ignore_index", None)
    # Saved as unsigned, so that −100 comes as 2⁶⁴ − 100.
    ignored = ignored - 2**64 if ignored is not None and ignored >= 2**63 else ignored
    common: dict[str, Any] = {
        "output": output,
        "bounds": bounds,
        "outputs": outputs,
        "predictions": predictions,
        "targets": targets,
        "ignored": ignored,
        "is_whole": whole,
    }
    if is_softmax:
        return LossEnding(SOFTMAX_CROSS_ENTROPY, True, **common)
    # The logarithm of something else: probabilities that were computed before, or outputs as they are.
    takes = "log-probabilities" if output == "linear" else ""
    return LossEnding(CUSTOM, None, takes, **common)


def _of_numbers(name: str, source: Node, compared: Any, targets: Any, graph: Graph, whole: bool) -> LossEnding:
    """Return how a step ends with a distance between numbers."""
    predictions, is_broadcast = compared, False
    own = _own_shape(source)
    if own is not None and tuple(own) != tuple(compared.shape):
        rows = own[0] if own else 0
        # Every output beside the target of every row: (rows, 1) or (rows,) became (rows, rows).
        if tuple(compared.shape) == (rows, rows) and tuple(own) in ((rows, 1), (rows,)) and rows > 1:
            is_broadcast = True
            as_column = tuple(own) == (rows, 1)
            predictions = (compared[:, 0] if as_column else compared[0]).reshape(rows, 1)
            targets = (targets[0] if as_column else targets[:, 0]).reshape(rows, 1)
        else:
            predictions = targets = None
    output, bounds = _output(source, graph)
    outputs = _width(compared) if predictions is None else _width(predictions)
    return LossEnding(
        name=name,
        output=output,
        bounds=bounds,
        outputs=outputs,
        predictions=predictions,
        targets=targets,
        is_broadcast=is_broadcast,
        is_whole=whole,
    )


def _own_shape(node: Node | None) -> list[int] | None:
    """Return the shape of what was expanded before a loss compared it; None where nothing was."""
    if node is None or name_of(node) != "ExpandBackward0":
        return None
    return list(node._saved_self_sym_sizes)


def _written_out(root: Node, graph: Graph) -> LossEnding:
    """Return how a step ends whose loss is written out: the mean of squares or of absolute values of a difference."""
    node = _below(root, graph)
    name, sources = name_of(node), graph.operands[node]
    inner = next((source for source in sources if source is not None), None)
    if inner is None or name_of(inner) not in ("SubBackward0", "RsubBackward1"):
        return LossEnding()
    is_square = name == "PowBackward0" and float(getattr(node, "_saved_exponent", 0)) == 2.0
    is_square = is_square or (name == "MulBackward0" and len(sources) == 2 and sources[0] is sources[1])
    if not is_square and name != "AbsBackward0":
        return LossEnding()
    source = next((source for source in graph.operands[inner] if source is not None), None)
    if source is None or sum(source in graph.from_data for source in graph.operands[inner]) != 1:
        return LossEnding()
    output, bounds = _output(source, graph)
    residual = getattr(node, "_saved_self", None)
    numbers = _numbers_of(source, graph)
    rows = None if residual is None or residual.dim() != 2 else residual.shape[0]
    # As many outputs as there are rows, and as many residuals as their square: each is compared with every target.
    is_broadcast = (
        residual is not None and rows is not None and rows > 1 and residual.shape[1] == rows and numbers == rows
    )
    is_known = residual is not None and residual.numel() == numbers
    return LossEnding(
        name=SQUARED if is_square else ABSOLUTE,
        output=output,
        bounds=bounds,
        outputs=1 if is_broadcast else None if residual is None else _width(residual),
        residual=residual if is_known else None,
        sign=1.0 if graph.operands[inner][0] is source else -1.0,
        product=_behind_views(source, graph),
        is_broadcast=is_broadcast,
        is_whole=True,
    )


def _behind_views(node: Node, graph: Graph) -> Node:
    """Return the node that views show."""
    while name_of(node) in VIEWS and len(graph.operands[node]) == 1 and graph.operands[node][0] in graph.operands:
        node = graph.operands[node][0]
    return node


def _numbers_of(node: Node, graph: Graph) -> int | None:
    """Return how many numbers an operation makes, before they are expanded; None where that is not kept."""
    node = _behind_views(node, graph)
    try:
        if name_of(node) in ACTIVATIONS:
            return int(getattr(node, ACTIVATIONS[name_of(node)].attribute).numel())
        if name_of(node) in ("AddmmBackward0", "MmBackward0"):
            data = node._saved_mat1 if name_of(node) == "AddmmBackward0" else node._saved_self
            return int(data.shape[0]) * int(node._saved_mat2_sym_sizes[1])
    except (AttributeError, RuntimeError):
        return None
    return None


def _width(tensor: Any) -> int:
    """Return the numbers of one row."""
    return max(int(tensor[0].numel()), 1) if tensor.dim() > 1 and len(tensor) else 1


def _output(node: Node | None, graph: Graph) -> tuple[str, tuple[float | None, float | None] | None]:
    """Return the last operation of the network and its bounds; "" where it is not recognised."""
    scaled, factor = False, 1.0
    while node is not None and node not in graph.parameters:
        name, sources = name_of(node), graph.operands[node]
        inner = [source for source in sources if source is not None]
        if _is_free(node, graph):
            return "linear", (None, None)
        if name in ACTIVATIONS:
            return ("", None) if scaled else _times(*_bounded(node), factor)
        fed = [source for source in inner if source in graph.from_data]
        if name in VIEWS and len(inner) == 1:
            node = inner[0]
        elif name in NORMS or name.startswith(_MEANS):
            node, scaled = inner[0] if inner else None, True
        elif len(fed) == 1 and is_scaled(node, fed[0], graph):
            times = _factor(node, sources.index(fed[0]))
            node, scaled, factor = fed[0], scaled or times is None, factor * (times or 1.0)
        elif name in ("AddBackward0", "SubBackward0", "CatBackward0") and fed:
            forms = {_output(source, graph)[0] for source in fed}
            return ("linear", (None, None)) if forms == {"linear"} else ("", None)
        else:
            return "", None
    return "linear", (None, None)


def _factor(node: Node, own: int) -> float | None:
    """Return the number that a node multiplies one of its operands by; None for anything else."""
    name = name_of(node)
    if name == "NegBackward0":
        return -1.0
    if name not in ("MulBackward0", "DivBackward0"):
        return None
    other = getattr(node, "_saved_other" if own == 0 else "_saved_self", None)
    # A number that was typed is a tensor on the host; what is elsewhere is not fetched for this.
    if other is None or (hasattr(other, "numel") and (other.numel() != 1 or other.device.type != "cpu")):
        return None
    times = float(other)
    return None if times == 0 else times if name == "MulBackward0" else 1 / times


def _times(
    name: str, bounds: tuple[float | None, float | None] | None, factor: float
) -> tuple[str, tuple[float | None, float | None] | None]:
    """Return an output and its bounds multiplied by a number."""
    if factor == 1.0 or bounds is None:
        return name, bounds
    low, high = (None if end is None else end * factor for end in bounds)
    return "", (low, high) if factor > 0 else (high, low)


def _is_free(node: Node, graph: Graph) -> bool:
    """Tell whether a node is a product, whose results have no bounds."""
    name = name_of(node)
    return name.startswith(("Addmm", "Mm", "Linear", "Convolution", "Bmm", "Baddbmm", "Mv", "Addmv", "Dot")) or (
        name.startswith(("MkldnnLinear", "CudnnConvolution", "Embedding"))
    )


def _bounded(node: Node) -> tuple[str, tuple[float | None, float | None] | None]:
    """Return the name and the bounds of an activation."""
    name = activation_name(node)
    if name_of(node) in _ENDS:
        low, high = (getattr(node, attribute, None) for attribute in _ENDS[name_of(node)])
        return name, (None if low is None else float(low), None if high is None else float(high))
    return name, _BOUNDS.get(name, (None, None))
