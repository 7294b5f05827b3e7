"""The rules of differentiation, applied to the tree as it was typed: each application is a `DerivationStep`.

A rule has a law in letters, `(u·v)' = u'·v + u·v'`, bindings of those letters, the child steps that it builds on, and
the law with the parts filled in, as it stands before it is simplified.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from downslope.formulas.expressions import (
    FUNCTION_RULES,
    RULE_REASONS,
    TWO,
    UNITY,
    ZERO,
    Call,
    Comparison,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Outer,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    book,
    combined,
    index_of_argument,
    inside_of_pieces,
    map_children,
    names_in,
    product_of,
    replaced,
    size,
    with_order,
)
from downslope.formulas.symbolic._pieces import with_joined_borders
from downslope.formulas.symbolic._products import terms_of
from downslope.formulas.symbolic._terms import TooLargeError

# A product of more factors is differentiated as a product of two halves: n terms of n factors each fill a page.
_MOST_FACTORS = 6
# SymPy's simplification takes seconds on larger results, and nobody reads them.
_MOST_NODES = 600


@dataclass(frozen=True)
class DerivationStep:
    """One application of a rule.

    Args:
        rule: the rule's identifier: `sum`, `product`, `chain`, …
        before: the expression to differentiate.
        after: its derivative.
        variable: the variable of differentiation.
        law: the rule in letters.
        bindings: the expression bound to each letter.
        sentence: a one-sentence explanation of the rule.
        children: the steps whose results this step uses.
        worked: the law with the parts filled in, before it is simplified to `after`; empty if that is the same.
    """

    rule: str
    before: Expression
    after: Expression
    variable: str
    law: str
    sentence: str
    bindings: Mapping[str, Expression] = field(default_factory=dict)
    children: tuple[DerivationStep, ...] = ()
    worked: tuple[Expression, ...] = ()


class Differentiator:
    """Differentiate expressions by one variable, step by step.

    Args:
        variable: the variable of differentiation.
        tidy: function that collects and orders the terms of a result.
        columns: the names that are data columns.
    """

    def __init__(self, variable: str, tidy: Callable[[Expression], Expression], columns: Collection[str] = ()) -> None:
        self.variable = variable
        self.tidy = tidy
        self.columns = columns

    def step(self, tree: Expression) -> DerivationStep:
        """Return the derivative of a tree as a step with its child steps."""
        if self.variable not in names_in(tree):
            return self._leaf("constant", tree, ZERO, "c' = 0", f"{_shown(tree)} does not change with {self.variable}.")
        match tree:
            # x - x has a derivative, but its parts may have none: √(x - x).
            case Call(_, (Sum() as inside,)) | Power(Sum() as inside, Number()) if _cancels(inside):
                return self._leaf("constant", tree, ZERO, "c' = 0", f"{_shown(tree)} is a constant.")
            case Sum() if _cancels(tree):
                return self._leaf("constant", tree, ZERO, "c' = 0", f"{_shown(tree)} is a constant.")
            case Name():
                return self._leaf(
                    "variable", tree, UNITY, "x' = 1", f"The derivative of {self.variable} by itself is 1."
                )
            # -20p² is one constant multiple, as a textbook shows it, not a sign and then a multiple.
            case Negative(Product(factors)) if any(self.variable not in names_in(factor) for factor in factors):
                return self._product(tree, factors, negative=True)
            case Negative(operand):
                inner = self.step(operand)
                return self._step("constant_multiple", tree, Negative(inner.after), [inner], "(-u)' = -u'", _SIGN)
            case Sum(terms):
                inner = [self.step(term) for term in terms]
                added = Sum(tuple(child.after for child in inner))
                return self._step("sum", tree, added, inner, "(u + v)' = u' + v'", "Differentiate term by term.")
            case Product(factors):
                return self._product(tree, factors)
            case Quotient(numerator, denominator):
                return self._quotient(tree, numerator, denominator)
            case Power(base, exponent):
                return self._power(tree, base, exponent)
            case Call(function, arguments):
                return self._call(tree, function, arguments)
            case Piecewise():
                return self._piecewise(tree)
        raise AssertionError(tree)

    def _product(self, tree: Expression, factors: tuple[Expression, ...], *, negative: bool = False) -> DerivationStep:
        """Differentiate a product: constants first, equal factors as a power, the rest by the product rule."""
        fixed = [factor for factor in factors if self.variable not in names_in(factor)]
        moving = [factor for factor in factors if self.variable in names_in(factor)]
        if fixed:
            inner = self.step(product_of(moving))
            constant, after = product_of(fixed), Product((*fixed, inner.after))
            if negative:
                constant, after = Negative(constant), Negative(after)
            shown = {"c": constant, "u": product_of(moving)}
            return self._step("constant_multiple", tree, after, [inner], "(c·u)' = c·u'", _CONSTANT, shown)
        # x·x becomes x² first, so that the power rule applies rather than the product rule with equal terms.
        gathered = _gathered(moving)
        if len(gathered) < len(moving):
            inner = self.step(product_of(gathered))
            said = "Equal factors are written as a power."
            return self._step("power", tree, inner.after, [inner], "u·u = u²", said, {"u": gathered[0]})
        if len(gathered) > _MOST_FACTORS:
            half = len(gathered) // 2
            return self._two_factors(tree, product_of(gathered[:half]), product_of(gathered[half:]))
        if len(gathered) == 2:
            return self._two_factors(tree, *gathered)
        inner = [self.step(factor) for factor in gathered]
        turns = [Product((*gathered[:index], child.after, *gathered[index + 1 :])) for index, child in enumerate(inner)]
        shown = {_LETTERS[index]: factor for index, factor in enumerate(gathered)}
        said = "Each factor is differentiated in turn while the others are kept."
        return self._step("product", tree, Sum(tuple(turns)), inner, "(u·v·w)' = u'·v·w + u·v'·w + u·v·w'", said, shown)

    def _two_factors(self, tree: Expression, u: Expression, v: Expression) -> DerivationStep:
        """Differentiate a product of two factors."""
        first, second = self.step(u), self.step(v)
        after = Sum((Product((first.after, v)), Product((u, second.after))))
        shown = {"u": u, "v": v}
        said = "Each factor is differentiated in turn while the other is kept."
        return self._step("product", tree, after, [first, second], "(u·v)' = u'·v + u·v'", said, shown)

    def _quotient(self, tree: Expression, u: Expression, v: Expression) -> DerivationStep:
        """Differentiate a quotient; one by a constant is a constant multiple."""
        # A quotient by a constant is a constant multiple: the quotient rule would only add zero terms.
        if self.variable not in names_in(v):
            inner = self.step(u)
            shown = {"c": v, "u": u}
            after = Quotient(inner.after, v)
            return self._step("constant_multiple", tree, after, [inner], "(u/c)' = u'/c", _CONSTANT, shown)
        second = self.step(v)
        squared = Power(v, TWO)
        if self.variable not in names_in(u):
            after = Negative(Quotient(Product((u, second.after)), squared))
            shown = {"c": u, "v": v}
            return self._step(
                "quotient", tree, after, [second], "(c/v)' = -c·v'/v²", "The numerator is constant.", shown
            )
        first = self.step(u)
        above = Sum((Product((first.after, v)), Negative(Product((u, second.after)))))
        said = "Bottom times the derivative of the top, less top times that of the bottom, over the bottom squared."
        shown = {"u": u, "v": v}
        law = "(u/v)' = (u'·v - u·v')/v²"
        return self._step("quotient", tree, Quotient(above, squared), [first, second], law, said, shown)

    def _power(self, tree: Expression, base: Expression, exponent: Expression) -> DerivationStep:
        """Differentiate a power: of the variable, to the variable, or both."""
        in_base, in_exponent = self.variable in names_in(base), self.variable in names_in(exponent)
        # u^v = e^(v·ln(u)): the only case in which the power rule and the exponential rule both fail.
        if in_base and in_exponent:
            first, second = self.step(base), self.step(exponent)
            inside = Sum((Product((second.after, _ln(base))), Quotient(Product((exponent, first.after)), base)))
            said = "Base and exponent both change: write the power as e^(v·ln(u))."
            shown = {"u": base, "v": exponent}
            law = "(u^v)' = u^v·(v'·ln(u) + v·u'/u)"
            return self._step("general_power", tree, Product((tree, inside)), [first, second], law, said, shown)
        if in_exponent:
            if base == MathConstant("e"):
                return self._outer(tree, exponent, "exponential", "(e^u)' = e^u", lambda u: Power(base, u))
            law = "(a^u)' = a^u·ln(a)"
            grow: Outer = lambda u: Product((Power(base, u), _ln(base)))  # noqa: E731 - the rule itself, as in the table
            return self._outer(tree, exponent, "exponential", law, grow)
        # Simplify n - 1 at once: the law shows x⁴, not x^(5-1).
        lower = self.tidy(Sum((exponent, Negative(UNITY))))
        drop: Outer = lambda u: Product((exponent, Power(u, lower)))  # noqa: E731 - the rule itself, as in the table
        return self._outer(tree, base, "power", "(u^n)' = n·u^(n-1)", drop, {"n": exponent})

    def _call(self, tree: Expression, function: str, arguments: tuple[Expression, ...]) -> DerivationStep:
        """Differentiate a known function."""
        if function in ("mean", "sum"):
            inner = self.step(arguments[0])
            said = f"The {function} is over the rows of the table: its derivative is the {function} of the derivatives."
            after = self._reduced(function, arguments[0], inner.after)
            return self._step(function, tree, after, [inner], f"({function} u)' = {function} u'", said)
        if function == "count":
            return self._leaf("constant", tree, ZERO, "c' = 0", "The number of rows never changes.")
        if function in ("max", "min"):
            return self._extreme(tree, function, arguments)
        if function == "mod":
            return self._remainder(tree, *arguments)
        inside = arguments[index_of_argument(function)]
        rule, law, outer = FUNCTION_RULES[function] if len(arguments) == 1 else with_order(function, arguments)
        # |u| changes nothing: ln(u)' is 1/u for positive u, and ln(-u)' is -1/-u for negative u.
        match function, inside:
            case "ln", Call("abs", (within,)):
                return self._outer(tree, within, rule, "ln|u|' = 1/u", outer)
        return self._outer(tree, inside, rule, law, outer)

    def _remainder(self, tree: Expression, above: Expression, below: Expression) -> DerivationStep:
        """Differentiate a remainder, which rises with u and jumps where u is a multiple of v."""
        shown = {"u": above, "v": below}
        if self.variable not in names_in(below):
            inner = self.step(above)
            law = "(u mod c)' = u'"
            return self._step("remainder", tree, inner.after, [inner], law, RULE_REASONS["remainder"], shown)
        first, second = self.step(above), self.step(below)
        after = Sum((first.after, Negative(Product((Call("floor", (Quotient(above, below),)), second.after)))))
        law = "(u mod v)' = u' - ⌊u/v⌋·v'"
        return self._step("remainder", tree, after, [first, second], law, RULE_REASONS["remainder"], shown)

    def _piecewise(self, tree: Piecewise) -> DerivationStep:
        """Differentiate each piece inside its own range."""
        pieces = inside_of_pieces(tree, self.variable)
        inner = [self.step(value) for value, _ in pieces]
        slopes = [step.after for step in inner]
        conditions = with_joined_borders(tree, self.variable, pieces, slopes)
        after = Piecewise(tuple(slopes), tuple(conditions))
        said = "Each piece is differentiated inside its own range; at a border the derivative is left undefined."
        if conditions != [condition for _, condition in pieces]:
            said = (
                "Each piece is differentiated inside its own range; at a border it exists where values and slopes meet."
            )
        return self._step("piecewise", tree, after, inner, "{u if …, v if …}' = {u' if …, v' if …}", said)

    def _reduced(self, function: str, before: Expression, inside: Expression) -> Expression:
        """Return a mean or sum over rows; an expression that is constant over the rows is moved out of it."""
        columns = [name for name in names_in(before) if name in self.columns]
        # Keep the reduction if the derivative varies by row. Without any column the expression was constant already.
        if any(name in names_in(inside) for name in columns) or not columns:
            return Call(function, (inside,)) if columns else inside
        return inside if function == "mean" else Product((inside, Call("count", (Name(columns[0]),))))

    def _extreme(self, tree: Expression, function: str, arguments: tuple[Expression, ...]) -> DerivationStep:
        """Differentiate max or min: the derivative of the selected argument, none where two are equal."""
        arguments = tuple(dict.fromkeys(arguments))
        if len(arguments) == 1:
            return self.step(arguments[0])
        inner = [self.step(argument) for argument in arguments]
        sign = ">" if function == "max" else "<"
        conditions = [
            combined("and", [_ahead(argument, sign, other) for other in arguments if other != argument])
            for argument in arguments
        ]
        after = Piecewise(tuple(step.after for step in inner), tuple(conditions))
        word = "larger" if function == "max" else "smaller"
        said = f"The {function} changes as the {word} of its arguments does; where two are equal, it may have a kink."
        law = f"{function}(u, v)' = {{u' if u {sign} v, v' if v {sign} u}}"
        shown = {_LETTERS[index]: argument for index, argument in enumerate(arguments[: len(_LETTERS)])}
        return self._step("maximum" if function == "max" else "minimum", tree, after, inner, law, said, shown)

    def _outer(
        self,
        tree: Expression,
        inside: Expression,
        rule: str,
        law: str,
        outer: Outer,
        shown: Mapping[str, Expression] | None = None,
    ) -> DerivationStep:
        """Differentiate an outer function: by its own rule if its argument is the variable, else by the chain rule."""
        bindings: Mapping[str, Expression] = dict(shown or {})
        if inside == Name(self.variable):
            plain = re.sub(r"\bu\b", self.variable, law)
            return self._step(rule, tree, outer(inside), [], plain, RULE_REASONS[rule], bindings)
        # Differentiate f(u) by a letter that the formula does not use, then substitute the inner expression back.
        u = _free_name(tree)
        below = self.step(inside)
        around = replaced(tree, inside, Name(u))
        beside = Differentiator(u, self.tidy, self.columns)
        first = beside._outer(around, Name(u), rule, law, outer, bindings)
        after = Product((replaced(first.after, Name(u), inside), below.after))
        worked = (Product((first.after, below.after)), after)
        said = f"With {u} = {book(inside)}: the derivative by {u}, times the derivative of {u}."
        chain = f"d/d{self.variable} = d/d{u} · d{u}/d{self.variable}"
        shown = {u: inside, "outer": around}
        return self._step("chain", tree, after, [first, below], chain, said, shown, worked)

    def _leaf(self, rule: str, tree: Expression, after: Expression, law: str, sentence: str) -> DerivationStep:
        """Return a step without children."""
        return DerivationStep(rule, tree, after, self.variable, law, sentence)

    def _step(
        self,
        rule: str,
        tree: Expression,
        after: Expression,
        children: list[DerivationStep],
        law: str,
        sentence: str,
        bindings: Mapping[str, Expression] | None = None,
        worked: tuple[Expression, ...] = (),
    ) -> DerivationStep:
        """Return a step with its result simplified, unless the result is too large for that."""
        # Each step is simplified on its own, so that every line of a derivation is as short as in a textbook.
        tidied = self.tidy(after) if size(after) <= _MOST_NODES else after
        lines = tuple(dict.fromkeys(_without_nesting(line) for line in worked or (after,)))
        shorter = tuple(line for line in lines if _terms(line) != _terms(tidied))
        return DerivationStep(
            rule, tree, tidied, self.variable, law, sentence, dict(bindings or {}), tuple(children), shorter
        )


def _terms(tree: Expression) -> list[str]:
    """Return the terms of a sum in textbook notation, sorted: a line that differs in their order only is not shown."""
    return sorted(map(book, tree.terms)) if isinstance(tree, Sum) else [book(tree)]


def _without_nesting(tree: Expression) -> Expression:
    """Return a tree with products of products and sums of sums written in one row, its value and order unchanged."""
    tree = map_children(tree, _without_nesting)
    match tree:
        case Product(factors):
            negative = sum(isinstance(factor, Negative) for factor in factors[:1])
            row: list[Expression] = []
            for index, factor in enumerate(factors):
                bare = factor.operand if isinstance(factor, Negative) and index == 0 else factor
                row += bare.factors if isinstance(bare, Product) else (bare,)
            return Negative(Product(tuple(row))) if negative else Product(tuple(row))
        case Sum(terms):
            return Sum(tuple(inner for term in terms for inner in (term.terms if isinstance(term, Sum) else (term,))))
        case Negative(Negative(operand)):
            return operand
        case Power(base, Number(value)) if value == 1:
            return base
        case _:
            return tree


def _cancels(tree: Sum) -> bool:
    """Return whether the terms of a sum cancel to a number."""
    try:
        return terms_of(tree).constant() is not None
    except TooLargeError:
        return False


def _ahead(first: Expression, sign: str, second: Expression) -> Comparison:
    """Return a comparison, the variable on its left: x > 0 for 0 < x."""
    if names_in(first) or not names_in(second):
        return Comparison(first, sign, second)
    return Comparison(second, "<" if sign == ">" else ">", first)


_LETTERS = "uvwpqr"
_SIGN = "The sign is kept."
_CONSTANT = "A constant factor is kept."


def _ln(tree: Expression) -> Expression:
    return Call("ln", (tree,))


def _gathered(factors: list[Expression]) -> list[Expression]:
    """Return factors with equal factors gathered into powers."""
    counts: dict[Expression, int] = {}
    for factor in factors:
        counts[factor] = counts.get(factor, 0) + 1
    return [factor if count == 1 else Power(factor, Number(Fraction(count))) for factor, count in counts.items()]


def _free_name(tree: Expression) -> str:
    """Return a letter that does not occur in a tree: u, else v, w, …."""
    used = set(names_in(tree))
    return next(letter for letter in (*_LETTERS, *(f"u_{index}" for index in range(1000))) if letter not in used)


def _shown(tree: Expression) -> str:
    """Return a tree in textbook notation, truncated to 40 characters."""
    text = book(tree)
    return text if len(text) <= 40 else text[:37] + "…"
