"""Weights that begin on the wrong scale: `poor_initialisation`."""

from __future__ import annotations

import math

import numpy as np

from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

POOR_INITIALISATION = Symptom(
    "poor_initialisation",
    Severity.PROBLEM,
    order=70,
    meaning="The first weights make signals grow or fade from layer to layer.",
    quantity="variance_ratio",
    remedies=("suited_weights", "layer_normalisation", "batch_normalisation"),
)

# Activations that let only half of what comes in through need twice the variance (He et al. 2015).
_HALVING = {"relu", "leaky_relu", "gelu", "silu", "elu", "softplus"}
# A variance ten times off changes the spread of signals three times a layer.
_OFF = 10.0


def _worst_ratio(evidence: TrainingEvidence) -> float | None:
    """Return the variance of the first weights over what suits them, in the layer where it is farthest off."""
    ratios = [_variance_ratio(evidence, index) for index in range(len(evidence.layers))]
    known = [ratio for ratio in ratios if ratio is not None]
    return max(known, key=lambda ratio: abs(math.log(max(ratio, 1e-300))), default=None)


@check(
    POOR_INITIALISATION,
    needs=("layers", "start", "network.activations", "network.normalised"),
    quantities=(
        Quantity("variance_ratio", "variance of the first weights over what suits", "nearer to 1", _worst_ratio),
    ),
)
def poor_initialisation(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find layers whose first weights make signals grow or fade from layer to layer.

    Quantity: the variance of a layer's first weights times its inputs, over 1, or 2 for activations that halve. Theory:
    with that product at 1 (at 2) the spread of signals is kept (Glorot and Bengio 2010; He et al. 2015). Threshold: a
    factor of ten in most layers, or weights that are all zero.
    """
    gains = [_variance_ratio(evidence, index) for index in range(len(evidence.layers))]
    known = {name: gain for name, gain in zip(evidence.layers, gains, strict=True) if gain is not None}
    if not known or evidence.network.get("normalised"):
        return None if known else NotRun(POOR_INITIALISATION.key, "the weights of the layers are not known by name")
    off = {name: gain for name, gain in known.items() if not 1 / _OFF <= gain <= _OFF}
    if not off or len(off) < len(known) / 2:
        return None
    worst = max(off.values(), key=lambda gain: abs(np.log(max(gain, 1e-30))))
    way = "fade" if worst < 1 else "grow"
    return training_finding(
        evidence,
        POOR_INITIALISATION,
        f"The first weights make signals {way}: in {len(off)} of {len(known)} layers their variance is up to "
        f"{number(worst)} times what keeps the spread of signals from layer to layer.",
        f"a variance of the first weights within a factor {number(_OFF)} of the one that suits the activation",
        numbers={"variance_ratio": float(worst)},
        parts=tuple(off),
        causes=("weights drawn on a fixed scale, whatever the layer's size",),
        remedies=("he_normal for relu and its like, glorot_uniform for tanh and sigmoid",),
    )


def _variance_ratio(evidence: TrainingEvidence, index: int) -> float | None:
    """Return the variance of a layer's first weights over what suits it."""
    weight = evidence.weight(index, evidence.trace.start)
    if weight is None:
        return None
    needed = 2.0 if evidence.activations[index] in _HALVING else 1.0
    return float(np.mean(weight**2) * weight.shape[0] / needed)
