"""A fit as a short report, in text and in HTML."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from downslope.fitting._result import Fit, Parameter

_EXACT = 1e-10  # an error so small against its parameter is rounding
_STRONG = 0.9  # correlations from which on they are worth a line


def as_text(fit: Fit) -> str:
    """Return the report as aligned lines."""
    rows = table(fit)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [_aligned(row, widths) for row in rows]
    pairs = [f"{label:<28} {text}" for label, text in summary(fit)]
    return "\n".join([f"Read as  {fit.read_as}", "", lines[0], "─" * len(lines[0]), *lines[1:], "", *pairs])


def as_html(fit: Fit) -> str:
    """Return the report as two HTML tables."""
    head, *rows = table(fit)
    left = "style='text-align:left'"
    top = "".join(f"<th {left}>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td {left}>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    rest = "".join(
        f"<tr><th {left}>{html.escape(label)}</th><td {left}>{html.escape(text)}</td></tr>"
        for label, text in summary(fit)
    )
    return (
        f"<table><caption>{html.escape(fit.read_as)}</caption><tr>{top}</tr>{body}</table><table>{rest}</table>"
        f"{fit.findings._repr_html_()}"
    )


def table(fit: Fit) -> list[tuple[str, ...]]:
    """Return the parameters as rows of text, the headings first; the unit's column only where there is one."""
    heads = ("parameter", "value", "standard error", f"{fit.confidence * 100:.4g} % interval", "unit")
    rows = [heads, *(_row(one) for one in fit.parameters.values())]
    return rows if any(row[-1] for row in rows[1:]) else [row[:-1] for row in rows]


def summary(fit: Fit) -> list[tuple[str, str]]:
    """Return how good the fit is, as labels and texts."""
    rows = len(fit.measured)
    lines = [
        ("rows", f"{rows}" + (f", {len(fit.left_out)} more left out for missing cells" if fit.left_out else "")),
        ("degrees of freedom", str(fit.degrees_of_freedom)),
        ("residual standard deviation", number(fit.residual_standard_deviation)),
        ("R²", number(fit.r_squared, 6)),
        ("AIC, BIC", f"{number(fit.aic)}, {number(fit.bic)}"),
    ]
    if fit.loss != "linear":
        lines.append(("loss", f"{fit.loss.replace('_', '-')}, scale {number(fit.loss_scale)}"))
    strong = _strong(fit)
    if strong:
        lines.append(("correlations", ", ".join(strong)))
    return lines


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits and a true minus sign."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
    return f"{value:.{digits}g}".replace("-", "−")


def rounded(value: float, error: float) -> str:
    """Return a value with the digits that its error leaves it, two of which are uncertain.

    >>> rounded(238.94212918, 2.7070075)
    '238.9'
    >>> rounded(2.0, 0.0)
    '2.0000'
    """
    if not math.isfinite(value):
        return number(value)
    digits = 5
    if value and math.isfinite(error) and error > _EXACT * abs(value):
        digits = min(max(math.floor(math.log10(abs(value))) - math.floor(math.log10(error)) + 2, 2), 12)
    return f"{value:#.{digits}g}".removesuffix(".").replace("-", "−")


def _row(one: Parameter) -> tuple[str, ...]:
    """Return a parameter as a row of text."""
    value, unit = rounded(one.value, one.standard_error), one.unit or ""
    if one.role in ("fixed", "at bound"):
        return one.name, value, one.role, "", unit
    if math.isinf(one.standard_error):
        return one.name, value, "not determined", "", unit
    if math.isnan(one.standard_error):
        return one.name, value, "not known", "", unit
    ends = f"{rounded(one.low, one.standard_error)} … {rounded(one.high, one.standard_error)}"
    tied = " (tied)" if one.role == "tied" else ""
    return one.name, value, "± " + number(one.standard_error, 2) + tied, ends, unit


def _strong(fit: Fit) -> list[str]:
    """Return the strong correlations as texts, the strongest first."""
    found = []
    for one in range(len(fit.free)):
        for other in range(one):
            value = fit.correlation[one, other]
            if np.isfinite(value) and abs(value) >= _STRONG:
                found.append((abs(value), f"{fit.free[other]}–{fit.free[one]} {number(value, 3)}"))
    shown = [text for _, text in sorted(found, reverse=True)]
    return shown[:5] + ([f"{len(shown) - 5} more"] if len(shown) > 5 else [])


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Return a row of text, names to the left and numbers to the right."""
    ends = (0, len(row) - 1) if len(row) == 5 else (0,)
    cells = [
        cell.ljust(width) if place in ends else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "   ".join(cells).rstrip()
