"""Flat points that are no minimum: `saddle_point` and `maximum`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._text import listed
from downslope.diagnosis._end_curvature import main_parts
from downslope.diagnosis._end_state import ARRIVED, NO_WAY_OUT, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number
from downslope.trace import Outcome

SADDLE_POINT = Symptom(
    "saddle_point",
    Severity.PROBLEM,
    order=50,
    meaning="A flat point that curves up in one direction and down in another.",
    quantity="lowest_curvature",
    remedies=("off_saddle", "off_saddle_backwards", "other_start", "noise"),
)

MAXIMUM = Symptom(
    "maximum",
    Severity.PROBLEM,
    order=60,
    meaning="A flat point from which the value falls in every direction.",
    quantity="lowest_curvature",
    remedies=("off_saddle", "off_saddle_backwards", "other_start", "noise"),
)

_WRITTEN_OUT = 16
_NUMBERS = ("lowest_eigenvalue", "highest_eigenvalue", "gradient_norm", "value")


@check(SADDLE_POINT)
def saddle_point(evidence: Evidence, state: EndState) -> Finding | NotRun | None:
    """Find a flat point that curves up one way and down another, with the direction that leads out."""
    spectrum = evidence.end.spectrum
    if spectrum is None and not evidence.failed:
        return NotRun(
            SADDLE_POINT.key,
            "the curvature at the end was not measured: a saddle cannot be told from a minimum",
        )
    if state is not EndState.AT_SADDLE or spectrum is None:
        return None
    parts = main_parts(spectrum.lowest_direction)
    if evidence.trace.outcome is not Outcome.CONVERGED and evidence.share_left > ARRIVED:
        where = "The descent is running straight into a saddle"
    else:
        where = "The gradient vanishes, but this is a saddle"
    out = "The gradient has nothing along the way out, so no rate leaves it."
    if evidence.end.modes and evidence.end.modes[0][0] > NO_WAY_OUT * evidence.end.gradient_norm:
        out = "The gradient has next to nothing along the way out: leaving it takes as many steps as were taken."
    return Finding(
        SADDLE_POINT.key,
        Severity.PROBLEM,
        f"{where}: the ground curves down along {listed(parts)} (curvature {number(spectrum.lowest)}) and up elsewhere "
        f"({number(spectrum.highest)}). {out}",
        {
            "escaping_direction": _written(spectrum.lowest_direction),
            **evidence.numbers(*_NUMBERS),
        },
        f"lowest eigenvalue below {number(-evidence.end.zero)} where the gradient vanishes",
        evidence.at_end,
        parts=parts,
        causes=("the start lies on a line from which the gradient never turns towards the way out",),
        remedies=(f"start a little off along {listed(parts)}", "noise in the gradient"),
    )


@check(MAXIMUM)
def maximum(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a flat point from which the ground falls every way."""
    if state is not EndState.AT_MAXIMUM:
        return None
    highest = number(evidence.end.highest)
    return Finding(
        MAXIMUM.key,
        Severity.PROBLEM,
        f"The gradient vanishes because this is a maximum, not a minimum: no direction curves up (highest curvature "
        f"{highest}). A descent that starts exactly here cannot move.",
        evidence.numbers(*_NUMBERS),
        f"highest eigenvalue not above {number(evidence.end.zero)} where the gradient vanishes",
        evidence.at_end,
        causes=("the start is a maximum", "a sign is the wrong way round"),
        remedies=("another start", "check the sign of the objective"),
    )


def _written(direction: Mapping[str, np.ndarray] | None) -> dict[str, Any]:
    """Return a direction by part: numbers for small parts, the norm for large ones; without negative zeros."""
    written: dict[str, Any] = {}
    for name, leaf in (direction or {}).items():
        array = np.asarray(leaf, dtype=float) + 0.0
        if array.size == 1:
            written[name] = float(array.reshape(()))
        else:
            written[name] = array.tolist() if array.size <= _WRITTEN_OUT else float(np.linalg.norm(array))
    return written
