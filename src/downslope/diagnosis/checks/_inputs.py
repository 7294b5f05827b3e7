"""Inputs on a scale that weights do not suit: `unscaled_inputs`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis._wording import number

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


@check(UNSCALED_INPUTS)
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
