"""The checks, one symptom or close family a file, in the order in which their findings are shown.

A check takes the evidence and the state of a trace and returns a Finding, None, or a NotRun that says what it lacked.
"""

from collections.abc import Callable

from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun
from downslope.diagnosis._state import State
from downslope.diagnosis.checks._condition import ill_conditioned
from downslope.diagnosis.checks._converged import converged
from downslope.diagnosis.checks._descending import still_descending
from downslope.diagnosis.checks._diverged import diverged
from downslope.diagnosis.checks._edge import edge_of_stability
from downslope.diagnosis.checks._not_finite import not_finite
from downslope.diagnosis.checks._oscillating import oscillating
from downslope.diagnosis.checks._plateau import plateau
from downslope.diagnosis.checks._rate import rate_too_large, rate_too_small
from downslope.diagnosis.checks._saddle import maximum, saddle_point

Check = Callable[[Evidence, State], Finding | NotRun | None]

CHECKS: tuple[Check, ...] = (
    rate_too_large,
    diverged,
    not_finite,
    oscillating,
    saddle_point,
    maximum,
    plateau,
    rate_too_small,
    converged,
    still_descending,
    edge_of_stability,
    ill_conditioned,
)

__all__ = ["CHECKS", "Check"]
