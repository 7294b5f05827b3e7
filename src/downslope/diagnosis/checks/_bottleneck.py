"""A layer too narrow for what must pass it: `bottleneck`."""

from __future__ import annotations

import math

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

BOTTLENECK = Symptom(
    "bottleneck",
    Severity.PROBLEM,
    order=160,
    meaning="A hidden layer is too narrow for what must pass it.",
    quantity="training_score",
    remedies=("roomy",),
)

# C classes can be told apart by C − 1 numbers, and by two on a circle if what follows is only linear.
_ENOUGH = 2


@check(BOTTLENECK, needs=("layers", "data.features", "start"))
def bottleneck(evidence: TrainingEvidence) -> Finding | None:
    """Find a hidden layer with fewer units than the outputs need to be told apart.

    Quantity: the units of the narrowest hidden layer, beside inputs and outputs. Theory: what is computed after a layer
    is a function of its units alone, so that their number bounds its dimension. Threshold: fewer than two, or fewer
    than the logarithm to base 2 of the classes.
    """
    widths = [evidence.widths[index] for index in evidence.hidden]
    outputs = evidence.widths[-1] if len(evidence.widths) else math.nan
    features = evidence.data.get("features") or 0
    needed = max(_ENOUGH, math.ceil(math.log2(max(outputs, 1))) if math.isfinite(outputs) else 0)
    if not widths or features < 2 or not min(widths) < needed:
        return None
    index = widths.index(min(widths))
    return training_finding(
        evidence,
        BOTTLENECK,
        f"Everything passes through {int(widths[index])} unit{'s' if widths[index] > 1 else ''} of "
        f"{evidence.layers[index]}.",
        f"at least {needed} units in every hidden layer for {features} inputs and {int(outputs)} outputs",
        numbers={"units": int(widths[index])},
        parts=(evidence.layers[index],),
        causes=("a hidden layer that is too narrow",),
        remedies=("more units in that layer",),
    )
