"""What may mend a training, by symptom: remedies as data, fitted to the run at hand.

Each maker looks at the case and returns a remedy, or None where it does not apply or nothing would change. They stand
in the order in which they are tried.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._stability import SCALED, stability_bound
from downslope._text import number
from downslope.diagnosis import Diagnosis, Severity
from downslope.networks import Setup
from downslope.remedies._remedy import Remedy
from downslope.trace import Trace

_HEADROOM = 0.5  # of the largest stable rate
_USUAL_RATE = 1e-3  # of Adam and its like
_SATURATING = ("sigmoid", "tanh", "softplus", "linear", "exponential", "softmax")
_RECTIFYING = ("relu", "leaky_relu", "elu", "gelu", "silu")
_ROOMY = 64


@dataclass(frozen=True, eq=False)
class Case:
    """What a maker looks at.

    Args:
        setup: what was asked for.
        trace: what came of it.
    """

    setup: Setup
    trace: Trace

    def asked(self, name: str) -> Any:
        """Return a choice that was made; None where it was left out."""
        return self.setup.choices.get(name)

    @functools.cached_property
    def method(self) -> str:
        """The name of the method."""
        return str(self.trace.plan["method"])

    @functools.cached_property
    def rate(self) -> float:
        """The learning rate; NaN where the method takes none."""
        told = self.trace.plan.get("learning_rate")
        return math.nan if told is None else float(told)

    @functools.cached_property
    def steps(self) -> int:
        """The steps that were allowed."""
        return int(self.trace.plan["steps"])

    @functools.cached_property
    def layers(self) -> tuple[Mapping[str, Any], ...]:
        """The layers with weights of a network of ours, as plain data; none of others."""
        told = (self.trace.facts["network"].get("description") or {}).get("layers") or ()
        return tuple(layer for layer in told if layer["kind"] in ("dense", "convolution"))

    @functools.cached_property
    def hidden(self) -> tuple[Mapping[str, Any], ...]:
        """All of these but the last."""
        return self.layers[:-1]

    @functools.cached_property
    def activations(self) -> frozenset[str]:
        """The activations of the hidden layers."""
        return frozenset(str(layer["activation"]) for layer in self.hidden)

    @functools.cached_property
    def sharpness(self) -> float | None:
        """The highest curvature that was seen after the first look, scaled as the method scales; None if unknown."""
        looks = self.trace.spectra[1:] or self.trace.spectra
        scaled = self.method in SCALED
        found = [look.preconditioned_highest if scaled else look.highest for look in looks]
        known = [float(λ) for λ in found if λ is not None and np.isfinite(λ) and λ > 0]
        return float(np.median(known)) if known else None

    @functools.cached_property
    def norms(self) -> np.ndarray:
        """The gradient's norms that were finite."""
        found = np.asarray(self.trace.columns["gradient_norm"], float)
        return found[np.isfinite(found) & (found > 0)]


Maker = Callable[[Case], Remedy | None]


# --- how long the steps are ------------------------------------------------------------------------------------------


def rate_from_curvature(case: Case) -> Remedy | None:
    """Half of the largest stable rate."""
    bound = stability_bound(case.method, case.trace.plan.get("settings") or {})
    if bound is None or case.sharpness is None or not math.isfinite(case.rate):
        return None
    rate = _rounded(_HEADROOM * bound / case.sharpness)
    if not rate / case.rate < 0.5 and not rate / case.rate > 2:
        return None
    why = f"Half of {number(bound)} / λ_max, the largest rate at which errors along the steepest direction shrink."
    return Remedy(f"rate {number(rate)}, from the curvature", why, {"learning_rate": rate}, _rate_quantity(case, rate))


def smaller_rate(case: Case) -> Remedy | None:
    """A tenth of the rate."""
    return _other_rate(case, 0.1)


def larger_rate(case: Case) -> Remedy | None:
    """Ten times the rate."""
    return _other_rate(case, 10.0)


def far_larger_rate(case: Case) -> Remedy | None:
    """A hundred times the rate."""
    return _other_rate(case, 100.0)


def _other_rate(case: Case, factor: float) -> Remedy | None:
    if not math.isfinite(case.rate):
        return None
    rate = _rounded(case.rate * factor)
    why = "Steps overshoot while αλ exceeds the method's bound." if factor < 1 else "Short steps take as many more."
    return Remedy(f"rate {number(rate)}", why, {"learning_rate": rate}, _rate_quantity(case, rate))


def _rate_quantity(case: Case, rate: float) -> str:
    """Return what a new rate moves."""
    return "way" if rate > case.rate else "highest_loss"


def _rounded(rate: float) -> float:
    """Return a rate with two digits."""
    return float(f"{rate:.2g}")


