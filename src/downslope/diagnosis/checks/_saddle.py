"""Flat points that are not minima: `saddle_point` and `maximum`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._text import listed
from downslope._types import Columns
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
    higher = not spectrum.lowest < -evidence.end.zero
    parts = _falling_parts(evidence) if higher else main_parts(spectrum.lowest_direction)
    if evidence.trace.outcome is not Outcome.CONVERGED and evidence.share_left > ARRIVED:
        where = "The descent is heading straight into a saddle"
    else:
        where = "The gradient vanishes, but this is a saddle"
    out = "The gradient is zero along the direction out, so no rate leaves it."
    if not higher and evidence.end.modes and evidence.end.modes[0][0] > NO_WAY_OUT * evidence.end.gradient_norm:
        out = "The gradient is nearly zero along the direction out: leaving it takes as many steps as were taken."
    return Finding(
        SADDLE_POINT.key,
        Severity.PROBLEM,
        f"{where}: {_ways(evidence, parts, higher)}. {out}",
        {
            "escaping_direction": _written(_way_out(evidence) if higher else spectrum.lowest_direction),
            **evidence.numbers(*_NUMBERS),
        },
        "a value that keeps falling in some direction where the gradient vanishes"
        if higher
        else f"lowest eigenvalue below {number(-evidence.end.zero)} where the gradient vanishes",
        evidence.at_end,
        parts=parts,
        causes=("the start lies on a line from which the gradient never turns away",),
        remedies=(f"start a little off along {listed(parts)}", "noise in the gradient"),
    )


def _tops(evidence: Evidence) -> str:
    """Return the evidence of a maximum in words."""
    if (evidence.end.highest or 0.0) > 0:
        return "the value falls in every direction"
    return f"no direction curves up (highest curvature {number(evidence.end.highest)})"


def _ways(evidence: Evidence, parts: tuple[str, ...], higher: bool) -> str:
    """Return the directions in which the value falls and rises, in words."""
    lowest, highest = evidence.end.lowest, evidence.end.highest
    if not higher:
        return f"the curvature is {number(lowest)} along {listed(parts)} and {number(highest)} elsewhere"
    around = evidence.around
    if around is None or around.falls is None:
        return "the value falls along a curve, though the curvature is nowhere negative"
    return (
        f"the curvature along {listed(parts)} is {number(lowest)}, but the value falls in that direction, by "
        f"{number(-around.falls.change)} at a distance of {number(around.falls.distance)}"
    )


def _way_out(evidence: Evidence) -> Columns | None:
    """Return the direction along which the value falls on, by part."""
    around = evidence.around
    if around is None or around.falls is None:
        return None if evidence.end.spectrum is None else evidence.end.spectrum.lowest_direction
    end, first, parts = evidence.trace.end, 0, {}
    for name in evidence.trace.part_names:
        size = int(np.size(end[name]))
        parts[name] = around.falls.along[first : first + size].reshape(np.shape(end[name]))
        first += size
    return parts


def _falling_parts(evidence: Evidence) -> tuple[str, ...]:
    """Return the parts along which the value falls on."""
    return main_parts(_way_out(evidence))


@check(MAXIMUM)
def maximum(evidence: Evidence, state: EndState) -> Finding | None:
    """Find a flat point from which the ground falls every way."""
    if state is not EndState.AT_MAXIMUM:
        return None
    return Finding(
        MAXIMUM.key,
        Severity.PROBLEM,
        f"The gradient vanishes because this is a maximum, not a minimum: {_tops(evidence)}. A descent that starts "
        "exactly here cannot move.",
        evidence.numbers(*_NUMBERS),
        f"highest eigenvalue not above {number(evidence.end.zero)} where the gradient vanishes",
        evidence.at_end,
        causes=("the start is a maximum", "a sign is reversed"),
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
