"""What may mend a descent to the bottom of a function, by symptom: remedies as data, fitted to the trace at hand.

Each maker looks at the case and returns a remedy, or None where it does not apply. They stand in the order in which
they are tried: rates and starts first, which need no new program, then other methods, those that theory favours first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from downslope.diagnosis import ARRIVED_BY_TOLERANCE, Diagnosis, Severity, plunges
from downslope.methods import method
from downslope.remedies._plan_case import Case, Maker
from downslope.remedies._plan_methods import adam, bfgs, momentum, nesterov, newton, rmsprop, tuned_momentum
from downslope.remedies._plan_rates import (
    best_rate,
    clipping,
    cosine,
    decay,
    far_larger_rate,
    far_smaller_rate,
    larger_rate,
    rate_for_the_way,
    rate_from_curvature,
    smaller_rate,
    warm_up,
)
from downslope.remedies._plan_starts import (
    finer_tolerance,
    more_steps,
    noise,
    off_to_one_side,
    off_to_the_other_side,
    other_start,
)
from downslope.remedies._remedy import Remedy, same

_SHORTER = (rate_from_curvature, best_rate, smaller_rate, far_smaller_rate)
_LONGER = (best_rate, rate_from_curvature, rate_for_the_way, larger_rate, far_larger_rate)

FOR_DESCENTS: Mapping[str, tuple[Maker, ...]] = {
    "rate_too_large": (*_SHORTER, clipping, newton, adam, warm_up),
    "diverged": (smaller_rate, far_smaller_rate, clipping, adam),
    "not_finite": (*_SHORTER, other_start, clipping, newton, adam),
    "oscillating": (*_SHORTER, cosine, decay, newton, adam),
    "saddle_point": (off_to_one_side, off_to_the_other_side, other_start, noise),
    "maximum": (off_to_one_side, off_to_the_other_side, other_start, noise),
    "plateau": (other_start, larger_rate, far_larger_rate, adam, newton, bfgs),
    "rate_too_small": (*_LONGER, newton, momentum, adam, bfgs),
    "ill_conditioned": (*_LONGER, newton, tuned_momentum, bfgs, adam, nesterov, rmsprop),
    "still_descending": (finer_tolerance, *_LONGER, newton, momentum, more_steps),
    "local_minimum": (other_start, larger_rate, momentum, adam),
    "edge_of_stability": (rate_from_curvature, cosine),
    "converged": (),
}
# For the first a better valley may be anywhere; for all of them it matters where other starts lead.
NEED_A_SEARCH = frozenset({"local_minimum", "plateau"})
NEED_OTHER_STARTS = frozenset(name for name, makers in FOR_DESCENTS.items() if other_start in makers)


def is_unfinished(case: Case, diagnosis: Diagnosis) -> bool:
    """Tell whether a descent that nothing is wrong with ended before the bottom."""
    return "still_descending" in diagnosis and case.evidence.share_left > ARRIVED_BY_TOLERANCE


def proposals(case: Case, diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedies to try, those of problems first; none where the value falls without end."""
    with np.errstate(all="ignore"):
        if plunges(case.evidence):
            return []
        found: list[Remedy] = []
        for remedy in _each(case, diagnosis):
            if _changes_something(case, remedy) and not any(same(remedy.changes, other.changes) for other in found):
                found.append(remedy)
    return found


def _each(case: Case, diagnosis: Diagnosis) -> Iterator[Remedy]:
    """Yield the remedies by symptom."""
    problems = [finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM]
    notes = [finding.symptom for finding in diagnosis if finding.severity is not Severity.PROBLEM]
    for symptom in (*problems, *notes):
        for maker in FOR_DESCENTS.get(symptom, ()):
            remedy = maker(case)
            if remedy is not None:
                yield replace(remedy, symptom=symptom)


def _changes_something(case: Case, remedy: Remedy) -> bool:
    """Tell whether a remedy changes anything that was asked for."""
    asked = case.plan.choices
    return any(name not in asked or not same(asked[name], told) for name, told in remedy.changes.items())


def is_quick(case: Case, remedy: Remedy) -> bool:
    """Tell whether a remedy costs no more than the descent: another rate, start or tolerance compiles nothing."""
    asked = remedy.changes
    structure = method(asked["method"]).structure if "method" in asked else case.plan.method.structure
    if structure != case.plan.method.structure:
        return False
    return not asked.keys() & {"schedule", "clip_norm", "clip_value", "steps"}
