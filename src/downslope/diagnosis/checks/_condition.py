"""A narrow valley: `ill_conditioned`."""

from __future__ import annotations

from downslope.diagnosis._end_curvature import main_parts
from downslope.diagnosis._end_state import OVERLONG, SLOW_CONTRACTION, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, factor, number
from downslope.trace import Outcome

ILL_CONDITIONED = Symptom(
    "ill_conditioned",
    Severity.PROBLEM,
    order=120,
    meaning="The valley is so narrow that even the best fixed rate is slow along it.",
    quantity="condition_number",
    remedies=(
        "best_rate",
        "rate_from_curvature",
        "rate_for_the_way",
        "larger_rate",
        "far_larger_rate",
        "newton",
        "tuned_momentum",
        "bfgs",
        "adam",
        "nesterov",
    ),
)

# The best fixed rate shrinks the error by (κ − 1)/(κ + 1) a step; from this κ on, that is over fifty steps a digit.
NARROW = (1 + SLOW_CONTRACTION) / (1 - SLOW_CONTRACTION)
# Over five hundred steps a digit: no one who saw that coming would go on this way.
_HOPELESS = 500.0
# The bottom is as far away as a tenth of the point's own size, to second order.
_FAR = 0.1


@check(ILL_CONDITIONED)
def ill_conditioned(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a bowl so narrow that even the best fixed rate of gradient descent is slow along it."""
    condition = evidence.end.condition_number
    if condition is None or condition < NARROW or evidence.method.searches_line or evidence.method.scaled:
        return None
    if state not in (
        EndState.FALLING,
        EndState.AT_MINIMUM,
        EndState.CRAWLING,
        EndState.BOUNCING,
        EndState.RISING,
    ):
        return None
    spectrum = evidence.end.spectrum
    parts = () if spectrum is None or not spectrum.complete else main_parts(spectrum.lowest_direction)
    return Finding(
        ILL_CONDITIONED.key,
        Severity.PROBLEM if _stuck(evidence, state, condition) else Severity.NOTE,
        f"The valley is narrow: the steepest curvature is {number(condition)} times the gentlest. Gradient descent at "
        f"its best fixed rate keeps {factor((condition - 1) / (condition + 1))} of the error in each step.",
        evidence.numbers(
            "condition_number",
            "lowest_eigenvalue",
            "highest_eigenvalue",
            "largest_stable_rate",
            "best_rate",
            "predicted_contraction",
            "observed_contraction",
            "steps_to_go",
        ),
        f"λ_max / λ_min of {number(NARROW)}, from which on the best fixed rate takes over 50 steps for each digit",
        evidence.at_end,
        parts=parts,
        causes=(
            "the coordinates are on very different scales",
            "coordinates that nearly make up for each other",
        ),
        remedies=(
            "rescale the coordinates",
            "momentum",
            "a second-order method: newton, bfgs",
        ),
    )


def _stuck(evidence: Evidence, state: EndState, condition: float) -> bool:
    """Tell whether the steps ran out far from the bottom, with over ten times as many still to go."""
    if state is not EndState.FALLING or condition < _HOPELESS or evidence.trace.outcome is not Outcome.STEPS_USED:
        return False
    to_go = evidence.steps_to_go
    way = evidence.end.newton_length
    far = way is not None and way > _FAR * evidence.end.scale
    return far and (to_go is None or to_go > OVERLONG * evidence.last_step)
