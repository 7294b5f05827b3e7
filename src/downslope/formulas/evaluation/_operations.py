"""A formula as the list of operations that compute it, with their local derivatives.

Equal sub-expressions share one operation, so the list is the computation graph that backpropagation walks. Constants
are not operations: 3x² consists of x² and its product with 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from downslope.formulas.evaluation._algebra import FLOATS, as_float
from downslope.formulas.evaluation._stable_forms import stable_partial
from downslope.formulas.expressions import (
    TWO,
    UNITY,
    ZERO,
    Call,
    Expression,
    ForeignFunction,
    MathConstant,
    Name,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    book,
    constant_value,
    map_children,
    names_in,
    partial,
    piecewise,
    power_form,
    product_of,
    replaced,
    sum_of,
)

# Evaluation of an expression tree with NumPy or JAX, in the order in which it was written.


_CONSTANTS = {"π": math.pi, "e": math.e}


def evaluate(tree: Expression, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Evaluate a tree.

    Args:
        tree: the expression.
        values: a number or an array for every name that occurs.
        functions: the implementation of each function: `numpy_functions()` or `jax_functions()`.
    """
    match tree:
        case Number(value):
            return as_float(value)
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
            above, below = evaluate(numerator, values, functions), evaluate(denominator, values, functions)
            # Arrays follow IEEE 754, which Python's floats do not where they are divided by 0.
            plain = isinstance(above, float) and isinstance(below, float) and below == 0
            return FLOATS.divide(float(above), float(below)) if plain else above / below
        case Power(base, exponent):
            return _power(base, exponent, values, functions)
        case Call(function, arguments):
            called = function if isinstance(function, ForeignFunction) else functions[function]
            return called(*(evaluate(argument, values, functions) for argument in arguments))
        case Piecewise():
            return piecewise(tree, values, functions, evaluate)


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
    """Return a power."""
    form = power_form(base, exponent)
    if form.kind == "exponential":
        return functions["exp"](evaluate(exponent, values, functions))
    below = evaluate(base, values, functions)
    if form.kind == "square root":
        return FLOATS.function("sqrt")(below) if isinstance(below, float) else functions["sqrt"](below)
    if form.kind == "root":
        return functions["root"](below, float(form.degree)) ** int(form.exponent)
    if form.kind == "integer":
        n = int(form.exponent)
        return FLOATS.integer_power(below, n) if isinstance(below, float) else below**n
    above = as_float(form.exponent) if form.kind == "number" else evaluate(exponent, values, functions)
    # Python's own ** raises for negative bases and overflow, and would return a complex number.
    both = isinstance(below, float) and isinstance(above, float)
    return FLOATS.power(below, above) if both else below**above


_CALLS = {
    "abs": "absolute value",
    "cbrt": "cube root",
    "exp": "exponential",
    "ln": "logarithm",
    "max": "maximum",
    "min": "minimum",
    "mod": "remainder",
    "root": "root",
    "sqrt": "root",
}


@dataclass(frozen=True)
class Operation:
    """One operation of a formula.

    Args:
        symbol: the name of its result: the formula's own name for the last operation, z_1, z_2, … for the others.
        kind: the kind of operation in a word: "product", "square", "sigmoid", …
        expression: the sub-expression that it computes, as it was typed.
        written: the sub-expression with the operation's inputs substituted for their own sub-expressions.
        partials: the local derivative by each input, in terms of the inputs and the result.
        stable_partials: the same in terms of the inputs, in forms that keep their digits.
    """

    symbol: str
    kind: str
    expression: Expression
    written: Expression
    partials: Mapping[str, Expression]
    stable_partials: Mapping[str, Expression]

    @property
    def name(self) -> str:
        """The sub-expression in textbook notation."""
        return book(self.expression)

    @property
    def computed_as(self) -> str:
        """The operation on its inputs in textbook notation."""
        return book(self.written)


def operations(tree: Expression, *, letter: str, result: str) -> tuple[Operation, ...]:
    """Return the operations that compute a tree, in order of evaluation.

    Args:
        tree: the expression.
        letter: prefix of the names of intermediate results; no name in the tree may begin with it.
        result: the name of the final result.

    >>> from downslope.formulas import formula
    >>> for step in operations(formula("(y - w·x)²").body, letter="z", result="L"):
    ...     print(step.symbol, "=", step.computed_as, {name: book(tree) for name, tree in step.partials.items()})
    z_1 = w·x {'w': 'x', 'x': 'w'}
    z_2 = y - z₁ {'y': '1', 'z_1': '-1'}
    L = z₂² {'z_2': '2z₂'}
    """
    computed: dict[Expression, Operation] = {}
    if not names_in(tree) or isinstance(tree, Name):
        return (_operation(tree, tree, result),)
    _grow(tree, computed, letter, result)
    return tuple(computed.values())


def _grow(
    tree: Expression, computed: dict[Expression, Operation], letter: str, symbol: str | None = None
) -> Expression:
    """Add a tree's operations to `computed`, and return the name or constant that refers to its result."""
    if isinstance(tree, Name) or not names_in(tree):
        return tree
    # Trees are hashable by structure, so equal sub-expressions are one key: common subexpressions are shared for free.
    if tree not in computed:
        written = _rebuilt(_in_pairs(tree), computed, letter)
        computed[tree] = _operation(tree, written, symbol or f"{letter}_{len(computed) + 1}")
    return Name(computed[tree].symbol)


def _in_pairs(tree: Expression) -> Expression:
    """Return max or min of several arguments as nested calls of two arguments."""
    match tree:
        # With two arguments each partial is (1 ± sign)/2; with more there is no closed form of that kind.
        case Call("max" | "min" as function, (*rest, last)) if len(rest) > 1:
            return Call(function, (Call(function, tuple(rest)), last))
        case _:
            return tree


