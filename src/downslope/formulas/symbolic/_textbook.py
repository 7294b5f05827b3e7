"""Sums of products as expression trees, their terms and factors in the order of a textbook."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from downslope.formulas.expressions import (
    ZERO,
    Call,
    Expression,
    MathConstant,
    Negative,
    Number,
    Power,
    Quotient,
    Sum,
    book,
    children,
    names_in,
    product_of,
    terminates,
)
from downslope.formulas.symbolic._products import terms_of
from downslope.formulas.symbolic._terms import Base, Powers, Terms, TooLargeError, as_terms, oriented, scaled

_HALF = Fraction(1, 2)


class Textbook:
    """Write sums as trees, as they stand in a source where they occur in it.

    Args:
        source: the expressions whose sums keep their order and their signs.
        decimals: whether numbers with a finite decimal expansion print as decimals.
    """

    def __init__(self, source: Iterable[Expression] = (), *, decimals: bool = False) -> None:
        self.decimals = decimals
        self._typed: dict[str, Expression] = {}
        self._signs: dict[str, int] = {}
        self._decimal_powers = False  # whether a power was typed as x^0.2, which no negative number has
        for tree in source:
            self._learn(tree)

    def _learn(self, tree: Expression) -> None:
        """Remember the sums of a tree that need no simplification."""
        stack = [tree]
        while stack:
            node = stack.pop()
            stack += children(node)
            if isinstance(node, Power) and isinstance(node.exponent, Number) and node.exponent.decimal:
                self._decimal_powers = True
            if not isinstance(node, Sum):
                continue
            try:
                terms = terms_of(node)
            except TooLargeError:
                continue
            if len(terms.coefficients) != len(node.terms) or any(_may_be_shorter(term) for term in node.terms):
                continue
            factor, primitive = oriented(terms)
            self._typed.setdefault(terms.key, node)
            self._signs.setdefault(primitive.key, 1 if factor > 0 else -1)

    def tree(self, terms: Terms, *, leads: bool = True) -> Expression:
        """Return a sum as a tree.

        Args:
            terms: the sum.
            leads: whether it stands by itself: then a polynomial of one variable keeps its order, as in -2x + 4.
        """
        if not terms.coefficients:
            return ZERO
        typed = None if leads else self._typed.get(terms.key)
        if typed is not None:
            return typed
        common = self._common_denominator(terms)
        if common != 1:
            return Quotient(self.tree(scaled(terms, Fraction(common)), leads=False), Number(Fraction(common)))
        ordered = self._ordered(terms, leads)
        parts = [self._product(powers, coefficient) for powers, coefficient in ordered]
        return parts[0] if len(parts) == 1 else Sum(tuple(parts))

    def _common_denominator(self, terms: Terms) -> int:
        """Return the denominator that all coefficients share: (6xy + 4x²)/5; 1 where it prints as decimals."""
        denominators = {coefficient.denominator for coefficient in terms.coefficients.values()}
        shares = len(terms.coefficients) > 1 and len(denominators) == 1
        plain = shares and not any(_has_denominator(powers) for powers in terms.coefficients)
        return denominators.pop() if plain and not (self.decimals and terminates(Fraction(1, max(denominators)))) else 1

    def _ordered(self, terms: Terms, leads: bool) -> list[tuple[Powers, Fraction]]:
        """Return terms by descending degree, plain numbers last; a positive one leads."""
        items = list(terms.coefficients.items())
        rank = {id(item): index for index, item in enumerate(items)}
        items.sort(key=lambda item: (not _names(item[0]), -_degree(item[0]), rank[id(item)]))
        names = set().union(*(_names(powers) for powers, _ in items))
        positive = next((index for index, (_, coefficient) in enumerate(items) if coefficient > 0), None)
        keeps_order = leads and len(names) == 1 and _is_polynomial(terms)
        if positive and items[0][1] < 0 and not keeps_order:
            items.insert(0, items.pop(positive))
        return items

    def _product(self, powers: Powers, coefficient: Fraction) -> Expression:
        """Return a product, its negative powers as a denominator and its sign in front."""
        factors: list[tuple[Base, Fraction | Terms]] = []
        for base, exponent in sorted(powers, key=_factor_rank):
            if base.kind == "sum" and isinstance(exponent, Fraction) and exponent.denominator == 1:
                inside, sign = self._signed(base.arguments[0])
                coefficient *= sign if exponent % 2 else 1
                factors.append((_with_sign(base, inside), exponent))
            else:
                factors.append((base, exponent))
        if coefficient < 0:
            turned = next((index for index, factor in enumerate(factors) if self._takes_sign(*factor)), None)
            if turned is not None:
                base, exponent = factors[turned]
                factors[turned] = _with_sign(base, scaled(base.arguments[0], Fraction(-1))), exponent
                coefficient = -coefficient
        above: list[Expression] = []
        below: list[Expression] = []
        for base, exponent in factors:
            if isinstance(exponent, Fraction) and exponent < 0 and base.key != "#e":
                below.append(self._power(base, -exponent))
            else:
                above.append(self._power(base, exponent))
        tree = self._quotient(abs(coefficient), above, below)
        return Negative(tree) if coefficient < 0 else tree

    def _takes_sign(self, base: Base, exponent: Fraction | Terms) -> bool:
        """Return whether a sum takes up a minus sign: (1 - ln(x))/x² rather than -(ln(x) - 1)/x²."""
        if base.kind != "sum" or exponent != 1:
            return False
        inside = base.arguments[0]
        typed = oriented(inside)[1].key in self._signs
        return not typed and any(coefficient < 0 for coefficient in inside.coefficients.values())

    def _signed(self, primitive: Terms) -> tuple[Terms, int]:
        """Return a sum with the sign that it has in the source, else with the more positive one."""
        sign = self._signs.get(primitive.key)
        if sign is None:
            coefficients = [coefficient for _, coefficient in self._ordered(primitive, leads=True)]
            negative = sum(coefficient < 0 for coefficient in coefficients)
            sign = -1 if 2 * negative > len(coefficients) or (negative and self._leads_negative(primitive)) else 1
        return (primitive, 1) if sign > 0 else (scaled(primitive, Fraction(-1)), -1)

    def _leads_negative(self, primitive: Terms) -> bool:
        """Return whether the term of the highest degree of half negative terms is negative."""
        items = sorted(primitive.coefficients.items(), key=lambda item: (not _names(item[0]), -_degree(item[0])))
        return 2 * sum(coefficient < 0 for _, coefficient in items) == len(items) and items[0][1] < 0

    def _quotient(self, value: Fraction, above: list[Expression], below: list[Expression]) -> Expression:
        """Return coefficient × factors above / factors below."""
        # 0.25x prints as it was typed, x/4 if no decimal was typed.
        as_decimal = self.decimals and terminates(value)
        top, bottom = (value, Fraction(1)) if as_decimal else (Fraction(value.numerator), Fraction(value.denominator))
        if top != 1 or not above:
            above = [Number(top, as_decimal and top.denominator != 1), *above]
        if bottom != 1:
            below = [Number(bottom), *below]
        return Quotient(product_of(above), product_of(below)) if below else product_of(above)

    def _power(self, base: Base, exponent: Fraction | Terms) -> Expression:
        """Return a power of a base."""
        inside = self._base(base)
        if isinstance(exponent, Terms):
            return Power(inside, self.tree(as_terms(exponent), leads=False))
        if exponent == 1:
            return inside
        if exponent == _HALF:
            return Call("sqrt", (inside,))
        if exponent.denominator % 2 and exponent.denominator > 1 and not self._decimal_powers:
            # A real root, for negative numbers as well: as a decimal it would lose them.
            above, below = Number(Fraction(abs(exponent.numerator))), Number(Fraction(exponent.denominator))
            return Power(inside, Negative(Quotient(above, below)) if exponent < 0 else Quotient(above, below))
        return Power(inside, self._number(exponent))

    def _base(self, base: Base) -> Expression:
        """Return a base as a tree."""
        if base.kind == "sum":
            return self.tree(base.arguments[0], leads=False)
        if base.kind == "call":
            return Call(base.function, tuple(self.tree(argument, leads=False) for argument in base.arguments))
        assert base.node is not None
        return base.node

    def _number(self, value: Fraction) -> Expression:
        """Return a number; a fraction without a decimal form becomes a quotient."""
        if value < 0:
            return Negative(self._number(-value))
        decimal = self.decimals and value.denominator != 1 and terminates(value)
        if value.denominator == 1 or decimal:
            return Number(value, decimal)
        return Quotient(Number(Fraction(value.numerator)), Number(Fraction(value.denominator)))


def _with_sign(base: Base, inside: Terms) -> Base:
    """Return a sum as a base whose sign was chosen."""
    return Base("sum", base.key, arguments=(inside,))


def _may_be_shorter(term: Expression) -> bool:
    """Return whether a term of a typed sum is not written as a textbook would: x·x, 2·3x, 1·x."""
    try:
        terms = terms_of(term)
        return len(book(Textbook(decimals=True).tree(terms, leads=False))) < len(book(term))
    except TooLargeError:
        return True


def _has_denominator(powers: Powers) -> bool:
    """Return whether a product has a negative power in it."""
    return any(isinstance(exponent, Fraction) and exponent < 0 for _, exponent in powers)


def _names(powers: Powers) -> set[str]:
    """Return the names that occur in a product, also within its functions."""
    names: set[str] = set()
    for base, exponent in powers:
        if base.node is not None:
            names.update(names_in(base.node))
        for argument in base.arguments:
            names = names.union(*map(_names, argument.coefficients))
        if isinstance(exponent, Terms):
            names = names.union(*map(_names, exponent.coefficients))
    return names


def _degree(powers: Powers) -> Fraction:
    """Return the sum of the exponents of the names and sums among the bases."""
    counted = (e for base, e in powers if base.kind in ("name", "sum") and isinstance(e, Fraction))
    return sum(counted, start=Fraction(0))


def _factor_rank(factor: tuple[Base, Fraction | Terms]) -> tuple[int, bool, str]:
    """Return the sort key of a factor: numbers, names, polynomials, e^x, other sums, functions."""
    base, exponent = factor
    rank = {"number": 0, "constant": 0, "name": 1, "sum": 4, "call": 6, "other": 7}[base.kind]
    if isinstance(exponent, Terms):
        rank = 3
    elif base.kind == "sum":
        rank = 5 if exponent == _HALF else 2 if _is_polynomial(base.arguments[0]) else 4
    elif base.is_call("ln") and not _names(((base, Fraction(1)),)):
        rank = 3
    return rank, isinstance(base.node, MathConstant), _ORDER.get(base.function, "") + base.key.casefold()


def _is_polynomial(terms: Terms) -> bool:
    """Return whether a sum consists of powers of names."""
    return all(base.kind == "name" for powers in terms.coefficients for base, _ in powers)


# Before their partners, which come first in the alphabet.
_ORDER = {"sin": "a", "sinh": "a", "cos": "b", "cosh": "b"}
