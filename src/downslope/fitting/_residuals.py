"""The residuals of a fit, row by row, and tests of them: leverage, runs, normality, outliers."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._numbers import evenly_spread
from downslope._text import html_pairs, number
from downslope.fitting._likelihoods import residual_weights
from downslope.fitting._numeric_problem import NumericProblem, predicted_with_slopes
from downslope.fitting._quantiles import t_quantile

if TYPE_CHECKING:
    import polars

    from downslope.fitting._result import Fit

_ROUNDING = 1e-12  # a singular value below this share of the largest is 0
_NEARLY = 5.0  # factor between deviations as they were passed and those of the residuals
_SURPRISING = 0.01  # probability, over all rows together, below which a row is an outlier
_FEWEST, _MOST = 3, 5000  # rows for Shapiro's and Wilk's test
_EXACT_RUNS = 40  # rows up to which the distribution of runs is computed exactly


@dataclass(frozen=True, eq=False)
class ResidualTests:
    """The residuals of a fit by row, and tests of them.

    Args:
        rows: numbers of the rows in the table, counted from 1.
        fitted: the predictions.
        raw: measured minus predicted.
        standardised: raw over its standard deviation s·√(1 − h)/w, with leverage h and weight w.
        leverage: the weight h of a measurement in its own prediction, from 0 to 1.
        runs: the number of runs of one sign, in the order of the only column, or of the rows.
        runs_expected: the number of runs of independent residuals.
        runs_p_value: probability of as few runs or fewer; small if the curve misses the shape of the data.
        normality_p_value: probability of residuals as far from a normal distribution (Shapiro and Wilk); NaN for fewer
            than three rows.
        outliers: numbers of outlying rows: a two-sided t test of each residual against the fit to
            the others, at 1 % for all rows together (Bonferroni).
    """

    rows: np.ndarray
    fitted: np.ndarray
    raw: np.ndarray
    standardised: np.ndarray
    leverage: np.ndarray
    runs: int
    runs_expected: float
    runs_p_value: float
    normality_p_value: float
    outliers: tuple[int, ...]

    def pairs(self) -> list[tuple[str, str]]:
        """Return the tests as labels and texts."""
        highest = int(np.argmax(self.leverage))
        return [
            ("runs", f"{self.runs}, {number(self.runs_expected, 3)} expected, p = {number(self.runs_p_value, 2)}"),
            ("normality", f"p = {number(self.normality_p_value, 2)} (Shapiro–Wilk)"),
            ("outliers", ", ".join(f"row {row}" for row in self.outliers) or "none"),
            ("highest leverage", f"{number(float(self.leverage[highest]), 3)} in row {self.rows[highest]}"),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the tests as plain data, for JSON."""
        return {
            "runs": self.runs,
            "runs_expected": self.runs_expected,
            "runs_p_value": self.runs_p_value,
            "normality_p_value": self.normality_p_value,
            "outliers": list(self.outliers),
        }

    def __str__(self) -> str:
        return "\n".join(f"{label:<17} {text}" for label, text in self.pairs())

    def _repr_html_(self) -> str:
        return html_pairs(self.pairs())


def residual_tests(fit: Fit) -> ResidualTests:
    """Return the residuals of a fit with their tests."""
    raw, leverage = fit.residuals, leverages(fit)
    scaled = standardised(fit, leverage)
    columns = fit.model.right_columns
    order = np.argsort(fit.data[columns[0]], kind="stable") if len(columns) == 1 else np.arange(len(raw))
    runs, expected, p = runs_test(raw[order])
    return ResidualTests(
        rows=fit.row_numbers,
        fitted=fit.predicted,
        raw=raw,
        standardised=scaled,
        leverage=leverage,
        runs=runs,
        runs_expected=expected,
        runs_p_value=p,
        normality_p_value=_normality(scaled),
        outliers=outliers(fit, scaled),
    )


def table_of(fit: Fit) -> polars.DataFrame:
    """Return the rows of a fit as a frame; see `Fit.table`."""
    import polars

    left = fit.model.equation.left
    columns: dict[str, Any] = {"row": fit.row_numbers, **fit.data}
    if left.read_as not in columns:
        columns[left.read_as] = fit.measured
    leverage = leverages(fit)
    columns |= {f"estimated_{name}": column for name, column in fit.estimated_columns.items()}
    columns |= {
        "fitted": fit.predicted,
        "residual": fit.residuals,
        "standardised_residual": standardised(fit, leverage),
        "leverage": leverage,
    }
    return polars.DataFrame({name: np.asarray(column) for name, column in columns.items()})


