"""Remedies of a training in the network: its weights, its units, its layers, its output."""

from __future__ import annotations

import itertools
from typing import Any

from downslope.remedies._case import Case
from downslope.remedies._remedy import Remedy

_ROOMY = 64


def suited_weights(case: Case) -> Remedy | None:
    """Weights drawn as the activation needs them, biases at 0."""
    changed = [
        layer
        for layer in case.layers
        if layer.get("initialisation", "auto") not in _SUITED or layer.get("bias", 0) != 0
    ]
    if not changed:
        return None
    changes: dict[str, Any] = {"initialisation": "auto"}
    if any(layer.get("bias", 0) != 0 for layer in case.layers):
        changes["bias"] = 0.0
    why = "A variance of 2 / inputs for relu, 1 / inputs for tanh keeps the spread of signals (He et al. 2015)."
    return Remedy("weights drawn to suit the activation", why, changes, "variance_ratio")


_SUITED = ("auto", "he_normal", "he_uniform", "glorot_uniform", "glorot_normal", "lecun_normal", "lecun_uniform")


def relu(case: Case) -> Remedy | None:
    """Rectified hidden units, with weights that suit them."""
    if not case.hidden or case.activations == {"relu"}:
        return None
    why = "A relu passes gradients whole where it is on (Glorot, Bordes and Bengio 2011)."
    return Remedy("relu", why, {"activation": "relu", "initialisation": "auto"}, "gradient_per_layer")


def leaky_relu(case: Case) -> Remedy | None:
    """Units that pass a little where they are off."""
    if not case.activations & {"relu"}:
        return None
    why = "A slope of 0.01 on the flat side lets dead units come back (Maas, Hannun and Ng 2013)."
    return Remedy("leaky_relu", why, {"activation": "leaky_relu", "initialisation": "auto"}, "dead_share")


def revived_units(case: Case) -> Remedy | None:
    """Dead units drawn anew after a tenth of the steps."""
    steps = case.steps // 10
    if not steps or case.asked("begin") is not None or case.setup.is_foreign or not case.layers:
        return None
    why = "What leads into units that are dead is drawn anew; the others keep what they learnt (Sokar et al. 2023)."
    return Remedy(
        f"dead units drawn anew at step {steps}", why, {"begin": {"steps": steps, "revive": True}}, "dead_share"
    )


def layer_normalisation(case: Case) -> Remedy | None:
    """Layers normalised over their units."""
    return _normalised(case, "layer", "Signals keep mean 0 and deviation 1 over the units (Ba, Kiros and Hinton 2016).")


def batch_normalisation(case: Case) -> Remedy | None:
    """Units normalised over the batch."""
    return _normalised(case, "batch", "Each unit keeps mean 0 and deviation 1 over the batch (Ioffe and Szegedy 2015).")


def _normalised(case: Case, way: str, why: str) -> Remedy | None:
    if not case.hidden or any(layer.get("normalisation", "none") != "none" for layer in case.hidden):
        return None
    deep = len(case.layers) > 2
    return Remedy(
        f"{way} normalisation", why, {"normalisation": way}, "gradient_per_layer" if deep else "saturated_share"
    )


def skips(case: Case) -> Remedy | None:
    """Skip connections between layers of one size."""
    widths = [layer["units"] for layer in case.hidden if "units" in layer and "skip" in layer]
    equal = any(width == following for width, following in itertools.pairwise(widths))
    if not equal or any(layer.get("skip") for layer in case.hidden):
        return None
    why = "The identity beside each layer passes gradients on as they are (He et al. 2016)."
    return Remedy("skip connections", why, {"skip": True}, "gradient_per_layer")


def roomy(case: Case) -> Remedy | None:
    """Hidden layers of at least 64 units."""
    widths = [layer["units"] for layer in case.hidden if "units" in layer]
    if not widths or min(widths) >= _ROOMY:
        return None
    why = "What follows a layer is a function of its units alone."
    return Remedy(f"at least {_ROOMY} units a hidden layer", why, {"least_units": _ROOMY}, "training_score")


def suited_output(case: Case) -> Remedy | None:
    """The output and the loss that suit the targets."""
    if case.setup.is_foreign or not case.layers:
        return None
    changes: dict[str, Any] = {"output_activation": "auto", "loss": None, "from_logits": None}
    classes = len(case.trace.facts["data"].get("class_counts") or ())
    outputs = {0: int(case.trace.facts["data"].get("outputs") or 1), 2: 1}.get(classes, classes)
    last = case.layers[-1]
    loss = case.trace.facts["network"]["loss"]["name"]
    if case.setup.layers is not None and last.get("units") not in (outputs, classes):
        changes["outputs"] = outputs
    was = f"{last.get('activation', 'linear')}, {loss}"
    why = f"From unbounded outputs, with the loss that is a likelihood of the targets (was {was})."
    return Remedy("output and loss that suit the targets", why, changes, "training_score")
