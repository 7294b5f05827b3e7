"""Compare two fits to the same rows: the F test of nested models, and the difference of Akaike's criterion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import DataError, SettingError, described
from downslope._text import html_pairs, listed, number
from downslope.fitting._least_squares import levenberg_marquardt
from downslope.fitting._numeric_problem import is_small
from downslope.fitting._result import Fit

_SURE = 0.05  # probability below which the smaller model is refused
_MATTERS = 2.0  # a difference of the criterion below it decides nothing (Burnham and Anderson, 2002)
_ROUNDING = 1e-9
_TRIES = 200  # steps of the search for the simpler curve among the richer model's
_SAME, _ROUNDED = 1e-10, 1e-24  # of the squares, and of the curve's: curves that differ by no more are the same


@dataclass(frozen=True)
class FitComparison:
    """Two fits to the same rows, the one with fewer parameters first.

    Args:
        simpler: the equation of the fit with fewer parameters, with its number of parameters in `parameters`.
        richer: the equation of the other one.
        parameters: the number of determined parameters of each.
        f: the F statistic (where σ is known, the difference of χ²) of the richer model over the simpler one; NaN where
            both have as many parameters.
        f_degrees: its degrees of freedom; the second is infinite where σ is known.
        p_value: the probability of a statistic as large if the simpler model is right and nested in the richer one.
        delta_aicc: AICc of the simpler model minus that of the richer one: above 0 the richer one is preferred.
        preferred: "simpler", "richer" or "neither": by the F test where the simpler model is, or is presumed to be, a
            special case of the richer one, else by AICc.
        nesting: whether this is known or assumed, as a sentence; "" if there is no F test.
    """

    simpler: str
    richer: str
    parameters: tuple[int, int]
    f: float
    f_degrees: tuple[float, float]
    p_value: float
    delta_aicc: float
    preferred: str
    nesting: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data, for JSON."""
        return {
            "simpler": self.simpler,
            "richer": self.richer,
            "parameters": list(self.parameters),
            "f": self.f,
            "f_degrees": list(self.f_degrees),
            "p_value": self.p_value,
            "delta_aicc": self.delta_aicc,
            "preferred": self.preferred,
            "nesting": self.nesting,
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the comparison as labels and texts."""
        lines = [
            ("simpler", f"{self.simpler} ({self.parameters[0]} parameters)"),
            ("richer", f"{self.richer} ({self.parameters[1]} parameters)"),
        ]
        if math.isfinite(self.f):
            first, second = self.f_degrees
            label, degrees = ("F", f"{first:g} and {second:g}") if math.isfinite(second) else ("Δχ²", f"{first:g}")
            lines.append(
                (label, f"{number(self.f, 4)} with {degrees} degrees of freedom, p = {number(self.p_value, 2)}")
            )
        if self.nesting:
            lines.append(("nesting", self.nesting))
        lines.append(("ΔAICc", number(self.delta_aicc, 4)))
        lines.append(("preferred", self.preferred))
        return lines

    def __str__(self) -> str:
        return "\n".join(f"{label:<10} {text}" for label, text in self.rows())

    def _repr_html_(self) -> str:
        return html_pairs(self.rows())


def compare_fits(first: Fit, second: Fit) -> FitComparison:
    """Compare two fits to the same rows.

    With S the weighted sums of squares and ν the degrees of freedom, F = ((S₁ − S₂)/(ν₁ − ν₂))/(S₂/ν₂). It presumes
    that the model with fewer parameters is a special case of the other, which is shown by fitting the richer model to
    the simpler curve, or else presumed where the parameters of the simpler one have their names in the richer one.
    AICc = n·ln(S/n) + 2K + 2K(K + 1)/(n − K − 1), with K the parameters and the variance, presumes nothing of the kind.

    Args:
        first: a fit by least squares.
        second: another one, in either order.

    Raises:
        DataError: for different rows, left sides or weights.
        SettingError: for a robust loss, or where σ is known for only one of them.

    >>> from downslope import fit
    >>> data = {"x": [0, 1, 2, 3, 4, 5], "y": [1.1, 2.9, 5.2, 7.1, 8.8, 11.1]}
    >>> compare_fits(fit("y = a + b x", data), fit("y = a + b x + c x²", data)).preferred
    'simpler'
    """
    for fit in (first, second):
        if not isinstance(fit, Fit):
            raise SettingError(f"compare_fits compares two fits, not {described(fit)}", hint="ds.compare_fits(a, b)")
        if fit.loss != "linear":
            raise SettingError(
                f"the F test compares fits by least squares, not with the {fit.loss.replace('_', '-')} loss",
                hint="compare their aic or bic, where these are numbers",
            )
    _check_same_rows(first, second)
    simpler, richer = sorted((first, second), key=lambda fit: -fit.degrees_of_freedom)
    rows = len(simpler.measured)
    counts = rows - simpler.degrees_of_freedom, rows - richer.degrees_of_freedom
    statistic, degrees, p = _test(simpler, richer)
    delta = _aicc(simpler) - _aicc(richer)
    nesting, is_nested = _nesting(simpler, richer) if counts[0] < counts[1] else ("", False)
    if nesting == _RISES:
        statistic, p = math.nan, math.nan
    if math.isnan(p) or not is_nested:
        preferred = "neither" if not abs(delta) > _MATTERS else "richer" if delta > 0 else "simpler"
    else:
        preferred = "richer" if p < _SURE else "simpler"
    return FitComparison(simpler.read_as, richer.read_as, counts, statistic, degrees, p, delta, preferred, nesting)


def _nesting(simpler: Fit, richer: Fit) -> tuple[str, bool]:
    """Return what is known of whether a model is a special case of another, and whether the F test goes by it."""
    if richer.residual_sum_of_squares > simpler.residual_sum_of_squares * (1 + _ROUNDING):
        return _RISES, False
    if _reproduces(richer, simpler):
        return "shown: the richer model has the simpler curve among its own", True
    # Parameters of a group, k[first], are those of its equation.
    own, others = ({name.partition("[")[0] for name in fit.free} for fit in (simpler, richer))
    if own <= others:
        return "presumed, as the richer model has all parameters of the simpler one", True
    lacking = listed(sorted(own - others))
    return f"not known: the richer model has no {lacking}, so AICc decides", False


_RISES = "none: the richer fit has the larger squares, so it does not contain the simpler model, or has not converged"


def _reproduces(richer: Fit, simpler: Fit) -> bool:
    """Return whether a model can have the fitted curve of another."""
    if not is_small(richer.arguments) or richer.arguments.deviations:
        return False
    arguments = richer.arguments._replace(measured=simpler.predicted)
    size = float(np.sum((simpler.predicted * arguments.weight) ** 2))
    least = max(_SAME * simpler.residual_sum_of_squares, _ROUNDED * size) / 2
    for value in (None, 0.0, 1.0):  # of the parameters that are new: they often vanish, or are exponents of 1
        start = [simpler.values.get(name, richer[name] if value is None else value) for name in richer.free]
        inside = np.clip(np.array(start), *richer.bounds)
        end = levenberg_marquardt(richer.problem, arguments, richer.bounds, inside, _TRIES)
        if end.finite and end.squares[-1] <= least:
            return True
    return False


def _check_same_rows(first: Fit, second: Fit) -> None:
    """Raise unless two fits have the same measurements with the same weights."""
    if len(first.measured) != len(second.measured):
        raise DataError(
            f"the fits have different rows: {len(first.measured)} and {len(second.measured)}",
            hint="fit both to the rows that are complete in both",
        )
    if not np.allclose(first.measured, second.measured, rtol=_ROUNDING, atol=0.0):
        raise DataError(
            f"the fits have different left sides: {first.model.equation.left.read_as} and "
            f"{second.model.equation.left.read_as}, or different rows",
            hint="their sums of squares cannot be compared; fit both to the same left side and rows",
        )
    if first.uncertainty.absolute != second.uncertainty.absolute:
        raise SettingError("σ is known for only one of the fits", hint="give absolute_sigma to both")
    if not np.allclose(first.arguments.weight, second.arguments.weight, rtol=_ROUNDING):
        raise DataError("the fits weight the rows differently", hint="give both the same sigma or weights")
    spread, other = first.arguments.deviations or {}, second.arguments.deviations or {}
    if spread.keys() != other.keys() or not all(np.allclose(spread[n], other[n], rtol=_ROUNDING) for n in spread):
        raise DataError("the fits have different errors in their columns", hint="give both the same sigma_x")


def _test(simpler: Fit, richer: Fit) -> tuple[float, tuple[float, float], float]:
    """Return the statistic, its degrees of freedom and its probability."""
    from scipy.special import chdtrc, fdtrc

    more = float(simpler.degrees_of_freedom - richer.degrees_of_freedom)
    fall = max(simpler.residual_sum_of_squares - richer.residual_sum_of_squares, 0.0)
    if more <= 0 or (not richer.uncertainty.absolute and richer.degrees_of_freedom <= 0):
        return math.nan, (more, math.nan), math.nan
    if richer.uncertainty.absolute:
        return fall, (more, math.inf), float(chdtrc(more, fall))
    below = richer.residual_sum_of_squares / richer.degrees_of_freedom
    ratio = fall / more / below if below > 0 else math.inf if fall > 0 else math.nan
    return ratio, (more, float(richer.degrees_of_freedom)), float(fdtrc(more, richer.degrees_of_freedom, ratio))


def _aicc(fit: Fit) -> float:
    """Return Akaike's criterion with the correction for few rows."""
    rows = len(fit.measured)
    count = rows - fit.degrees_of_freedom + (0 if fit.uncertainty.absolute else 1)
    left = rows - count - 1
    correction = 2 * count * (count + 1) / left if left > 0 else math.inf
    if fit.uncertainty.absolute:
        return fit.residual_sum_of_squares + 2 * count + correction
    if fit.residual_sum_of_squares <= 0:
        return -math.inf
    return rows * math.log(fit.residual_sum_of_squares / rows) + 2 * count + correction
