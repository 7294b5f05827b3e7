"""Remedies of a training that change its network (weights, units, layers, output) or its data (scales, batches)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from downslope._text import number
from downslope.remedies._remedy import Remedy, TrainingCase, helps, two_digits

_ROOMY = 64


def suited_weights(case: TrainingCase) -> Remedy | None:
    """Weights drawn as the activation needs them, biases at 0."""
    changed = [
        layer
        for layer in case.layers
        if layer.get("initialisation", "auto") not in _SUITED or layer.get("bias", 0) != 0
    ]
    return drawn_anew(case) if changed else None


def drawn_anew(case: TrainingCase) -> Remedy:
    """Return the remedy of weights that suit the activation, whatever they are drawn as."""
    changes: dict[str, Any] = {"initialisation": "auto"}
    if any(layer.get("bias", 0) != 0 for layer in case.layers):
        changes["bias"] = 0.0
    why = "A variance of 2 / inputs for relu, 1 / inputs for tanh keeps the spread of signals (He et al. 2015)."
    return Remedy("weights drawn to suit the activation", why, changes, "variance_ratio")


_SUITED = ("auto", "he_normal", "he_uniform", "glorot_uniform", "glorot_normal", "lecun_normal", "lecun_uniform")


def relu(case: TrainingCase) -> Remedy | None:
    """Rectified hidden units, with weights that suit them."""
    if not case.hidden or case.activations == {"relu"}:
        return None
    why = "A relu passes gradients unchanged where it is active (Glorot, Bordes and Bengio 2011)."
    return Remedy("relu", why, {"activation": "relu", "initialisation": "auto"}, "gradient_per_layer")


def leaky_relu(case: TrainingCase) -> Remedy | None:
    """Units that pass a little where they are off."""
    if not case.activations & {"relu"}:
        return None
    why = "A slope of 0.01 on the flat side lets dead units come back (Maas, Hannun and Ng 2013)."
    return Remedy("leaky_relu", why, {"activation": "leaky_relu", "initialisation": "auto"}, "dead_share")


def revived_units(case: TrainingCase) -> Remedy | None:
    """Dead units drawn anew after a tenth of the steps."""
    steps = case.steps // 10
    if not steps or case.choice("begin") is not None or case.setup.is_foreign or not case.layers:
        return None
    why = "The weights into dead units are drawn again; the others keep what they learned (Sokar et al. 2023)."
    return Remedy(
        f"dead units initialised again at step {steps}", why, {"begin": {"steps": steps, "revive": True}}, "dead_share"
    )


def layer_normalisation(case: TrainingCase) -> Remedy | None:
    """Layers normalised over their units."""
    return _normalised(case, "layer", "Signals keep mean 0 and deviation 1 over the units (Ba, Kiros and Hinton 2016).")


def batch_normalisation(case: TrainingCase) -> Remedy | None:
    """Units normalised over the batch."""
    return _normalised(case, "batch", "Each unit keeps mean 0 and deviation 1 over the batch (Ioffe and Szegedy 2015).")


def _normalised(case: TrainingCase, way: str, why: str) -> Remedy | None:
    if not case.hidden or any(layer.get("normalisation", "none") != "none" for layer in case.hidden):
        return None
    deep = len(case.layers) > 2
    return Remedy(
        f"{way} normalisation", why, {"normalisation": way}, "gradient_per_layer" if deep else "saturated_share"
    )


def skips(case: TrainingCase) -> Remedy | None:
    """Skip connections between layers of one size."""
    widths = [layer["units"] for layer in case.hidden if "units" in layer and "skip" in layer]
    equal = any(width == following for width, following in itertools.pairwise(widths))
    if not equal or any(layer.get("skip") for layer in case.hidden):
        return None
    why = "The identity beside each layer passes gradients on unchanged (He et al. 2016)."
    return Remedy("skip connections", why, {"skip": True}, "gradient_per_layer")


def roomy(case: TrainingCase) -> Remedy | None:
    """Hidden layers of at least 64 units."""
    widths = [layer["units"] for layer in case.hidden if "units" in layer]
    if not widths or min(widths) >= _ROOMY:
        return None
    why = "What follows a layer is a function of its units alone."
    return Remedy(f"at least {_ROOMY} units per hidden layer", why, {"least_units": _ROOMY}, "training_score")


def suited_output(case: TrainingCase) -> Remedy | None:
    """The output and the loss that suit the targets."""
    if case.setup.is_foreign or not case.layers:
        return None
    changes: dict[str, Any] = {"output_activation": "auto", "loss": None, "from_logits": None}
    classes = len(case.trace.facts["data"].get("class_counts") or ())
    outputs = {0: int(case.trace.facts["data"].get("outputs") or 1), 2: 1}.get(classes, classes)
    last = case.layers[-1]
    loss = case.trace.facts["network"]["loss"]["name"]
    if case.setup.layers is not None and last.get("units") not in (outputs, classes):
        changes["output_units"] = outputs
    was = f"{last.get('activation', 'linear')}, {loss}"
    why = f"From unbounded outputs, with the loss that is a likelihood of the targets (was {was})."
    return Remedy("output and loss that suit the targets", why, changes, "training_score")


# --- the data, the batches, the penalties, the number of steps -------------------------------------------------------

_SMALLEST, _SMALL = 8, 32  # batches
_FEWEST = 100  # steps, which cost little
_RISEN = 0.1  # of the lowest validation loss: less of a rise since is chance


def standardised(case: TrainingCase) -> Remedy | None:
    """Inputs of mean 0 and deviation 1."""
    if case.choice("standardise") is not False:
        return None
    why = "Weights are drawn for inputs of size 1, and unequal scales make a narrow valley (LeCun et al. 1998)."
    return Remedy("standardised inputs", why, {"standardise": True}, "input_size")


def scaled_targets(case: TrainingCase) -> Remedy | None:
    """Targets of mean 0 and deviation 1."""
    if case.choice("scale_targets") is not False or case.trace.facts["network"].get("kind") != "numbers":
        return None
    why = "Initial outputs are near 0 with a spread of 1; gradients grow with the distance to the targets."
    return Remedy("scaled targets", why, {"scale_targets": True}, "target_size")


def balanced_weights(case: TrainingCase) -> Remedy | None:
    """Classes that weigh alike in the loss."""
    is_function = case.trace.facts["network"]["loss"]["name"] == "custom"
    counts = [count for count in (case.trace.facts.get("data") or {}).get("class_counts") or () if count]
    if case.choice("class_weights") is not None or is_function or len(set(counts)) < 2:
        return None
    why = "Each class pulls as much as any other, however few its rows (King and Zeng 2001)."
    return Remedy("classes that weigh alike", why, {"class_weights": "balanced"}, "lowest_recall")


def larger_batch(case: TrainingCase) -> Remedy | None:
    """Batches near the noise scale, at most eight times as large."""
    batch, rows = case.choice("batch"), case.trace.facts["data"].get("rows")
    if batch is None or not rows or batch * 2 > rows:
        return None
    wanted = 4.0 * batch if case.noise_scale is None else case.noise_scale
    size = int(min(max(2 * batch, wanted), 8 * batch, rows))
    why = "Noise falls with the root of the batch, up to the noise scale (McCandlish et al. 2018)."
    return Remedy(f"batches of {size}", why, {"batch": size}, "noise_ratio")


def smaller_batch(case: TrainingCase) -> Remedy | None:
    """Batches near the noise scale, from 8 to 32."""
    batch = case.choice("batch")
    size = int(min(max(case.noise_scale or _SMALL, _SMALLEST), _SMALL))
    if batch is not None and batch <= size:
        return None
    why = "Examples beyond the noise scale add nothing, and the noise of small ones leads to flatter valleys"
    references = "(McCandlish et al. 2018; Keskar et al. 2017)."
    return Remedy(f"batches of {size}", f"{why} {references}", {"batch": size}, "training_score")


def no_penalty(case: TrainingCase) -> Remedy | None:
    """No penalty and no decay."""
    changes = {name: 0.0 for name in ("l2", "weight_decay") if case.choice(name)}
    why = "At a minimum of loss and penalty the two gradients balance (Tikhonov 1943)."
    return Remedy("no penalty on the weights", why, changes, "penalty_share") if changes else None


def less_penalty(case: TrainingCase) -> Remedy | None:
    """A tenth of penalty and decay."""
    changes = {name: float(case.choice(name)) / 10 for name in ("l2", "weight_decay") if case.choice(name)}
    why = "At a minimum of loss and penalty the two gradients balance (Tikhonov 1943)."
    return Remedy("a tenth of the penalty", why, changes, "penalty_share") if changes else None


def weight_decay(case: TrainingCase) -> Remedy | None:
    """Weights that decay."""
    if case.choice("weight_decay") or case.choice("l2"):
        return None
    decay = two_digits(min(0.1 / case.rate / max(case.steps, 1) * 20, 0.1 / case.rate)) if case.rate > 0 else 0.01
    why = "Smaller weights make a smoother function (Krogh and Hertz 1991)."
    return Remedy(f"weight decay {number(decay)}", why, {"weight_decay": decay}, "score_gap")


def dropout(case: TrainingCase) -> Remedy | None:
    """Three tenths of the units dropped in each step."""
    shares = [layer["dropout"] for layer in case.hidden if "dropout" in layer]
    if not shares or any(shares):
        return None
    why = "Units cannot rely on one another (Srivastava et al. 2014)."
    return Remedy("dropout of 0.3", why, {"dropout": 0.3}, "score_gap")


@helps("over_regularised")
def no_dropout(case: TrainingCase) -> Remedy | None:
    """No dropout."""
    if not any(layer.get("dropout") for layer in case.hidden):
        return None
    return Remedy("no dropout", "Every unit learns in every step.", {"dropout": 0.0}, "training_score")


def _best_step(case: TrainingCase) -> int:
    """Return the step of the lowest validation loss, where that is long before the end; 0 elsewhere."""
    held = np.asarray(case.trace.metrics.get("validation_loss", ()), float)
    steps = np.asarray(case.trace.metrics.get("step", ()))
    if len(held) < 4 or not np.isfinite(held).any():
        return 0
    best = int(steps[int(np.nanargmin(held))])
    return best if best <= 0.8 * case.steps else 0


def best_kept(case: TrainingCase) -> Remedy | None:
    """The network of the best evaluation in place of the last one."""
    if case.choice("keep") == "best" or not _best_step(case):
        return None
    losses = np.asarray(case.trace.metrics["validation_loss"], float)
    lowest = float(np.nanmin(losses))
    # Of many evaluations the best is the best by chance as well, which is no mend.
    if not losses[-1] - lowest > _RISEN * abs(lowest):
        return None
    why = "After the best evaluation on rows held back, a network only memorises (Prechelt 1998)."
    return Remedy("the best network kept", why, {"keep": "best"}, "score_gap")


def early_stopping(case: TrainingCase) -> Remedy | None:
    """The run ended soon after the lowest validation loss."""
    best = _best_step(case)
    if not best:
        return None
    why = "Stopping at the lowest validation loss bounds how far the weights go (Prechelt 1998)."
    return Remedy(f"stop at step {best}", why, {"steps": best}, "score_gap")


def more_steps(case: TrainingCase) -> Remedy | None:
    """Four times the steps, a hundred at least."""
    if case.trace.last_step < case.steps:
        return None
    steps = max(4 * case.steps, _FEWEST)
    why = "The loss was still falling; the cost grows in proportion."
    return Remedy(f"{steps} steps", why, {"steps": steps}, "training_score")
