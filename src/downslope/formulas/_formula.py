"""The `Formula`: a parsed textbook expression."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from downslope._copies import fields_alone
from downslope._errors import FormulaError, PointError, described, nearest, unknown_variable
from downslope._text import own_names
from downslope.formulas.evaluation import evaluate, stable
from downslope.formulas.expressions import (
    SUPERSCRIPTS,
    Expression,
    Number,
    book,
    book_name,
    latex,
    latex_name,
    numpy_functions,
    subscripted,
    walk,
)

if TYPE_CHECKING:
    import numpy as np
    import sympy


@dataclass(frozen=True)
class Formula:
    """A parsed textbook expression.

    Args:
        name: the name on the left side, or None.
        variables: the variables, in the header's order, else in the order of first appearance.
        body: the expression tree of the right side.
        columns: the data columns that occur.
        units: units by name, the unit of the value under `name`.
        text: the source text.
        notes: sentences on how ambiguous notation was interpreted.
        has_header: whether a header declares the variables.
        origin: for a derivative, the name of the differentiated formula; else None.
        by: for a derivative, the variables of differentiation in order.
    """

    name: str | None
    variables: tuple[str, ...]
    body: Expression
    columns: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict, hash=False)
    text: str = ""
    notes: tuple[str, ...] = ()
    has_header: bool = False
    origin: str | None = None
    by: tuple[str, ...] = ()

    __getstate__ = fields_alone

    @functools.cached_property
    def read_as(self) -> str:
        """The formula in textbook notation, which shows how the text was interpreted."""
        if self.name is None:
            return book(self.body)
        return f"{self._left(book_name, subscripted(self.name))} = {book(self.body)}"

    @functools.cached_property
    def latex(self) -> str:
        """The formula as LaTeX."""
        if self.name is None:
            return latex(self.body)
        return f"{self._left(latex_name, self._latex_symbol())} = {latex(self.body)}"

    @functools.cached_property
    def expression(self) -> sympy.Expr:
        """The right side as a SymPy expression with real symbols and exact numbers."""
        from downslope.formulas._sympy import to_sympy

        return to_sympy(self.body, self.columns)

    @property
    def unit(self) -> str | None:
        """The unit of the formula's value, or None."""
        return self.units.get(self.name) if self.name is not None else None

    @property
    def has_decimals(self) -> bool:
        """Whether any number was typed with a decimal point; derived results then print decimals as well."""
        return any(isinstance(node, Number) and node.decimal for node in walk(self.body))

    def unit_of(self, name: str) -> str | None:
        """Return the unit of a variable, or None."""
        return self.units.get(name)

    def with_units(self, units: Mapping[str, str]) -> Formula:
        """Return a copy with these units by name."""
        return dataclasses.replace(self, units=dict(units))

    def derivative(self, variable: str | None = None) -> Formula:
        """Return the partial derivative by a variable.

        Args:
            variable: the variable's name; optional if there is only one.

        Raises:
            FormulaError: if the formula has no such variable, or has several and none is named.

        >>> from downslope.formulas import formula
        >>> formula("P(p) = -20p² + 200p - 300").derivative("p").read_as
        "P'(p) = -40p + 200"
        """
        from downslope.formulas.symbolic import differentiate

        by = self.variable(variable)
        body = differentiate(self.body, by, decimals=self.has_decimals, columns=self.columns)
        return self.derivative_as(by, body)

    def derivative_as(self, by: str, body: Expression) -> Formula:
        """Wrap the tree of a derivative as a formula with its name and unit.

        Args:
            by: the variable of differentiation.
            body: the derivative's expression tree.
        """
        name = self._derivative_name(by)
        return Formula(
            name=name,
            variables=self.variables,
            body=body,
            columns=self.columns,
            units=self._derivative_units(by, name),
            has_header=self.has_header,
            origin=self.origin or self.name,
            by=(*self.by, by),
        )

    def gradient(self) -> tuple[Formula, ...]:
        """Return the partial derivatives, in the order of `variables`."""
        return tuple(self.derivative(name) for name in self.variables)

    def hessian(self) -> tuple[tuple[Formula, ...], ...]:
        """Return the second partial derivatives as rows of a square matrix."""
        return tuple(row.gradient() for row in self.gradient())

    def variable(self, name: str | None) -> str:
        """Return the variable called `name`; for None, the formula's only variable.

        Raises:
            FormulaError: if there is no such variable, or several to choose from.
        """
        if name is None and len(self.variables) == 1:
            return self.variables[0]
        if isinstance(name, str):
            (name,) = own_names({name: None}, self.variables)
        if isinstance(name, str) and name in self.variables:
            return name
        listed = ", ".join(self.variables) or "no variables"
        if name is None:
            raise FormulaError(f"name the variable to differentiate by; the formula has {listed}")
        close = nearest(str(name), self.variables)
        raise FormulaError(
            f"{self.read_as} has no variable {name!r}; it has {listed}",
            hint=f"did you mean {close}?" if close else None,
        )

    def __call__(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> Any:
        """Evaluate the formula at a point.

        Args:
            values: a number or an array for every variable and column, by name.
            named: the same as keyword arguments; they override `values`.

        Returns:
            A float; an array if any of the values is an array.

        Raises:
            PointError: if a name is missing or unknown, or a value is not a number.
        """
        import numpy as np

        if not isinstance(values, Mapping | None):
            raise PointError(f"a point is a mapping of names to numbers, not {type(values).__name__}")
        wanted = (*self.variables, *self.columns)
        arguments = own_names({**(values or {}), **named}, wanted)
        for name in arguments:
            if name not in wanted:
                raise unknown_variable(self.read_as, name, wanted)
        missing = [name for name in wanted if name not in arguments]
        if missing:
            raise PointError(f"{self.read_as} needs a value for {', '.join(missing)}")
        # ln(-1) is NaN and 1/0 is infinite, as everywhere else here: no warning, no error.
        with np.errstate(all="ignore"):
            arrays = {name: _numeric(name, value) for name, value in arguments.items()}
            result = np.asarray(evaluate(stable(self.body), arrays, numpy_functions()))
        return float(result) if result.ndim == 0 else result

    def __str__(self) -> str:
        return self.read_as

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    def _left(self, spell: Callable[[str], str], name: str) -> str:
        """Return the left side, its variables spelt by `spell`; a partial derivative has no argument list."""
        declared = self.has_header or self.columns
        # ∂f/∂x(x, y) would read as a product; a partial derivative stands without its arguments.
        alone = not declared or not self.variables or "/" in name or name.startswith("\\frac")
        return name if alone else f"{name}({', '.join(map(spell, self.variables))})"

    def _derivative_name(self, by: str) -> str | None:
        """Return the derivative's name: f', f'' for one variable; ∂f/∂x, ∂²f/∂x², ∂²f/∂x∂y for several."""
        origin = self.origin or self.name
        # A derivative of an unnamed expression has no name either.
        if origin is None:
            return None
        every = (*self.by, by)
        if len(self.variables) == 1:
            return origin + "'" * len(every)
        below = "".join(f"∂{variable}" for variable in _counted(every))
        return f"∂{_superscript(len(every))}{origin}/{below}"

    def _latex_symbol(self) -> str:
        """Return the name of the formula or derivative as LaTeX."""
        name = latex_name(self.origin or self.name or "")
        if len(self.variables) == 1 or not self.by:
            return name + "'" * len(self.by)
        order = "" if len(self.by) == 1 else f"^{{{len(self.by)}}}"
        below = " ".join(
            rf"\partial {latex_name(variable)}" + ("" if count == 1 else f"^{{{count}}}")
            for variable, count in ((variable, len(list(run))) for variable, run in itertools.groupby(self.by))
        )
        return rf"\frac{{\partial{order} {name}}}{{{below}}}"

    def _derivative_units(self, by: str, name: str | None) -> dict[str, str]:
        """Return the derivative's units, if the units of the formula and of the variable are known."""
        units = {known: unit for known, unit in self.units.items() if known != self.name}
        if name is not None and self.unit is not None and by in self.units:
            from downslope.formulas._units import unit_ratio

            units[name] = unit_ratio(self.unit, self.units[by])
        return units


def _numeric(name: str, value: Any) -> np.ndarray:
    """Return a coordinate as an array of floats."""
    from downslope._numbers import reals, unmasked

    try:
        if value is None or unmasked(value).dtype.kind in "SU":  # NumPy would read None as NaN and "3" as 3
            raise TypeError
        return reals(name, value, PointError)
    except (TypeError, ValueError, OverflowError):
        raise PointError(f"{name} must be a number or an array of numbers, not {described(value)}") from None


def _counted(names: tuple[str, ...]) -> list[str]:
    """Return names with the length of each run as a superscript: x, x, y as x², y."""
    return [name + _superscript(len(list(run))) for name, run in itertools.groupby(names)]


def _superscript(count: int) -> str:
    """Return a count as a superscript, nothing for 1."""
    return "" if count == 1 else str(count).translate(SUPERSCRIPTS)
