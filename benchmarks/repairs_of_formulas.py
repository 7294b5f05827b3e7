"""What `ds.prescribe` mends of formulas, beside a random remedy, random search and Adam: a recipe of `repairs.py`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from random_repairs import Draws, searched
from sick_networks import formula_of, method_of
from sick_outcomes import Run

import downslope as ds
from downslope.diagnosis import DESCENT_SYMPTOMS
from downslope.remedies._descent_remedies import descent_makers
from downslope.remedies._descent_trials import Descents, from_other_starts
from downslope.remedies._remedy import DescentCase, OtherStart

_FRESH, _CLOSE_BY = 1000, 0.01  # seeds that have no part in any choice; how far off starts are, as a share
_FAR = 3.0  # times the start's own distance from 0, within which the lowest value is searched for
_EVALUATIONS = 20_000
_STARTS, _BUDGET = 8, 10**9


def repaired_formula(recipe: Mapping[str, Any], outcome: Run, seeds: int) -> Run:
    """Return the scores of every column on a formula, and what was prescribed."""
    text, start = formula_of(recipe)
    base = ds.plan(text, start, steps=outcome["steps"], **method_of(recipe))
    prescription = ds.prescribe(base, progress=False)
    best = prescription.best
    floor = _floor(base)
    case = DescentCase(base, ds.descend(base, progress=False), _others(base))
    draws = Draws(
        dict.fromkeys(maker for symptom in DESCENT_SYMPTOMS for maker in descent_makers(symptom)), case, recipe["id"]
    )
    fresh = range(_FRESH, _FRESH + seeds)

    def scores(changes: Mapping[str, Any], numbers: Sequence[int] = fresh) -> list[float]:
        return [score(changed(base, changes), floor, seed) for seed in numbers]

    def tried(changes: Mapping[str, Any]) -> tuple[float, int]:
        plan = changed(base, changes)
        return score(plan, floor), base.steps if plan is None else plan.steps

    control = scores({})
    return {
        "reference": -floor,
        "findings": list(prescription.diagnosis.symptoms),
        "remedy": None if best is None else best.remedy.name,
        "steps_spent": prescription.steps,
        "control": control,
        "columns": {
            "ours": {"end": control if best is None else scores(best.remedy.changes)},
            "reseeded": {"end": scores({}, range(_FRESH + seeds, _FRESH + 2 * seeds))},
            "random_remedy": {"end": scores(draws.one())},
            "random_search": {"end": scores(searched(draws, tried, score(base, floor), prescription.steps))},
            "blind_recipe": {"end": scores({"method": "adam"})},
        },
    }


def _floor(base: ds.Plan) -> float:
    """Return the lowest value that a search finds; below a function without one, as far as the start is high."""
    first = _value_at_start(base)
    spread = _FAR * max(1.0, *(abs(float(number)) for number in base.start.values()))
    try:
        found = ds.search(base.objective, spread=spread, evaluations=_EVALUATIONS)
    except ds.ObjectiveError:
        return first - max(abs(first), 1.0)
    return float(found.value)


def _value_at_start(base: ds.Plan) -> float:
    return float(ds.descend(dataclasses.replace(base, steps=0), progress=False).value)


def changed(base: ds.Plan, changes: Mapping[str, Any]) -> ds.Plan | None:
    """Return a plan with changes; None where it cannot be made."""
    try:
        return base.changed(**changes)
    except (ds.SettingError, ds.PointError):
        return None


def score(plan: ds.Plan | None, floor: float, seed: int | None = None) -> float:
    """Return the negative of the value at the end, between that of the start and the floor; −∞ for no plan."""
    if plan is None:
        return -math.inf
    if seed is not None:
        random = np.random.default_rng(seed)
        start = {name: float(at) * (1 + _CLOSE_BY * random.normal()) for name, at in plan.start.items()}
        plan = dataclasses.replace(plan, start=start, seed=seed)
    trace = ds.descend(plan, progress=False)
    first = _value_at_start(plan)
    value = trace.value if trace.outcome is not ds.Outcome.NOT_FINITE and math.isfinite(trace.value) else first
    return -float(np.clip(value, floor, max(first, floor)))


def _others(base: ds.Plan) -> tuple[OtherStart, ...]:
    """Return where descents from other starts lead, so that another start is a remedy that can be drawn."""
    return tuple(
        OtherStart(plan.start, trace.value)
        for plan, trace in from_other_starts(base, Descents(_BUDGET, lambda *_: None), _STARTS)
    )
