"""The report of a fit in text and HTML, and its findings on parameters that are hard to determine or on a bound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import aligned, html_pairs, html_table, number
from downslope._types import Columns
from downslope.diagnosis import Diagnosis, Finding, Severity
from downslope.fitting._model import EquationModel
from downslope.fitting._uncertainty import Uncertainty
from downslope.trace import Trace

if TYPE_CHECKING:
    from downslope.fitting._result import Fit
    from downslope.fitting._uncertainty import Parameter


_EXACT = 1e-10  # a relative error below it is rounding
_STRONG = 0.9  # correlations from here on are listed


def as_text(fit: Fit) -> str:
    """Format a fit as aligned text."""
    rows = table(fit)
    pairs = [f"{label:<28} {text}" for label, text in summary(fit)]
    return "\n".join([f"Read as  {fit.read_as}", "", *aligned(rows, words={0, 4}), "", *pairs])


def as_html(fit: Fit) -> str:
    """Format a fit as two HTML tables and its findings."""
    return html_table(table(fit), fit.read_as) + html_pairs(summary(fit)) + fit.findings._repr_html_()


def table(fit: Fit) -> list[tuple[str, ...]]:
    """Return the parameters as rows of text, headings first; the last column only if any parameter has a unit."""
    heads = ("parameter", "value", "standard error", f"{fit.confidence * 100:.4g} % interval", "unit")
    rows = [heads, *(_row(parameter) for parameter in fit.parameters.values())]
    return rows if any(row[-1] for row in rows[1:]) else [row[:-1] for row in rows]


def summary(fit: Fit) -> list[tuple[str, str]]:
    """Return the measures of the quality of a fit as pairs of label and text."""
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
    """Format a value with as many digits as its error justifies: the last two are uncertain.

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


def _row(parameter: Parameter) -> tuple[str, ...]:
    """Format a parameter as a row of text."""
    value, unit = rounded(parameter.value, parameter.standard_error), parameter.unit or ""
    if parameter.role in ("fixed", "at bound"):
        return parameter.name, value, parameter.role, "", unit
    if math.isinf(parameter.standard_error):
        return parameter.name, value, "not determined", "", unit
    if math.isnan(parameter.standard_error):
        return parameter.name, value, "not known", "", unit
    ends = f"{rounded(parameter.low, parameter.standard_error)} … {rounded(parameter.high, parameter.standard_error)}"
    tied = " (tied)" if parameter.role == "tied" else ""
    return parameter.name, value, "± " + number(parameter.standard_error, 2) + tied, ends, unit


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


_NARROW = 1e3  # condition number (longest over shortest axis of the confidence ellipsoid) from which on it is reported
_TAKES_PART = 0.3  # component of the weakest direction from which on a parameter is named
_SAID_BETTER = {"ill_conditioned", "plateau"}  # replaced by a finding in terms of the parameters


def findings(
    model: EquationModel,
    trace: Trace,
    verdict: Diagnosis,
    free: Sequence[str],
    held: Mapping[str, float],
    uncertainty: Uncertainty,
    columns: Columns,
) -> Diagnosis:
    """Return the findings on a fit and on its trace, the most important first.

    Args:
        model: the equation.
        trace: the descent to the parameters.
        verdict: the diagnosis of that trace.
        free: names of the free parameters.
        held: the parameters on a bound, with their values.
        uncertainty: the uncertainty of the free parameters.
        columns: the data.
    """
    last = (trace.last_step, trace.last_step)
    own: list[Finding] = []
    if uncertainty.undetermined:
        own.append(_undetermined(model, [free[index] for index in uncertainty.undetermined], columns, last))
    elif uncertainty.condition_number > _NARROW:
        own.append(_ill_conditioned(free, uncertainty, last))
    if held:
        own.append(_at_bound(held, last))
    kept = [finding for finding in verdict if finding.symptom not in _SAID_BETTER]
    if uncertainty.undetermined:
        kept = [finding for finding in kept if finding.severity is Severity.PROBLEM]
    rank = {Severity.PROBLEM: 0, Severity.GOOD: 1, Severity.NOTE: 2}
    return Diagnosis(tuple(sorted([*own, *kept], key=lambda finding: rank[finding.severity])), verdict.not_run)


def _undetermined(model: EquationModel, names: list[str], columns: Columns, last: tuple[int, int]) -> Finding:
    """Return the finding on parameters that can change together without any change of the predictions."""
    constant = [name for name in model.equation.right.columns if len(columns[name]) > 1 and np.ptp(columns[name]) == 0]
    alone = f"{names[0]} makes no difference to the predictions there"
    together = f"{', '.join(names[:-1])} and {names[-1]} can change together without changing a single prediction"
    why = f": {constant[0]} is the same in every row" if constant else ""
    return Finding(
        "undetermined",
        Severity.PROBLEM,
        f"The data cannot determine {' and '.join(names) if len(names) < 3 else ', '.join(names)}: "
        f"{alone if len(names) == 1 else together}{why}.",
        {"parameters": list(names)} | ({"constant_columns": constant} if constant else {}),
        "a singular value of the scaled Jacobian below 1e-12 of the largest",
        last,
        parts=tuple(names),
        causes=(
            ("a column that never changes",)
            if constant
            else ("parameters that occur only as a product or sum", "a start too far from the data")
        ),
        remedies=("fix one of them", "another start", "data where they differ"),
    )


def _ill_conditioned(free: Sequence[str], uncertainty: Uncertainty, last: tuple[int, int]) -> Finding:
    """Return the finding on parameters with nearly the same effect."""
    parts = [name for name, part in zip(free, uncertainty.weakest, strict=True) if abs(part) >= _TAKES_PART]
    names = " and ".join(parts) if len(parts) < 3 else ", ".join(parts)
    return Finding(
        "ill_conditioned",
        Severity.NOTE,
        f"{names} can hardly be told apart: changed together they move the predictions "
        f"{uncertainty.condition_number:.3g} times less than other changes do, in units of their own effect.",
        {"condition_number": uncertainty.condition_number}
        | {"weakest_direction": {name: float(part) for name, part in zip(free, uncertainty.weakest, strict=True)}},
        f"a condition number of the scaled Jacobian above {_NARROW:.0f}",
        last,
        parts=tuple(parts),
        causes=("parameters that nearly make up for each other over the range of the data",),
        remedies=("data over a wider range", "fix one of them", "fewer parameters"),
    )


def _at_bound(held: Mapping[str, float], last: tuple[int, int]) -> Finding:
    """Return the finding on parameters on a bound."""
    listed = " and ".join(f"{name} = {value:.6g}" for name, value in held.items())
    return Finding(
        "at_bound",
        Severity.NOTE,
        f"{listed}: on {'a bound' if len(held) == 1 else 'bounds'} beyond which the squares would fall further, "
        "so without an error of its own.",
        dict(held),
        "a parameter at its bound with the gradient pointing outward",
        last,
        parts=tuple(held),
        causes=("the bound is tighter than the data", "the model does not fit"),
        remedies=("widen the bound if nothing forbids it",),
    )
