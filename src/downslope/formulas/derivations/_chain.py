"""The verb `chain`: the derivative of a composition of formulas by the chain rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from downslope._copies import fields_alone
from downslope._errors import FormulaError, SettingError
from downslope.formulas._formula import Formula
from downslope.formulas._units import check_convertible, checked_unit_names, unit_ratio
from downslope.formulas.derivations._steps import as_environment
from downslope.formulas.expressions import (
    Expression,
    Name,
    Negative,
    Product,
    book,
    book_name,
    latex,
    latex_name,
    product_of,
    replaced,
    sum_of,
)
from downslope.formulas.reading import formula as read_formula
from downslope.formulas.symbolic import simplifier

_MOST_FORMULAS = 20
_MOST_PATHS = 50


@dataclass(frozen=True)
class Link:
    """The derivative of one formula of a chain by a variable that another formula, or nothing, stands for.

    Args:
        above: the name of the differentiated formula.
        below: the name of its variable.
        derivative: the derivative.
        partial: whether the formula has further variables.
    """

    above: str
    below: str
    derivative: Formula
    partial: bool

    @property
    def symbol(self) -> str:
        """The derivative by name: dy/du, or ∂z/∂x where there are further variables."""
        sign = "∂" if self.partial else "d"
        return f"{sign}{book_name(self.above)}/{sign}{book_name(self.below)}"

    @property
    def latex_symbol(self) -> str:
        """The derivative by name as LaTeX."""
        sign = r"\partial " if self.partial else "d"
        return rf"\frac{{{sign}{latex_name(self.above)}}}{{{sign}{latex_name(self.below)}}}"


@dataclass(frozen=True)
class Chain:
    """The chain rule for a composition of formulas.

    Args:
        formulas: the formulas, the outermost first.
        variable: the variable of differentiation.
        paths: the links from the outermost formula to the variable, one sequence for each path.
        worked: the chain rule with the derivatives filled in, in terms of all variables, and then of the last one's.
        product: the derivative as a formula of the innermost variables.
        unit: the unit of the derivative, or None.
    """

    formulas: tuple[Formula, ...]
    variable: str
    paths: tuple[tuple[Link, ...], ...]
    worked: tuple[Expression, ...]
    product: Formula
    unit: str | None

    __getstate__ = fields_alone

    @property
    def outer(self) -> Formula:
        """The outermost formula."""
        return self.formulas[0]

    @property
    def inner(self) -> Formula:
        """The innermost formula."""
        return self.formulas[-1]

    @property
    def links(self) -> tuple[Link, ...]:
        """Every derivative that occurs, once."""
        return tuple(dict.fromkeys(link for path in self.paths for link in path))

    def at(self, **values: float) -> float:
        """Return the derivative at values of the innermost variables."""
        return float(self.product(values))

    def text(self) -> str:
        """Return the chain rule in symbols, the derivatives, and their product."""
        symbol = f"d{book_name(self.paths[0][0].above)}/d{book_name(self.variable)}"
        law = " + ".join(" · ".join(link.symbol for link in path) for path in self.paths)
        lines = [f"{symbol} = {law}"] if law != symbol else []
        lines += [f"{link.symbol} = {_right(link.derivative)}" for link in self.links]
        unit = f" {self.unit}" if self.unit else ""
        sides = [*self._filled(), _right(self.product)]
        return "\n".join([*lines, f"{symbol} = {' = '.join(dict.fromkeys(sides))}{unit}"])

    def latex(self) -> str:
        """Return the same lines as an `align*` environment."""
        symbol = rf"\frac{{d{latex_name(self.paths[0][0].above)}}}{{d{latex_name(self.variable)}}}"
        law = " + ".join(r" \cdot ".join(link.latex_symbol for link in path) for path in self.paths)
        rows = [f"{symbol} &= {law}"] if law != symbol else []
        rows += [f"{link.latex_symbol} &= {latex(link.derivative.body)}" for link in self.links]
        sides = dict.fromkeys([*map(latex, self.worked), latex(self.product.body)])
        return as_environment([*rows, f"{symbol} &= {' = '.join(sides)}"])

    def as_dict(self) -> dict[str, Any]:
        """Return the chain rule as plain data, for JSON."""
        return {
            "formulas": [formula.read_as for formula in self.formulas],
            "variable": self.variable,
            "rule": " + ".join(" · ".join(link.symbol for link in path) for path in self.paths),
            "derivatives": {link.symbol: _right(link.derivative) for link in self.links},
            "worked": self._filled(),
            "derivative": _right(self.product),
            "unit": self.unit,
        }

    def __str__(self) -> str:
        return self.text()

    def _filled(self) -> list[str]:
        """Return the chain rule filled in, and once more in terms of the innermost variables if that differs."""
        factors = [[_in_parentheses(link.derivative.body) for link in path] for path in self.paths]
        inside = book(self.worked[-1])
        changes = self.worked[0] != self.worked[-1] and inside != _right(self.product)
        return [" + ".join(map(" × ".join, factors)), *([inside] if changes else [])]


def _in_parentheses(tree: Expression) -> str:
    """Return a factor, in parentheses if it is a sum or begins with a sign."""
    text = book(tree)
    return f"({text})" if text.startswith("-") or " " in text else text


def chain(
    outer: str | Formula,
    *inner: str | Formula,
    by: str | None = None,
    units: Mapping[str, str] | None = None,
) -> Chain:
    """Differentiate a composition of formulas by the chain rule: dy/dx = dy/du · du/dx.

    Args:
        outer: y = f(u), or a formula of several variables.
        inner: the formulas that stand for its variables, for those of these, and so on. A formula stands for the
            variable that has its name; one without such a name for the only variable of the formula before it.
        by: the variable of differentiation; optional if one is left.
        units: units by name, for the names of all formulas.

    Returns:
        The derivatives, their product, in several variables the sum of such products, and its unit.

    Raises:
        FormulaError: for text that cannot be parsed, a formula that stands for no variable, or an unknown `by`.
        UnitError: for unknown units, or if a formula's unit cannot be converted to that of its variable.

    >>> rule = chain("Quality(time) = 5×time", "Time(temperature) = -2×temperature",
    ...              units={"Quality": "points", "time": "minute", "Time": "minute", "temperature": "delta_degC"})
    >>> rule.at(temperature=180), rule.unit
    (-10.0, 'points/°C')
    >>> print(chain("z = x²y", "x(t) = cos(t)", "y(t) = 3t").product.read_as)
    dz/dt = 3cos(t)² - 6t·sin(t)cos(t)
    """
    if not inner:
        raise FormulaError("the chain rule needs two formulas or more", hint='for example chain("sin(u)", "u = x²")')
    if len(inner) >= _MOST_FORMULAS:
        raise SettingError(f"a chain has at most {_MOST_FORMULAS} formulas")
    return _Composition([read_formula(member) for member in (outer, *inner)], units).chain(by)


class _Composition:
    """Formulas, and which of them stands for which variable of which other."""

    def __init__(self, formulas: list[Formula], units: Mapping[str, str] | None) -> None:
        self.formulas = formulas
        self.units = units
        self.bound: list[dict[str, int]] = [self._by_name(index) for index in range(len(formulas))]
        # Time(temperature) stands for the only variable of Quality(time), but w(t) does not stand for the t of x(t).
        for index, (formula, following) in enumerate(itertools.pairwise(formulas)):
            taken = {member for bound in self.bound for member in bound.values()}
            fits = following.name is None or not set(formula.variables) & set(following.variables)
            if not self.bound[index] and len(formula.variables) == 1 and index + 1 not in taken and fits:
                self.bound[index] = {formula.variables[0]: index + 1}
        used = {member for bound in self.bound for member in bound.values()}
        for index, formula in enumerate(formulas[1:], start=1):
            if index not in used:
                raise FormulaError(self._unused(index, formula))

    def _by_name(self, index: int) -> dict[str, int]:
        """Return the later formula that has the name of each variable of a formula."""
        later = range(index + 1, len(self.formulas))
        variables = self.formulas[index].variables
        return {
            variable: member for variable in variables for member in later if self.formulas[member].name == variable
        }

    def _unused(self, index: int, formula: Formula) -> str:
        """Return the error of a formula that defines no variable."""
        before = self.formulas[index - 1]
        listed = ", ".join(before.variables) or "none"
        return (
            f"{formula.read_as} defines no variable of {before.read_as}, which has {listed}; "
            "only after a formula of one variable may its name differ"
        )

    def chain(self, by: str | None) -> Chain:
        """Return the derivative of the outermost formula."""
        free = list(
            dict.fromkeys(
                variable
                for formula, bound in zip(self.formulas, self.bound, strict=True)
                for variable in formula.variables
                if variable not in bound
            )
        )
        if by is None and len(free) != 1:
            raise FormulaError(f"name the variable to differentiate by; there are {', '.join(free) or 'none'}")
        variable = free[0] if by is None else by
        if not isinstance(variable, str) or variable not in free:
            raise FormulaError(f"there is no variable {variable!r} to differentiate by; there are {', '.join(free)}")
        unit = self._unit(variable)
        paths = list(self._paths(0, variable))
        if not paths:
            raise FormulaError(f"{self.formulas[0].read_as} does not depend on {variable}")
        products = [[link.derivative.body for link in path] for path in paths]
        inner = [
            [self._inside(derivative, member) for derivative, member in zip(product, members, strict=True)]
            for product, members in zip(products, map(self._indices, paths), strict=True)
        ]
        worked = tuple(sum_of([_product(factors) for factors in rows]) for rows in (products, inner))
        tidy = simplifier(
            [formula.body for formula in self.formulas],
            decimals=any(formula.has_decimals for formula in self.formulas),
        )
        product = Formula(f"d{self._name(0)}/d{variable}", tuple(free), tidy(worked[-1]), has_header=True)
        return Chain(tuple(self.formulas), variable, tuple(paths), worked, product, unit)

    def _name(self, index: int) -> str:
        """Return the name of a formula: its own, or the variable that it stands for."""
        for formula_index, bound in enumerate(self.bound):
            for variable, member in bound.items():
                # The variable's name says more than the formula's own in a chain: dQuality/dtime · dtime/dtemperature.
                if member == index and formula_index < index:
                    return variable
        return self.formulas[index].name or "y"

    def _paths(self, index: int, variable: str) -> Iterator[tuple[Link, ...]]:
        """Yield the ways from a formula to the variable."""
        formula = self.formulas[index]
        count = 0
        for name in formula.variables:
            link = Link(self._name(index), name, formula.derivative(name), len(formula.variables) > 1)
            ways = self._paths(self.bound[index][name], variable) if name in self.bound[index] else [()]
            if name not in self.bound[index] and name != variable:
                continue
            for rest in ways:
                count += 1
                if count > _MOST_PATHS:
                    raise FormulaError(f"there are more than {_MOST_PATHS} ways from {formula.read_as} to {variable}")
                yield (link, *rest)

    def _indices(self, path: Sequence[Link]) -> list[int]:
        """Return the index of the differentiated formula of each link."""
        indices = [0]
        for link in path[:-1]:
            indices.append(self.bound[indices[-1]][link.below])
        return indices

    def _inside(self, tree: Expression, index: int) -> Expression:
        """Return a tree in the variables of a formula in terms of the free variables."""
        # The names of the inner formulas may be names of the outer variables: replace all at once, by letters of ours.
        bound = self.bound[index]
        for variable in bound:
            tree = replaced(tree, Name(variable), Name(f"\0{variable}"))
        for variable, member in bound.items():
            tree = replaced(tree, Name(f"\0{variable}"), self._inside(self.formulas[member].body, member))
        return tree

    def _unit(self, variable: str) -> str | None:
        """Return the unit of the derivative, after checking that each formula's unit converts to its variable's."""
        if self.units is None:
            return None
        names = {name for formula in self.formulas for name in (*formula.variables, formula.name) if name}
        checked_unit_names(self.units, sorted(names), "any of the formulas")
        for bound in self.bound:
            for name, member in bound.items():
                own = self.formulas[member].name
                # The inner value stands for the variable, so minutes can stand for hours, but not for kilograms.
                if own is not None and own in self.units and name in self.units:
                    check_convertible(self.units[own], self.units[name], f"{own}, which stands for {name},")
        outermost = self.formulas[0].name or ""
        known = outermost in self.units and variable in self.units
        return unit_ratio(self.units[outermost], self.units[variable]) if known else None


def _product(factors: Sequence[Expression]) -> Expression:
    """Return a product, its first sign in front."""
    # A product as a factor would print in parentheses.
    flat: list[Expression] = []
    for factor in factors:
        flat += factor.factors if isinstance(factor, Product) else (factor,)
    if isinstance(flat[0], Negative):
        return Negative(product_of([flat[0].operand, *flat[1:]]))
    return product_of(flat)


def _right(formula: Formula) -> str:
    """Return a formula's right side in textbook notation."""
    return book(formula.body)
