"""A formula as the list of operations that compute it, each once, with its local derivatives.

A sub-expression that occurs twice is one operation that is used twice. Plain numbers are no operations: in 3x² there
are x², and the product of 3 and that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from downslope.formulas._evaluation import constant_value
from downslope.formulas._expression import (
    Call,
    Constant,
    Expression,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    names_in,
)
from downslope.formulas._printing import book
from downslope.formulas._rules import ONE, TABLE, TWO, ZERO, replaced

_CALLS = {
    "abs": "absolute value",
    "cbrt": "cube root",
    "exp": "exponential",
    "ln": "logarithm",
    "max": "maximum",
    "min": "minimum",
    "sqrt": "root",
}


@dataclass(frozen=True)
class Operation:
    """One operation of a formula.

    Args:
        symbol: what its result is called: the formula's own name for the last one, z_1, z_2, … for the others.
        kind: what it does, in a word: "product", "square", "sigmoid", …
        expression: the sub-expression that it computes, as it was typed.
        written: the same with its inputs in place of their sub-expressions.
        partials: the local derivative by each input, in terms of the inputs and of the result.
    """

    symbol: str
    kind: str
    expression: Expression
    written: Expression
    partials: Mapping[str, Expression]

    @property
    def name(self) -> str:
        """The sub-expression in book notation."""
        return book(self.expression)

    @property
    def computed_as(self) -> str:
        """The operation on its inputs in book notation."""
        return book(self.written)


def operations(tree: Expression, *, letter: str, result: str) -> tuple[Operation, ...]:
    """Return the operations that compute a tree, in their order, the one that gives the result last.

    Args:
        tree: the expression.
        letter: what the results on the way are called, with a number; no name in the tree begins with it.
        result: what the last result is called.

    >>> from downslope.formulas import formula
    >>> for one in operations(formula("(y - w·x)²").body, letter="z", result="L"):
    ...     print(one.symbol, "=", one.computed_as, {name: book(tree) for name, tree in one.partials.items()})
    z_1 = w·x {'w': 'x', 'x': 'w'}
    z_2 = y - z₁ {'y': '1', 'z_1': '-1'}
    L = z₂² {'z_2': '2z₂'}
    """
    found: dict[Expression, Operation] = {}
    if not names_in(tree) or isinstance(tree, Name):
        return (_operation(tree, tree, result),)
    _grow(tree, found, letter, result)
    return tuple(found.values())


def _grow(tree: Expression, found: dict[Expression, Operation], letter: str, symbol: str | None = None) -> Expression:
    """Return what stands for a tree in the operation that uses it, after finding the operations below it."""
    if isinstance(tree, Name) or not names_in(tree):
        return tree
    if tree not in found:
        written = _rebuilt(_in_pairs(tree), found, letter)
        found[tree] = _operation(tree, written, symbol or f"{letter}_{len(found) + 1}")
    return Name(found[tree].symbol)


def _in_pairs(tree: Expression) -> Expression:
    """Return the largest or smallest of several as that of two, one of them that of the others."""
    match tree:
        case Call("max" | "min" as function, (*rest, last)) if len(rest) > 1:
            return Call(function, (Call(function, tuple(rest)), last))
        case _:
            return tree


def _rebuilt(tree: Expression, found: dict[Expression, Operation], letter: str) -> Expression:
    """Return a tree with what stands for its operands in their place; a subtracted term stays subtracted."""

    def grown(operand: Expression) -> Expression:
        return _grow(operand, found, letter)

    match tree:
        case Sum(terms):
            return Sum(tuple(Negative(grown(t.operand)) if isinstance(t, Negative) else grown(t) for t in terms))
        case Negative(operand):
            return Negative(grown(operand))
        case Product(factors):
            return Product(tuple(map(grown, factors)))
        case Quotient(numerator, denominator):
            return Quotient(grown(numerator), grown(denominator))
        case Power(base, exponent):
            return Power(grown(base), grown(exponent))
        case Call(function, arguments):
            return Call(function, tuple(map(grown, arguments)))
        case _:
            return tree


def _operation(tree: Expression, written: Expression, symbol: str) -> Operation:
    """Return an operation with its local derivatives."""
    partials = {name: _partial(written, Name(name), Name(symbol)) for name in names_in(written)}
    return Operation(symbol, _kind(written), tree, written, partials)


def _kind(written: Expression) -> str:
    """Return what an operation does, in a word."""
    match written:
        case Sum((_, Negative())):
            return "difference"
        case Power(Constant("e"), _):
            return "exponential"
        case Power(_, Number(value, _)) if value in (2, 3):
            return "square" if value == 2 else "cube"
        case Call(function, _):
            return _CALLS.get(function, function)
        case Name():
            return "copy"
        case Number() | Constant():
            return "constant"
        case _:
            return type(written).__name__.lower() if names_in(written) else "constant"


def _partial(written: Expression, u: Name, own: Name) -> Expression:
    """Return the local derivative of an operation by one of its inputs, in the shortest terms: tanh' = 1 - z²."""
    match written:
        case Sum(terms):
            return _whole(sum((term == u) - (term == Negative(u)) for term in terms))
        case Negative():
            return _whole(-1)
        case Product(factors):
            return _of_product(factors, u)
        case Quotient(numerator, denominator):
            above = [Quotient(ONE, denominator)] if numerator == u else []
            below = [Negative(Quotient(own, denominator))] if denominator == u else []
            return _added(above + below)
        case Power(base, exponent):
            return _of_power(base, exponent, u, own)
        case Call("max" | "min" as function, (first, second)):
            return _of_extreme(function, first, second, u)
        case Call("mean"):
            return Quotient(ONE, Call("count", (u,)))
        case Call("sum") | Name():
            return ONE
        case Call("count"):
            return ZERO
        case Call(function, _):
            return replaced(TABLE[function][2](u), written, own)
        case _:
            raise AssertionError(written)


