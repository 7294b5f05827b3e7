"""Sums of products in a form that is equal for equal expressions, without SymPy.

A `Terms` maps products of powers to their rational coefficients: 3x²·sin(x) - 1 is {x²·sin(x): 3, 1: -1}. Like factors
and like terms are gathered; a sum inside a product is a base of its own, so that (x + 1)⁵ keeps its form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from downslope.formulas.expressions import Expression

MOST_BITS = 4_000  # of a coefficient's numerator and denominator; a float has room for 1024


class TooLargeError(ArithmeticError):
    """A coefficient, a power or a sum is too large to be worth simplifying, or has no value."""


class Base:
    """What a power is of: a name, a constant, a number, a function of terms, a sum, or a node that stays as it is.

    Args:
        kind: `name`, `constant`, `number`, `call`, `sum` or `other`.
        key: text that is equal for equal bases and for no others.
        node: the leaf or other node; None for calls and sums.
        function: the name of a call's function.
        arguments: a call's arguments; the terms of a sum.
    """

    __slots__ = ("arguments", "function", "key", "kind", "node")

    def __init__(
        self,
        kind: str,
        key: str,
        node: Expression | None = None,
        function: str = "",
        arguments: tuple[Terms, ...] = (),
    ) -> None:
        self.kind = kind
        self.key = key
        self.node = node
        self.function = function
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Base) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def is_call(self, function: str) -> bool:
        """Return whether this is a call of a function."""
        return self.kind == "call" and self.function == function


Powers = tuple[tuple[Base, "Fraction | Terms"], ...]  # sorted by the keys of the bases


class Terms:
    """A sum of products of powers.

    Args:
        coefficients: the coefficient of each product, none of them 0, in order of first appearance.
    """

    __slots__ = ("_key", "coefficients")

    def __init__(self, coefficients: dict[Powers, Fraction]) -> None:
        self.coefficients = coefficients
        self._key: str | None = None

    @property
    def key(self) -> str:
        """Text that is equal for equal sums and for no others."""
        if self._key is None:
            self._key = " + ".join(sorted(f"{c}*{_powers_key(powers)}" for powers, c in self.coefficients.items()))
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Terms) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def constant(self) -> Fraction | None:
        """Return the value of a rational number, None for any other sum."""
        if not self.coefficients:
            return Fraction(0)
        return self.coefficients.get(()) if len(self.coefficients) == 1 else None

    def only(self) -> tuple[Powers, Fraction] | None:
        """Return the product and the coefficient of a single term, None for any other sum."""
        return next(iter(self.coefficients.items())) if len(self.coefficients) == 1 else None


def _powers_key(powers: Powers) -> str:
    """Return the key of a product."""
    return "·".join(f"{base.key}^({exponent_key(exponent)})" for base, exponent in powers)


def exponent_key(exponent: Fraction | Terms) -> str:
    """Return text that is equal for equal exponents."""
    return str(exponent) if isinstance(exponent, Fraction) else exponent.key


def number(value: Fraction | int) -> Terms:
    """Return a rational number as terms."""
    return Terms({(): Fraction(value)} if value else {})


ONE, NOTHING = number(1), number(0)


def of_base(base: Base) -> Terms:
    """Return a base by itself as terms."""
    return Terms({((base, Fraction(1)),): Fraction(1)})


def of_sum(inside: Terms) -> Base:
    """Return terms as a base."""
    return Base("sum", f"[{inside.key}]", arguments=(inside,))


def added(parts: Iterable[Terms]) -> Terms:
    """Return a sum of sums, like terms gathered."""
    total: dict[Powers, Fraction] = {}
    for part in parts:
        for powers, coefficient in part.coefficients.items():
            total[powers] = total.get(powers, Fraction(0)) + coefficient
    return Terms({powers: coefficient for powers, coefficient in total.items() if coefficient})


def scaled(terms: Terms, factor: Fraction) -> Terms:
    """Return a multiple of a sum."""
    if factor == 1:
        return terms
    return Terms({powers: bounded(c * factor) for powers, c in terms.coefficients.items()} if factor else {})


def content(terms: Terms) -> Fraction:
    """Return the positive number by which a sum has whole coefficients without a common divisor."""
    values = terms.coefficients.values()
    return Fraction(math.gcd(*(c.numerator for c in values)), math.lcm(*(c.denominator for c in values)))


def oriented(terms: Terms) -> tuple[Fraction, Terms]:
    """Return a sum as a number times a sum with whole coefficients, the same for a sum and its negative."""
    factor = content(terms)
    # Any fixed rule does, since the picture of a sum chooses its own sign: the term with the greatest key is positive.
    leading = max(terms.coefficients, key=_powers_key)
    if terms.coefficients[leading] < 0:
        factor = -factor
    return factor, scaled(terms, 1 / factor)


def as_product(terms: Terms) -> tuple[Fraction, Powers]:
    """Return a sum as a coefficient and a product, in which a sum of several terms is one base."""
    single = terms.only()
    if single is not None:
        return single[1], single[0]
    if not terms.coefficients:
        return Fraction(0), ()
    factor, primitive = oriented(terms)
    return factor, ((of_sum(primitive), Fraction(1)),)


def of_product(coefficient: Fraction, powers: Powers) -> Terms:
    """Return a product as terms; a number times a single sum is multiplied out."""
    if len(powers) == 1 and powers[0][0].kind == "sum" and powers[0][1] == 1:
        return scaled(powers[0][0].arguments[0], coefficient)
    return Terms({powers: bounded(coefficient)} if coefficient else {})


def as_terms(exponent: Fraction | Terms) -> Terms:
    """Return an exponent as terms."""
    return number(exponent) if isinstance(exponent, Fraction) else exponent


def bounded(value: Fraction) -> Fraction:
    """Return a number that is not too large."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise TooLargeError("a number is too large")
    return value
