"""The end of a step's graph: which loss it is, what it compares, and the network's last operation."""

from __future__ import annotations

from collections.abc import Sequence
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
_SIGNS = ("NegBackward0", "RsubBackward1")
_CHOOSING = ("IndexBackward0", "GatherBackward0")  # of the logarithms those of the classes
_CUTS = frozenset({"ClampBackward1", "ClampMinBackward0"})
_GUARD = 1e-3  # from 0 or 1: a cut that close keeps logarithms finite, and is no activation
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
        output, bounds = _output(source if _BINARY[name] else _unguarded(source, graph), graph)
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
    predictions = node._saved_self
    outputs = int(predictions.shape[1] if predictions.dim() > 1 else predictions.shape[0])
    if predictions.dim() != 2:  # pixels: not a class for each example
        predictions = targets = None
    ignored = getattr(node, "_saved_ignore_index", None)
    # Saved as unsigned, so that −100 comes as 2⁶⁴ − 100.
    ignored = ignored - 2**64 if ignored is not None and ignored >= 2**63 else ignored
    known = _behind_logarithm(source, graph)
    if known is None:
        # The logarithm of something that was computed before, or outputs as they are.
        output, bounds = _output(source, graph)
        known = {"output": output, "bounds": bounds, "takes": "log-probabilities" if output == "linear" else ""}
    return LossEnding(
        **known, outputs=outputs, predictions=predictions, targets=targets, ignored=ignored, is_whole=whole
    )


def _behind_logarithm(node: Node | None, graph: Graph) -> dict[str, Any] | None:
    """Return what the logarithms of probabilities say of the loss and the output; None for anything else."""
    if node is None or node in graph.parameters:
        return None
    if name_of(node) == "LogSoftmaxBackward0":
        output, bounds = _output(graph.operands[node][0], graph)
        return {"name": SOFTMAX_CROSS_ENTROPY, "from_logits": True, "output": output, "bounds": bounds}
    if name_of(node) == "LogBackward0":
        output, bounds = _output(_unguarded(graph.operands[node][0], graph), graph)
        return {"name": SOFTMAX_CROSS_ENTROPY, "from_logits": False, "output": output, "bounds": bounds}
    return None


def _unguarded(node: Node | None, graph: Graph) -> Node | None:
    """Return what makes probabilities, behind what keeps them from 0, and from adding up to anything but 1."""
    while node is not None and node not in graph.parameters:
        name, sources = name_of(node), graph.operands[node]
        if (name in VIEWS and len(sources) == 1) or (name in _CUTS and _is_guard(node)):
            node = sources[0]
        elif name == "AddBackward0" and len(sources) == 2 and sources[1] is None:
            node = sources[0]  # p + 10⁻⁸
        elif name == "DivBackward0" and len(sources) == 2 and _sums(sources[1], sources[0], graph):
            node = sources[0]
        else:
            return node
    return node


def _is_guard(node: Node) -> bool:
    """Tell whether a cut does no more than to keep probabilities from 0 and 1."""
    low, high = (getattr(node, attribute, None) for attribute in ("_saved_min", "_saved_max"))
    return low is not None and 0 <= float(low) <= _GUARD and (high is None or 1 - _GUARD <= float(high) <= 1)


def _sums(node: Node | None, source: Node | None, graph: Graph) -> bool:
    """Tell whether a node is the sum of what another makes."""
    while node is not None and node in graph.operands and (name_of(node) in VIEWS or name_of(node).startswith("Add")):
        node = graph.operands[node][0]
    return node is not None and name_of(node) == "SumBackward1" and graph.operands[node][0] is source


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
    entropy = _written_entropy(node, root, graph)
    if entropy is not None:
        return entropy
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


