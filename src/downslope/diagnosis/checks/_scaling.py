"""Inputs and targets on an unsuitable scale: `unscaled_inputs`, `unscaled_targets`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

UNSCALED_INPUTS = Symptom(
    "unscaled_inputs",
    Severity.PROBLEM,
    order=40,
    meaning="The inputs' size or spread is far from what the weights are drawn for.",
    quantity="input_size",
    remedies=("standardised", "adam", "smaller_rate"),
)

# Initialisations keep the spread of signals for inputs of mean square 1. Ten times that spread drives tanh and sigmoid
# into their flats and raises the curvature, and so lowers the largest stable rate, a hundredfold (LeCun et al. 1998).
_LARGE = 10.0
# Inputs a hundredth as large leave the first layer's gradient a hundredth of what the bias's is.
_SMALL = 0.05
# Features whose spreads lie this far apart make a valley whose condition number is the square of it.
_APART = 100.0


@check(
    UNSCALED_INPUTS,
    needs=("data.input_mean", "data.input_deviation"),
    reads=("data.largest_feature_deviation", "data.smallest_feature_deviation"),
)
def unscaled_inputs(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find inputs whose size or whose spread among features is far from what the weights are made for.

    Quantity: root mean square of the inputs as the network sees them, and the ratio of the largest to the smallest
    deviation among features. Theory: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998. Threshold:
    0.05 to 10, and a factor of 100.
    """
    data = evidence.data
    size = evidence.root_mean_square("input")
    if size is None:
        return NotRun(UNSCALED_INPUTS.key, "the inputs were not at hand to be measured")
    wide, narrow = data.get("largest_feature_deviation") or 0.0, data.get("smallest_feature_deviation") or 0.0
    spread = wide / narrow if narrow > 0 else 1.0
    uneven = spread > _APART and wide > _LARGE
    if _SMALL <= size <= _LARGE and not uneven:
        return None
    first = f"The inputs are {'large' if size > _LARGE else 'small'}: their root mean square is {number(size)}."
    if uneven and _SMALL <= size <= _LARGE:
        first = f"Features are on scales {number(spread)} times apart."
    return training_finding(
        evidence,
        UNSCALED_INPUTS,
        f"{first} Weights are drawn for inputs of size 1.",
        f"a root mean square from {_SMALL} to {number(_LARGE)}, and deviations within a factor {number(_APART)}",
        numbers={"input_size": size, "feature_spread": spread},
        parts=evidence.layers[:1],
        causes=("inputs were not standardised", "inputs were scaled twice") if size < _SMALL else ("raw inputs",),
        remedies=("standardise the inputs",),
    )


UNSCALED_TARGETS = Symptom(
    "unscaled_targets",
    Severity.PROBLEM,
    order=50,
    meaning="The targets are far larger than the initial outputs.",
    quantity="target_size",
    remedies=("scaled_targets", "adam", "larger_rate"),
)

# Outputs begin at size 1 or so. At a hundred times that, gradients of a squared error are a hundred times as large too,
# and steps of the size of the rate take as many times longer to get there.
_LARGE_TARGETS = 30.0


@check(
    UNSCALED_TARGETS,
    needs=("data.target_mean|data.class_counts", "data.target_deviation|data.class_counts"),
)
def unscaled_targets(evidence: TrainingEvidence) -> Finding | None:
    """Find numbers to be predicted that are far larger than the outputs begin.

    Quantity: root mean square of the targets as the network sees them. Theory: the gradient of a squared error grows
    with the targets, its curvature does not; methods whose steps are as long as the rate need as many steps as the
    targets are large. Threshold: 30.
    """
    size = evidence.root_mean_square("target")
    if size is None or size <= _LARGE_TARGETS:
        return None
    return training_finding(
        evidence,
        UNSCALED_TARGETS,
        f"The targets are large: their root mean square is {number(size)}, while the initial outputs are near 1.",
        f"a root mean square of the targets up to {number(_LARGE_TARGETS)}",
        numbers={"target_size": size},
        parts=evidence.layers[-1:],
        causes=("targets were not scaled",),
        remedies=("scale the targets to deviation 1, and predictions back",),
    )