def orthogonal_rows(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return the orthogonal distances in units of their deviations, and their slopes by the free parameters."""
    numeric = NumericProblem(fit.problem, fit.arguments)
    return numeric.linearised(np.array([fit[name] for name in fit.free]))


def estimated_columns(fit: Fit) -> dict[str, np.ndarray]:
    """Return the columns with errors at the nearest points of the curve; see `Fit.estimated_columns`."""
    if not fit.arguments.deviations:
        return {}
    best = NumericProblem(fit.problem, fit.arguments).shifts(np.array([fit[name] for name in fit.free]))
    return {name: fit.data[name] + shift for name, shift in zip(fit.arguments.deviations, best.shift, strict=True)}


def leverages(fit: Fit) -> np.ndarray:
    """Return the diagonal of the hat matrix J(JᵀJ)⁻¹Jᵀ, shape (rows,)."""
    kept = [index for index, name in enumerate(fit.free) if fit.parameters[name].role != "at bound"]
    if fit.arguments.deviations:
        jacobian = orthogonal_rows(fit)[1][:, kept]
    else:
        _, slopes = predicted_with_slopes(fit.problem, np.array([fit[name] for name in fit.free]), fit.arguments)
        jacobian = slopes[:, kept] * _weights(fit)[:, None]
    if not np.all(np.isfinite(jacobian)):
        return np.full(len(jacobian), np.nan)
    lengths = np.linalg.norm(jacobian, axis=0)
    left, singular, _ = np.linalg.svd(jacobian / np.where(lengths > 0, lengths, 1.0), full_matrices=False)
    known = singular > _ROUNDING * np.max(singular, initial=0.0)
    return np.sum(left[:, known] ** 2, axis=1)


def _weights(fit: Fit) -> np.ndarray:
    return residual_weights(fit.loss, fit.predicted, fit.arguments)


def standardised(fit: Fit, leverage: np.ndarray | None = None) -> np.ndarray:
    """Return the residuals over their standard deviations, shape (rows,); leverages that are known are not repeated."""
    leverage = leverages(fit) if leverage is None else leverage
    with np.errstate(all="ignore"):
        room = np.maximum(1 - leverage, 0.0)
        deviation = math.sqrt(fit.uncertainty.measurement_variance) * np.sqrt(room)
        # A row that the fit follows exactly has no residual to judge.
        weighted = -orthogonal_rows(fit)[0] if fit.arguments.deviations else fit.residuals * _weights(fit)
        return np.where(room > _ROUNDING, weighted / deviation, np.nan)


def deviations(fit: Fit) -> np.ndarray | None:
    """Return the standard deviation of each measurement; see `Fit.deviations`."""
    weights = _weights(fit)
    if fit.uncertainty.absolute:
        return 1 / weights
    if np.all(weights == 1):
        return None
    spread = math.sqrt(fit.uncertainty.measurement_variance)
    return (1.0 if not math.isfinite(spread) or 1 / _NEARLY <= spread <= _NEARLY else spread) / weights


def outliers(fit: Fit, scaled: np.ndarray | None = None) -> tuple[int, ...]:
    """Return the numbers of the rows whose residual the others do not explain."""
    scaled = standardised(fit) if scaled is None else scaled
    freedom = fit.degrees_of_freedom
    if fit.uncertainty.absolute or fit.loss != "linear":
        distances, others = np.abs(scaled), math.inf
    else:
        # t of a row against the fit without it, from the standardised residual r alone.
        with np.errstate(all="ignore"):
            left = (freedom - scaled**2) / (freedom - 1)
            distances, others = np.abs(scaled) / np.sqrt(np.maximum(left, 0.0)), freedom - 1
    border = t_quantile(1 - _SURPRISING / len(scaled), others)
    far = np.flatnonzero(distances > border)
    return tuple(int(fit.row_numbers[row]) for row in far)


def runs_test(residuals: np.ndarray) -> tuple[int, float, float]:
    """Return the runs of one sign, their expected number, and the probability of as few (Wald and Wolfowitz, 1940).

    >>> import numpy as np
    >>> runs, expected, p = runs_test(np.array([1.0, 2.0, 1.0, -1.0, -2.0, -1.0]))
    >>> runs, expected, round(p, 3)
    (2, 4.0, 0.1)
    """
    signs = np.sign(residuals[np.isfinite(residuals)])
    signs = signs[signs != 0]
    above, below = int(np.sum(signs > 0)), int(np.sum(signs < 0))
    count = above + below
    if not above or not below:
        return min(count, 1), float(min(count, 1)), math.nan
    runs = 1 + int(np.sum(signs[1:] != signs[:-1]))
    expected = 1 + 2 * above * below / count
    if count <= _EXACT_RUNS:
        return runs, expected, _fewest_runs(runs, above, below)
    variance = (expected - 1) * (expected - 2) / (count - 1)
    return runs, expected, math.erfc(-(runs + 0.5 - expected) / math.sqrt(2 * variance)) / 2


@functools.lru_cache(maxsize=256)
def _fewest_runs(runs: int, above: int, below: int) -> float:
    """Return the probability of at most some runs of two kinds, in random order."""
    total = 0
    for count in range(2, runs + 1):
        half = count // 2
        if count % 2 == 0:
            total += 2 * math.comb(above - 1, half - 1) * math.comb(below - 1, half - 1)
        else:
            total += math.comb(above - 1, half) * math.comb(below - 1, half - 1)
            total += math.comb(above - 1, half - 1) * math.comb(below - 1, half)
    return total / math.comb(above + below, above)


def _normality(standardised: np.ndarray) -> float:
    """Return the probability of Shapiro's and Wilk's test; of more rows than it takes, of evenly chosen ones."""
    from scipy.stats import shapiro

    values = standardised[np.isfinite(standardised)]
    if len(values) < _FEWEST or np.ptp(values) == 0:
        return math.nan
    if len(values) > _MOST:
        values = values[evenly_spread(len(values), _MOST)]
    return float(shapiro(values).pvalue)
