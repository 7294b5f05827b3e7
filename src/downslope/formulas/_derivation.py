"""The derivation: a derivative with the rules used, as data; and the chain rule for formulas in each other."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from downslope._errors import FormulaError
from downslope.formulas._derivation_rendering import as_html, as_latex, as_list, as_text
from downslope.formulas._expression import Expression, Name, Product, size
from downslope.formulas._formula import Formula
from downslope.formulas._reading import formula
from downslope.formulas._rules import Differentiator, Step, replaced

_MOST_NODES = 1500


@dataclass(frozen=True)
class Derivation:
    """A derivative with the rules used.

    Args:
        formula: what was differentiated.
        variable: by what.
        root: the outermost step; its `after` is the answer.
    """

    formula: Formula
    variable: str
    root: Step

    @functools.cached_property
    def derivative(self) -> Formula:
        """The answer as a formula: the root's `after`, with its unit where the units are known."""
        return self.formula.derivative_as(self.variable, self.root.after)

    @property
    def read_as(self) -> str:
        """How the formula was read."""
        return self.formula.read_as

    def text(self) -> str:
        """Return the steps as numbered lines."""
        return as_text(self.derivative, self.root)

    def latex(self) -> str:
        """Return the steps as an aligned LaTeX derivation."""
        return as_latex(self.derivative, self.root)

    def html(self) -> str:
        """Return the steps as nested lists."""
        return as_html(self.derivative, self.root)

    def as_dict(self) -> dict[str, Any]:
        """Return the derivation as plain data, for JSON."""
        return {
            "variable": self.variable,
            "derivative": str(self.derivative),
            "unit": self.derivative.unit,
            "steps": as_list(self.root),
        }

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def derive(
    thing: str | Formula,
    variable: str | None = None,
    *,
    units: Mapping[str, str] | None = None,
    columns: Collection[str] = (),
) -> Derivation:
    """Differentiate a formula and keep the rules used.

    Args:
        thing: the formula or its text.
        variable: by what; may be left out if there is only one.
        units: units by name, so that the derivative carries its own.
        columns: names of data columns, for text that names some.

    Raises:
        FormulaError: for text that cannot be read, a variable that it does not have, or a formula too large to show
            steps of.

    >>> print(derive("f(x) = x² - 4x + 5").derivative)
    f'(x) = 2x - 4
    """
    read = formula(thing, units=units, columns=columns)
    by = read.variable(variable)
    if size(read.body) > _MOST_NODES:
        raise FormulaError(
            f"the formula has {size(read.body)} parts, too many to show each step",
            hint="its derivative alone: formula(…).derivative(…)",
        )
    return Derivation(
        read, by, Differentiator(by, _tidier(read.has_decimals, read.columns), read.columns).step(read.body)
    )


@dataclass(frozen=True)
class Chain:
    """The chain rule for one formula inside another.

    Args:
        outer: the outer formula, y = f(u).
        inner: the inner formula, u = g(x).
        outer_derivative: dy/du.
        inner_derivative: du/dx.
        product: dy/dx, in the inner formula's variable.
        unit: the unit of dy/dx, or None.
    """

    outer: Formula
    inner: Formula
    outer_derivative: Formula
    inner_derivative: Formula
    product: Formula
    unit: str | None

    def at(self, **values: float) -> float:
        """Return dy/dx at a value of the inner formula's variable."""
        return float(self.product(values))

    def text(self) -> str:
        """Return the chain rule written out."""
        y, u, x = self.outer.name or "y", self.outer.variables[0], self.inner.variables[0]
        unit = f" {self.unit}" if self.unit else ""
        factors = [_right(one) for one in (self.outer_derivative, self.inner_derivative)]
        product = " × ".join(f"({factor})" if factor.startswith("-") or " " in factor else factor for factor in factors)
        return "\n".join(
            [
                f"d{y}/d{x} = d{y}/d{u} · d{u}/d{x}",
                f"d{y}/d{u} = {_right(self.outer_derivative)}",
                f"d{u}/d{x} = {_right(self.inner_derivative)}",
                f"d{y}/d{x} = {product} = {_right(self.product)}{unit}",
            ]
        )

    def __str__(self) -> str:
        return self.text()


def chain(outer: str | Formula, inner: str | Formula, *, units: Mapping[str, str] | None = None) -> Chain:
    """Differentiate a formula of a formula by the chain rule: dy/dx = dy/du · du/dx.

    Args:
        outer: y = f(u), of one variable.
        inner: u = g(x), of one variable.
        units: units by name, for the names of both.

    Returns:
        Both derivatives, their product and its unit.

    Raises:
        FormulaError: for text that cannot be read, or a formula of several variables.
        UnitError: if the inner formula's unit cannot stand where the outer one's variable does.

    >>> both = chain("Quality(time) = 5×time", "Time(temperature) = -2×temperature",
    ...              units={"Quality": "points", "time": "minute", "Time": "minute", "temperature": "delta_degC"})
    >>> both.at(temperature=180), both.unit
    (-10.0, 'points/°C')
    """
    first, second = formula(outer), formula(inner)
    for one in (first, second):
        if len(one.variables) != 1:
            raise FormulaError(f"the chain rule here is for one variable each; {one.read_as} has {len(one.variables)}")
    u, x = first.variables[0], second.variables[0]
    beside, below = first.derivative(u), second.derivative(x)
    unit = _chained_unit(first, second, units) if units else None
    tidy = _tidier(first.has_decimals or second.has_decimals)
    product = tidy(Product((replaced(beside.body, Name(u), second.body), below.body)))
    name = f"d{first.name or 'y'}/d{x}"
    return Chain(first, second, beside, below, Formula(name, (x,), product, has_header=True), unit)


def _chained_unit(outer: Formula, inner: Formula, units: Mapping[str, str]) -> str | None:
    """Return the unit of the product, after checking that the inner value can stand for the outer variable."""
    from downslope.formulas._units import check_convertible, unit_ratio

    y, u = outer.name or "", outer.variables[0]
    g, x = inner.name or u, inner.variables[0]
    if u in units and g in units:
        check_convertible(units[g], units[u], f"{g}, which stands for {u},")
    return unit_ratio(units[y], units[x]) if y in units and x in units else None


def _right(one: Formula) -> str:
    """Return the right side of a formula."""
    from downslope.formulas._printing import book

    return book(one.body)


def _tidier(decimals: bool, columns: Collection[str] = ()) -> Any:
    """Return what collects and orders the terms of a tree."""
    from downslope.formulas._symbolic import from_sympy, shortened, to_sympy

    def tidy(tree: Expression) -> Expression:
        return from_sympy(shortened(to_sympy(tree, columns)), decimals=decimals)

    return tidy
