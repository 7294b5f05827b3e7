"""Evaluation of an expression tree with NumPy or JAX, in the order in which it was written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from downslope.formulas._expression import (
    Call,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    names_in,
)

_CONSTANTS = {"π": math.pi, "e": math.e}
_HALF = Fraction(1, 2)
_MOST_FACTORS = 10_000  # the largest integer exponent computed by repeated multiplication


def evaluate(tree: Expression, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Evaluate a tree.

    Args:
        tree: the expression.
        values: a number or an array for every name that occurs.
        functions: the implementation of each function: `numpy_functions()` or `jax_functions()`.
    """
    match tree:
        case Number(value):
            return _as_float(value)
        case Name(name):
            return values[name]
        case MathConstant(name):
            return _CONSTANTS[name]
        case Negative(operand):
            return -evaluate(operand, values, functions)
        case Sum(terms):
            return _sum(terms, values, functions)
        case Product(factors):
            product = evaluate(factors[0], values, functions)
            for factor in factors[1:]:
                product = product * evaluate(factor, values, functions)
            return product
        case Quotient(numerator, denominator):
            return _quotient(evaluate(numerator, values, functions), evaluate(denominator, values, functions))
        case Power(base, exponent):
            return _power(base, exponent, values, functions)
        case Call(function, arguments):
            return functions[function](*(evaluate(argument, values, functions) for argument in arguments))


def _sum(terms: tuple[Expression, ...], values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return a sum; a negative term is subtracted."""
    total = evaluate(terms[0], values, functions)
    for term in terms[1:]:
        # a - b, not a + (-b): the order of rounding is that of the text.
        if isinstance(term, Negative):
            total = total - evaluate(term.operand, values, functions)
        else:
            total = total + evaluate(term, values, functions)
    return total


def _power(
    base: Expression, exponent: Expression, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> Any:
    """Return a power: base e by exp, integer exponents by multiplication, exponent ½ by sqrt."""
    # exp is more accurate than e**x, whose base is rounded, and differentiates without a logarithm.
    if base == MathConstant("e"):
        return functions["exp"](evaluate(exponent, values, functions))
    below = evaluate(base, values, functions)
    known = constant_value(exponent)
    # Python's own ** raises for negative bases and overflow, and would return a complex number.
    if isinstance(below, float) and (known is None or known.denominator != 1 or not names_in(base)):
        above = evaluate(exponent, values, functions)
        return _real_power(below, above) if isinstance(above, float) else below**above
    if known is None:
        return below ** evaluate(exponent, values, functions)
    # An integer exponent is exact for negative bases, and JAX differentiates it by the power rule alone.
    if known.denominator == 1 and abs(known) <= _MOST_FACTORS:
        return below ** int(known)
    if known == _HALF:
        return functions["sqrt"](below)
    return below ** _as_float(known)


def _quotient(above: Any, below: Any) -> Any:
    """Return a quotient; a zero divisor gives infinity or NaN for Python floats as well, not an error."""
    # Python raises ZeroDivisionError for its own floats; arrays follow IEEE 754, and so must constants in a formula.
    if isinstance(above, float) and isinstance(below, float) and below == 0:
        return math.nan if above == 0 else math.copysign(math.inf, above)
    return above / below


def _real_power(base: float, exponent: float) -> float:
    """Return a power of Python floats: NaN if it is not real, infinity on overflow."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return math.nan


def constant_value(tree: Expression) -> Fraction | None:
    """Return the exact value of a tree of numbers, signs and quotients; None for any other tree.

    >>> from downslope.formulas._expression import Negative, Number
    >>> constant_value(Negative(Number(Fraction(3))))
    Fraction(-3, 1)
    """
    match tree:
        case Number(value):
            return value
        case Negative(operand):
            inner = constant_value(operand)
            return None if inner is None else -inner
        case Quotient(numerator, denominator):
            above, below = constant_value(numerator), constant_value(denominator)
            return above / below if above is not None and below else None
        case _:
            return None


def _as_float(value: Fraction) -> float:
    """Return the nearest float; infinity on overflow."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
