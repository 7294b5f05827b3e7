"""What is added to the trace of a formula's descent once it has ended: the ground around, and rates that were tried."""

from __future__ import annotations

from downslope.descent._plan import Plan
from downslope.descent._surroundings import surroundings
from downslope.trace import Trace


def explored(plan: Plan, trace: Trace) -> Trace:
    """Return a trace with what the objective does around its end."""
    around = surroundings(plan, trace)
    return trace.replace(facts={**trace.facts, "surroundings": around}) if around else trace
