"""Gradients or signals that grow from layer to layer: `exploding_gradients`."""

from __future__ import annotations

import numpy as np

from downslope._text import listed
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unfollowed_kernels

EXPLODING_GRADIENTS = Symptom(
    "exploding_gradients",
    Severity.PROBLEM,
    order=100,
    meaning="Gradients, or the signals behind them, grow from layer to layer.",
    quantity="gradient_per_layer",
    remedies=("suited_weights", "layer_normalisation", "clipping", "smaller_rate", "rate_from_curvature"),
)

_GROWN = 1e3
# Outputs of layers at such a size, for inputs of size 1, overflow in the next few.
_HUGE = 1e4


@check(
    EXPLODING_GRADIENTS,
    reads=(
        "layers.activation_gradient_norm",
        "layers.activation_deviation",
        "network.kernels",
        "network.nested",
    ),
    hidden_by=unfollowed_kernels,
)
def exploding_gradients(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find gradients that grow on their way to the input, or signals that grow on theirs to the output.

    Quantity: the factor per layer of the gradient of a unit, fitted over depth; that per step of a scan, of the
    gradient by its state; and the spread of each layer's outputs. Theory: products of one factor a layer, above 1
    (Bengio, Simard and Frasconi 1994; Pascanu et al. 2013). Threshold: a thousandfold in all, or outputs ten
    thousand times the inputs' size.
    """
    rate, spread = evidence.inside.gradient_rate, _largest_spread(evidence)
    loop = evidence.inside.recurrence(fading=False)
    if rate is None and spread is None and loop is None:
        return NotRun(EXPLODING_GRADIENTS.key, "the layers were not recorded, or fewer than three lie on every path")
    overflowing = _overflowing(evidence)
    if overflowing is not None:
        sentence = f"Signals grow from layer to layer until they overflow in {overflowing}."
    elif rate is not None and rate[1] > _GROWN:
        sentence = (
            f"A unit's gradient grows {number(rate[0])} times per layer towards the input, {number(rate[1])} in all."
        )
    elif loop is not None and loop["in_all"] > _GROWN:
        sentence = (
            f"The gradient by the state of the {loop['inside']} over {listed(loop['leaves'])} grows "
            f"{number(loop['per_step'])} times per step towards the first, {number(loop['in_all'])} over all "
            f"{loop['length']}."
        )
    elif spread is not None and spread > _HUGE:
        sentence = f"Signals grow from layer to layer: outputs reach a spread of {number(spread)}."
    else:
        return None
    per_layer, in_all = rate or (None, None)
    return training_finding(
        evidence,
        EXPLODING_GRADIENTS,
        sentence,
        f"a factor of {number(_GROWN)} over all layers, or outputs {number(_HUGE)} times the inputs' size",
        numbers={
            "per_layer": per_layer,
            "in_all": in_all,
            "per_step": loop["per_step"] if loop else None,
            "largest_spread": spread,
        },
        parts=evidence.layers,
        causes=("initial weights that are too large", "an activation without a bound in a deep network"),
        remedies=("an initialisation that suits the activation", "normalisation", "clip the gradient's norm"),
    )


def _largest_spread(evidence: TrainingEvidence) -> float | None:
    """Return the largest deviation of a hidden layer's outputs, over the inputs' size where that is above 1."""
    spreads = evidence.of_layers("activation_deviation")
    if not len(spreads) or not np.any(np.isfinite(spreads)):
        return None
    size = float(evidence.network.get("input_size") or evidence.data.get("input_deviation") or 1.0)
    # What a normalisation divides out may be of any size before it.
    indices = evidence.hidden if evidence.hidden.size else np.arange(len(evidence.layers))
    hidden = spreads[:, [index for index in indices if not evidence.inside.kernels[index].get("normalised")]]
    return float(np.nanmax(hidden)) / max(size, 1.0) if np.any(np.isfinite(hidden)) else None


def _overflowing(evidence: TrainingEvidence) -> str | None:
    """Return the first layer whose outputs were not finite at some look while those before it were."""
    means = evidence.of_layers("activation_mean")
    # What no look measured is not known, unless the run ended with it.
    measured = np.logical_or(np.isfinite(means).any(axis=0), evidence.failed)
    known = [index for index, name in enumerate(evidence.activations) if name and measured[index]]
    for look in means:
        bad = [index for index in known if not np.isfinite(look[index])]
        if bad and bad[0] > 0:
            return evidence.layers[bad[0]]
    return None
