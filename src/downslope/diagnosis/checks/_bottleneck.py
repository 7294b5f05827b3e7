"""A layer too narrow for the information that must pass it: `bottleneck`."""

from __future__ import annotations

import math

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unseen_kernels

BOTTLENECK = Symptom(
    "bottleneck",
    Severity.PROBLEM,
    order=85,
    meaning="A hidden layer is too narrow for what must pass it.",
    quantity="training_score",
    remedies=("roomy",),
)

# C classes can be told apart by C − 1 numbers, and by two on a circle if what follows is only linear.
_ENOUGH = 2


@check(BOTTLENECK, needs=("network.kernels", "network.nested"), hidden_by=unseen_kernels)
def bottleneck(evidence: TrainingEvidence) -> Finding | None:
    """Find a hidden layer with fewer units than the outputs need to be told apart.

    Quantity: the numbers that the narrowest hidden layer makes of an example, beside inputs and outputs. Theory: what
    is computed after a layer that lies on every path is a function of its units alone, so that their number bounds its
    dimension. Threshold: fewer than two, or fewer than the logarithm to base 2 of the classes.
    """
    inside = evidence.inside
    outputs, features = inside.output_width, _inputs(evidence)
    needed = max(_ENOUGH, math.ceil(math.log2(max(outputs, 1))) if math.isfinite(outputs) else 0)
    # Only what lies on every path can hold anything up.
    narrow = [
        int(index)
        for index in evidence.hidden
        if inside.kernels[index].get("is_only_way") and inside.numbers[index] < needed
    ]
    if not narrow or not features >= _ENOUGH:
        return None
    index = min(narrow, key=lambda index: inside.numbers[index])
    units = int(inside.numbers[index])
    return training_finding(
        evidence,
        BOTTLENECK,
        f"Everything passes through {units} unit{'s' if units > 1 else ''} of {evidence.layers[index]}.",
        f"at least {needed} units in every hidden layer for {int(features)} inputs"
        + (f" and {int(outputs)} outputs" if math.isfinite(outputs) else ""),
        numbers={"units": units},
        parts=(evidence.layers[index],),
        causes=("a hidden layer that is too narrow",),
        remedies=("more units in that layer",),
    )


def _inputs(evidence: TrainingEvidence) -> float:
    """Return the number of inputs of the first layers; NaN if unknown."""
    kernels = enumerate(evidence.inside.kernels)
    inputs = [evidence.inside.inputs[index] for index, kernel in kernels if kernel.get("depth") == 0]
    return max(inputs, default=math.nan)
