"""What is added to the trace of a formula's descent once it has ended: the ground around, and rates that were tried.

A diagnosis reads traces only. What it could not say from the path alone is measured here, where the objective is at
hand, and kept in the trace as plain data; so a saved run is judged as the run itself was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from downslope.descent._plan import Plan
from downslope.descent._surroundings import surroundings
from downslope.diagnosis import is_advisable, rates_worth_trying
from downslope.trace import Outcome, Trace

_MOST_STEPS = 20_000  # of a descent that is made again at other rates
_MOST_WORK = 2_000_000  # steps times rows of a table


def explored(plan: Plan, trace: Trace, descend: Callable[[Plan], Trace]) -> Trace:
    """Return a trace with what the objective does around its end, and the rates that were tried.

    Args:
        plan: the plan of the descent.
        trace: its trace.
        descend: makes the descent of another plan.
    """
    facts: dict[str, Any] = {}
    around = surroundings(plan, trace)
    if around:
        facts["surroundings"] = around
        trace = trace.replace(facts={**trace.facts, **facts})
    if _may_be_tried(plan):
        tried = _tried(plan, trace, descend)
        if tried is not None:
            return trace.replace(facts={**trace.facts, "rates_tried": tried})
    return trace


def _may_be_tried(plan: Plan) -> bool:
    """Tell whether descents at other rates are cheap."""
    rows = max((np.size(column) for column in plan.objective.data.values()), default=1)
    cheap = plan.steps <= _MOST_STEPS and plan.steps * rows <= _MOST_WORK
    return plan.record.tries_rates and plan.objective.formula is not None and plan.is_small and cheap


def _tried(plan: Plan, trace: Trace, descend: Callable[[Plan], Trace]) -> list[dict[str, Any]] | None:
    """Return the rates that a diagnosis would advise up to the first sound one, with their results; None for none."""
    rates = rates_worth_trying(trace)
    if not rates:
        return None
    tried = []
    for rate in rates:
        record = replace(plan.record, tries_rates=False)
        trial = descend(replace(plan, learning_rate=rate, record=record))
        if trial.outcome is Outcome.INTERRUPTED:
            return tried
        sound = is_advisable(trial, trace)
        tried.append({"learning_rate": rate, "value": trial.value, "is_sound": sound})
        if sound:
            break
    return tried
