"""A curvature that has grown to the limit of the rate, which is healthy: `edge_of_stability`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._end_state import EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number

EDGE_OF_STABILITY = Symptom(
    "edge_of_stability",
    Severity.NOTE,
    order=110,
    meaning="The curvature hovers where the rate is the largest stable one while the value falls; healthy.",
    quantity="end_stability",
    remedies=("rate_from_curvature", "cosine"),
)

# How near to the bound counts as hovering at it. Cohen et al. (2021) see sharpness within a tenth of 2/α.
_NEAR_BOUND = 0.1
# On a quadratic the curvature is the same everywhere; here it must have changed by more than a hundredth.
_CHANGED = 0.01


@check(EDGE_OF_STABILITY)
def edge_of_stability(evidence: Evidence, state: EndState) -> Finding | NotRun | None:
    """Find curvature hovering at the bound of the rate while the smoothed value falls: healthy (Cohen et al., 2021)."""
    if evidence.method.bound is None and not evidence.searches_line:
        return NotRun(EDGE_OF_STABILITY.key, evidence.method.no_theory)
    if evidence.bound is None or evidence.is_noisy:
        return None
    if evidence.end.spectrum is None:
        return NotRun(EDGE_OF_STABILITY.key, "the curvature at the end was not measured")
    if state not in (EndState.FALLING, EndState.AT_MINIMUM) or not _hovers(evidence):
        return None
    return Finding(
        EDGE_OF_STABILITY.key,
        Severity.NOTE,
        f"The curvature has settled where α = {number(evidence.learning_rate)} is {number(evidence.stability)} of the "
        "largest stable rate: the value flickers from step to step but falls all the same. This is healthy.",
        evidence.numbers(
            "stability",
            "learning_rate",
            "largest_stable_rate",
            "highest_eigenvalue",
            "cosine",
            "observed_contraction",
        ),
        f"α within {number(_NEAR_BOUND)} of the largest stable rate, on curvature that changed along the way",
        evidence.all_steps,
        causes=("curvature that rises until the rate holds it back",),
        remedies=("nothing; a smaller rate would follow the valley more smoothly and more slowly",),
    )


def _hovers(evidence: Evidence) -> bool:
    """Tell whether α is at the bound now, the value rose at some late step, and this is no quadratic."""
    stability, start, end = (
        evidence.stability,
        evidence.end.start_highest,
        evidence.end.highest,
    )
    if stability is None or abs(stability - 1) > _NEAR_BOUND or start is None or end is None or min(start, end) <= 0:
        return False
    changed = abs(float(np.log(end) - np.log(start))) > _CHANGED
    return changed and evidence.decrease > 0 and bool(np.any(np.diff(evidence.value) > 0))
