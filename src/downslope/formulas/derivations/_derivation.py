"""The verb `derive`: a derivative of any order, directional or implicit, with the rules applied, as data."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from downslope._copies import fields_alone
from downslope._errors import FormulaError, PointError, SettingError, mapping, whole
from downslope._text import number, own_names
from downslope.formulas._formula import Formula
from downslope.formulas.derivations._gaps import Gap, gaps, lacks_slope
from downslope.formulas.derivations._implicit import (
    along_curve,
    check_on_the_curve,
    derivative_steps,
    read_curve,
    slope_of_curve,
)
from downslope.formulas.derivations._steps import (
    as_environment,
    as_items,
    as_lines,
    as_list,
    as_rows,
    at_the_sign,
    law_as_latex,
)
from downslope.formulas.expressions import (
    Call,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    book,
    book_name,
    latex,
    latex_name,
    sum_of,
    with_numbers,
)
from downslope.formulas.reading import formula as read_formula
from downslope.formulas.symbolic import (
    DerivationStep,
    check_constants,
    exact_number,
    simplifier,
    taylor_polynomial,
)

_NAMED = ("implicit", "directional")  # rules whose law names the derivative
_VERBS = {True: "no derivative", False: "perhaps no derivative"}
_HIGHEST_ORDER = 12


@dataclass(frozen=True)
class Derivation:
    """A derivative with the steps that lead to it.

    Args:
        formula: the differentiated formula; for a derivative of higher order, that of the order below.
        variable: the variable of differentiation; for a directional derivative, the names of all variables.
        root: the last step; its `after` is the derivative.
        point: a point at which the derivative has a value, or None.
        lower: the derivation of the order below, or None.
    """

    formula: Formula
    variable: str
    root: DerivationStep
    point: Mapping[str, float] | None = None
    lower: Derivation | None = None

    __getstate__ = fields_alone

    @functools.cached_property
    def derivative(self) -> Formula:
        """The derivative as a formula, with its unit if the units are known."""
        if self.root.rule in _NAMED:
            name = self.root.law.partition(" = ")[0]
            return Formula(name, self.formula.variables, self.root.after, has_header="/" not in name)
        return self.formula.derivative_as(self.variable, self.root.after)

    @property
    def read_as(self) -> str:
        """The differentiated formula in textbook notation."""
        return self.read.text.strip() if self.root.rule == "implicit" else self.read.read_as

    @property
    def read(self) -> Formula:
        """The formula that was differentiated first."""
        return self.lower.read if self.lower is not None else self.formula

    @functools.cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Where the formula has a value but no derivative: at kinks, jumps and vertical tangents."""
        if self.root.rule in _NAMED:
            return ()
        return gaps(self.root.before, self.variable, decimals=self.formula.has_decimals)

    @property
    def order(self) -> int:
        """The order of the derivative."""
        return 1 if self.lower is None else self.lower.order + 1

    @functools.cached_property
    def _lacks_slope(self) -> bool:
        """Whether the formula has a kink, a jump or a vertical tangent at the point, or had one before."""
        if self.point is None or self.root.rule in _NAMED:
            return False
        lower = self.lower is not None and self.lower.at_point(self.point)._lacks_slope
        return lower or lacks_slope(self.root.before, self.variable, self.point)

    @property
    def value(self) -> float | None:
        """The derivative's value at `point`; None without a point or where it has no value."""
        if self.point is None or self._lacks_slope:
            return None
        value = self.at(**self.point)
        return value if value is not None and math.isfinite(value) else None

    @functools.cached_property
    def taylor(self) -> Formula | None:
        """The Taylor polynomial of this degree at the point; None without a point or in several variables."""
        if self.point is None or len(self.read.variables) != 1 or self._lacks_slope or self.root.rule in _NAMED:
            return None
        (name,) = self.read.variables
        bodies = [self.read.body, *(each.root.after for each in self._orders())]
        body = taylor_polynomial(bodies, name, exact_number(self.point[name]), decimals=self.read.has_decimals)
        return None if body is None else Formula(f"T_{self.order}", self.read.variables, body, has_header=True)

    def at(self, **values: float) -> float:
        """Return the derivative's value at a point."""
        return float(self.derivative(values))

    def at_point(self, point: Mapping[str, float]) -> Derivation:
        """Return the derivation with the derivative's value at a point."""
        return _with_point(self, point)

    def text(self) -> str:
        """Return the steps as numbered lines, the derivative below them."""
        lines: list[str] = []
        for derivation in self._orders():
            unit = f"   in {derivation.derivative.unit}" if derivation.derivative.unit else ""
            lines += [*as_lines(derivation.root, self.formula.variables), "", f"{derivation.derivative}{unit}"]
            lines += [*derivation._gap_lines(), ""]
        expansion = [] if self.order < 2 or self.taylor is None else [f"Taylor polynomial: {self.taylor}"]
        return "\n".join([*lines[:-1], *self._value_lines(), *expansion])

    def latex(self) -> str:
        """Return the steps as an aligned LaTeX derivation that ends with the derivative."""
        rows: list[str] = []
        for derivation in self._orders():
            rows += [*as_rows(derivation.root, self.formula.variables), at_the_sign(derivation._result_as_latex())]
            for is_certain, verb in _VERBS.items():
                equations = [gap.latex() for gap in derivation.gaps if gap.is_certain == is_certain]
                if equations:
                    rows.append(rf"&\text{{{verb} where }} {', '.join(equations)}")
        if self.point is not None:
            point = ", ".join(f"{latex_name(name)} = {value:g}" for name, value in self.point.items())
            shown = "\\text{not defined}" if self.value is None else latex(exact_number(self.value))
            rows.append(rf"\left.{self._symbol_in_latex()}\right|_{{{point}}} &= {shown}")
            if self.order > 1 and self.taylor is not None:
                rows.append(at_the_sign(self.taylor.latex))
        return as_environment(rows)

    def html(self) -> str:
        """Return the steps as ordered lists, the derivative below them."""
        parts = []
        for derivation in self._orders():
            parts.append(as_items(derivation.root, self.formula.variables))
            parts.append(f"<p><strong>{html.escape(str(derivation.derivative))}</strong></p>")
            parts += [f"<p>{html.escape(line)}</p>" for line in derivation._gap_lines()]
        parts += [f"<p>{html.escape(line)}</p>" for line in self._value_lines()]
        return "".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the derivation as plain data, for JSON."""
        result: dict[str, Any] = {
            "variable": self.variable,
            "order": self.order,
            "derivative": str(self.derivative),
            "unit": self.derivative.unit,
            "steps": as_list(self.root),
            "gaps": [gap.text() for gap in self.gaps if gap.is_certain],
            "possible_gaps": [gap.text() for gap in self.gaps if not gap.is_certain],
        }
        if self.lower is not None:
            result["lower"] = self.lower.as_dict()
        if self.point is not None:
            taylor = None if self.taylor is None else book(self.taylor.body)
            result |= {"point": dict(self.point), "value": self.value, "taylor": taylor}
        return result

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _orders(self) -> list[Derivation]:
        """Return the derivations of all orders, the first first."""
        return [*(() if self.lower is None else self.lower._orders()), self]

    def _gap_lines(self) -> list[str]:
        """Return where there is no derivative, in words."""
        equations = {sure: [gap.text() for gap in self.gaps if gap.is_certain == sure] for sure in _VERBS}
        return [f"{verb} where {' or '.join(equations[sure])}" for sure, verb in _VERBS.items() if equations[sure]]

    def _value_lines(self) -> list[str]:
        """Return the derivative's value at the point: filled in, and as a number."""
        if self.point is None:
            return []
        shown = ", ".join(f"{book_name(name)} = {number(value)}" for name, value in self.point.items())
        if self.value is None:
            return [f"at {shown}: not defined"]
        filled = book(with_numbers(self.root.after, self.point, digits=15))
        value = number(self.value)
        sides = [value] if filled.replace("-", "−") == value else [filled, value]
        name = self.derivative.name
        if name is not None and self.root.rule not in _NAMED:
            name = book_name(name)
        return [f"at {shown}: {' = '.join([*([name] if name else []), *sides])}{self._unit()}"]

    def _unit(self) -> str:
        """Return the derivative's unit behind a space, nothing if it has none."""
        return f" {self.derivative.unit}" if self.derivative.unit else ""

    def _result_as_latex(self) -> str:
        """Return the derivative as an equation in LaTeX."""
        if self.root.rule in _NAMED:
            return f"{self._symbol_in_latex()} = {latex(self.root.after)}"
        text = self.derivative.latex
        return text if self.derivative.name is not None else f"{self._symbol_in_latex()} = {text}"

    def _symbol_in_latex(self) -> str:
        """Return the derivative without its variables in LaTeX."""
        if self.root.rule in _NAMED:
            return law_as_latex(self.root.law.partition(" = ")[0])
        if self.derivative.name is not None:
            return self.derivative.latex.partition(" = ")[0]
        sign = "d" if len(self.formula.variables) == 1 else r"\partial "
        order = "" if self.order == 1 else f"^{{{self.order}}}"
        below = " ".join(f"{sign}{latex_name(name)}" for name in self.derivative.by)
        return rf"\frac{{{sign.strip()}{order}}}{{{below}}}\left[{latex(self.read.body)}\right]"


