"""Objectives without a lowest value: `unbounded` and `pole`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._end_state import EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number

POLE = Symptom(
    "pole",
    Severity.PROBLEM,
    order=4,
    meaning="The value grows without bound at a point that the descent reached or jumped over.",
    quantity="highest_value",
    remedies=("other_start", "smaller_rate", "far_smaller_rate"),
)

UNBOUNDED = Symptom(
    "unbounded",
    Severity.PROBLEM,
    order=22,
    meaning="The value falls without bound, so there is no minimum to reach.",
    quantity="end_value",
    remedies=("other_start",),
)


@check(POLE)
def pole(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a pole between two points of the path, at which the value grows without bound."""
    around = evidence.around
    crossing = None if around is None else around.crossing
    if around is None or crossing is None or crossing.kind != "pole":
        return None
    if state is EndState.AT_MINIMUM and evidence.value[-1] <= evidence.value[0]:
        return None
    across = crossing.row < len(evidence.step) - 1
    if not across and not crossing.value < evidence.value[-1]:
        return None  # the value rises towards the edge that a step went beyond, which says nothing of a minimum
    step = int(evidence.step[crossing.row]) + 1
    return Finding(
        POLE.key,
        Severity.PROBLEM,
        f"{'Step' if across else 'The failed step'} {step} {'jumped over' if across else 'met'} a pole near "
        f"{around.at(crossing.point)}, where the value {'has no bound' if across else 'falls without bound'}. "
        + ("Values on its two sides do not compare." if across else "There is no minimum on this side of it."),
        {
            "pole": {name: float(x) for name, x in zip(around.names, crossing.point, strict=True)},
            **evidence.numbers("learning_rate", "start_value", "value", "gradient_norm"),
        },
        "the value keeps growing at ever smaller distances",
        (step, step),
        causes=("a division by zero or a logarithm of zero between the two points",),
        remedies=("another start", "a start and a rate that stay on one side of the pole"),
    )


@check(UNBOUNDED)
def unbounded(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a value that falls without end along a ray from where the descent stands."""
    if state in (EndState.AT_MINIMUM, EndState.AT_SADDLE, EndState.AT_MAXIMUM):
        return None
    around = evidence.around
    endless = None if around is None else around.endless
    if around is None or endless is None:
        return None
    along = {name: float(x) for name, x in zip(around.names, endless.along, strict=True) if abs(x) > 1e-6}
    heading = around.heading(endless.along)
    return Finding(
        UNBOUNDED.key,
        Severity.PROBLEM,
        f"The objective is unbounded below: the value keeps falling as {heading}, to "
        f"{number(endless.value)} at a distance of {number(endless.distance)}. It has no minimum there.",
        {"along": along, **evidence.numbers("start_value", "value", "gradient_norm", "lowest_eigenvalue")},
        f"a value that falls by no less in each decade of the distance, up to {number(endless.distance)}",
        evidence.at_end,
        parts=tuple(along) if np.all(np.isfinite(endless.along)) else (),
        causes=("the objective has no minimum in this direction", "a sign is reversed"),
        remedies=("check the sign of the objective", "bound the point, or add a term that grows far out"),
    )
