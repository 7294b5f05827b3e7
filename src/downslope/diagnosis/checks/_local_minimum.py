"""A minimum that is not the lowest: `local_minimum`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from downslope._text import count
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number
from downslope.trace import Trace

LOCAL_MINIMUM = Symptom(
    "local_minimum",
    Severity.PROBLEM,
    order=130,
    meaning="Another start of the same objective ended lower.",
    quantity="end_value",
    remedies=("other_start", "larger_rate", "momentum", "adam"),
)

# What another start ends lower by, as a share of the decrease of the two, for the two ends to be two valleys.
_LOWER = 1e-3


@check(LOCAL_MINIMUM)
def local_minimum(trace: Trace, others: Sequence[Trace]) -> Finding | None:
    """Find that another start of the same objective ended clearly lower.

    Quantity: the value at the end beside those that other starts ended at. Theory: where the end is no lowest point,
    some start shows it; that none does proves nothing. Threshold: a thousandth of what was gained.
    """
    ends = [other.value for other in others if np.isfinite(other.value)]
    if not ends or not np.isfinite(trace.value):
        return None
    lowest = min(ends)
    gained = max(abs(float(trace.recorded["value"][0]) - lowest), np.finfo(float).tiny)
    if not trace.value - lowest > _LOWER * gained:
        return None
    better = sum(end < trace.value - _LOWER * gained for end in ends)
    return Finding(
        LOCAL_MINIMUM.key,
        Severity.PROBLEM,
        f"{count(better, 'other start').capitalize()} of {len(ends)} ended lower: at {number(lowest)}, where this one "
        f"ended at {number(trace.value)}.",
        {"value": trace.value, "lowest": lowest, "starts_that_end_lower": better},
        "a thousandth of what was gained from the start",
        (trace.last_step, trace.last_step),
        causes=("several valleys, and a start in another than the lowest",),
        remedies=("multistart or search, which search for the lowest valley",),
    )
