"""What may mend a training, by symptom, in the order in which remedies are tried.

Each maker looks at the case and returns a remedy as data, or None where it does not apply or nothing would change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from downslope._choices import schema
from downslope._text import number
from downslope.diagnosis import Diagnosis, Severity
from downslope.methods import ADAM
from downslope.networks import SetupChanges
from downslope.remedies._case import Case, Maker
from downslope.remedies._data_remedies import (
    dropout,
    early_stopping,
    larger_batch,
    less_penalty,
    more_steps,
    no_dropout,
    no_penalty,
    scaled_targets,
    smaller_batch,
    standardised,
    weight_decay,
)
from downslope.remedies._network_remedies import (
    batch_normalisation,
    layer_normalisation,
    leaky_relu,
    relu,
    revived_units,
    roomy,
    skips,
    suited_output,
    suited_weights,
)
from downslope.remedies._remedy import Remedy
from downslope.remedies._step_remedies import (
    USUAL_RATE,
    adam,
    adam_later,
    clipping,
    clipping_later,
    cosine,
    far_larger_rate,
    larger_rate,
    momentum,
    nesterov,
    noise,
    rate_from_curvature,
    rmsprop,
    smaller_rate,
    smaller_rate_later,
    warm_up,
)


def usual(case: Case) -> Remedy | None:
    """Everything as one begins today."""
    return _usual(case, USUAL_RATE, "none")


def usual_fast(case: Case) -> Remedy | None:
    """The same with ten times the rate, for few steps."""
    return _usual(case, 10 * USUAL_RATE, "none")


def usual_normalised(case: Case) -> Remedy | None:
    """The same with normalised layers."""
    return _usual(case, USUAL_RATE, "batch")


def usual_deep(case: Case) -> Remedy | None:
    """The same with all that carries signals through many layers."""
    made, wide = _usual(case, USUAL_RATE, "layer"), roomy(case)
    if made is None or len(case.hidden) < 2 or case.setup.is_foreign:
        return None
    changes = {**made.changes, "skip": True, **(wide.changes if wide else {})}
    room = f", {wide.name}" if wide else ""
    why = f"{made.why} Normalised layers with a way around each are trained at any depth (He et al. 2016)."
    return replace(made, name=f"{made.name}, skip connections{room}", why=why, changes=changes)


def _usual(case: Case, rate: float, normalisation: str) -> Remedy | None:
    normalised = normalisation != "none"
    if normalised and not case.hidden:
        return None
    changes: dict[str, Any] = {"method": ADAM.name, "learning_rate": rate, "schedule": None}
    if not case.setup.is_foreign and case.layers:
        changes |= {"activation": "relu", "initialisation": "auto"} | (
            {"normalisation": normalisation} if normalised else {}
        )
        if any(layer.get("bias", 0) != 0 for layer in case.layers):
            changes["bias"] = 0.0
        output = suited_output(case)
        changes |= output.changes if output else {}
    for maker in (standardised, scaled_targets):
        made = maker(case)
        changes |= made.changes if made else {}
    why = "Adam, relu with weights to suit, inputs of size 1, the output that suits: what networks begin with today."
    more = f", {normalisation} normalised" if normalised else ""
    return Remedy(f"the usual choices at a rate of {number(rate)}{more}", why, changes, "training_score")


_ALWAYS = (usual, usual_fast, usual_normalised, usual_deep)
_WEIGHTS = (suited_weights, relu, layer_normalisation, batch_normalisation, skips)
_STEPS = (rate_from_curvature, smaller_rate, adam, clipping, warm_up)
_LATER = (smaller_rate_later, clipping_later, adam_later)

FOR_TRAININGS: Mapping[str, tuple[Maker, ...]] = {
    "label_problem": (early_stopping, weight_decay, dropout),
    "wrong_loss": (suited_output, scaled_targets),
    "wrong_output_activation": (suited_output,),
    "unscaled_inputs": (standardised, adam, smaller_rate),
    "unscaled_targets": (scaled_targets, adam, larger_rate),
    "symmetric_units": (suited_weights, noise),
    "poor_initialisation": (suited_weights, layer_normalisation, batch_normalisation),
    "missing_nonlinearity": (relu,),
    "over_regularised": (no_penalty, less_penalty, no_dropout),
    "exploding_gradients": (suited_weights, layer_normalisation, clipping, smaller_rate, rate_from_curvature),
    "vanishing_gradients": (*_WEIGHTS, adam),
    "rate_too_large": _STEPS,
    "dead_units": (smaller_rate, leaky_relu, revived_units, suited_weights, layer_normalisation, adam),
    "saturated_units": (standardised, suited_weights, relu, layer_normalisation, smaller_rate),
    "bottleneck": (roomy,),
    "not_finite": (*_STEPS, *_LATER, suited_output),
    "diverged": (*_STEPS, *_LATER, suited_output),
    "rate_too_small": (larger_rate, far_larger_rate, adam, rmsprop, rate_from_curvature, momentum, nesterov),
    "too_few_steps": (larger_rate, adam, more_steps, momentum),
    "overfitting": (early_stopping, weight_decay, dropout),
    "noise_dominated": (larger_batch, cosine, smaller_rate),
    "loss_spike": (clipping, smaller_rate, warm_up, clipping_later, smaller_rate_later),
    "unexplained": (adam, larger_rate, smaller_rate, relu, layer_normalisation, roomy, smaller_batch, more_steps),
}


def makers() -> tuple[Maker, ...]:
    """Return every maker once."""
    return tuple(dict.fromkeys(maker for some in (*FOR_TRAININGS.values(), _ALWAYS) for maker in some))


def proposals(case: Case, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, in the order of causes; last the usual choices, all at once."""
    return _distinct(case, _each(case, diagnosis))


def _distinct(case: Case, remedies: Iterable[Remedy]) -> list[Remedy]:
    """Return the remedies that change something, each once."""
    found: list[Remedy] = []
    for remedy in remedies:
        if _changes_something(case, remedy) and all(remedy.changes != other.changes for other in found):
            found.append(remedy)
    return found


def everything(case: Case) -> list[Remedy]:
    """Return every remedy that applies, whatever is wrong."""
    return _distinct(case, _made(case, dict.fromkeys((*_ALWAYS, *makers())), ""))


def _each(case: Case, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield remedies by symptom, with what applies to every problem at the end; where there is none, for the notes."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    for symptom in problems:
        yield from _made(case, FOR_TRAININGS.get(symptom, FOR_TRAININGS["unexplained"]), symptom)
    if problems:
        yield from _made(case, (*_ALWAYS, adam), problems[0])
        return
    for finding in diagnosis:
        if finding.severity is Severity.NOTE:
            yield from _made(case, FOR_TRAININGS.get(finding.symptom, ()), finding.symptom)


def _made(case: Case, known: Iterable[Maker], symptom: str) -> Iterator[Remedy]:
    """Yield the remedies for a symptom that can be made of a case."""
    for maker in known:
        remedy = maker(case)
        if remedy is not None and not (case.setup.is_foreign and _needs_surgery(remedy)):
            yield replace(remedy, symptom=symptom)


_IN_LAYERS = frozenset(name for name, choice in schema(SetupChanges).items() if choice.in_layers)


def _needs_surgery(remedy: Remedy) -> bool:
    """Tell whether a remedy changes the inside of a network."""
    return bool(_IN_LAYERS & remedy.changes.keys())


def _changes_something(case: Case, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything that was asked for."""
    if _needs_surgery(remedy) and case.setup.layers is not None:
        return True
    return any(case.asked(name) != told for name, told in remedy.changes.items())