def derive(
    formula: str | Formula,
    variable: str | Sequence[str] | None = None,
    *,
    order: int = 1,
    at: Mapping[str, float] | None = None,
    direction: Mapping[str, float] | None = None,
    implicit: str | None = None,
    units: Mapping[str, str] | None = None,
    columns: Collection[str] = (),
) -> Derivation:
    """Differentiate a formula step by step.

    Args:
        formula: the formula or its text; an equation in two variables with `implicit`.
        variable: the variable of differentiation; optional if there is only one. Several are taken in turn, for a mixed
            derivative.
        order: how many times to differentiate by the variable; with `implicit`, d²y/dx² for 2.
        at: a point at which to evaluate the derivative.
        direction: differentiate along this vector, scaled to length 1.
        implicit: the variable that the equation makes a function of `variable`: y in x² + y² = 25.
        units: units by name; the derivative then has a unit as well.
        columns: names of data columns, for text that uses some.

    Returns:
        The derivative and the steps that lead to it.

    Raises:
        FormulaError: for text that cannot be parsed, an unknown variable, or a formula too large to show its steps.
        PointError: for a point that lacks a variable, or that is not on the curve of the equation.
        SettingError: for an order that is not a whole number, or choices that exclude each other.
        UnitError: for unknown units, or units of names that do not occur.

    >>> print(derive("f(x) = x² - 4x + 5").derivative)
    f'(x) = 2x - 4
    >>> print(derive("f(x, y) = x²y³", ["x", "y"]).derivative)
    ∂²f/∂x∂y = 6xy²
    >>> derive("x² + y² = 25", "x", implicit="y", at={"x": 3, "y": 4}).value
    -0.75
    >>> print(derive("x² + y² = 25", "x", implicit="y", order=2).derivative)
    d²y/dx² = -25/y³
    """
    order = whole("order", order, 1, _HIGHEST_ORDER)
    if implicit is not None:
        if direction is not None:
            raise SettingError("implicit cannot be combined with direction")
        return _implicit(formula, variable, implicit, order, at)
    read = read_formula(formula, units=units, columns=columns)
    if direction is not None:
        if variable is not None or order > 1:
            raise SettingError("direction cannot be combined with a variable or an order above 1")
        return _directional(read, direction, at)
    names: list[Any] = list(variable) if isinstance(variable, list | tuple) else [variable]
    if len(names) > _HIGHEST_ORDER or not names:
        raise SettingError(f"name between 1 and {_HIGHEST_ORDER} variables to differentiate by")
    if len(names) == 1:
        names *= order
    elif order not in (1, len(names)):
        raise SettingError(f"order is {order}, but {len(names)} variables are named")
    derivation: Derivation | None = None
    for name in names:
        derivation = _derived(read if derivation is None else derivation.derivative, name, derivation)
    assert derivation is not None
    return _with_point(derivation, at)


