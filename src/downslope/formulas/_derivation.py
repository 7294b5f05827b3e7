"""The verbs `derive` (a derivative with the rules applied, as data) and `chain` (the chain rule for two formulas)."""

from __future__ import annotations

import functools
import html
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from downslope._copies import fields_alone
from downslope._errors import FormulaError
from downslope.formulas._expression import Name, Product, Sum, size
from downslope.formulas._formula import Formula
from downslope.formulas._parser import formula as read_formula
from downslope.formulas._printing import book, latex, latex_name
from downslope.formulas._rules import DerivationStep, Differentiator, replaced
from downslope.formulas._simplify import simplifier
from downslope.formulas._units import check_convertible, checked_unit_names, unit_ratio

if TYPE_CHECKING:
    from downslope.formulas._formula import Formula
    from downslope.formulas._rules import DerivationStep


# Render a derivation as text, LaTeX, HTML and plain data, all from the same walk over its steps.


_PLAIN = {"constant", "variable"}
_MOST_LINES = 400


def walk(root: DerivationStep) -> Iterator[tuple[str, DerivationStep]]:
    """Yield every step with its number (1, 1.1, 1.1.1, …) in pre-order."""
    # Iterative, since a derivation may be deeper than Python's recursion limit.
    stack = [("1", root)]
    while stack:
        number, step = stack.pop()
        yield number, step
        stack += [
            (f"{number}.{position}", child) for position, child in reversed(list(enumerate(step.children, start=1)))
        ]


def as_text(answer: Formula, root: DerivationStep) -> str:
    """Return the steps as numbered, indented lines below the derivative."""
    unit = f"   in {answer.unit}" if answer.unit else ""
    lines = [f"{answer}{unit}", ""]
    for line, (number, step) in enumerate(walk(root)):
        # A product of many factors has thousands of steps.
        if line >= _MOST_LINES:
            lines.append("…  the rest is left out")
            break
        indent = "   " * number.count(".")
        lines.append(f"{indent}{number}  {rule_name(step)}:  {_operator(step)} {_grouped(step)} = {book(step.after)}")
        if step.rule not in _PLAIN:
            bindings = ", ".join(f"{letter} = {shown}" for letter, shown in step.bindings.items() if letter != "outer")
            lines.append(f"{indent}{' ' * len(number)}  {step.law}{'   with ' + bindings if bindings else ''}")
    return "\n".join(lines)


def as_latex(answer: Formula, root: DerivationStep) -> str:
    """Return the steps as an `align*` environment that ends with the derivative."""
    rows = [
        rf"\frac{{d}}{{d{latex_name(step.variable)}}}\left[{latex(step.before)}\right] &= {latex(step.after)}"
        rf" && \text{{{rule_name(step)}}}"
        for _, step in walk(root)
        if step.rule not in _PLAIN
    ]
    # From the innermost step to the whole: each line only uses results shown above it.
    return _environment([*reversed(rows), _at_the_sign(answer.latex)])


def as_aligned(equations: Iterable[str]) -> str:
    """Return equations in LaTeX as an `align*` environment, their equality signs below each other."""
    return _environment([_at_the_sign(equation) for equation in equations])


def _at_the_sign(equation: str) -> str:
    """Return an equation that is aligned at its equality sign."""
    return equation.replace(" = ", " &= ", 1)


def _environment(rows: Sequence[str]) -> str:
    """Return rows as an `align*` environment."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def as_html(answer: Formula, root: DerivationStep) -> str:
    """Return the steps as nested ordered lists below the derivative."""
    return f"<p><strong>{html.escape(str(answer))}</strong></p><ol>{_item(root)}</ol>"


def as_list(root: DerivationStep) -> list[dict[str, Any]]:
    """Return the steps as plain data, each with its number."""
    return [
        {
            "number": number,
            "rule": step.rule,
            "before": book(step.before),
            "after": book(step.after),
            "variable": step.variable,
            "law": step.law,
            "bindings": dict(step.bindings),
            "sentence": step.sentence,
        }
        for number, step in walk(root)
    ]


def rule_name(step: DerivationStep) -> str:
    """Return the rule's identifier in words."""
    return step.rule.replace("_", " ")


def _item(step: DerivationStep) -> str:
    """Return a step as a list item, its child steps as a nested list."""
    bindings = "".join(
        f"<br><i>{html.escape(letter)}</i> = {html.escape(shown)}"
        for letter, shown in step.bindings.items()
        if letter != "outer"
    )
    below = f"<ol>{''.join(map(_item, step.children))}</ol>" if step.children else ""
    return (
        f"<li><b>{html.escape(rule_name(step))}</b>: {html.escape(_operator(step))} {html.escape(_grouped(step))} = "
        f"{html.escape(book(step.after))}<br>{html.escape(step.sentence)}{bindings}{below}</li>"
    )


def _operator(step: DerivationStep) -> str:
    """Return the derivative operator by a step's variable."""
    return f"d/d{step.variable}"


def _grouped(step: DerivationStep) -> str:
    """Return the differentiated expression, in parentheses if it is a sum."""
    text = book(step.before)
    return f"({text})" if isinstance(step.before, Sum) else text


# Each node may become a step that SymPy simplifies.
_MOST_NODES = 1500


