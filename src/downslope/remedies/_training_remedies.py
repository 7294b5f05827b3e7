"""Remedies of a training that change how it steps, and the choice of remedies by symptom.

A maker looks at the case and returns a remedy as data, or None where it does not apply or nothing would change. The
record of a symptom names its remedies; a further one is a maker here or in `_model_remedies` that names its symptoms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from downslope._choices import schema
from downslope._text import in_words, number
from downslope.diagnosis import TRAINING_SYMPTOMS, Diagnosis, Severity
from downslope.methods import ADAM, ADAMW, GRADIENT_DESCENT, MOMENTUM, NESTEROV, NOISY_GRADIENT_DESCENT, RMSPROP
from downslope.networks import SetupChanges
from downslope.remedies import _model_remedies
from downslope.remedies._model_remedies import drawn_anew, roomy, scaled_targets, standardised, suited_output
from downslope.remedies._remedy import Remedy, TrainingCase, TrainingMaker, helps, makers_for, two_digits

_HEADROOM = 0.5  # of the largest stable rate
_SMALL_STEP = 0.01  # of the weights' root mean square
USUAL_RATE = 1e-3  # of Adam and its like
_TRAVEL = 5.0  # how far a weight can go where steps are few
_FASTEST = 0.1  # above which Adam swings


def rate_from_curvature(case: TrainingCase) -> Remedy | None:
    """Half of the largest stable rate."""
    bound = case.facts.bound
    if bound is None or case.sharpness is None or not math.isfinite(case.rate):
        return None
    rate = two_digits(_HEADROOM * bound / case.sharpness)
    if not rate / case.rate < 0.5 and not rate / case.rate > 2:
        return None
    why = f"Half of {number(bound)} / λ_max, the largest rate at which errors along the steepest direction shrink."
    return Remedy(f"rate {number(rate)}, from the curvature", why, {"learning_rate": rate}, _rate_quantity(case, rate))


def smaller_rate(case: TrainingCase) -> Remedy | None:
    """A tenth of the rate."""
    return _other_rate(case, 0.1)


def larger_rate(case: TrainingCase) -> Remedy | None:
    """Ten times the rate."""
    return _other_rate(case, 10.0)


def far_larger_rate(case: TrainingCase) -> Remedy | None:
    """A hundred times the rate."""
    return _other_rate(case, 100.0)


def _other_rate(case: TrainingCase, factor: float) -> Remedy | None:
    if not math.isfinite(case.rate):
        return None
    rate = two_digits(case.rate * factor)
    too_long = "Steps overshoot while αλ exceeds the method's bound."
    too_short = "The shorter the steps, the more are needed."
    why = too_long if factor < 1 else too_short
    return Remedy(f"rate {number(rate)}", why, {"learning_rate": rate}, _rate_quantity(case, rate))


def _rate_quantity(case: TrainingCase, rate: float) -> str:
    """Return the quantity that a new rate should change."""
    return "way" if rate > case.rate else "highest_loss"


def adam(case: TrainingCase) -> Remedy | None:
    """Adam at its usual rate."""
    if case.method in (ADAM.name, ADAMW.name) and 0.3 < case.rate / USUAL_RATE < 3:
        return None
    changes = {"method": ADAM.name, "learning_rate": USUAL_RATE, "schedule": None}
    why = "Each coordinate steps by about the rate, whatever the size of its gradient (Kingma and Ba 2015)."
    return Remedy(f"Adam at {number(USUAL_RATE)}", why, changes, "training_score")


def momentum(case: TrainingCase) -> Remedy | None:
    """Heavy-ball momentum at the same rate."""
    if case.method != GRADIENT_DESCENT.name:
        return None
    why = "Velocity adds up along directions that keep their sign and cancels in the others (Polyak 1964)."
    return Remedy("momentum", why, {"method": MOMENTUM.name, "learning_rate": case.rate}, "training_score")


@helps("rate_too_small")
def nesterov(case: TrainingCase) -> Remedy | None:
    """Nesterov's momentum at the same rate."""
    if case.method != GRADIENT_DESCENT.name:
        return None
    why = "A look ahead along the velocity keeps it from swinging (Nesterov 1983)."
    return Remedy("Nesterov's momentum", why, {"method": NESTEROV.name, "learning_rate": case.rate}, "training_score")


def rmsprop(case: TrainingCase) -> Remedy | None:
    """RMSprop at its usual rate."""
    if case.method in (ADAM.name, ADAMW.name, RMSPROP.name):
        return None
    why = "Each coordinate is divided by the usual size of its gradient (Tieleman and Hinton 2012)."
    changes = {"method": RMSPROP.name, "learning_rate": USUAL_RATE, "schedule": None}
    return Remedy(f"RMSprop at {number(USUAL_RATE)}", why, changes, "training_score")


