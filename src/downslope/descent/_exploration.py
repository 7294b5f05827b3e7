"""Facts about a formula's descent beyond its path, for a diagnosis: the values at its end, and other rates.

A diagnosis reads traces only. So this is measured where the objective is at hand and kept in the trace as plain data;
a saved run is judged as the run itself was. It costs more than a short descent, and many descents are never judged:
without a table it is measured when a fact is first read. With a table it is measured at once, since a trace must not
keep a user's rows alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from downslope._types import Plain
from downslope.descent._plan import Plan
from downslope.descent._surroundings import surroundings
from downslope.diagnosis import decay_is_worth_trying, is_advisable, rates_worth_trying, settles
from downslope.methods import schedule
from downslope.trace import Outcome, Trace

_MOST_STEPS_TRIED = 20_000  # of a descent that is made again at other rates
_MOST_WORK_TRIED = 2_000_000  # steps times rows of a table
_NAMES = ("surroundings", "rates_tried", "decay_tried")

Descend = Callable[..., Trace]


class DeferredFacts(Mapping[str, Any]):
    """Facts of a trace of which some are measured when one of them is first read.

    Args:
        known: those that are there already.
        measure: returns those of `_NAMES` that could be measured.
    """

    def __init__(self, known: Plain, measure: Callable[[], Plain]) -> None:
        self._known = known
        self._measure: Callable[[], Plain] | None = measure

    def __getitem__(self, name: str) -> Any:
        if name in _NAMES:
            return self._whole()[name]
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __repr__(self) -> str:
        return repr(self._whole())

    def __reduce__(self) -> tuple[type, tuple[Plain]]:
        # A copy in another process has no objective to measure.
        return dict, (self._whole(),)

    def _whole(self) -> dict[str, Any]:
        """Return all facts, measured if they were not yet."""
        if self._measure is not None:
            self._known = {**self._known, **self._measure()}
            self._measure = None
        return dict(self._known)


def explored(plan: Plan, trace: Trace, descend: Descend) -> Trace:
    """Return a trace with the behaviour of the objective around its end, and the rates that were tried.

    Args:
        plan: the plan of the descent.
        trace: its trace.
        descend: the verb, for descents at other rates.
    """
    if plan.objective.data:
        return trace.replace(facts={**trace.facts, **_measured(plan, trace, descend)})
    return trace.replace(facts=DeferredFacts(trace.facts, lambda: _measured(plan, trace, descend)))


def _measured(plan: Plan, trace: Trace, descend: Descend) -> dict[str, Any]:
    """Return those facts of `_NAMES` that can be measured."""
    facts: dict[str, Any] = {}

    def keep(name: str, fact: Any) -> Trace:
        if fact is not None:
            facts[name] = fact
        return trace.replace(facts={**trace.facts, **facts})

    known = keep("surroundings", surroundings(plan, trace) or None)
    if _may_be_tried(plan):
        known = keep("rates_tried", _tried(plan, known, descend))
        if decay_is_worth_trying(known):
            keep("decay_tried", _decayed(plan, known, descend))
    return facts


def _may_be_tried(plan: Plan) -> bool:
    """Tell whether descents at other rates are cheap."""
    rows = max((np.size(column) for column in plan.objective.data.values()), default=1)
    cheap = plan.steps <= _MOST_STEPS_TRIED and plan.steps * rows <= _MOST_WORK_TRIED
    return plan.record.tries_rates and plan.objective.formula is not None and plan.is_small and cheap


def _tried(plan: Plan, trace: Trace, descend: Descend) -> list[dict[str, Any]] | None:
    """Return the rates that a diagnosis would advise up to the first sound one, with their results; None for none."""
    rates = rates_worth_trying(trace)
    tried = []
    for rate in rates:
        record = replace(plan.record, tries_rates=False)
        trial = descend(replace(plan, learning_rate=rate, record=record), progress=False)
        if trial.outcome is Outcome.INTERRUPTED:
            break
        sound = is_advisable(trial, trace)
        tried.append({"learning_rate": rate, "value": trial.value, "is_sound": sound})
        if sound:
            break
    return tried if rates else None


def _decayed(plan: Plan, trace: Trace, descend: Descend) -> dict[str, Any] | None:
    """Return the first schedule that settles where a fixed rate does not, with its result, or else the last one."""
    tried = None
    for name in ("cosine", "exponential"):
        record = replace(plan.record, tries_rates=False)
        trial = descend(replace(plan, schedule=schedule(name, plan.steps), record=record), progress=False)
        if trial.outcome is Outcome.INTERRUPTED:
            return None
        tried = {"schedule": name, "value": trial.value, "is_sound": settles(trial, trace)}
        if tried["is_sound"]:
            break
    return tried