@dataclass(frozen=True)
class Derivation:
    """A derivative with the steps that lead to it.

    Args:
        formula: the differentiated formula.
        variable: the variable of differentiation.
        root: the outermost step; its `after` is the derivative.
    """

    formula: Formula
    variable: str
    root: DerivationStep

    __getstate__ = fields_alone

    @functools.cached_property
    def derivative(self) -> Formula:
        """The derivative as a formula, with its unit if the units are known."""
        return self.formula.derivative_as(self.variable, self.root.after)

    @property
    def read_as(self) -> str:
        """The differentiated formula in textbook notation."""
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
    formula: str | Formula,
    variable: str | None = None,
    *,
    units: Mapping[str, str] | None = None,
    columns: Collection[str] = (),
) -> Derivation:
    """Differentiate a formula step by step.

    Args:
        formula: the formula or its text.
        variable: the variable of differentiation; optional if there is only one.
        units: units by name; the derivative then has a unit as well.
        columns: names of data columns, for text that uses some.

    Returns:
        The derivative and the steps that lead to it.

    Raises:
        FormulaError: for text that cannot be parsed, an unknown variable, or a formula too large to show its steps.
        UnitError: for unknown units, or units of names that do not occur.

    >>> print(derive("f(x) = x² - 4x + 5").derivative)
    f'(x) = 2x - 4
    """
    read = read_formula(formula, units=units, columns=columns)
    by = read.variable(variable)
    if size(read.body) > _MOST_NODES:
        raise FormulaError(
            f"the formula has {size(read.body)} parts, too many to show each step",
            hint="compute the derivative only: formula(…).derivative(…)",
        )
    return Derivation(
        read,
        by,
        Differentiator(
            by, simplifier([read.body], decimals=read.has_decimals, columns=read.columns), read.columns
        ).step(read.body),
    )


@dataclass(frozen=True)
class Chain:
    """The chain rule for a composition of two formulas.

    Args:
        outer: the outer formula, y = f(u).
        inner: the inner formula, u = g(x).
        outer_derivative: dy/du.
        inner_derivative: du/dx.
        product: dy/dx as a formula of x.
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
        """Return the chain rule as four lines of text."""
        y, u, x = self.outer.name or "y", self.outer.variables[0], self.inner.variables[0]
        unit = f" {self.unit}" if self.unit else ""
        factors = [_right(derivative) for derivative in (self.outer_derivative, self.inner_derivative)]
        product = " × ".join(f"({factor})" if factor.startswith("-") or " " in factor else factor for factor in factors)
        return "\n".join(
            [
                f"d{y}/d{x} = d{y}/d{u} · d{u}/d{x}",
                f"d{y}/d{u} = {_right(self.outer_derivative)}",
                f"d{u}/d{x} = {_right(self.inner_derivative)}",
                f"d{y}/d{x} = {product} = {_right(self.product)}{unit}",
            ]
        )

    def latex(self) -> str:
        """Return the chain rule as an `align*` environment that ends with the product."""
        formulas = (self.outer_derivative, self.inner_derivative, self.product)
        return as_aligned(formula.latex for formula in formulas)

    def as_dict(self) -> dict[str, Any]:
        """Return the chain rule as plain data, for JSON."""
        return {
            "outer": self.outer.read_as,
            "inner": self.inner.read_as,
            "outer_derivative": _right(self.outer_derivative),
            "inner_derivative": _right(self.inner_derivative),
            "derivative": _right(self.product),
            "unit": self.unit,
        }

    def __str__(self) -> str:
        return self.text()


def chain(outer: str | Formula, inner: str | Formula, *, units: Mapping[str, str] | None = None) -> Chain:
    """Differentiate a composition of two formulas by the chain rule: dy/dx = dy/du · du/dx.

    Args:
        outer: y = f(u), of one variable.
        inner: u = g(x), of one variable.
        units: units by name, for the names of both formulas.

    Returns:
        Both derivatives, their product and its unit.

    Raises:
        FormulaError: for text that cannot be parsed, or a formula without exactly one variable.
        UnitError: for unknown units, or if the inner formula's unit cannot be converted to that of the outer variable.

    >>> rule = chain("Quality(time) = 5×time", "Time(temperature) = -2×temperature",
    ...              units={"Quality": "points", "time": "minute", "Time": "minute", "temperature": "delta_degC"})
    >>> rule.at(temperature=180), rule.unit
    (-10.0, 'points/°C')
    """
    first, second = read_formula(outer), read_formula(inner)
    for member in (first, second):
        if len(member.variables) != 1:
            raise FormulaError(
                f"the chain rule needs formulas of one variable; {member.read_as} has {len(member.variables)}"
            )
    u, x = first.variables[0], second.variables[0]
    unit = None if units is None else _chained_unit(first, second, units)
    outer_derivative, inner_derivative = first.derivative(u), second.derivative(x)
    tidy = simplifier([first.body, second.body], decimals=first.has_decimals or second.has_decimals)
    product = tidy(Product((replaced(outer_derivative.body, Name(u), second.body), inner_derivative.body)))
    name = f"d{first.name or 'y'}/d{x}"
    composed = Formula(name, (x,), product, has_header=True)
    return Chain(first, second, outer_derivative, inner_derivative, composed, unit)


def _chained_unit(outer: Formula, inner: Formula, units: Mapping[str, str]) -> str | None:
    """Return the unit of dy/dx, after checking that the inner formula's unit converts to that of the outer variable."""
    y, u = outer.name or "", outer.variables[0]
    g, x = inner.name or u, inner.variables[0]
    checked_unit_names(units, [name for name in (y, u, g, x) if name], "either formula")
    # The inner value takes the place of u, so minutes can stand for hours, but not for kilograms.
    if u in units and g in units:
        check_convertible(units[g], units[u], f"{g}, which stands for {u},")
    return unit_ratio(units[y], units[x]) if y in units and x in units else None


def _right(formula: Formula) -> str:
    """Return a formula's right side in textbook notation."""
    return book(formula.body)
