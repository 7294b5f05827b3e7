"""Gradients that fade on their way to the first layers: `vanishing_gradients`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

VANISHING_GRADIENTS = Symptom(
    "vanishing_gradients",
    Severity.PROBLEM,
    order=110,
    meaning="Gradients, or signals, fade from layer to layer until the far layers learn nothing.",
    quantity="gradient_per_layer",
    remedies=("suited_weights", "relu", "layer_normalisation", "batch_normalisation", "skips", "adam"),
)

_FADED = 1e-3


@check(VANISHING_GRADIENTS, reads=("layers.activation_gradient_norm", "layers.activation_variation", "start"))
def vanishing_gradients(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find gradients, or signals, that fade by a factor a layer until the far layers learn nothing.

    Quantity: the factor per layer of the gradient of a unit towards the input, and of what tells examples apart towards
    the output, each fitted over depth at the start. Theory: products of one factor a layer, below 1 (Hochreiter 1991;
    Glorot and Bengio 2010). Threshold: a thousandth in all.
    """
    gradient, signal = evidence.gradient_rate, evidence.signal_rate
    if gradient is None and signal is None:
        return NotRun(VANISHING_GRADIENTS.key, "the layers were not looked into, or are fewer than three")
    fades = gradient is not None and gradient[1] < _FADED
    if not fades and not (signal is not None and signal[1] < _FADED):
        return None
    if fades and gradient is not None:
        index = _first_faded(evidence)
        sentence = (
            f"A unit's gradient keeps {number(gradient[0])} of itself per layer towards the input: "
            f"{number(gradient[1])} is left at the first of {len(evidence.layers)}; from {evidence.layers[index]} down "
            "it is below a thousandth."
        )
    else:
        assert signal is not None
        index = 0
        sentence = (
            f"What tells examples apart keeps {number(signal[0])} of itself per layer: {number(signal[1])} is left at "
            "the output, so that all examples look alike there."
        )
    return training_finding(
        evidence,
        VANISHING_GRADIENTS,
        sentence,
        f"a factor of {number(_FADED)} over all layers",
        numbers={
            "per_layer": gradient[0] if gradient else None,
            "in_all": gradient[1] if gradient else None,
            "signal_per_layer": signal[0] if signal else None,
        },
        parts=evidence.layers[: index + 1],
        causes=("saturating activations in a deep network", "weights that begin too small"),
        remedies=("relu with he_normal", "skip connections", "normalisation"),
    )


def _first_faded(evidence: TrainingEvidence) -> int:
    """Return the layer nearest to the output at which the gradient of a unit is below a thousandth of the largest."""
    with np.errstate(all="ignore"):
        norms = evidence.of_layers("activation_gradient_norm")[0] / np.sqrt(evidence.widths)
    below = np.flatnonzero(norms < _FADED * np.nanmax(norms))
    return int(below[-1]) if len(below) else 0
