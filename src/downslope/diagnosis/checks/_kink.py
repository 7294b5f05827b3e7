"""A minimum without curvature: `kink`."""

from __future__ import annotations

from downslope._text import apart
from downslope.diagnosis._end_state import EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import DIGITS, Finding, Severity, Symptom, check, number
from downslope.diagnosis._surroundings import Crossing, Surroundings

KINK = Symptom(
    "kink",
    Severity.PROBLEM,
    order=35,
    meaning="Steps cross a kink or a cusp, at which no fixed rate settles and a line search stalls.",
    quantity="turning",
    remedies=("decay", "cosine", "smaller_rate", "other_start"),
)

_KINKED = 0.15  # an order within this of 1 is a kink: both sides have a slope
_NUMBERS = ("learning_rate", "gradient_norm", "start_value", "value", "cosine")


@check(KINK)
def kink(evidence: Evidence, state: EndState) -> Finding | None:
    """Find steps held by a kink or a cusp, where the slope jumps and curvature gives no rate."""
    around = evidence.around
    if state is not EndState.AT_KINK or around is None:
        return None
    crossing = around.crossing if around.crossing is not None and around.crossing.kind == "sharp" else None
    searches, at_bottom = evidence.searches_line, _is_bottom(evidence, around)
    where = "" if crossing is None else f" near {around.at(crossing.point)}"
    return Finding(
        KINK.key,
        Severity.NOTE if at_bottom else Severity.PROBLEM,
        _rests(evidence, where)
        if at_bottom
        else (_stalled(evidence, where) if searches or crossing is None else _crosses(evidence, crossing, where))
        + _lowest(evidence, around),
        {**({} if crossing is None else {"order": crossing.order}), **evidence.numbers(*_NUMBERS)},
        "between two points of the path the slope jumps, at every distance checked",
        evidence.at_end if searches else evidence.all_steps,
        causes=("an absolute value, a root, or the edge between two pieces of the objective",),
        remedies=(
            ("another start", "a smooth form of the objective, such as √(x² + ε) for |x|")
            if searches or _decay(evidence) is False
            else ("a learning rate that decays", "a smooth form of the objective, such as √(x² + ε) for |x|")
        ),
    )


def _crosses(evidence: Evidence, crossing: Crossing, where: str) -> str:
    """Return the sentence on steps that cross a sharp bottom."""
    if abs(crossing.order - 1) <= _KINKED:
        shape = f"a kink{where}: the slope jumps by {number(2 * crossing.slope)} there"
    else:
        shape = "a cusp" if crossing.order < 1 else "a bottom sharper than a bowl"
        shape += f"{where}: the value rises there as the distance to the power {number(crossing.order)}"
    return f"Steps cross {shape}. However small, a fixed learning rate jumps to and fro across it{_settles(evidence)}."


def _decay(evidence: Evidence) -> bool | None:
    """Return whether a decaying rate settles there; None if that was not tried."""
    tried = evidence.trace.facts.get("decay_tried")
    return bool(tried["is_sound"]) if tried else None


def _settles(evidence: Evidence) -> str:
    """Return what is known of a decaying rate."""
    tried = evidence.trace.facts.get("decay_tried")
    if not tried:
        return "; a decaying one can settle"
    if not tried["is_sound"]:
        return ""
    return f"; a decaying one settles: with schedule {tried['schedule']} the value ends at {number(tried['value'])}"


def _stalled(evidence: Evidence, where: str) -> str:
    """Return the sentence on a line search that stalls."""
    return (
        f"Stalled at a kink{where}: the slope is {number(evidence.gradient_norm[-1])}, but it jumps so close by that "
        "no step along it lowers the value."
    )


def _is_bottom(evidence: Evidence, around: Surroundings) -> bool:
    """Tell whether the end is the lowest point of a kink."""
    return around.falls is None and (around.blocked or evidence.end.gradient_norm == 0)


def _rests(evidence: Evidence, where: str) -> str:
    """Return that the end is the tip itself."""
    slope = number(evidence.gradient_norm[-1])
    though = f", though the slope is {slope}" if evidence.gradient_norm[-1] > 0 else ", but it has no derivative there"
    return f"The end is the lowest point of a kink or a cusp{where}: the value rises all around{though}."


def _lowest(evidence: Evidence, around: Surroundings) -> str:
    """Return the lowest value met between the steps, where it lies below that of the end."""
    crossing = around.crossing
    if crossing is None or not crossing.value < evidence.value[-1]:
        return ""
    there, last = apart(crossing.value, float(evidence.value[-1]), DIGITS)
    return f" The value is {there} there and {last} at the end."
