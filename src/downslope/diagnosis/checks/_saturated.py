"""Units at the ends of their activation: `saturated_units`."""

from __future__ import annotations

from downslope._text import listed
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unseen_kernels

SATURATED_UNITS = Symptom(
    "saturated_units",
    Severity.PROBLEM,
    order=140,
    meaning="Most outputs of a layer lie at the ends of a bounded activation.",
    quantity="saturated_share",
    remedies=("standardised", "suited_weights", "relu", "layer_normalisation", "smaller_rate"),
)

_BOUNDED = {"sigmoid", "tanh", "softmax"}
_MANY = 0.5


@check(
    SATURATED_UNITS,
    needs=("layers.saturated_share", "network.activations"),
    reads=("network.nested",),
    hidden_by=unseen_kernels,
)
def saturated_units(evidence: TrainingEvidence) -> Finding | None:
    """Find hidden layers whose units stand at the ends of a bounded activation most of the time.

    Quantity: the share of units and examples where the activation passes less than a hundredth of its steepest slope:
    beyond ±6 for a sigmoid, ±3 for tanh. Theory: the gradient is multiplied by that slope (LeCun et al. 1998).
    Threshold: half of them.
    """
    if not evidence.hidden.size:
        return None
    shares = evidence.late("saturated_share")
    bounded = [int(index) for index in evidence.hidden if evidence.activations[index] in _BOUNDED]
    indices = [index for index in bounded if shares[index] > _MANY]
    if not indices:
        return None
    worst = max(float(shares[index]) for index in indices)
    names = tuple(evidence.layers[index] for index in indices)
    return training_finding(
        evidence,
        SATURATED_UNITS,
        f"In {listed(names)} up to {number(100 * worst)} % of the outputs lie at the ends of the activation, where it "
        "passes no gradient on.",
        "half of a layer's outputs where the slope is below a hundredth of the steepest",
        numbers={"saturated_share": worst},
        parts=names,
        causes=("inputs or weights that are too large", "a step that was too long"),
        remedies=("standardise the inputs", "smaller first weights", "normalisation", "a smaller learning rate"),
    )
