"""The findings of a fit: on the descent to its parameters, and on how well the data determine them.

A fit has the finding `converged`, or another that says why it has not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import listed, number
from downslope._types import Columns
from downslope.diagnosis import Diagnosis, Finding, Severity
from downslope.fitting._model import EquationModel
from downslope.fitting._report import interval_text
from downslope.fitting._residuals import outliers
from downslope.fitting._uncertainty import Uncertainty

if TYPE_CHECKING:
    from downslope.fitting._grouped_fit import GroupedFit
    from downslope.fitting._result import Fit

_NARROW = 1e3  # condition number (longest over shortest axis of the confidence ellipsoid) from which on it is reported
_TAKES_PART = 0.3  # component of the weakest direction from which on a parameter is named
_SAID_BETTER = {"ill_conditioned", "plateau"}  # replaced by a finding in terms of the parameters
_FAR = 3.0  # ranges of a column
_PARALLEL = 0.995  # correlation of two parameters
_FEW = 4096  # rows; of more, some lie far away by chance, and nobody looks at single ones
_RARE = 1e-3  # probability of a χ² as large, or as small, from which on it is reported
_ON_THE_WAY = {"still_descending", "too_few_steps", "not_finite", "interrupted"}
_RANK = {Severity.PROBLEM: 0, Severity.GOOD: 1, Severity.NOTE: 2}


def findings_of(fit: Fit, jacobian: np.ndarray) -> Diagnosis:
    """Return the findings on a fit and on its descent, the most important first.

    Args:
        fit: the fit, with the diagnosis of its descent as findings.
        jacobian: of the weighted predictions at the end, shape (rows, free).
    """
    last = (fit.trace.last_step, fit.trace.last_step)
    verdict, uncertainty = fit.findings, fit.uncertainty
    own = [*_without_numbers(fit, jacobian, last)]
    if uncertainty.undetermined:
        names = [fit.free[index] for index in uncertainty.undetermined]
        own.append(_undetermined(fit.model, names, fit.data, last))
    elif uncertainty.condition_number > _NARROW:
        own.append(_ill_conditioned(fit.free, uncertainty, last))
    if np.any(np.abs(np.nan_to_num(np.tril(uncertainty.correlation, -1))) > _PARALLEL):
        own += _off_centre(fit, last)
    held = {name: parameter.value for name, parameter in fit.parameters.items() if parameter.role == "at bound"}
    if held:
        own.append(_at_bound(held, last))
    better = _SAID_BETTER | ({"not_finite"} if any(finding.symptom[:3] == "no_" for finding in own) else set())
    kept = [finding for finding in verdict if finding.symptom not in better]
    if uncertainty.undetermined:
        kept = [finding for finding in kept if finding.severity is Severity.PROBLEM]
    own += [*_of_chi_square(fit, last), *_lopsided(fit, last), *_outlying(fit, last)]
    if not _says_how_it_ended([*own, *kept], all_held=len(held) == len(fit.free)):
        own.append(_not_at_rest(fit, last))
    ordered = sorted([*own, *kept], key=lambda finding: _RANK[finding.severity])
    return Diagnosis(tuple(ordered), verdict.not_run)


def _says_how_it_ended(findings: Sequence[Finding], *, all_held: bool) -> bool:
    """Return whether a fit has converged by its findings, or one of them says why not."""
    severities = {finding.severity for finding in findings}
    symptoms = {finding.symptom for finding in findings}
    return all_held or bool(severities & {Severity.GOOD, Severity.PROBLEM}) or "converged" in symptoms


def _without_numbers(fit: Fit, jacobian: np.ndarray, last: tuple[int, int]) -> Iterator[Finding]:
    """Yield a finding where the model or its slopes have no number at the end, or free parameters no error."""
    predicted = fit.predicted
    bad = np.flatnonzero(~np.isfinite(predicted))
    if len(bad):
        yield _no_value(fit, bad, last)
        return
    slopes = ~np.isfinite(jacobian)
    if slopes.any():
        yield _no_slope(fit, slopes, last)
        return
    unknown = [
        name
        for name, parameter in fit.parameters.items()
        if parameter.role == "free" and np.isnan(parameter.standard_error)
    ]
    if unknown:
        yield _no_error(fit, unknown, last)


def _row_text(fit: Fit, row: int) -> str:
    """Return the columns of the model in a row: minutes = 0."""
    columns = fit.model.equation.right.columns
    return " and ".join(f"{name} = {number(float(fit.data[name][row]), 6)}" for name in columns) or "every row"


def _no_value(fit: Fit, bad: np.ndarray, last: tuple[int, int]) -> Finding:
    """Return the finding on rows in which the model has no value."""
    rows = [int(fit.row_numbers[row]) for row in bad]
    values = ", ".join(f"{name} = {number(fit[name], 4)}" for name in fit.parameters)
    more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
    return Finding(
        "no_value",
        Severity.PROBLEM,
        f"Row {rows[0]}: the model has no value at {_row_text(fit, int(bad[0]))} with {values}{more}.",
        {"rows": rows[:20], "count": len(rows)},
        "a prediction that is not finite",
        last,
        parts=tuple(fit.free),
        causes=("a start outside the range in which the model has a value",),
        remedies=("another start", "bounds that keep the parameters where the model has a value", "leave the row out"),
    )


def _no_slope(fit: Fit, bad: np.ndarray, last: tuple[int, int]) -> Finding:
    """Return the finding on derivatives that are no numbers."""
    at = np.flatnonzero(bad.any(axis=1))
    rows = [int(fit.row_numbers[row]) for row in at]
    names = tuple(name for name, absent in zip(fit.free, bad.T, strict=True) if absent.any())
    more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
    return Finding(
        "no_slope",
        Severity.PROBLEM,
        f"Row {rows[0]}: the slope by {listed(names)} is no number at {_row_text(fit, int(at[0]))}{more}, "
        "so no step can be computed and no error.",
        {"rows": rows[:20], "count": len(rows), "parameters": list(names)},
        "a derivative of a prediction that is not finite",
        last,
        parts=names,
        causes=("a power, root or logarithm at the end of its range",),
        remedies=("another start", "bounds that keep the parameters inside", "leave the row out"),
    )


def _no_error(fit: Fit, names: Sequence[str], last: tuple[int, int]) -> Finding:
    """Return the finding on free parameters without an error."""
    spent = fit.degrees_of_freedom <= 0
    rows, count = len(fit.measured), len(fit.free)
    why = f"{rows} rows for {count} parameters leave no degrees of freedom" if spent else "the residuals have no scale"
    return Finding(
        "no_error",
        Severity.PROBLEM,
        f"The errors of {listed(names)} are not known: {why}.",
        {"parameters": list(names), "degrees_of_freedom": fit.degrees_of_freedom},
        "a standard error that is not a number",
        last,
        parts=tuple(names),
        causes=("as many parameters as rows",) if spent else ("residuals that are not finite",),
        remedies=("more rows", "fix a parameter", "known deviations, with absolute_sigma"),
    )


def _not_at_rest(fit: Fit, last: tuple[int, int]) -> Finding:
    """Return the finding on a fit that ended for no good reason."""
    gradient = fit.trace.gradients
    slope = float(np.linalg.norm(gradient[-1])) if gradient is not None else float("nan")
    return Finding(
        "not_at_rest",
        Severity.PROBLEM,
        f"The fit ended where the squares still fall: the gradient of their mean is {number(slope, 4)} there.",
        {"gradient_norm": slope, "mean_square": float(fit.trace.recorded["value"][-1])},
        "an end that is neither a minimum, nor on bounds, nor explained by another finding",
        last,
        parts=tuple(fit.free),
        causes=("a long flat valley: data that hardly determine the parameters", "a kink in the model"),
        remedies=("another start", "fix a parameter", "more steps"),
    )


def _of_chi_square(fit: Fit, last: tuple[int, int]) -> Iterator[Finding]:
    """Yield a finding where the residuals are far larger or smaller than known deviations."""
    p = fit.p_value
    if not np.isfinite(p) or _RARE <= p <= 1 - _RARE:
        return
    reduced = number(fit.reduced_chi_square, 3)
    evidence = {"chi_square": fit.chi_square, "degrees_of_freedom": fit.degrees_of_freedom, "p_value": p}
    if p < _RARE:
        yield Finding(
            "misfit",
            Severity.NOTE,
            f"χ²/ν = {reduced}: σ is too small, or the model does not fit (p = {number(p, 2)}).",
            evidence,
            f"a probability of a χ² this large below {_RARE}",
            last,
            causes=("understated deviations", "a model that lacks something", "outliers"),
            remedies=("check the residuals", "leave absolute_sigma out"),
        )
    else:
        yield Finding(
            "sigma_too_large",
            Severity.NOTE,
            f"χ²/ν = {reduced}: the residuals are smaller than σ allows (p = {number(p, 6)}); σ is too large.",
            evidence,
            f"a probability of a χ² this large above {1 - _RARE}",
            last,
            causes=("overstated deviations", "averaged data"),
            remedies=("leave absolute_sigma out",),
        )


def _outlying(fit: Fit, last: tuple[int, int]) -> Iterator[Finding]:
    """Yield the finding on rows that the other rows do not explain."""
    if fit.loss != "linear" or len(fit.measured) > _FEW or fit.uncertainty.undetermined:
        return
    rows = outliers(fit)
    if not rows:
        return
    shown = listed([f"row {row}" for row in rows[:5]]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    yield Finding(
        "outlier",
        Severity.NOTE,
        f"{shown[0].upper()}{shown[1:]} {'lies' if len(rows) == 1 else 'lie'} too far from the curve for "
        "normal errors.",
        {"rows": list(rows)},
        "a t test of a residual against the fit to the other rows, at 1 % for all rows together",
        last,
        causes=("a wrong number in the table", "errors with heavy tails", "a model that fails there"),
        remedies=("look at the row", "loss=huber", "leave the row out, and say so"),
    )


def _lopsided(fit: Fit, last: tuple[int, int]) -> Iterator[Finding]:
    """Yield the finding on parameters whose linear interval misleads, with the profile intervals."""
    if not fit.curved:
        return
    texts = [
        f"{name} {interval_text(fit.profiled[name], fit.parameters[name].standard_error)}"
        for name in fit.curved
        if name in fit.profiled
    ]
    names = listed(fit.curved)
    verb = "interval is" if len(fit.curved) == 1 else "intervals are"
    yield Finding(
        "not_linear",
        Severity.NOTE,
        f"{names}: the {verb} lopsided, so value ± error misleads; by profile {', '.join(texts)}.",
        {name: list(fit.profiled[name]) for name in fit.curved if name in fit.profiled}
        | {f"{kind}_curvature": size for kind, size in fit.curvature._asdict().items()},
        "squares two standard errors away that differ from the parabola by more than 20 %",
        last,
        parts=fit.curved,
        causes=("a model that bends within the errors of its parameters",),
        remedies=("use the profile intervals", "more data", "another parameter, such as its logarithm"),
    )


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
        f"{names} can hardly be distinguished: changed together, they move the predictions "
        f"{uncertainty.condition_number:.3g} times less than other changes do, in units of their own effect.",
        {"condition_number": uncertainty.condition_number}
        | {"weakest_direction": {name: float(part) for name, part in zip(free, uncertainty.weakest, strict=True)}},
        f"a condition number of the scaled Jacobian above {_NARROW:.0f}",
        last,
        parts=tuple(parts),
        causes=("parameters that nearly make up for each other over the range of the data",),
        remedies=("data over a wider range", "fix one of them", "fewer parameters"),
    )


def _off_centre(fit: Fit, last: tuple[int, int]) -> Iterator[Finding]:
    """Yield a finding on a column that is far from 0 against its range, which makes parameters depend on each other."""
    for name in fit.model.equation.right.columns:
        low, high = float(np.min(fit.data[name])), float(np.max(fit.data[name]))
        spread, distance = high - low, min(abs(low), abs(high))
        if not (spread > 0 and low * high > 0 and distance > _FAR * spread):
            continue
        origin = number(round(low if low > 0 else high), 6)
        yield Finding(
            "off_centre",
            Severity.NOTE,
            f"{name} runs from {number(low, 6)} to {number(high, 6)}, far from 0, where the parameters would be "
            f"read off; with {name} - {origin} they would be known better and depend less on each other.",
            {"column": name, "low": low, "high": high},
            f"a column more than {_FAR:g} times its range away from 0, and a correlation above {_PARALLEL}",
            last,
            causes=("years or temperatures counted from a far origin",),
            remedies=(f"write {name} - {origin} in the equation",),
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


def findings_of_groups(fit: GroupedFit) -> Diagnosis:
    """Return the findings on the groups of a fit, problems first."""
    labels, errors = np.array(fit.groups.labels, dtype=object), fit.errors
    short = fit.groups.counts < len(fit.problem.free)
    lost = errors.unknown.any(axis=0) & ~short
    stuck = ~fit.converged & ~short & ~lost
    kinds = (
        ("too_few_rows", Severity.PROBLEM, short, "have fewer rows than parameters", ("share parameters",)),
        ("undetermined", Severity.PROBLEM, lost, "do not determine all parameters", ("share or fix one of them",)),
        ("not_converged", Severity.PROBLEM, stuck, "did not come to rest at a minimum", ("another start", "bounds")),
        ("at_bound", Severity.NOTE, errors.held.any(axis=0), "rest on a bound", ("widen the bound",)),
    )
    findings = [
        Finding(
            symptom,
            severity,
            f"{np.count_nonzero(which)} of {len(labels)} groups {what}: {_some_labels(labels[which])}.",
            {"groups": list(labels[which])},
            "each group by itself",
            (0, 0),
            remedies=remedies,
        )
        for symptom, severity, which, what, remedies in kinds
        if which.any()
    ]
    if not any(finding.severity is Severity.PROBLEM for finding in findings):
        sentence, evidence = f"All {len(labels)} groups came to rest at a minimum.", {"groups": len(labels)}
        findings.insert(0, Finding("converged", Severity.GOOD, sentence, evidence, "every group", (0, 0)))
    return Diagnosis(tuple(findings))


def _some_labels(labels: np.ndarray) -> str:
    """Return some labels in words."""
    shown = ", ".join(labels[:5])
    return f"{shown} and {len(labels) - 5} more" if len(labels) > 5 else shown
