"""Forms that keep their digits: what a formula computes where its written form subtracts nearly equal numbers.

Of 1 − cos x at x = 10⁻⁹ nothing is left: the cosine rounds to 1. The equal form 2·sin²(x/2) keeps every digit, and so
do e^x − 1 by `expm1`, ln(1 + x) by `log1p` and 1 − tanh²x by sech²x. Formulas are printed as they were written, and
computed in these forms, each of which is at least as accurate as what was written wherever that has a value.

Reference: Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 1.
"""

from __future__ import annotations

import functools

from downslope.formulas.expressions import (
    TWO,
    UNITY,
    Call,
    Expression,
    MathConstant,
    Negative,
    Power,
    Product,
    Quotient,
    Sum,
    map_children,
    names_in,
    partial,
)

_MINUS_UNITY = Negative(UNITY)


@functools.lru_cache(maxsize=1024)
def stable(tree: Expression) -> Expression:
    """Return an equal tree for numbers that are rounded.

    >>> from downslope.formulas import formula
    >>> from downslope.formulas.expressions import book
    >>> book(stable(formula("x² + 1 - tanh(x)²").body))
    'x² + sech(x)²'
    """
    if not names_in(tree):
        return tree
    inner = map_children(tree, stable)
    match inner:
        case Sum(terms):
            return _stable_sum(terms)
        case Call("ln", (argument,)):
            return _stable_logarithm(inner, argument)
        case Quotient(numerator, denominator) if numerator == UNITY:
            exponent = _exponent(_beside_unity(denominator))
            return inner if exponent is None else Call("sigmoid", (_opposite(exponent),))
    return inner


def stable_partial(function: str, arguments: tuple[Expression, ...], index: int) -> Expression:
    """Return the derivative of a function by one of its arguments, in a form that keeps its digits.

    The table of derivatives has 1 − tanh² and σ(1 − σ), in which nothing is left where the function is nearly 1.
    """
    if function == "tanh":
        return Power(Call("sech", arguments), TWO)
    if function == "sigmoid":
        # σ(u)·σ(-u) is as exact, but its own derivative subtracts nearly equal numbers around u = 0.
        half = Quotient(arguments[0], TWO)
        return Power(Quotient(Call("sech", (half,)), TWO), TWO)
    return stable(partial(function, arguments, index))


def _stable_sum(terms: tuple[Expression, ...]) -> Expression:
    """Return a sum in which 1 and a term that may be close to it are one term."""
    for index, unity in enumerate(terms):
        if unity not in (UNITY, _MINUS_UNITY):
            continue
        for position, term in enumerate(terms):
            rest = None if position == index else _less_than_unity(_opposite(term) if unity == UNITY else term)
            if rest is not None:
                joined = rest if unity == UNITY else _opposite(rest)
                others = [joined if k == position else other for k, other in enumerate(terms) if k != index]
                return others[0] if len(others) == 1 else Sum(tuple(others))
    match terms:
        case (Call("sqrt", (Sum((first, Power(u, power))),)), Negative(v)) if (first, power, u) == (UNITY, TWO, v):
            return Call("exp_neg_asinh", (u,))
    return Sum(terms)


def _less_than_unity(term: Expression) -> Expression | None:
    """Return 1 less a term in a form that keeps its digits where the term is close to 1; None if there is none."""
    exponent = _exponent(term)
    if exponent is not None:
        return Negative(Call("expm1", (exponent,)))
    match term:
        case Call("cos", arguments):
            return Negative(Call("cosm1", arguments))
        case Call("erf", arguments):
            return Call("erfc", arguments)
        case Call("sigmoid", (u,)):
            return Call("sigmoid", (_opposite(u),))
        case Power(Call("tanh", arguments), power) if power == TWO:
            return Power(Call("sech", arguments), TWO)
        case Call("tanh", (u,)):
            return Product((TWO, Call("sigmoid", (Product((Negative(TWO), u)),))))
        case Negative(Call("tanh", (u,))):
            return Product((TWO, Call("sigmoid", (Product((TWO, u)),))))
        case Call("sqrt", (radicand,)):
            beside = _beside_unity(radicand)
            return None if beside is None else Negative(Call("sqrt1pm1", (beside,)))
    return None


def _stable_logarithm(tree: Expression, argument: Expression) -> Expression:
    """Return a logarithm in a form that keeps its digits where the argument is close to 1, or to 0 as σ(u)."""
    match argument:
        case Call("sigmoid", (u,)):
            return Negative(Call("softplus", (_opposite(u),)))
    beside = _beside_unity(argument)
    if beside is None:
        return tree
    exponent = _exponent(beside)
    return Call("log1p", (beside,)) if exponent is None else Call("softplus", (exponent,))


def _beside_unity(tree: Expression) -> Expression | None:
    """Return the other term of a sum of two of which one is 1."""
    # Of a longer sum, what is added to 1 last may be as large as 1, and the rest would be rounded to it.
    match tree:
        case Sum((first, second)) if first == UNITY:
            return second
        case Sum((first, second)) if second == UNITY:
            return first
    return None


def _exponent(tree: Expression | None) -> Expression | None:
    """Return what e is raised to; None of other trees."""
    match tree:
        case Power(MathConstant("e"), exponent):
            return exponent
        case Call("exp", (exponent,)):
            return exponent
    return None


def _opposite(tree: Expression) -> Expression:
    return tree.operand if isinstance(tree, Negative) else Negative(tree)
