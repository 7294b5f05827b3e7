"""Quantities derived from the parameters of a fit, with their errors: a half-life ln(2)/k.

To first order in the errors (the delta method) the variance of g(p) is ∇gᵀ C ∇g, over the whole covariance C, so that
correlated errors add up or cancel as they should. Fixed parameters count as exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import FormulaError, described, nearest
from downslope._text import number
from downslope.formulas import Formula, Name, NumericFormula, dimensions, formula, unit_of_powers, with_trees

if TYPE_CHECKING:
    from downslope.fitting._result import Fit


@dataclass(frozen=True)
class Derived:
    """A quantity derived from the parameters of a fit.

    Args:
        name: its name, or the formula where it has none.
        formula: the formula in book notation.
        value: its value at the fitted parameters.
        standard_error: its standard error; ∞ if the data do not determine it, NaN if it depends on a parameter on a
            bound.
        low: low end of its confidence interval.
        high: high end of its confidence interval.
        unit: its unit, where the columns have units; None if it has none or is unknown.
    """

    name: str
    formula: str
    value: float
    standard_error: float
    low: float
    high: float
    unit: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the quantity as plain data, for JSON."""
        return {
            "formula": self.formula,
            "value": self.value,
            "standard_error": self.standard_error,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
        }

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        ends = f"{number(self.low, 4)} … {number(self.high, 4)}"
        return f"{self.name} = {number(self.value)} ± {number(self.standard_error, 2)}{unit} ({ends})"


def derived(fit: Fit, text: str, confidence: float) -> Derived:
    """Return a derived quantity; see `Fit.derived`."""
    own = _own(fit)
    read = _read(text, [*fit.parameters, *own])
    of_groups = [name for name in read.columns if name in own]
    if of_groups:
        raise FormulaError(
            f"{of_groups[0]} differs between groups",
            text=text,
            position=max(text.rfind(of_groups[0]), 0),
            width=len(of_groups[0]),
            hint=f"write `{own[of_groups[0]][0]}`, or derive it in all groups: fit.derived_in_groups({text!r})",
        )
    return _evaluated(fit, read.name or read.read_as, read.read_as, read.body, confidence)


def derived_in_groups(fit: Fit, text: str, confidence: float) -> list[Derived]:
    """Return a derived quantity of each group; see `Fit.derived_in_groups`."""
    own = _own(fit)
    read = _read(text, [*fit.parameters, *own]) if own else None
    if read is None or fit.model.grouping is None or not any(name in own for name in read.columns):
        return [derived(fit, text, confidence)]
    quantities = []
    for index, label in enumerate(fit.model.grouping.labels):
        body = with_trees(read.body, {name: Name(members[index]) for name, members in own.items()})
        name = f"{read.name or read.read_as}[{label}]"
        quantities.append(_evaluated(fit, name, read.read_as, body, confidence))
    return quantities


def _own(fit: Fit) -> dict[str, tuple[str, ...]]:
    """Return the names, group by group, of each parameter that differs between groups."""
    grouping = fit.model.grouping
    if grouping is None:
        return {}
    members = {name: grouping.members(name) for name in grouping.model.parameters}
    return {name: names for name, names in members.items() if names != (name,)}


def _read(text: str, names: list[str]) -> Formula:
    """Return a formula of parameters.

    Raises:
        FormulaError: for a formula that cannot be read or has another name.
    """
    if not isinstance(text, str):
        raise FormulaError(f"a derived quantity must be a formula as text, not {described(text)}", hint='"ln(2)/k"')
    read = formula(text, columns=names)
    if read.variables:
        unknown = read.variables[0]
        close = nearest(unknown, names)
        raise FormulaError(
            f"{unknown} is no parameter of the fit; it has {', '.join(names)}",
            text=text,
            position=max(text.rfind(unknown), 0),
            width=len(unknown),
            hint=f"did you mean {close}?" if close else None,
        )
    return read


def _evaluated(fit: Fit, name: str, read_as: str, body: Any, confidence: float) -> Derived:
    """Return a quantity at the fitted parameters, with its error."""
    ties: dict[str, Any] = {}
    for tied, tie in fit.problem.ties:
        ties[tied] = with_trees(tie, ties)
    fixed = {held: float(value) for held, value in fit.arguments.fixed.items()}
    model = NumericFormula(Formula(None, fit.free, with_trees(body, ties), tuple(fixed)), data=fixed)
    value, slopes = model.value_and_slopes([fit[name] for name in fit.free])
    slope = np.array(slopes, dtype=float)
    rests = any(fit.parameters[name].role == "at bound" and slope[index] for index, name in enumerate(fit.free))
    error = np.nan if rests else float(np.sqrt(fit.uncertainty.variance(slope[None])[0])) if slope.any() else 0.0
    half = error * fit.uncertainty.half_width(confidence) if error else 0.0
    return Derived(
        name=name,
        formula=read_as,
        value=float(value),
        standard_error=error,
        low=float(value) - half,
        high=float(value) + half,
        unit=_unit(fit, body),
    )


_QUANTITY = "derived_quantity"


def _unit(fit: Fit, body: Any) -> str | None:
    """Return the unit that follows from those of the columns; None where there is none."""
    if not fit.model.units:
        return None
    quantity = formula(_QUANTITY, columns=[_QUANTITY]).body
    exponents = dimensions(quantity, body, list(fit.parameters), [_QUANTITY])[_QUANTITY]
    powers: dict[str, float] = {}
    for name, power in (exponents or {}).items():
        inner = fit.model.dimensions.get(name)
        if inner is None:
            return None
        for column, exponent in inner.items():
            powers[column] = powers.get(column, 0.0) + float(power) * exponent
    powers = {column: power for column, power in powers.items() if power}
    if not powers or not all(column in fit.model.units for column in powers):
        return None
    unit = unit_of_powers(powers, fit.model.units)
    return None if unit == "1" else unit
