"""The order of remedies: first what the findings suggest together, then by how often each repaired such runs.

Of n trainings with a finding s on which a remedy r was tried, it repaired k. The chance is the mean of the posterior,

    P(r repairs | s) ≈ (k + m·p) / (n + m),

with a prior p from all findings together that is raised where the record of s names r, since theory also holds for
findings that none of the trainings showed. `repair_counts.json` holds k and n, and says where they come from.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from downslope.diagnosis import Diagnosis, Severity
from downslope.remedies._remedy import Remedy, TrainingCase
from downslope.remedies._training_remedies import everything, proposals, training_makers

TOGETHER = "together"  # the key of what the findings ask for together
_WORTH = 4.0  # trials that the prior counts as
_USUAL = 0.15  # how often a remedy repairs a run, of those that were never tried
_NAMED = 0.25  # how far the first remedy of a record moves its prior towards 1
_FADES = 0.8  # the same for each further one, as a share of the one before
_SHARE = 0.5  # of a further finding, as a share of the one before


@functools.cache
def _shipped() -> Mapping[str, Any]:
    file = importlib.resources.files("downslope") / "remedies" / "repair_counts.json"
    return json.loads(file.read_text(encoding="utf-8"))


def counts() -> Mapping[str, Mapping[str, tuple[int, int]]]:
    """Return how many runs each remedy repaired, and on how many it was tried, by symptom and remedy."""
    return _shipped()["counts"]


def counts_in_all() -> Mapping[str, tuple[int, int]]:
    """Return the counts by remedy, over all runs."""
    return _shipped()["whatever"]


def chance(symptoms: Sequence[str], key: str) -> float:
    """Return the chance that a remedy repairs a run.

    Args:
        symptoms: the findings of the run, the nearest to the cause first.
        key: the name of the remedy's maker.
    """
    weights = [_SHARE**rank for rank in range(len(symptoms))]
    chances = [_chance_for(symptom, key) for symptom in symptoms]
    return sum(map(float.__mul__, weights, chances)) / sum(weights) if weights else _prior(key)


def _chance_for(symptom: str, key: str) -> float:
    """Return the chance that a remedy repairs a run with one finding."""
    repaired, tried = counts().get(symptom, {}).get(key, (0, 0))
    prior, named = _prior(key), _named(symptom)
    if key in named:
        prior += (1 - prior) * _NAMED * _FADES ** named.index(key)
    return (repaired + _WORTH * prior) / (tried + _WORTH)


def _prior(key: str) -> float:
    """Return how often a remedy repairs a run, whatever was found."""
    repaired, tried = counts_in_all().get(key, (0, 0))
    return (repaired + _WORTH * _USUAL) / (tried + _WORTH)


@functools.cache
def _named(symptom: str) -> tuple[str, ...]:
    """Return the names of the makers that are for a symptom."""
    return tuple(maker.__name__ for maker in training_makers(symptom))


def problems_of(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the problems of a diagnosis, the nearest to the cause first."""
    return tuple(finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM)


def ranked(case: TrainingCase, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, the likeliest first; of a run without a problem those for what was noted.

    What the findings ask for together stands where the best of its parts stands.
    """
    problems, proposed = problems_of(diagnosis), proposals(case, diagnosis)
    if not problems:
        return proposed
    others = [
        replace(remedy, symptom=problems[0])
        for remedy in everything(case)
        if all(remedy.changes != other.changes for other in proposed)
    ]
    single = sorted([*proposed, *others], key=lambda remedy: -chance(problems, remedy.key))
    both = together(single, problems)
    return single if both is None else [both, *single]


def together(remedies: Sequence[Remedy], problems: Sequence[str]) -> Remedy | None:
    """Return the likeliest remedy that each problem names, all at once; None where fewer than two go together."""
    whole: Remedy | None = None
    for symptom in problems:
        named = _named(symptom)
        of_symptom = [remedy for remedy in remedies if remedy.key in named]
        best = max(of_symptom, key=lambda remedy: _chance_for(symptom, remedy.key), default=None)
        if best is not None:
            # What conflicts with a remedy nearer to the cause is left out.
            whole = best if whole is None else whole.with_other(best) or whole
    return replace(whole, key=TOGETHER) if whole is not None and whole.parts else None


def combined(remedy: Remedy, others: Sequence[Remedy], symptoms: Sequence[str]) -> list[Remedy]:
    """Return a remedy combined with each of others, the likeliest first."""
    ordered = sorted(others, key=lambda other: -chance(symptoms, other.key))
    return [remedy.then(other) for other in ordered]


def causes_of(remedy: Remedy, diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the findings that a remedy is for, by the remedies that their records name."""
    keys = {change.key for change in remedy.single_changes}
    return tuple(symptom for symptom in problems_of(diagnosis) if keys & set(_named(symptom)))