@helps("symmetric_units")
def noise(case: TrainingCase) -> Remedy | None:
    """Noise in the gradient whose steps are a hundredth of the size of the weights."""
    if case.method != GRADIENT_DESCENT.name or not case.rate > 0:
        return None
    size = math.sqrt(np.mean(np.concatenate([np.ravel(leaf) for leaf in case.trace.start.values()]) ** 2))
    if not size > 0:
        return None
    deviation = two_digits(_SMALL_STEP * size / case.rate)
    why = "Noise makes equal units unequal, and has a component in every direction (Neelakantan et al. 2015)."
    changes = {"method": NOISY_GRADIENT_DESCENT.name, "noise": deviation, "learning_rate": case.rate}
    return Remedy(f"noise of {number(deviation)} in the gradient", why, changes, "training_score")


def warm_up(case: TrainingCase) -> Remedy | None:
    """A rate that begins at 0 and decays."""
    if case.choice("schedule") is not None or not math.isfinite(case.rate):
        return None
    changes = {"schedule": "warm-up", "warm_up": max(case.steps // 10, 1), "learning_rate": case.rate}
    why = "Early curvature is the highest; short first steps lower it (Gilmer et al. 2021)."
    return Remedy("warm-up over a tenth of the steps", why, changes, "highest_loss")


def cosine(case: TrainingCase) -> Remedy | None:
    """A rate that decays to 0."""
    if case.choice("schedule") is not None or not math.isfinite(case.rate):
        return None
    why = "The noise of batches is averaged away as the rate goes to 0 (Robbins and Monro 1951)."
    return Remedy("a rate that decays as a cosine", why, {"schedule": "cosine"}, "training_score")


def clipping(case: TrainingCase) -> Remedy | None:
    """Gradients cut to the median of the norms that were recorded."""
    if case.choice("clip_norm") is not None or len(case.norms) < 10:
        return None
    norm = two_digits(float(np.quantile(case.norms, 0.5)))
    why = "A cliff's gradient is cut to the usual length (Pascanu, Mikolov and Bengio 2013)."
    return Remedy(f"gradients cut to {number(norm)}", why, {"clip_norm": norm}, "highest_loss")


def from_healthy(maker: TrainingMaker) -> TrainingMaker:
    """Return the maker of the same remedy that keeps the steps up to the last healthy one as they were."""

    def later(case: TrainingCase) -> Remedy | None:
        remedy = maker(case)
        if remedy is None or not case.healthy_steps or case.choice("begin") is not None:
            return None
        before = {name: case.choice(name) for name in remedy.changes}
        if "learning_rate" in before:
            before["learning_rate"] = case.rate
        if "method" in before:
            before = {"method": case.choice("method"), **case.settings, **before}
        changes = {**remedy.changes, "begin": {"steps": case.healthy_steps, **before}}
        return replace(remedy, name=f"{remedy.name} from step {case.healthy_steps} on", changes=changes)

    later.__name__ = f"{maker.__name__}_later"
    later.__doc__ = f"{(maker.__doc__ or '').removesuffix('.')}, from the last healthy step on."
    return later


smaller_rate_later = from_healthy(smaller_rate)
clipping_later = from_healthy(clipping)
adam_later = from_healthy(adam)


def usual(case: TrainingCase) -> Remedy | None:
    """The usual choices: Adam, relu, scaled inputs, the output that suits the targets."""
    return _usual(case, USUAL_RATE, "none")


def usual_fast(case: TrainingCase) -> Remedy | None:
    """The usual choices with at least ten times the rate, more for few steps."""
    # A step of Adam is about as long as the rate, so that a weight travels at most rate × steps.
    rate = two_digits(min(max(10 * USUAL_RATE, _TRAVEL / max(case.steps, 1)), _FASTEST))
    return _usual(case, rate, "none")


def usual_normalised(case: TrainingCase) -> Remedy | None:
    """The usual choices with batch normalisation."""
    return _usual(case, USUAL_RATE, "batch")


def usual_deep(case: TrainingCase) -> Remedy | None:
    """The usual choices plus layer normalisation and skip connections."""
    base, wide = _usual(case, USUAL_RATE, "layer"), roomy(case)
    if base is None or len(case.hidden) < 2 or case.setup.is_foreign:
        return None
    why = "Normalised layers with a skip connection around each can be trained at any depth (He et al. 2016)."
    further = [Remedy("skip connections", why, {"skip": True}, "gradient_per_layer", key="skips")]
    further += [replace(wide, key="roomy")] if wide else []
    return replace(
        base,
        name=", ".join([base.name, *(part.name for part in further)]),
        why=f"{base.why} {why}",
        changes={**base.changes, **{name: value for part in further for name, value in part.changes.items()}},
        elements=(*base.elements, *further),
    )


def _usual(case: TrainingCase, rate: float, normalisation: str) -> Remedy | None:
    """Return the usual choices at once, with the single changes that they bundle."""
    if normalisation != "none" and not case.hidden:
        return None
    steps: dict[str, Any] = {"method": ADAM.name, "learning_rate": rate, "schedule": None}
    why = "Each coordinate steps by about the rate (Kingma and Ba 2015)."
    bundled = [Remedy(f"Adam at {number(rate)}", why, steps, "training_score", key=adam.__name__)]
    if not case.setup.is_foreign and case.layers:
        why = "A relu passes gradients unchanged where it is active (Glorot, Bordes and Bengio 2011)."
        bundled.append(Remedy("relu", why, {"activation": "relu"}, "gradient_per_layer", key="relu"))
        bundled.append(replace(drawn_anew(case), key="suited_weights"))
        if normalisation != "none":
            why = "Signals keep mean 0 and deviation 1 (Ioffe and Szegedy 2015)."
            changes = {"normalisation": normalisation}
            key = f"{normalisation}_normalisation"
            bundled.append(Remedy(in_words(key), why, changes, "gradient_per_layer", key=key))
        bundled += _applied(case, (suited_output,), "")
    bundled += _applied(case, (standardised, scaled_targets), "")
    why = "Adam, relu with suitable weights, scaled inputs, a suitable output: today's usual starting point."
    more = f", {normalisation} normalised" if normalisation != "none" else ""
    return Remedy(
        f"the usual choices at a rate of {number(rate)}{more}",
        why,
        {name: value for part in bundled for name, value in part.changes.items()},
        "training_score",
        elements=tuple(bundled),
    )


_ALWAYS = (usual, usual_fast, usual_normalised, usual_deep)
_UNEXPLAINED = "plateau"  # a training that falls short without a visible cause


def training_makers(symptom: str, otherwise: Iterable[TrainingMaker] = ()) -> tuple[TrainingMaker, ...]:
    """Return the makers of the remedies for a symptom, in the order in which they are tried."""
    return makers_for(symptom, TRAINING_SYMPTOMS, {**vars(_model_remedies), **globals()}) or tuple(otherwise)


def makers() -> tuple[TrainingMaker, ...]:
    """Return every maker once."""
    by_symptom = (maker for symptom in TRAINING_SYMPTOMS for maker in training_makers(symptom))
    return tuple(dict.fromkeys((*by_symptom, *_ALWAYS)))


def proposals(case: TrainingCase, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, in the order of causes; last the usual choices, all at once."""
    return _distinct(case, _each(case, diagnosis))


def _distinct(case: TrainingCase, remedies: Iterable[Remedy]) -> list[Remedy]:
    """Return the remedies that change something, each once."""
    distinct: list[Remedy] = []
    for remedy in remedies:
        if _changes_something(case, remedy) and all(remedy.changes != other.changes for other in distinct):
            distinct.append(remedy)
    return distinct


def everything(case: TrainingCase) -> list[Remedy]:
    """Return every remedy that applies to the case, independent of its diagnosis."""
    return _distinct(case, _applied(case, dict.fromkeys((*_ALWAYS, *makers())), ""))


def _each(case: TrainingCase, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield remedies per problem, then the general ones; if there is no problem, remedies for the notes."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    for symptom in problems:
        yield from _applied(case, training_makers(symptom, training_makers(_UNEXPLAINED)), symptom)
    if problems:
        yield from _applied(case, (*_ALWAYS, adam), problems[0])
        return
    for finding in diagnosis:
        if finding.severity is Severity.NOTE:
            yield from _applied(case, training_makers(finding.symptom), finding.symptom)


def _applied(case: TrainingCase, known: Iterable[TrainingMaker], symptom: str) -> Iterator[Remedy]:
    """Yield the remedies for a symptom that apply to a case."""
    for maker in known:
        remedy = maker(case)
        if remedy is not None and not (case.setup.is_foreign and _needs_surgery(remedy)):
            yield replace(remedy, symptom=symptom, key=maker.__name__)


_IN_LAYERS = frozenset(name for name, choice in schema(SetupChanges).items() if choice.in_layers)


def _needs_surgery(remedy: Remedy) -> bool:
    """Tell whether a remedy changes the inside of a network."""
    return bool(_IN_LAYERS & remedy.changes.keys())


def _changes_something(case: TrainingCase, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything of the setup."""
    if _needs_surgery(remedy) and case.setup.layers is not None:
        return True
    return any(case.choice(name) != value for name, value in remedy.changes.items())