def _written_entropy(node: Node, root: Node, graph: Graph) -> LossEnding | None:
    """Return how a step ends with a cross-entropy that is written out; None for another loss.

    That of classes is the mean of −y·log p, or of the logarithms that y points at; that of two the mean of
    −y·log p − (1 − y)·log(1 − p).
    """
    name, sources = name_of(node), graph.operands[node]
    if name in ("AddBackward0", "SubBackward0") and len(sources) == 2:
        return _written_binary(sources, graph)
    if name in _CHOOSING:
        picked, node = node, _behind_views(sources[0], graph) if sources[0] in graph.operands else sources[0]
        known = _behind_logarithm(node, graph)
        return None if known is None else _with_classes(known, _logarithms(node), _chosen(picked))
    picked = graph.operands[node][0] if name == "LogBackward0" else None
    if picked is not None and name_of(picked) in _CHOOSING and graph.operands[picked][0] in graph.operands:
        # The logarithm of the probabilities that y points at.
        inner = graph.operands[picked][0]
        output, bounds = _output(_unguarded(inner, graph), graph)
        sure = getattr(inner, "_saved_result", None)
        known = {"name": SOFTMAX_CROSS_ENTROPY, "from_logits": False, "output": output, "bounds": bounds}
        return _with_classes(known, sure, _chosen(picked))
    known = _behind_logarithm(node, graph)
    reader = _weighted(node, root, graph)
    if known is None or reader is None:
        return None
    weights = getattr(reader, "_saved_other" if graph.operands[reader][0] is node else "_saved_self", None)
    if weights is None or weights.dim() != 2 or weights.shape[1] < 2:
        return _with_classes(known, _logarithms(node), None)
    return _with_classes(known, _logarithms(node), weights.abs().argmax(1))


def _logarithms(node: Node) -> Any:
    """Return the logarithms of probabilities, or the probabilities: either is largest at the class predicted."""
    return node._saved_result if name_of(node) == "LogSoftmaxBackward0" else node._saved_self


def _with_classes(known: dict[str, Any], sure: Any, classes: Any) -> LossEnding:
    """Return the ending of a cross-entropy of classes with what it compares, where that was kept."""
    is_known = sure is not None and classes is not None and sure.dim() == 2 and tuple(classes.shape) == (len(sure),)
    return LossEnding(
        **known,
        outputs=int(sure.shape[-1]) if sure is not None and sure.dim() > 1 else None,
        predictions=sure if is_known else None,
        targets=classes if is_known else None,
        is_whole=True,
    )


def _weighted(node: Node, root: Node, graph: Graph) -> Node | None:
    """Return the product of data without a gradient with what a node makes, between it and the loss."""
    while node is not root:
        readers = list(dict.fromkeys(graph.readers.get(node, ())))
        if len(readers) != 1:
            return None
        if name_of(readers[0]) == "MulBackward0" and None in graph.operands[readers[0]]:
            return readers[0]
        node = readers[0]
    return None


def _chosen(node: Node) -> Any:
    """Return the classes that the logarithms were chosen by; None where they were not kept."""
    indices = getattr(node, "_saved_indices", None)
    index = indices[-1] if isinstance(indices, tuple | list) and indices else getattr(node, "_saved_index", None)
    if index is None or index.is_floating_point():
        return None
    return index.reshape(len(index)) if index.numel() == len(index) else None


def _written_binary(sources: Sequence[Node | None], graph: Graph) -> LossEnding | None:
    """Return the ending of −y·log p − (1 − y)·log(1 − p); None for another sum."""
    straight: list[Node | None] = []
    turned: list[Node | None] = []
    kept: list[Any] = []
    for source in sources:
        weights = None
        while source is not None and source in graph.operands and name_of(source) in (*_SIGNS, "MulBackward0"):
            fed = [inner for inner in graph.operands[source] if inner in graph.from_data]
            if name_of(source) == "MulBackward0":
                saved = [getattr(source, attribute, None) for attribute in ("_saved_self", "_saved_other")]
                weights = next((each for each in saved if each is not None), weights)
            source = fed[0] if len(fed) == 1 else None
        if source is None or name_of(source) not in ("LogBackward0", "Log1PBackward0"):
            return None
        inner, opposite = _unguarded(graph.operands[source][0], graph), None
        signs = ("NegBackward0",) if name_of(source) == "Log1PBackward0" else ("RsubBackward1", "SubBackward0")
        if inner is not None and name_of(inner) in signs:
            opposite = _unguarded(next(x for x in graph.operands[inner] if x is not None), graph)
        straight.append(inner)
        turned.append(opposite)
        kept.append((source, weights))
    index = next((i for i in (0, 1) if straight[i] is not None and straight[i] is turned[1 - i]), None)
    if index is None:
        return None
    output, bounds = _output(straight[index], graph)
    sure, targets = kept[index][0]._saved_self, kept[index][1]
    is_known = targets is not None and sure.shape == targets.shape
    return LossEnding(
        BINARY_CROSS_ENTROPY,
        False,
        output=output,
        bounds=bounds,
        outputs=_width(sure),
        predictions=sure if is_known else None,
        targets=targets.abs() if targets is not None and is_known else None,
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