def _derived(read: Formula, variable: str | None, lower: Derivation | None = None) -> Derivation:
    """Return the derivation of a formula by one variable."""
    by = read.variable(variable)
    check_constants(read.body)
    return Derivation(read, by, derivative_steps(read, by, read.body), lower=lower)


def _with_point(derivation: Derivation, at: Mapping[str, float] | None) -> Derivation:
    """Return a derivation with a point at which its value is shown."""
    point = _numbers("at", at, derivation.formula)
    if point is None:
        return derivation
    missing = [name for name in derivation.formula.variables if name not in point]
    if missing:
        raise PointError(f"at needs a value for {', '.join(missing)}")
    if derivation.root.rule == "implicit":
        check_on_the_curve(derivation.read, point)
    return Derivation(derivation.formula, derivation.variable, derivation.root, point, derivation.lower)


def _numbers(what: str, values: Mapping[str, float] | None, read: Formula) -> dict[str, float] | None:
    """Return a number for each name, checked."""
    checked = mapping(what, values, '{"x": 1.0}')
    if checked is None:
        return None
    from downslope._numbers import real  # which needs NumPy

    numbers: dict[str, float] = {}
    for name, value in own_names(checked, read.variables).items():
        if name not in read.variables:
            listed = ", ".join(read.variables) or "no variables"
            raise PointError(f"{read.read_as} has no variable {name!r}; it has {listed}")
        try:
            numbers[name] = real(value)
        except (TypeError, ValueError, OverflowError):
            raise PointError(f"{what}: {name} must be a number, not {value!r}") from None
        if not math.isfinite(numbers[name]):
            raise PointError(f"{what}: {name} must be a finite number")
    return numbers


