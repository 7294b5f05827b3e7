"""Units at the ends of their activation: `saturated_units`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._finding import Finding, NotRun
from downslope.diagnosis._training import TrainingEvidence
from downslope.diagnosis._verdict import found
from downslope.diagnosis._words import listed, number

_BOUNDED = {"sigmoid", "tanh", "softmax"}
_MANY = 0.5


def saturated_units(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find hidden layers whose units stand at the ends of a bounded activation most of the time.

    Quantity: the share of units and examples where the activation passes less than a hundredth of its steepest slope:
    beyond ±6 for a sigmoid, ±3 for tanh. Theory: the gradient is multiplied by that slope (LeCun et al. 1998).
    Threshold: half of them.
    """
    if not evidence.hidden.size:
        return None
    shares = evidence.late("saturated_share")
    if not np.any(np.isfinite(shares)):
        return NotRun("saturated_units", "the layers were not looked into, or their activations are not known")
    places = [int(p) for p in evidence.hidden if evidence.activations[p] in _BOUNDED and shares[p] > _MANY]
    if not places:
        return None
    worst = max(float(shares[place]) for place in places)
    names = tuple(evidence.layers[place] for place in places)
    return found(
        evidence,
        "saturated_units",
        f"In {listed(names)} up to {number(100 * worst)} % of the outputs lie at the ends of the activation, where it "
        "passes no gradient on.",
        "half of a layer's outputs where the slope is below a hundredth of the steepest",
        numbers={"saturated_share": worst},
        parts=names,
        causes=("inputs or weights that are too large", "a step that was too long"),
        remedies=("standardise the inputs", "smaller first weights", "normalisation", "a smaller learning rate"),
    )
