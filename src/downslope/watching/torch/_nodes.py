"""The operations of PyTorch's graphs by their node names, which differ between devices and versions.

A name that is not here is no error: what it does stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from downslope.watching.torch._library import Node, Tensor, torch

_FLAT = 0.01  # of the largest slope, as in `networks`
_LOG_FLAT, _LOGIT_FLAT = math.log(_FLAT), math.log(_FLAT / (1 - _FLAT))
# Where the slope of gelu is below 0.01 in size: below the first, and between the other two, about its least value. Of
# zΦ(z) and of z(1 + tanh u)/2, by bisection; the slopes themselves take as long as the layer.
_GELU_FLAT = {"none": (-3.06743, -0.775472, -0.729080), "tanh": (-3.05285, -0.776204, -0.729693)}

# By name of a product, the index of its data and of its kernel among the operands; both orders where either may be it.
PRODUCTS = {
    "AddmmBackward0": ((1, 2), (2, 1)),
    "MmBackward0": ((0, 1), (1, 0)),
    "LinearBackward0": ((0, 1),),
    "MkldnnLinearBackward0": ((0, 1),),
    "ConvolutionBackward0": ((0, 1),),
    "ConvolutionOverrideableBackward0": ((0, 1),),
    "CudnnConvolutionBackward0": ((0, 1),),
    "BmmBackward0": ((0, 1), (1, 0)),
    "BaddbmmBackward0": ((1, 2), (2, 1)),
    "MvBackward0": ((1, 0), (0, 1)),
    "AddmvBackward0": ((2, 1), (1, 2)),
}
CONVOLUTIONS = frozenset(name for name in PRODUCTS if "Convolution" in name)
LINEAR = frozenset(name for name in PRODUCTS if "Linear" in name)  # the kernel lies as (units, inputs)
BIAS = {"AddmmBackward0": 0, "LinearBackward0": 2, "MkldnnLinearBackward0": 2, "AddmvBackward0": 0} | dict.fromkeys(
    CONVOLUTIONS, 2
)
# Recurrences in one node: (rows before the weights, what it is called).
RECURRENT = {
    "MkldnnRnnLayerBackward0": "lstm",
    "CudnnRnnBackward0": "recurrent layer",
    "MiopenRnnBackward0": "recurrent layer",
    "ThnnFusedLstmCellBackward0": "lstm",
    "ThnnFusedGruCellBackward0": "gru",
}
# Operations that only rearrange numbers, or change their type.
VIEWS = frozenset(
    f"{name}Backward0"
    for name in (
        *("View", "UnsafeView", "ReshapeAlias", "T", "Transpose", "Permute", "Clone", "ToCopy", "Alias", "Expand"),
        *("Squeeze", "Unsqueeze", "Slice", "Select", "Split", "SplitWithSizes", "Unbind", "Narrow", "Unflatten"),
    )
) | {"SqueezeBackward1", "SqueezeBackward2", "UnsqueezeBackward1", "UnsafeSplitBackward0", "TransposeBackward1"}
TYPES = frozenset({"ToCopyBackward0", "CloneBackward0", "AliasBackward0"})
NORMS = frozenset(
    f"{name}Backward0"
    for name in (
        *("NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeLayerNorm", "NativeGroupNorm"),
        *("BatchNorm", "FusedRmsNorm", "InstanceNorm"),
    )
)
BATCH_NORMS = frozenset(name for name in NORMS if "BatchNorm" in name)
POOLS = frozenset(
    f"{name}Backward{number}"
    for name in ("MaxPool1DWithIndices", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "MaxPool2D", "AvgPool2D")
    for number in (0, 1)
) | {"AvgPool2DBackward0", "NativeDropoutBackward0", "FusedDropoutBackward0", "AvgPool1DBackward0"}
# With one operand that has a gradient: a factor, a mask, a shift.
SCALED = frozenset(
    {"MulBackward0", "DivBackward0", "DivBackward1", "AddBackward0", "SubBackward0", "RsubBackward1", "NegBackward0"}
)
REDUCING = ("Mean", "Sum", "LinalgVectorNorm", "Norm", "Var", "Std", "VarMean", "StdMean", "Bmm", "Dot", "Vdot")
ROOTS = ("Rsqrt", "Sqrt", "Pow", "LinalgVectorNorm", "Norm", "Std", "StdMean")
LOOKED_UP = ("Embedding", "EmbeddingBag", "Index", "IndexSelect", "Gather")
TABLES = frozenset({"EmbeddingBackward0", "EmbeddingBagBackward0"})
_FEWEST_FACTORS = 64  # of a mask
UNROLLED = 3  # uses of a kernel in a chain from which on it is a loop


class Saved(NamedTuple):
    """How an activation keeps its numbers.

    Args:
        name: the activation.
        attribute: the attribute of the node.
        is_result: whether these are its results; else what it reads.
    """

    name: str
    attribute: str
    is_result: bool


ACTIVATIONS = {
    "ReluBackward0": Saved("relu", "_saved_result", True),
    "TanhBackward0": Saved("tanh", "_saved_result", True),
    "SigmoidBackward0": Saved("sigmoid", "_saved_result", True),
    "SoftmaxBackward0": Saved("softmax", "_saved_result", True),
    "ExpBackward0": Saved("exponential", "_saved_result", True),
    "GeluBackward0": Saved("gelu", "_saved_self", False),
    "SiluBackward0": Saved("silu", "_saved_self", False),
    "SoftplusBackward0": Saved("softplus", "_saved_self", False),
    "LeakyReluBackward0": Saved("leaky_relu", "_saved_self", False),
    "LeakyReluBackward1": Saved("leaky_relu", "_saved_result", True),
    "EluBackward0": Saved("elu", "_saved_self", False),
    "EluBackward1": Saved("elu", "_saved_result", True),
    "HardtanhBackward0": Saved("hardtanh", "_saved_self", False),
    "ClampBackward1": Saved("hardtanh", "_saved_self", False),
    "MishBackward0": Saved("mish", "_saved_self", False),
    "HardswishBackward0": Saved("hardswish", "_saved_self", False),
    "HardsigmoidBackward0": Saved("hardsigmoid", "_saved_self", False),
    "LogSoftmaxBackward0": Saved("log_softmax", "_saved_result", True),
    "LogSigmoidBackward0": Saved("log_sigmoid", "_saved_self", False),
    "PreluKernelBackward0": Saved("prelu", "_saved_self", False),
    "ClampMinBackward0": Saved("relu", "_saved_self", False),
    "ThresholdBackward0": Saved("relu", "_saved_self", False),
    "SinBackward0": Saved("sine", "_saved_self", False),
}


def name_of(node: Any) -> str:
    """Return the name of a node's operation: `AddmmBackward0`."""
    return type(node).__name__