def adam(case: Case) -> Remedy | None:
    """Adam at its usual rate."""
    if case.method in ("adam", "adamw") and 0.3 < case.rate / _USUAL_RATE < 3:
        return None
    changes = {"method": "adam", "learning_rate": _USUAL_RATE, "schedule": None}
    why = "Each coordinate steps by about the rate, whatever the size of its gradient (Kingma and Ba 2015)."
    return Remedy(f"Adam at {number(_USUAL_RATE)}", why, changes, "training_score")


def momentum(case: Case) -> Remedy | None:
    """Heavy-ball momentum at the same rate."""
    if case.method != "gradient descent":
        return None
    why = "Velocity adds up along directions that keep their sign and cancels in the others (Polyak 1964)."
    return Remedy("momentum", why, {"method": "momentum", "learning_rate": case.rate}, "training_score")


def warm_up(case: Case) -> Remedy | None:
    """A rate that begins at 0 and decays."""
    if case.asked("schedule") is not None or not math.isfinite(case.rate):
        return None
    changes = {"schedule": "warm-up", "warm_up": max(case.steps // 10, 1), "learning_rate": case.rate}
    why = "Early curvature is the highest; short first steps lower it (Gilmer et al. 2021)."
    return Remedy("warm-up over a tenth of the steps", why, changes, "highest_loss")


def cosine(case: Case) -> Remedy | None:
    """A rate that decays to 0."""
    if case.asked("schedule") is not None or not math.isfinite(case.rate):
        return None
    why = "The noise of batches is averaged away as the rate goes to 0 (Robbins and Monro 1951)."
    return Remedy("a rate that decays as a cosine", why, {"schedule": "cosine"}, "training_score")


def clipping(case: Case) -> Remedy | None:
    """Gradients cut to the median of the norms that were recorded."""
    if case.asked("clip_norm") is not None or len(case.norms) < 10:
        return None
    norm = float(f"{np.quantile(case.norms, 0.5):.2g}")
    why = "A cliff's gradient is cut to the usual length (Pascanu, Mikolov and Bengio 2013)."
    return Remedy(f"gradients cut to {number(norm)}", why, {"clip_norm": norm}, "highest_loss")


# --- the network -----------------------------------------------------------------------------------------------------


def suited_weights(case: Case) -> Remedy | None:
    """Weights drawn as the activation needs them, biases at 0."""
    changed = [layer for layer in case.layers if layer["initialisation"] not in _SUITED or layer["bias"] != 0]
    if not changed:
        return None
    changes: dict[str, Any] = {"initialisation": "auto"}
    if any(layer["bias"] != 0 for layer in case.layers):
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


def layer_normalisation(case: Case) -> Remedy | None:
    """Layers normalised over their units."""
    return _normalised(case, "layer", "Signals keep mean 0 and deviation 1 over the units (Ba, Kiros and Hinton 2016).")


def batch_normalisation(case: Case) -> Remedy | None:
    """Units normalised over the batch."""
    return _normalised(case, "batch", "Each unit keeps mean 0 and deviation 1 over the batch (Ioffe and Szegedy 2015).")


def _normalised(case: Case, way: str, why: str) -> Remedy | None:
    if not case.hidden or any(layer["normalisation"] != "none" for layer in case.hidden):
        return None
    deep = len(case.layers) > 2
    return Remedy(
        f"{way} normalisation", why, {"normalisation": way}, "gradient_per_layer" if deep else "saturated_share"
    )


def skips(case: Case) -> Remedy | None:
    """Skip connections between layers of one size."""
    dense = [layer for layer in case.hidden if layer["kind"] == "dense"]
    equal = any(one["units"] == other["units"] for one, other in itertools.pairwise(dense))
    if not equal or any(layer["skip"] for layer in case.hidden):
        return None
    why = "The identity beside each layer passes gradients on as they are (He et al. 2016)."
    return Remedy("skip connections", why, {"skip": True}, "gradient_per_layer")


def roomy(case: Case) -> Remedy | None:
    """Hidden layers of at least 64 units."""
    widths = [layer["units"] for layer in case.hidden if layer["kind"] == "dense"]
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
    why = (
        f"From unbounded outputs, with the loss that is a likelihood of the targets (was {last['activation']}, {loss})."
    )
    return Remedy("output and loss that suit the targets", why, changes, "training_score")


# --- the data --------------------------------------------------------------------------------------------------------


def standardised(case: Case) -> Remedy | None:
    """Inputs of mean 0 and deviation 1."""
    if case.asked("standardise") is not False:
        return None
    why = "Weights are drawn for inputs of size 1, and unequal scales make a narrow valley (LeCun et al. 1998)."
    return Remedy("standardised inputs", why, {"standardise": True}, "input_size")


def scaled_targets(case: Case) -> Remedy | None:
    """Targets of mean 0 and deviation 1."""
    if case.asked("scale_targets") is not False or case.trace.facts["network"].get("kind") != "numbers":
        return None
    why = "Outputs begin near 0 with a spread of 1; gradients grow with the distance to go."
    return Remedy("scaled targets", why, {"scale_targets": True}, "target_size")


def larger_batch(case: Case) -> Remedy | None:
    """Batches near the noise scale, at most eight times as large."""
    batch, rows = case.asked("batch"), case.trace.facts["data"].get("rows")
    if batch is None or not rows or batch * 2 > rows:
        return None
    scales = np.asarray(case.trace.metrics.get("noise_scale", ()), float)
    known = scales[np.isfinite(scales)]
    wanted = float(np.median(known)) if len(known) else 4.0 * batch
    size = int(min(max(2 * batch, wanted), 8 * batch, rows))
    why = "Noise falls with the root of the batch, up to the noise scale (McCandlish et al. 2018)."
    return Remedy(f"batches of {size}", why, {"batch": size}, "noise_ratio")


def smaller_batch(case: Case) -> Remedy | None:
    """Batches of 32."""
    batch = case.asked("batch")
    if batch is not None and batch <= 32:
        return None
    why = "The noise of small batches leads to flatter valleys (Keskar et al. 2017)."
    return Remedy("batches of 32", why, {"batch": 32}, "training_score")


# --- how much, how long ----------------------------------------------------------------------------------------------


def no_penalty(case: Case) -> Remedy | None:
    """No penalty and no decay."""
    changes = {name: 0.0 for name in ("l2", "weight_decay") if case.asked(name)}
    why = "At a minimum of loss and penalty the two gradients balance (Tikhonov 1943)."
    return Remedy("no penalty on the weights", why, changes, "penalty_share") if changes else None


def less_penalty(case: Case) -> Remedy | None:
    """A tenth of penalty and decay."""
    changes = {name: float(case.asked(name)) / 10 for name in ("l2", "weight_decay") if case.asked(name)}
    why = "At a minimum of loss and penalty the two gradients balance (Tikhonov 1943)."
    return Remedy("a tenth of the penalty", why, changes, "penalty_share") if changes else None


def weight_decay(case: Case) -> Remedy | None:
    """Weights that decay."""
    if case.asked("weight_decay") or case.asked("l2"):
        return None
    decay = _rounded(min(0.1 / case.rate / max(case.steps, 1) * 20, 0.1 / case.rate)) if case.rate > 0 else 0.01
    why = "Smaller weights make a smoother function (Krogh and Hertz 1991)."
    return Remedy(f"weight decay {number(decay)}", why, {"weight_decay": decay}, "score_gap")


def dropout(case: Case) -> Remedy | None:
    """Three tenths of the units dropped in each step."""
    if not case.hidden or any(layer["dropout"] for layer in case.hidden):
        return None
    why = "Units cannot rely on one another (Srivastava et al. 2014)."
    return Remedy("dropout of 0.3", why, {"dropout": 0.3}, "score_gap")


def no_dropout(case: Case) -> Remedy | None:
    """No dropout."""
    if not any(layer["dropout"] for layer in case.hidden):
        return None
    return Remedy("no dropout", "Every unit learns in every step.", {"dropout": 0.0}, "training_score")


def early_stopping(case: Case) -> Remedy | None:
    """The run ended soon after the lowest validation loss."""
    held = np.asarray(case.trace.metrics.get("validation_loss", ()), float)
    steps = np.asarray(case.trace.metrics.get("step", ()))
    if len(held) < 4 or not np.isfinite(held).any():
        return None
    best = int(steps[int(np.nanargmin(held))])
    if best == 0 or best > 0.8 * case.steps:
        return None
    why = "Stopping at the lowest validation loss bounds how far the weights go (Prechelt 1998)."
    return Remedy(f"stop at step {best}", why, {"steps": best}, "score_gap")


def more_steps(case: Case) -> Remedy | None:
    """Four times the steps."""
    if case.trace.last_step < case.steps:
        return None
    why = "The loss was still falling; this costs four times as much."
    return Remedy(f"{4 * case.steps} steps", why, {"steps": 4 * case.steps}, "training_score")


def usual(case: Case) -> Remedy | None:
    """Everything as one begins today."""
    return _usual(case, _USUAL_RATE, "none")


def usual_fast(case: Case) -> Remedy | None:
    """The same with ten times the rate, for few steps."""
    return _usual(case, 10 * _USUAL_RATE, "none")


def usual_normalised(case: Case) -> Remedy | None:
    """The same with normalised layers."""
    return _usual(case, _USUAL_RATE, "batch")


def _usual(case: Case, rate: float, normalisation: str) -> Remedy | None:
    normalised = normalisation != "none"
    if normalised and not case.hidden:
        return None
    changes: dict[str, Any] = {"method": "adam", "learning_rate": rate, "schedule": None}
    if not case.setup.is_foreign and case.layers:
        changes |= {"activation": "relu", "initialisation": "auto"} | (
            {"normalisation": normalisation} if normalised else {}
        )
        if any(layer["bias"] != 0 for layer in case.layers):
            changes["bias"] = 0.0
        output = suited_output(case)
        changes |= output.changes if output else {}
    for maker in (standardised, scaled_targets):
        made = maker(case)
        changes |= made.changes if made else {}
    why = "Adam, relu with weights to suit, inputs of size 1, the output that suits: what networks begin with today."
    more = f", {normalisation} normalised" if normalised else ""
    return Remedy(f"the usual choices at a rate of {number(rate)}{more}", why, changes, "training_score")


_ALWAYS = (usual, usual_fast, usual_normalised)
_WEIGHTS = (suited_weights, relu, layer_normalisation, batch_normalisation, skips)
_STEPS = (rate_from_curvature, smaller_rate, adam, clipping, warm_up)

FOR_TRAININGS: Mapping[str, tuple[Maker, ...]] = {
    "label_problem": (early_stopping, weight_decay, dropout),
    "wrong_loss": (suited_output, scaled_targets),
    "wrong_output_activation": (suited_output,),
    "unscaled_inputs": (standardised, adam, smaller_rate),
    "unscaled_targets": (scaled_targets, adam, larger_rate),
    "symmetric_units": (suited_weights,),
    "poor_initialisation": (suited_weights, layer_normalisation, batch_normalisation),
    "missing_nonlinearity": (relu,),
    "over_regularised": (no_penalty, less_penalty, no_dropout),
    "exploding_gradients": (suited_weights, layer_normalisation, clipping, smaller_rate, rate_from_curvature),
    "vanishing_gradients": (*_WEIGHTS, adam),
    "rate_too_large": _STEPS,
    "dead_units": (smaller_rate, leaky_relu, suited_weights, layer_normalisation, adam),
    "saturated_units": (standardised, suited_weights, relu, layer_normalisation, smaller_rate),
    "bottleneck": (roomy,),
    "not_finite": (*_STEPS, suited_output),
    "diverged": (*_STEPS, suited_output),
    "rate_too_small": (larger_rate, far_larger_rate, adam, rate_from_curvature, momentum),
    "too_few_steps": (larger_rate, adam, more_steps, momentum),
    "overfitting": (early_stopping, weight_decay, dropout),
    "noise_dominated": (larger_batch, cosine, smaller_rate),
    "loss_spike": (clipping, smaller_rate, warm_up),
    "unexplained": (adam, larger_rate, smaller_rate, relu, layer_normalisation, roomy, smaller_batch, more_steps),
}


def makers() -> tuple[Maker, ...]:
    """Return every maker once."""
    return tuple(dict.fromkeys(maker for some in (*FOR_TRAININGS.values(), _ALWAYS) for maker in some))


def proposals(case: Case, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, in the order of causes; last the usual choices, all at once."""
    found: list[Remedy] = []
    for remedy in _each(case, diagnosis):
        if _changes_something(case, remedy) and all(remedy.changes != other.changes for other in found):
            found.append(remedy)
    return found


def _each(case: Case, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield remedies by symptom, with what applies to every one at the end."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    for symptom in problems:
        for maker in FOR_TRAININGS.get(symptom, FOR_TRAININGS["unexplained"]):
            remedy = maker(case)
            if remedy is not None and not (case.setup.is_foreign and _needs_surgery(remedy)):
                yield replace(remedy, symptom=symptom)
    for maker in (*_ALWAYS, adam):
        remedy = maker(case)
        if remedy is not None and problems:
            yield replace(remedy, symptom=problems[0])


_SURGERY = frozenset(
    {"activation", "initialisation", "normalisation", "skip", "dropout", "output_activation", "bias", "least_units"}
)


def _needs_surgery(remedy: Remedy) -> bool:
    """Tell whether a remedy changes the inside of a network."""
    return bool(_SURGERY & remedy.changes.keys())


def _changes_something(case: Case, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything that was asked for."""
    if _needs_surgery(remedy) and case.setup.layers is not None:
        return True
    return any(case.asked(name) != told for name, told in remedy.changes.items())
