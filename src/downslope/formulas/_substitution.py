"""Numbers put in the place of names, and written as a book would."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from downslope.formulas._expression import (
    Call,
    Expression,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
)


def with_numbers(tree: Expression, values: Mapping[str, float], *, digits: int = 5) -> Expression:
    """Return the tree with numbers in the place of names, the signs where a book has them.

    Args:
        tree: what to put them into.
        values: a number for each name to be replaced; a name whose number is not finite stays.
        digits: how many significant digits they keep.
    """
    match tree:
        case Name(name) if name in values and math.isfinite(values[name]):
            number = Fraction(f"{values[name]:.{digits}g}")
            whole = number.denominator == 1
            return _signed(Number(abs(number), not whole), number < 0)
        case Negative(operand):
            return _signed(with_numbers(operand, values, digits=digits), True)
        case Sum(terms):
            return Sum(tuple(with_numbers(term, values, digits=digits) for term in terms))
        case Product(factors):
            made = [with_numbers(factor, values, digits=digits) for factor in factors]
            turned = sum(isinstance(factor, Negative) for factor in made) % 2 == 1
            return _signed(Product(tuple(_unsigned(factor) for factor in made)), turned)
        case Quotient(numerator, denominator):
            over, under = (with_numbers(part, values, digits=digits) for part in (numerator, denominator))
            turned = isinstance(over, Negative) != isinstance(under, Negative)
            return _signed(Quotient(_unsigned(over), _unsigned(under)), turned)
        case Power(base, exponent):
            return Power(with_numbers(base, values, digits=digits), with_numbers(exponent, values, digits=digits))
        case Call(function, arguments):
            return Call(function, tuple(with_numbers(argument, values, digits=digits) for argument in arguments))
        case _:
            return tree


def _signed(tree: Expression, is_negative: bool) -> Expression:
    """Return a tree, or what is against it; two signs undo each other."""
    if not is_negative:
        return tree
    return tree.operand if isinstance(tree, Negative) else Negative(tree)


def _unsigned(tree: Expression) -> Expression:
    return tree.operand if isinstance(tree, Negative) else tree
