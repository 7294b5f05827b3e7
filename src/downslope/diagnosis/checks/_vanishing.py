"""Gradients that fade on their way to the first layers: `vanishing_gradients`."""

from __future__ import annotations

import math

import numpy as np

from downslope._text import listed
from downslope._types import Plain
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unfollowed_kernels
from downslope.diagnosis.checks._dead import RECTIFYING

VANISHING_GRADIENTS = Symptom(
    "vanishing_gradients",
    Severity.PROBLEM,
    order=110,
    meaning="Gradients, or signals, fade from layer to layer until the far layers learn nothing.",
    quantity="gradient_per_layer",
    remedies=("suited_weights", "relu", "layer_normalisation", "batch_normalisation", "skips", "adam"),
)

_FADED = 1e-3
# LSTM and GRU cells keep about 0.6 a step at their usual first weights, and learn; of fewer than half nothing gets far,
# and below the last digit of a double nothing gets through at any factor.
_FORGETS, _LOST = 0.5, 1e-12
_ALL = 0.99  # of the units of a layer


@check(
    VANISHING_GRADIENTS,
    reads=(
        "layers.activation_gradient_norm",
        "layers.activation_variation",
        "network.kernels",
        "network.nested",
    ),
    hidden_by=unfollowed_kernels,
)
def vanishing_gradients(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find gradients, or signals, that fade by a factor a layer until the far layers learn nothing.

    Quantity: the factor per layer of the gradient of a unit towards the input, and of what tells examples apart towards
    the output, each fitted over depth at the start; and that per step of a scan, of the gradient by its state. Layers
    that a path without a layer passes do not count: the product along it has a factor of 1. Theory: products of one
    factor a layer, below 1 (Hochreiter 1991; Glorot and Bengio 2010). Threshold: a thousandth in all; of a
    scan, less than half a step as well. What dead units take away is theirs, and no part of the factor.
    """
    inside = evidence.inside
    gradient, signal, loop = inside.gradient_rate, inside.signal_rate, inside.recurrence(fading=True)
    if gradient is None and signal is None and loop is None:
        return NotRun(VANISHING_GRADIENTS.key, "the layers were not recorded, or fewer than three lie on every path")
    alive = _alive(evidence)
    if alive is None and (_fades(gradient, 1.0) or _fades(signal, 1.0)):
        return NotRun(VANISHING_GRADIENTS.key, "units may be dead, which the trace does not show")
    if gradient is not None and _fades(gradient, alive):
        parts, last = _faded(evidence)
        sentence = (
            f"A unit's gradient keeps {number(gradient[0])} of itself per layer towards the input: "
            f"{number(gradient[1])} is left at the first of {len(inside.gradient_levels)}; from {last} down it is "
            "below a thousandth."
        )
    elif loop is not None and _forgets(loop):
        parts = tuple(loop["leaves"])
        sentence = (
            f"The gradient by the state of the {loop['inside']} over {listed(parts)} keeps {number(loop['per_step'])} "
            f"of itself per step towards the first: {number(loop['in_all'])} is left after {loop['length']} steps, so "
            "that what came first is forgotten."
        )
    elif signal is not None and _fades(signal, alive):
        parts = evidence.layers[:1]
        sentence = (
            f"The difference between examples keeps {number(signal[0])} of itself per layer: {number(signal[1])} is "
            "left at the output, so that all examples look alike there."
        )
    else:
        return None
    return training_finding(
        evidence,
        VANISHING_GRADIENTS,
        sentence,
        f"a factor of {number(_FADED)} over all layers, or all steps of a scan",
        numbers={
            "per_layer": gradient[0] if gradient else None,
            "in_all": gradient[1] if gradient else None,
            "signal_per_layer": signal[0] if signal else None,
            "per_step": loop["per_step"] if loop else None,
        },
        parts=parts,
        causes=("saturating activations in a deep network or a recurrence", "initial weights that are too small"),
        remedies=("relu with he_normal", "skip connections", "normalisation"),
    )


def _fades(rate: tuple[float, float] | None, alive: float | None) -> bool:
    """Tell whether less than a thousandth is left in all of what living units could pass."""
    return rate is not None and alive is not None and rate[1] < _FADED * alive


def _alive(evidence: TrainingEvidence) -> float | None:
    """Return what units that are not dead at the first look leave of a gradient; None where that is not known."""
    if "dead_share" not in evidence.trace.layer_columns or evidence.network.get("activations") is None:
        return None
    shares, left = evidence.inside.first("dead_share"), 1.0
    with np.errstate(all="ignore"):
        stay_dead = np.minimum(shares, evidence.inside.late("dead_share")) > _ALL
    for index in np.flatnonzero(np.isfinite(shares) & evidence.inside.is_chain):
        if evidence.activations[index] in RECTIFYING or stay_dead[index]:
            # A norm falls with the root of the units that pass something on.
            left *= math.sqrt(max(1 - float(shares[index]), 0.0))
    return left


def _forgets(loop: Plain) -> bool:
    """Tell whether next to nothing of the gradient by a state is left at the first step of a scan."""
    return loop["in_all"] < _LOST or (loop["in_all"] < _FADED and loop["per_step"] < _FORGETS)


def _faded(evidence: TrainingEvidence) -> tuple[tuple[str, ...], str]:
    """Return the layers up to the last at which a gradient is below a thousandth of the largest, and that one."""
    levels = evidence.inside.gradient_levels
    largest = max(levels.values())
    # The nearest to the loss: the fewest layers behind it. A fit may fall below the threshold where no level does.
    nearest = min((level for level, size in levels.items() if size < _FADED * largest), default=max(levels))
    heights = [kernel.get("height", -1) for kernel in evidence.inside.kernels]
    parts = tuple(name for name, height in zip(evidence.layers, heights, strict=True) if height >= nearest)
    last = next(name for name, height in zip(evidence.layers, heights, strict=True) if height == nearest)
    return parts, last
