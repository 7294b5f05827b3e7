"""The operations of PyTorch's graphs by the names of their nodes, which differ by device and version.

A name that is not here is no error: what it does stays unknown.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