def where(compare: Callable[..., Tensor], numbers: Tensor, limit: float) -> Tensor:
    """Return 1 where a comparison holds and 0 elsewhere, in the type of the numbers.

    On the CPU this takes a quarter of the time of a comparison that returns truth values, whose mean is slow as well.
    """
    return compare(numbers, limit, out=torch.empty_like(numbers))


def applied(name: str, saved: Tensor, is_result: bool, node: Node) -> tuple[Tensor, Tensor | None]:
    """Return an activation's results, and 1 where its slope is below a hundredth of the largest."""
    functional = torch.nn.functional
    z = saved.float()
    if is_result:
        slopes: dict[str, Callable[[], Tensor]] = {
            "relu": lambda: where(torch.le, z, 0.0),
            "tanh": lambda: where(torch.gt, z * z, 1 - _FLAT),
            "sigmoid": lambda: where(torch.lt, 4 * z * (1 - z), _FLAT),
            "softmax": lambda: where(torch.lt, 4 * z * (1 - z), _FLAT),
            "elu": lambda: where(torch.lt, z, _FLAT - 1),
            "selu": lambda: where(torch.lt, z, 1.7581 * (_FLAT - 1)),
            "leaky_relu": lambda: torch.zeros_like(z),
        }
        return saved, slopes[name]() if name in slopes else None
    if name == "gelu":
        approximate = getattr(node, "_saved_approximate", "none")
        low, *dip = _GELU_FLAT[approximate]
        between = where(torch.gt, z, dip[0]).mul_(where(torch.lt, z, dip[1]))
        return functional.gelu(z, approximate=approximate), between.add_(where(torch.lt, z, low))
    if name == "silu":
        gate = torch.sigmoid(z)
        return z * gate, where(torch.lt, (gate * (1 + z * (1 - gate))).abs_(), _FLAT)
    if name == "softplus":
        return functional.softplus(z), where(torch.lt, z, _LOGIT_FLAT)
    if name in ("elu", "selu"):
        results = (
            functional.selu(z) if name == "selu" else functional.elu(z, alpha=float(getattr(node, "_saved_alpha", 1)))
        )
        return results, where(torch.lt, z, _LOG_FLAT)
    if name == "leaky_relu":
        slope = float(getattr(node, "_saved_negative_slope", _FLAT))
        # Of the slope itself nothing is flat, unless it is next to none.
        return functional.leaky_relu(z, slope), where(torch.lt, z, 0.0) if slope < _FLAT else torch.zeros_like(z)
    if name == "relu":
        return torch.relu(z), where(torch.le, z, 0.0)
    if name == "hardtanh":
        low, high = (getattr(node, f"_saved_{end}_val", getattr(node, f"_saved_{end}", None)) for end in ("min", "max"))
        results = torch.clamp(z, low, high)
        return results, torch.ne(results, z, out=torch.empty_like(z))
    results = {"mish": functional.mish, "hardswish": functional.hardswish, "hardsigmoid": functional.hardsigmoid}
    return (results[name](z), None) if name in results else (z, None)


class Mask(NamedTuple):
    """Factors that a product without a gradient of theirs keeps.

    Args:
        numbers: the largest, the share of zeros, and that of numbers that are neither; shape (3,).
        size: how many numbers these are.
    """

    numbers: Tensor
    size: int


def masks_of(nodes: Iterable[Node]) -> list[Mask]:
    """Return the factors of products that may be random masks: on the CPU these are numbers like any other."""
    masks = []
    for node in nodes:
        if name_of(node) == "NativeDropoutBackward0":
            kept = torch.tensor([1 / (1 - node._saved_p), node._saved_p, 0.0])
            masks.append(Mask(kept, 1))
        if name_of(node) != "MulBackward0" or node.next_functions[1][0] is not None:
            continue
        saved = node._saved_other
        if saved is None or saved.numel() < _FEWEST_FACTORS or not saved.is_floating_point():
            continue
        factors = saved.detach()
        top = factors.max()
        zeros, others = (factors == 0).float().mean(), ((factors != 0) & (factors != top)).float().mean()
        masks.append(Mask(torch.stack([top.float(), zeros, others]), factors.numel()))
    return masks
