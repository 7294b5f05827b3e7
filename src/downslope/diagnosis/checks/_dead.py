"""Units whose gradient is zero on every example: `dead_units`."""

from __future__ import annotations

import numpy as np

from downslope._text import listed
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unseen_kernels

DEAD_UNITS = Symptom(
    "dead_units",
    Severity.PROBLEM,
    order=130,
    meaning="Most units of a layer lie on the flat side of their activation for every example.",
    quantity="dead_share",
    remedies=("smaller_rate", "leaky_relu", "revived_units", "suited_weights", "layer_normalisation", "adam"),
)

RECTIFYING = {"relu", "elu", "selu", "gelu", "silu", "softplus"}
# Up to half of a wide layer's units idle in many networks that learn well.
_MANY = 0.5


@check(
    DEAD_UNITS, needs=("layers.dead_share", "network.activations"), reads=("network.nested",), hidden_by=unseen_kernels
)
def dead_units(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find layers most of whose units stand on the flat side of their activation for every example.

    Quantity: the share of units whose activation passes less than a hundredth of a gradient on each example of a batch.
    Theory: no gradient reaches such a unit's weights, so it stays as it is (Lu et al. 2019, "Dying ReLU"). Threshold:
    half of a layer's units.
    """
    shares = evidence.late("dead_share")
    if not np.any(np.isfinite(shares)):
        return NotRun(DEAD_UNITS.key, "the layers were not recorded, or their activations are not known")
    indices = [
        index
        for index, (share, name) in enumerate(zip(shares, evidence.activations, strict=True))
        if name in RECTIFYING and share > _MANY
    ]
    if not indices:
        return None
    worst = max(float(shares[index]) for index in indices)
    names = tuple(evidence.layers[index] for index in indices)
    start = evidence.early("dead_share")
    since = "from the start" if start[indices[0]] > _MANY else "since they were pushed there"
    return training_finding(
        evidence,
        DEAD_UNITS,
        f"In {listed(names)} up to {number(100 * worst)} % of the units give the same output for every example, "
        f"{since}: no gradient reaches their weights.",
        "half of a layer's units flat on every example of a batch",
        numbers={"dead_share": worst},
        parts=names,
        causes=("a step that was too long", "biases initialised far below zero", "a deep, narrow network"),
        remedies=("a smaller learning rate", "leaky_relu", "he_normal with biases at zero"),
    )
