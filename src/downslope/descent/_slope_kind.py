"""The kind of a point in words, from its classification, for the report of a slope."""

from __future__ import annotations

import math
from collections.abc import Sequence

from downslope._judgement import Judgement, Side
from downslope._text import number

NOT_DEFINED = "not finite"
_ARROWS = {1.0: "⁺", -1.0: "⁻"}


def kind_of(judgement: Judgement) -> str:
    """Return the kind of a point: that of its values, or the reason why they have none."""
    if judgement.smoothness in ("pole", "undefined", "overflow", "gap") or not math.isfinite(judgement.value):
        return NOT_DEFINED
    if judgement.smoothness in ("edge", "jump"):
        # What the values do on the one side that there is makes no minimum of the whole.
        return judgement.smoothness if judgement.kind != "undefined" else NOT_DEFINED
    if judgement.smoothness in ("kink", "cusp") and judgement.kind == "slope":
        return "kink"
    return judgement.kind


def note_of(judgement: Judgement, name: str, names: Sequence[str], point: Sequence[float]) -> str:
    """Return a sentence that explains the kind; "" if it needs none.

    Args:
        judgement: what the judge decided.
        name: what to call the value.
        names: the coordinates' names.
        point: the coordinates.
    """
    if kind_of(judgement) == NOT_DEFINED:
        return _without_value(judgement, name, names, point)
    if judgement.smoothness in ("kink", "cusp"):
        return _on_kink(judgement, names)
    if judgement.smoothness == "edge":
        return "the domain ends here" + _slope_at_edge(judgement, names, point)
    if judgement.smoothness == "jump":
        return "the value jumps here"
    if judgement.kind == "degenerate":
        return "neither the curvature nor the values around decide the kind"
    if judgement.isolated is False and judgement.kind != "level":
        return "not a single one: along a curve the value does not change"
    if judgement.by == "values" and judgement.kind in _FLAT:
        return (_FLAT_OF_ONE if len(names) == 1 else _FLAT)[judgement.kind]
    return ""


_FLAT = {
    "minimum": "a flat one: the curvature is zero in some direction, and the value rises all around",
    "maximum": "a flat one: the curvature is zero in some direction, and the value falls all around",
    "saddle": "the curvature is zero in some direction, along which the value falls or rises at higher order",
    "inflection": "the slope and the curvature are zero, and the value rises on one side and falls on the other",
}


_FLAT_OF_ONE = {
    **_FLAT,
    "minimum": "a flat one: the second derivative is zero, and the value rises on both sides",
    "maximum": "a flat one: the second derivative is zero, and the value falls on both sides",
    "inflection": "the first and the second derivative are zero; the value rises on one side and falls on the other",
}


def _without_value(judgement: Judgement, name: str, names: Sequence[str], point: Sequence[float]) -> str:
    """Return why there is no value, and how the value behaves nearby."""
    at = ", ".join(f"{label} = {number(x)}" for label, x in zip(names, point, strict=True)) if names else "this point"
    head = f"{name} is not defined at {at}"
    if judgement.smoothness == "overflow":
        return f"the size of {name} at {at.removeprefix('this ')} is beyond the largest floating-point number, 1.8e308"
    if judgement.smoothness == "undefined":
        return f"{head}: outside the domain"
    if len(names) == 1:
        beside = [_beside(side, names[0], point[0]) for side in judgement.sides if side.trend != "undefined"]
        what = {"pole": "", "gap": " (a removable gap)", "edge": " (the edge of the domain)"}
        if judgement.smoothness == "gap":
            return f"{head} (a removable gap); it tends to {number(judgement.value)} as {names[0]} → {number(point[0])}"
        if judgement.smoothness == "jump" and not _have_limits(judgement.sides):
            return f"{head}; it has no limit there"
        return f"{head}{what.get(judgement.smoothness, '')}; it {' and '.join(beside)}"
    return head + {
        "pole": ": a pole, the value grows without bound nearby",
        "edge": ": the edge of the domain",
        "gap": f" (a removable gap); it tends to {number(judgement.value)} there",
        "jump": "; it has no limit there",
    }.get(judgement.smoothness, "")


def _have_limits(sides: Sequence[Side]) -> bool:
    """Tell whether the values on both sides settle, rather than swing."""
    return all(math.isfinite(side.limit) and math.isfinite(side.slope) for side in sides)


def _beside(side: Side, name: str, x: float) -> str:
    """Return how the value behaves on one side of a point of one variable."""
    arrow = f"as {name} → {number(x)}{_ARROWS[math.copysign(1.0, side.direction[0])]}"
    if side.trend in ("rises", "falls"):
        return f"{side.trend} without bound {arrow}"
    return f"tends to {number(side.limit)} {arrow}"


def _on_kink(judgement: Judgement, names: Sequence[str]) -> str:
    """Return the one-sided slopes at a kink, a cusp or a tip."""
    if len(names) == 1 and len(judgement.sides) == 2:
        right, left = judgement.sides[0].slope, 0.0 - judgement.sides[1].slope
        if judgement.smoothness == "kink":
            return f"a kink: the slope is {number(left)} to the left and {number(right)} to the right"
        word = "a vertical tangent" if left == right else "a cusp"
        return f"{word}: the slope grows without bound, and there is no derivative"
    return (
        "a kink: the gradient does not exist here"
        if judgement.smoothness == "kink"
        else ("a cusp: the slope grows without bound, and the gradient does not exist here")
    )


def _slope_at_edge(judgement: Judgement, names: Sequence[str], point: Sequence[float]) -> str:
    """Return the slope on the one side that there is, of one variable."""
    if len(names) != 1:
        return ""
    inside = next((side for side in judgement.sides if side.trend == "finite"), None)
    if inside is None:
        return ""
    sign = math.copysign(1.0, inside.direction[0])
    slope = inside.slope * sign
    if math.isinf(slope):
        return f"; the slope grows without bound as {names[0]} → {number(point[0])}{_ARROWS[sign]}"
    side = "right" if sign > 0 else "left"
    return f"; the slope to the {side} is {number(slope)}" if math.isfinite(slope) else ""


def gradient_in_words(judgement: Judgement, names: Sequence[str]) -> str:
    """Return the one-sided slopes of each variable, where the gradient does not exist."""
    texts = []
    for index, name in enumerate(names):
        if 2 * index + 1 >= len(judgement.sides):
            return "does not exist"
        ahead, behind = judgement.sides[2 * index : 2 * index + 2]
        right = _shown(ahead.slope, ahead)
        left = _shown(0.0 - behind.slope, behind)
        texts.append(f"{name}: {left} to the left, {right} to the right")
    return "does not exist; one-sided slopes " + "; ".join(texts)


def _shown(slope: float, side: Side) -> str:
    """Return a one-sided slope, or why there is none."""
    if side.trend == "undefined":
        return "no value"
    return number(slope) if not math.isnan(slope) else "no slope"
