"""The slope as a short report, in text and in HTML, from one list of lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import html_pairs, number, with_unit
from downslope._types import Columns
from downslope.descent._slope_kind import NOT_DEFINED, gradient_in_words

if TYPE_CHECKING:
    from downslope.descent._slope import Slope

_KINDS = {
    "slope": "a slope: the gradient is not zero here",
    "minimum": "minimum",
    "maximum": "maximum",
    "saddle": "saddle: up in one direction, down in another",
    "inflection": "horizontal inflection",
    "level": "level: the value does not change around the point",
    "degenerate": "degenerate: the Hessian is singular here",
    "kink": "kink",
    "edge": "edge of the domain",
    "jump": "jump",
    "not finite": "not finite",
}


def as_text(slope: Slope) -> str:
    """Return the report as aligned lines."""
    return "\n".join(f"{label:<16}  {text}".rstrip() for label, text in lines(slope))


def as_html(slope: Slope) -> str:
    """Return the report as an HTML table."""
    return html_pairs(lines(slope), slope.read_as)


def lines(slope: Slope) -> list[tuple[str, str]]:
    """Return the report as labels and texts."""
    rows = [("at", _parts(slope.point, slope.units)), ("value", _value(slope)), ("gradient", _gradient(slope))]
    if math.isfinite(slope.steepness):
        rows.append(("steepness", "0" if slope.is_flat else number(slope.steepness)))
    if slope.steepness > 0 and not slope.is_flat:
        rows += [("uphill", _parts(slope.uphill)), ("downhill", _parts(slope.downhill))]
        if _is_small(slope.point):
            rows.append(("tangent", _tangent(slope)))
    rows.append(("kind", _kind(slope)))
    if np.all(np.isfinite(slope.eigenvalues)):
        rows.append(("curvature", _curvature(slope)))
    if slope.condition_number is not None and len(slope.eigenvalues) > 1:
        rows.append(("condition number", number(slope.condition_number)))
    if slope.largest_stable_rate is not None:
        rows.append(("largest stable α", number(slope.largest_stable_rate)))
    if slope.best_rate is not None:
        rows.append(("best fixed α", number(slope.best_rate)))
    if math.isfinite(slope.agreement):
        rows.append(("checked", _checked(slope)))
    return rows


def _kind(slope: Slope) -> str:
    """Return the kind with its sentence; a kink and a point without a value have the sentence alone."""
    if slope.kind in (NOT_DEFINED, "kink"):
        return slope.note
    return _KINDS[slope.kind] + (f" ({slope.note})" if slope.note else "")


def _value(slope: Slope) -> str:
    """Return the value with its unit."""
    if not math.isfinite(slope.value):
        return "not defined here"
    return with_unit(number(slope.value), slope.units.get(slope.name))


def _gradient(slope: Slope) -> str:
    """Return the gradient, with the unit of each coordinate where it is known."""
    if slope.kind == NOT_DEFINED:
        return "not defined here"
    if not math.isfinite(slope.steepness):
        return gradient_in_words(slope.judgement, list(slope.gradient)) if _is_small(slope.point) else "does not exist"
    own = slope.units.get(slope.name)
    ratios = {}
    if own is not None:
        from downslope.formulas import unit_ratio

        ratios = {name: unit_ratio(own, slope.units[name]) for name in slope.gradient if name in slope.units}
    shown = {name: 0 * part for name, part in slope.gradient.items()} if slope.is_flat else slope.gradient
    return _parts(shown, ratios)


def _tangent(slope: Slope) -> str:
    """Return the tangent line or plane as arithmetic."""
    text = number(slope.value)
    for name, part in slope.gradient.items():
        rate, position = float(part), float(slope.point[name])
        if rate == 0:
            continue
        sign = "−" if rate < 0 else "+"
        inner = name if position == 0 else f"({name} {'+' if position < 0 else '−'} {number(abs(position))})"
        text += f" {sign} {number(abs(rate))}·{inner}"
    return f"{slope.name} ≈ {text}"


def _curvature(slope: Slope) -> str:
    """Return the eigenvalues, or the two ends of many."""
    # Where the judge had to look at the values, the only curvature is rounding.
    is_zero = slope.is_flat and len(slope.eigenvalues) == 1 and slope.judgement.by != "curvature"
    values = ["0"] if is_zero else [number(float(value)) for value in slope.eigenvalues]
    if slope.hessian is not None and len(values) == 1:
        return values[0]
    if slope.hessian is not None and len(values) <= 6:
        return "eigenvalues " + ", ".join(values)
    return f"eigenvalues from {values[0]} to {values[-1]}"


def _checked(slope: Slope) -> str:
    """Return the sentence on how well central differences agree with the gradient."""
    if slope.agreement == 0 or slope.is_flat:
        return "central differences give the same gradient"
    digits = max(0, int(-np.log10(slope.agreement)))
    return f"central differences agree to {digits} digit{'s' if digits != 1 else ''}"


def _parts(parts: Columns, units: Mapping[str, str] | None = None) -> str:
    """Return parts as names and numbers; an array by its shape and norm."""
    texts = []
    for name, leaf in list(parts.items())[:8]:
        array = np.asarray(leaf)
        if array.ndim == 0:
            texts.append(with_unit(f"{name} = {number(float(array))}", (units or {}).get(name)))
        else:
            texts.append(f"{name}: {array.shape}, norm {number(float(np.linalg.norm(array)))}")
    return ", ".join(texts) + (", …" if len(parts) > 8 else "")


def _is_small(parts: Columns) -> bool:
    """Tell whether a point is a few plain numbers."""
    return len(parts) <= 4 and all(np.ndim(leaf) == 0 for leaf in parts.values())
