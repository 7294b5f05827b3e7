"""Which remedies of a training are tried, by symptom, and the usual choices, all at once, as the last of them.

Each maker looks at the case and returns a remedy as data, or None where it does not apply or nothing would change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from downslope._choices import schema
from downslope._text import number
from downslope.diagnosis import TRAINING_SYMPTOMS, Diagnosis, Severity
from downslope.methods import ADAM
from downslope.networks import SetupChanges
from downslope.remedies import _model_remedies, _step_remedies
from downslope.remedies._model_remedies import roomy, scaled_targets, standardised, suited_output
from downslope.remedies._remedy import Remedy, TrainingCase, TrainingMaker
from downslope.remedies._step_remedies import USUAL_RATE, adam


def usual(case: TrainingCase) -> Remedy | None:
    """Everything as one begins today."""
    return _usual(case, USUAL_RATE, "none")


def usual_fast(case: TrainingCase) -> Remedy | None:
    """The same with ten times the rate, for few steps."""
    return _usual(case, 10 * USUAL_RATE, "none")


def usual_normalised(case: TrainingCase) -> Remedy | None:
    """The same with normalised layers."""
    return _usual(case, USUAL_RATE, "batch")


def usual_deep(case: TrainingCase) -> Remedy | None:
    """The usual choices plus layer normalisation and skip connections."""
    base, wide = _usual(case, USUAL_RATE, "layer"), roomy(case)
    if base is None or len(case.hidden) < 2 or case.setup.is_foreign:
        return None
    changes = {**base.changes, "skip": True, **(wide.changes if wide else {})}
    room = f", {wide.name}" if wide else ""
    why = f"{base.why} Normalised layers with a way around each are trained at any depth (He et al. 2016)."
    return replace(base, name=f"{base.name}, skip connections{room}", why=why, changes=changes)


def _usual(case: TrainingCase, rate: float, normalisation: str) -> Remedy | None:
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
        scaling = maker(case)
        changes |= scaling.changes if scaling else {}
    why = "Adam, relu with weights to suit, inputs of size 1, the output that suits: what networks begin with today."
    more = f", {normalisation} normalised" if normalised else ""
    return Remedy(f"the usual choices at a rate of {number(rate)}{more}", why, changes, "training_score")


_ALWAYS = (usual, usual_fast, usual_normalised, usual_deep)
# What is tried for a problem that no record of a symptom of trainings knows remedies for, as where no cause shows.
_UNEXPLAINED = TRAINING_SYMPTOMS["plateau"].remedies


def maker_named(key: str) -> TrainingMaker:
    """Return the maker of a remedy by the key under which the records of symptoms name it.

    Raises:
        KeyError: if there is none, which a test rules out.
    """
    return {**vars(_model_remedies), **vars(_step_remedies)}[key]


def training_makers(symptom: str, otherwise: Iterable[str] = ()) -> tuple[TrainingMaker, ...]:
    """Return the makers of the remedies for a symptom, in the order in which they are tried."""
    record = TRAINING_SYMPTOMS.get(symptom)
    return tuple(map(maker_named, (record.remedies if record is not None else ()) or otherwise))


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
    """Return every remedy that applies, whatever is wrong."""
    return _distinct(case, _applied(case, dict.fromkeys((*_ALWAYS, *makers())), ""))


def _each(case: TrainingCase, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield remedies per problem, then the general ones; if there is no problem, remedies for the notes."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    for symptom in problems:
        yield from _applied(case, training_makers(symptom, _UNEXPLAINED), symptom)
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
            yield replace(remedy, symptom=symptom)


_IN_LAYERS = frozenset(name for name, choice in schema(SetupChanges).items() if choice.in_layers)


def _needs_surgery(remedy: Remedy) -> bool:
    """Tell whether a remedy changes the inside of a network."""
    return bool(_IN_LAYERS & remedy.changes.keys())


def _changes_something(case: TrainingCase, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything of the setup."""
    if _needs_surgery(remedy) and case.setup.layers is not None:
        return True
    return any(case.choice(name) != value for name, value in remedy.changes.items())
