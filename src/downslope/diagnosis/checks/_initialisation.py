"""Initial weights on the wrong scale: `poor_initialisation`."""

from __future__ import annotations

import math

import numpy as np

from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import without
from downslope.diagnosis._training_evidence import TrainingEvidence, unseen_kernels

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
_BOUNDED = {"sigmoid", "tanh", "softmax"}
# A variance ten times off changes the spread of signals three times a layer.
_OFF = 10.0
# Of the outputs of a bounded activation next to none lie at its ends where weights suit it.
_MOST_SATURATED = 0.25


def _worst_ratio(evidence: TrainingEvidence) -> float | None:
    """Return the variance of the first weights over what suits them, in the layer where it is farthest off."""
    return max(_ratios(evidence).values(), key=lambda ratio: abs(math.log(max(ratio, 1e-300))), default=None)


@check(
    POOR_INITIALISATION,
    needs=("network.kernels", "network.nested", "network.input_size?", "network.activations", "start|network.weights"),
    reads=("layers.activation_deviation",),
    hidden_by=unseen_kernels,
    quantities=(
        Quantity("variance_ratio", "variance of the first weights over what suits", "nearer to 1", _worst_ratio),
    ),
)
def poor_initialisation(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find layers whose first weights make signals grow or fade from layer to layer.

    Quantity: the variance of a layer's first weights times its inputs, over 1, or 2 for activations that halve; and the
    spread of the layers' outputs at the first look. Theory: with that product at 1 (at 2) the spread of signals is kept
    (Glorot and Bengio 2010; He et al. 2015); where a normalisation or an identity branch keeps it, weights may be of
    any size. Threshold: a factor of ten in most layers, or weights that are all zero, and a spread ten times off.
    """
    ratios = _ratios(evidence)
    off = {index: ratio for index, ratio in ratios.items() if not 1 / _OFF <= ratio <= _OFF}
    if not off or len(off) < len(ratios) / 2 or not set(evidence.hidden.tolist()) & set(ratios):
        return None
    spread = _farthest_spread(evidence, set(ratios))
    if spread is None:
        return NotRun(POOR_INITIALISATION.key, "the spread of the hidden layers' outputs is not known at the start")
    saturated = _begins_saturated(evidence)
    if 1 / _OFF <= spread <= _OFF and not saturated:
        return NotRun(POOR_INITIALISATION.key, without("layers.saturated_share")) if saturated is None else None
    worst = max(off.values(), key=lambda ratio: abs(np.log(max(ratio, 1e-30))))
    way = "fade" if worst < 1 else "grow"
    return training_finding(
        evidence,
        POOR_INITIALISATION,
        f"The first weights make signals {way}: in {len(off)} of {len(ratios)} layers their variance is up to "
        f"{number(worst)} times what keeps the spread of signals from layer to layer.",
        f"a variance of the first weights, and a spread of signals, within a factor {number(_OFF)} of what suits",
        numbers={"variance_ratio": float(worst), "spread": spread},
        parts=tuple(evidence.layers[index] for index in off),
        causes=("weights drawn on a fixed scale, regardless of the layer's size",),
        remedies=("he_normal for relu and its like, glorot_uniform for tanh and sigmoid",),
    )


def _ratios(evidence: TrainingEvidence) -> dict[int, float]:
    """Return the variance of the first weights over what suits, by layer.

    Layers whose scale a normalisation divides out, or that lie beside an identity, are left out: the spread of signals
    does not hang on them.
    """
    ratios = {}
    for index, kernel in enumerate(evidence.inside.kernels):
        size = evidence.inside.first_mean_square(index)
        if size is None or kernel.get("bypassed") or kernel.get("normalised"):
            continue
        needed = 2.0 if evidence.activations[index] in _HALVING else 1.0
        ratios[index] = float(size * evidence.inside.inputs[index] / needed)
    return ratios


def _farthest_spread(evidence: TrainingEvidence, judged: set[int]) -> float | None:
    """Return the deviation of a layer's outputs over that of what comes in, where it is farthest from 1.

    Of the output layer only growth counts: it may well begin at zero. Where the size of the inputs is not known, the
    first layer stands for them.
    """
    deviations = evidence.inside.first("activation_deviation")
    size = evidence.network.get("input_size")
    hidden = [index for index in evidence.hidden if index in judged and np.isfinite(deviations[index])]
    if not size and hidden:
        first, *hidden = sorted(hidden, key=lambda index: evidence.inside.kernels[index].get("depth", index))
        size = float(deviations[first])
    if not hidden or not size:
        return None
    spreads = [float(deviations[index]) / size for index in hidden]
    output = evidence.inside.output
    if output is not None and np.isfinite(deviations[output]):
        spreads.append(max(float(deviations[output]) / size, 1.0))
    return max(spreads, key=lambda spread: abs(math.log(max(spread, 1e-30))))


def _begins_saturated(evidence: TrainingEvidence) -> bool | None:
    """Tell whether many outputs of a bounded hidden layer begin at its ends, where their spread cannot grow.

    None where there is such a layer and its share is not known.
    """
    shares = evidence.inside.first("saturated_share")
    own = [shares[index] for index in evidence.hidden if evidence.activations[index] in _BOUNDED]
    return None if any(np.isnan(own)) else any(share > _MOST_SATURATED for share in own)