def _rebuilt(tree: Expression, computed: dict[Expression, Operation], letter: str) -> Expression:
    """Return a tree with its operands replaced by references to their results; subtracted terms stay subtracted."""

    def grown(operand: Expression) -> Expression:
        return _grow(operand, computed, letter)

    # y - w·x is a single difference, not a sum with an operation "negative": the Negative node stays in the sum.
    if isinstance(tree, Sum):
        return Sum(tuple(map_children(t, grown) if isinstance(t, Negative) else grown(t) for t in tree.terms))
    return map_children(tree, grown)


def _operation(tree: Expression, written: Expression, symbol: str) -> Operation:
    """Return an operation with its local derivatives."""
    partials = {name: _partial(written, Name(name), Name(symbol)) for name in names_in(written)}
    return Operation(symbol, _kind(written), tree, written, partials, partials | _stable_partials(written))


def _stable_partials(written: Expression) -> dict[str, Expression]:
    """Return the derivatives of a function of one input, which the shortest form computes from the rounded result."""
    match written:
        case Call(function, (Name(name),)) if function in ("sigmoid", "tanh"):
            return {name: stable_partial(function, (Name(name),), 0)}
    return {}


def _kind(written: Expression) -> str:
    """Return the kind of an operation in a word."""
    match written:
        case Sum((_, Negative())):
            return "difference"
        case Power(MathConstant("e"), _):
            return "exponential"
        case Power(_, Number(value, _)) if value in (2, 3):
            return "square" if value == 2 else "cube"
        case Call(function, _):
            return _CALLS.get(function, function)
        case Name():
            return "copy"
        case Number() | MathConstant():
            return "constant"
        case _:
            return type(written).__name__.lower() if names_in(written) else "constant"


def _partial(written: Expression, u: Name, own: Name) -> Expression:
    """Return the local derivative of an operation by an input, in its shortest form: tanh' = 1 - z²."""
    match written:
        case Sum(terms):
            return _whole(sum((term == u) - (term == Negative(u)) for term in terms))
        case Negative():
            return _whole(-1)
        case Product(factors):
            return _of_product(factors, u)
        case Quotient(numerator, denominator):
            above = [Quotient(UNITY, denominator)] if numerator == u else []
            below = [Negative(Quotient(own, denominator))] if denominator == u else []
            return sum_of(above + below)
        case Power(base, exponent):
            return _of_power(base, exponent, u, own)
        case Call("max" | "min" as function, (first, second)):
            return _of_extreme(function, first, second, u)
        case Call("mean"):
            return Quotient(UNITY, Call("count", (u,)))
        case Piecewise(values, conditions):
            # The result is one of the values. What the conditions compare only chooses among them.
            return Piecewise(tuple(UNITY if value == u else ZERO for value in values), conditions)
        case Call("sum") | Name():
            return UNITY
        case Call("count"):
            return ZERO
        case Call(function, arguments):
            # The table gives f'(u) in terms of u. With the result z substituted for f(u), tanh' is 1 - z², which needs
            # no second evaluation of tanh.
            partials = [partial(function, arguments, index) for index, part in enumerate(arguments) if part == u]
            return replaced(sum_of(partials), written, own)
        case _:
            raise AssertionError(written)


def _of_product(factors: tuple[Expression, ...], u: Name) -> Expression:
    """Return n·uⁿ⁻¹ times the other factors, for an input that occurs as n of the factors."""
    others, count = tuple(factor for factor in factors if factor != u), factors.count(u)
    # The input may be several of the factors: (u·u·v)' by u is 2u·v.
    own = () if count == 1 else (_whole(count), u if count == 2 else Power(u, _whole(count - 1)))
    return product_of((*own, *others))


def _of_power(base: Expression, exponent: Expression, u: Name, own: Name) -> Expression:
    """Return the local derivative of a power by its base, its exponent, or (as in u^u) both."""
    terms = []
    if base == u:
        terms.append(_by_base(u, exponent))
    if exponent == u:
        terms.append(own if base == MathConstant("e") else Product((own, Call("ln", (base,)))))
    return sum_of(terms)


def _by_base(u: Name, exponent: Expression) -> Expression:
    """Return the derivative of uⁿ by u: n·uⁿ⁻¹."""
    # A symbolic exponent keeps the general form n·u^(n - 1).
    n = constant_value(exponent)
    if n is None:
        return Product((exponent, Power(u, Sum((exponent, Negative(UNITY))))))
    if n in (0, 1):
        return _whole(int(n))
    decimal = isinstance(exponent, Number) and exponent.decimal
    lower = u if n == 2 else Power(u, _signed(n - 1, decimal))
    slope = Product((Number(abs(n), decimal), lower))
    return slope if n > 0 else Negative(slope)


def _of_extreme(function: str, first: Expression, second: Expression, u: Name) -> Expression:
    """Return (1 + sign)/2: 1 where max or min selects this input, 0 where it selects the other, ½ at a tie."""
    if first == second:
        return UNITY
    other = second if first == u else first
    ahead = Sum((u, Negative(other))) if function == "max" else Sum((other, Negative(u)))
    if other == ZERO:
        ahead = u if function == "max" else Negative(u)
    return Quotient(Sum((UNITY, Call("sign", (ahead,)))), TWO)


def _whole(value: int) -> Expression:
    """Return a whole number."""
    return _signed(Fraction(value), False)


def _signed(value: Fraction, decimal: bool) -> Expression:
    """Return a number, its sign in front."""
    return Negative(Number(-value, decimal)) if value < 0 else Number(value, decimal)
