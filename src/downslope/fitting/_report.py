"""The report of a fit in text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import aligned, listed, number, rounded
from downslope.fitting._likelihoods import LIKELIHOODS

if TYPE_CHECKING:
    from downslope.fitting._fitted_equation import FittedEquation
    from downslope.fitting._result import Fit
    from downslope.fitting._uncertainty import Parameter

_STRONG = 0.9  # correlations from here on are listed


def as_text(fit: Fit) -> str:
    """Format a fit as aligned text."""
    rows = table(fit)
    words = {0, *(column for column, head in enumerate(rows[0]) if head == "unit")}
    pairs = [f"{label:<28} {text}" for label, text in summary(fit)]
    return "\n".join([f"Read as  {fit.read_as}", "", *aligned(rows, words=words), "", *pairs])


def table(fit: Fit) -> list[tuple[str, ...]]:
    """Return the parameters as rows of text, headings first; the last column only if any parameter has a unit."""
    level = f"{fit.confidence * 100:.4g} %"
    how = "interval" if fit.intervals == "linear" else "by profile"
    heads = ("parameter", "value", "standard error", f"{level} {how}", "by profile", "unit")
    rows = [heads, *(_row(fit, parameter) for parameter in fit.parameters.values())]
    kept = [column for column in range(len(heads)) if column < 4 or any(row[column] for row in rows[1:])]
    return [tuple(row[column] for column in kept) for row in rows]


def summary(fit: Fit) -> list[tuple[str, str]]:
    """Return the measures of the quality of a fit as pairs of label and text."""
    rows = len(fit.measured)
    lines = [
        ("rows", f"{rows}" + (f", {len(fit.left_out)} more left out for missing cells" if fit.left_out else "")),
        ("degrees of freedom", str(fit.degrees_of_freedom)),
        spread_line(fit),
        share_line(fit),
        ("AIC, BIC", f"{number(fit.aic, 4)}, {number(fit.bic, 4)}"),
    ]
    if fit.loss in LIKELIHOODS:
        lines.append(("loss", f"{fit.loss}: the greatest likelihood"))
    elif fit.loss != "linear":
        lines.append(("loss", f"{fit.loss.replace('_', '-')}, scale {number(fit.loss_scale, 4)}"))
    strong = _strong(fit)
    if strong:
        lines.append(("correlations", ", ".join(strong)))
    return lines


def share_line(fit: FittedEquation) -> tuple[str, str]:
    """Return R², or the measure that replaces it."""
    if fit.loss in LIKELIHOODS:
        return "deviance", number(fit.deviance, 5)
    if fit.arguments.deviations:
        return "errors in", listed([*fit.model.equation.left.columns, *fit.arguments.deviations])
    return "R²", number(fit.r_squared)


def spread_line(fit: FittedEquation) -> tuple[str, str]:
    """Return the residuals' deviation, or χ² where σ is known."""
    if not fit.has_known_deviations:
        return "residual standard deviation", number(fit.residual_standard_deviation, 4)
    reduced, p = number(fit.reduced_chi_square, 3), number(fit.p_value, 2)
    return "χ²/ν", f"{number(fit.chi_square, 4)}/{fit.degrees_of_freedom} = {reduced}, p = {p}"


def interval_text(ends: tuple[float, float], error: float) -> str:
    """Format the ends of an interval, with as many digits as the error justifies."""
    return f"{rounded(ends[0], error)} … {rounded(ends[1], error)}"


def _row(fit: Fit, parameter: Parameter) -> tuple[str, ...]:
    """Format a parameter as a row of text."""
    value, error = rounded(parameter.value, parameter.standard_error), parameter.standard_error
    unit = parameter.unit or ""
    profiled = fit.profiled.get(parameter.name)
    beside = interval_text(profiled, error) if profiled and fit.intervals == "linear" else ""
    if parameter.role in ("fixed", "at bound"):
        return parameter.name, value, parameter.role, "", beside, unit
    if math.isinf(error):
        return parameter.name, value, "not determined", "", beside, unit
    if math.isnan(error):
        return parameter.name, value, "not known", "", beside, unit
    tied = " (tied)" if parameter.role == "tied" else ""
    ends = interval_text((parameter.low, parameter.high), error)
    return parameter.name, value, "± " + number(error, 2) + tied, ends, beside, unit


def _strong(fit: Fit) -> list[str]:
    """Return the strong correlations as texts, the strongest first."""
    pairs = []
    for row in range(len(fit.free)):
        for column in range(row):
            value = fit.correlation[row, column]
            if np.isfinite(value) and abs(value) >= _STRONG:
                pairs.append((abs(value), f"{fit.free[column]}–{fit.free[row]} {number(value, 3)}"))
    shown = [text for _, text in sorted(pairs, reverse=True)]
    return shown[:5] + ([f"{len(shown) - 5} more"] if len(shown) > 5 else [])