def _of_product(factors: tuple[Expression, ...], u: Name) -> Expression:
    """Return what the other factors come to, times n·uⁿ⁻¹ where the input is n of the factors."""
    others, count = tuple(factor for factor in factors if factor != u), factors.count(u)
    own = () if count == 1 else (_whole(count), u if count == 2 else Power(u, _whole(count - 1)))
    made = (*own, *others)
    return made[0] if len(made) == 1 else Product(made)


def _of_power(base: Expression, exponent: Expression, u: Name, own: Name) -> Expression:
    """Return the local derivative of a power by its base, by its exponent, or by what is both."""
    found = []
    if base == u:
        found.append(_by_base(u, exponent))
    if exponent == u:
        found.append(own if base == Constant("e") else Product((own, Call("ln", (base,)))))
    return _added(found)


def _by_base(u: Name, exponent: Expression) -> Expression:
    """Return n·uⁿ⁻¹."""
    n = constant_value(exponent)
    if n is None:
        return Product((exponent, Power(u, Sum((exponent, Negative(ONE))))))
    if n in (0, 1):
        return _whole(int(n))
    decimal = isinstance(exponent, Number) and exponent.decimal
    lower = u if n == 2 else Power(u, _signed(n - 1, decimal))
    made = Product((Number(abs(n), decimal), lower))
    return made if n > 0 else Negative(made)


def _of_extreme(function: str, first: Expression, second: Expression, u: Name) -> Expression:
    """Return 1 where the input is the larger (or the smaller) of two, 0 where the other is, ½ where both are."""
    if first == second:
        return ONE
    other = second if first == u else first
    ahead = Sum((u, Negative(other))) if function == "max" else Sum((other, Negative(u)))
    if other == ZERO:
        ahead = u if function == "max" else Negative(u)
    return Quotient(Sum((ONE, Call("sign", (ahead,)))), TWO)


def _added(terms: Sequence[Expression]) -> Expression:
    """Return the sum of terms, or the only one."""
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _whole(value: int) -> Expression:
    """Return a whole number."""
    return _signed(Fraction(value), False)


def _signed(value: Fraction, decimal: bool) -> Expression:
    """Return a number, its sign in front."""
    return Negative(Number(-value, decimal)) if value < 0 else Number(value, decimal)