def _directional(read: Formula, direction: Mapping[str, float], at: Mapping[str, float] | None) -> Derivation:
    """Return the derivation of a directional derivative: the gradient times the unit vector."""
    vector = _numbers("direction", direction, read) or {}
    parts = {name: exact_number(value) for name, value in vector.items() if value}
    if not parts:
        raise PointError("the direction must not be zero", hint='for example direction={"x": 3, "y": 4}')
    tidy = simplifier([read.body], decimals=read.has_decimals, columns=read.columns)
    squares = [
        Power(part.operand if isinstance(part, Negative) else part, Number(Fraction(2))) for part in parts.values()
    ]
    length = Call("sqrt", (sum_of(squares),))
    units = {name: tidy(Quotient(part, length)) for name, part in parts.items()}
    partials = [derivative_steps(read, name, read.body) for name in parts]
    worked = sum_of([Product((unit, step.after)) for unit, step in zip(units.values(), partials, strict=True)])
    law = "D_v f = " + " + ".join(f"v_{name}·∂f/∂{name}" for name in parts)
    check_constants(read.body)
    root = DerivationStep(
        "directional",
        read.body,
        tidy(worked),
        ", ".join(parts),
        law,
        "The directional derivative is the gradient times the direction, scaled to length 1.",
        {f"v_{name}": unit for name, unit in units.items()},
        tuple(partials),
        (worked,),
    )
    return _with_point(Derivation(read, root.variable, root), at)


def _implicit(
    text: str | Formula,
    variable: str | Sequence[str] | None,
    implicit: str,
    order: int,
    at: Mapping[str, float] | None,
) -> Derivation:
    """Return the derivation of dy/dx or a higher derivative from an equation in x and y."""
    curve = read_curve(text)
    y = curve.read.variable(implicit)
    others = [name for name in curve.read.variables if name != y]
    if variable is None and len(others) == 1:
        variable = others[0]
    if not isinstance(variable, str) or variable == y:
        raise FormulaError(f"name the variable that {y} is a function of", hint=f"one of {', '.join(others) or '…'}")
    x = curve.read.variable(variable)
    first = slope_of_curve(curve, x, y)
    derivation = Derivation(curve.read, x, first)
    for each in range(2, order + 1):
        root = along_curve(curve, derivation.root, first, y, each)
        derivation = Derivation(derivation.derivative, x, root, lower=derivation)
    return _with_point(derivation, at)
