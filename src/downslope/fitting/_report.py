"""A fit as a short report, in text and in HTML."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import aligned, html_pairs, html_table, number

if TYPE_CHECKING:
    from downslope.fitting._result import Fit, Parameter

_EXACT = 1e-10  # an error so small against its parameter is rounding
_STRONG = 0.9  # correlations from which on they are worth a line


def as_text(fit: Fit) -> str:
    """Return the report as aligned lines."""
    rows = table(fit)
    pairs = [f"{label:<28} {text}" for label, text in summary(fit)]
    return "\n".join([f"Read as  {fit.read_as}", "", *aligned(rows, words={0, 4}), "", *pairs])


def as_html(fit: Fit) -> str:
    """Return the report as two HTML tables."""
    return html_table(table(fit), fit.read_as) + html_pairs(summary(fit)) + fit.findings._repr_html_()


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
        ("residual standard deviation", number(fit.residual_standard_deviation, 4)),
        ("R²", number(fit.r_squared)),
        ("AIC, BIC", f"{number(fit.aic, 4)}, {number(fit.bic, 4)}"),
    ]
    if fit.loss != "linear":
        lines.append(("loss", f"{fit.loss.replace('_', '-')}, scale {number(fit.loss_scale, 4)}"))
    strong = _strong(fit)
    if strong:
        lines.append(("correlations", ", ".join(strong)))
    return lines


def rounded(value: float, error: float) -> str:
    """Return a value with the digits that its error leaves it, two of which are uncertain.

    >>> rounded(238.94212918, 2.7070075)
    '238.9'
    >>> rounded(2.0, 0.0)
    '2.0000'
    """
    if not math.isfinite(value):
        return number(value, 4)
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
