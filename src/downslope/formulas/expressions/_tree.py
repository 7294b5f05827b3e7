"""The expression tree of a formula: ten node classes, all plain frozen data, and functions over them.

The tree keeps the form that was typed (`-20p² + 200p - 300` stays a sum of three terms), so that it prints as in a
textbook and evaluates in the order that was written. It needs neither SymPy nor JAX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

_HALF = Fraction(1, 2)
_MOST_FACTORS = 10_000  # the largest integer exponent computed by repeated multiplication


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number; `decimal` records that it was typed with a point, so that results print that way too."""

    value: Fraction
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or a data column."""

    name: str


@dataclass(frozen=True, slots=True)
class MathConstant:
    """π or e, by that letter."""

    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """−operand."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Sum:
    """Two or more terms; a subtracted term is a `Negative`."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Two or more factors."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Quotient:
    """numerator / denominator."""

    numerator: Expression
    denominator: Expression


@dataclass(frozen=True, slots=True)
class Power:
    """base to the exponent; e^u is a power of `Constant("e")`."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A known function of its arguments: `Call("sin", (x,))`; √ is "sqrt", |x| is "abs"."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition on two expressions; `sign` is one of < ≤ > ≥ = ≠."""

    left: Expression
    sign: str
    right: Expression


@dataclass(frozen=True, slots=True)
class Combination:
    """Conditions of which all have to hold (`word` is "and") or any ("or")."""

    word: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Piecewise:
    """The value whose condition is the first to hold; a last value without a condition is taken otherwise.

    Where no condition holds and there is no such value, the formula is not defined.
    """

    values: tuple[Expression, ...]
    conditions: tuple[Condition, ...]

    @property
    def otherwise(self) -> Expression | None:
        """The value where no condition holds, or None."""
        return self.values[-1] if len(self.values) > len(self.conditions) else None


Condition = Comparison | Combination
Expression = Number | Name | MathConstant | Negative | Sum | Product | Quotient | Power | Call | Piecewise

ZERO, UNITY, TWO = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(2))


def children(node: Expression) -> tuple[Expression, ...]:
    """Return a node's direct children, in the order they are written."""
    match node:
        case Negative(operand):
            return (operand,)
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Quotient(numerator, denominator):
            return (numerator, denominator)
        case Power(base, exponent):
            return (base, exponent)
        case Call(_, arguments):
            return arguments
        case Piecewise(values, conditions):
            return (*values, *(side for condition in conditions for side in sides(condition)))
        case _:
            return ()


def sides(condition: Condition) -> tuple[Expression, ...]:
    """Return the expressions that a condition compares, in the order they are written."""
    if isinstance(condition, Comparison):
        return (condition.left, condition.right)
    return tuple(side for part in condition.conditions for side in sides(part))


def map_sides(condition: Condition, function: Callable[[Expression], Expression]) -> Condition:
    """Return a condition with a function applied to each of the expressions that it compares."""
    if isinstance(condition, Comparison):
        return Comparison(function(condition.left), condition.sign, function(condition.right))
    return Combination(condition.word, tuple(map_sides(part, function) for part in condition.conditions))


def map_children(node: Expression, function: Callable[[Expression], Expression]) -> Expression:
    """Return a node with a function applied to each of its direct children; a leaf as it is."""
    match node:
        case Negative(operand):
            return Negative(function(operand))
        case Sum(terms):
            return Sum(tuple(map(function, terms)))
        case Product(factors):
            return Product(tuple(map(function, factors)))
        case Quotient(numerator, denominator):
            return Quotient(function(numerator), function(denominator))
        case Power(base, exponent):
            return Power(function(base), function(exponent))
        case Call(name, arguments):
            return Call(name, tuple(map(function, arguments)))
        case Piecewise(values, conditions):
            return Piecewise(
                tuple(map(function, values)), tuple(map_sides(condition, function) for condition in conditions)
            )
        case _:
            return node


def walk(tree: Expression) -> Iterator[Expression]:
    """Yield every node in pre-order, siblings in the order they are written."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(children(node))


def names_in(tree: Expression) -> tuple[str, ...]:
    """Return the names that occur, each once, in the order of first appearance."""
    return tuple(dict.fromkeys(node.name for node in walk(tree) if isinstance(node, Name)))


def size(tree: Expression) -> int:
    """Return the number of nodes."""
    return sum(1 for _ in walk(tree))


def depth(tree: Expression) -> int:
    """Return the number of nodes on the longest path from the root to a leaf."""
    # An explicit stack: this is the check that protects the recursive functions, so it must not recurse itself.
    deepest, stack = 0, [(tree, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack += [(child, level + 1) for child in children(node)]
    return deepest


def sum_of(terms: Sequence[Expression]) -> Expression:
    """Return the sum of terms; a single term as it is."""
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def product_of(factors: Sequence[Expression]) -> Expression:
    """Return the product of factors; a single factor as it is."""
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def replaced(tree: Expression, old: Expression, new: Expression) -> Expression:
    """Return the tree with every occurrence of a subtree replaced."""
    return new if tree == old else map_children(tree, lambda child: replaced(child, old, new))


def with_trees(tree: Expression, trees: Mapping[str, Expression]) -> Expression:
    """Return the tree with other trees substituted for names."""
    if isinstance(tree, Name):
        return trees.get(tree.name, tree)
    return map_children(tree, lambda child: with_trees(child, trees))


def weighted_sum(tree: Expression, weight: str) -> Expression:
    """Return the sum over the rows of a tree times a column."""
    return Call("sum", (Product((Name(weight), tree)),))


def constant_value(tree: Expression) -> Fraction | None:
    """Return the exact value of a tree of numbers, signs and quotients; None for any other tree.

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


def odd_root(exponent: Expression) -> tuple[int, int] | None:
    """Return p and q of an exponent p/q, typed as a fraction in lowest terms with an odd q > 1; None for any other.

    Such a power is the real root of degree q to the power p, for negative numbers as well. A decimal exponent is not:
    nobody means x^0.2 as a fifth root of a negative number.

    >>> odd_root(Quotient(TWO, Number(Fraction(3))))
    (2, 3)
    """
    value = constant_value(exponent)
    if value is None or value.denominator == 1 or value.denominator % 2 == 0:
        return None
    if any(isinstance(node, Number) and node.decimal for node in walk(exponent)):
        return None
    return value.numerator, value.denominator


class PowerForm(NamedTuple):
    """The form in which a power is computed.

    Args:
        kind: "exponential" of its exponent, for the base e; "integer" power of its base; "square root" of its base;
            "root", the real one of an odd degree, to an integer power; "number" for another known exponent; or
            "general".
        exponent: the known exponent; of a root, the integer power that it is raised to.
        degree: that of the root.
    """

    kind: Literal["exponential", "integer", "square root", "root", "number", "general"]
    exponent: Fraction = Fraction(1)
    degree: int = 2


def power_form(base: Expression, exponent: Expression) -> PowerForm:
    """Return how a power is computed, on any kind of number.

    >>> power_form(Name("x"), Quotient(TWO, Number(Fraction(3))))
    PowerForm(kind='root', exponent=Fraction(2, 1), degree=3)
    """
    # exp is more accurate than e**x, whose base is rounded, and differentiates without a logarithm.
    if base == MathConstant("e"):
        return PowerForm("exponential")
    known = constant_value(exponent)
    if known is None:
        return PowerForm("general")
    # An integer exponent is exact for negative bases, and is differentiated by the power rule alone.
    if known.denominator == 1 and abs(known) <= _MOST_FACTORS:
        return PowerForm("integer", known)
    if known == _HALF:
        return PowerForm("square root")
    odd = odd_root(exponent)
    return PowerForm("number", known) if odd is None else PowerForm("root", Fraction(odd[0]), odd[1])


def with_numbers(tree: Expression, values: Mapping[str, float], *, digits: int = 5) -> Expression:
    """Return the tree with numbers substituted for names, their signs moved in front as in a textbook.

    Args:
        tree: the expression.
        values: a number for each name to replace; a name whose number is not finite stays.
        digits: significant digits kept of each number.
    """

    def substituted(child: Expression) -> Expression:
        return with_numbers(child, values, digits=digits)

    match tree:
        case Name(name) if name in values and math.isfinite(values[name]):
            # Round in decimal, so that the number prints with these digits rather than as the nearest binary fraction.
            number = Fraction(f"{values[name]:.{digits}g}")
            is_whole = number.denominator == 1
            return _signed(Number(abs(number), not is_whole), number < 0)
        case Negative(operand):
            return _signed(substituted(operand), True)
        case Product(factors):
            numeric = [substituted(factor) for factor in factors]
            is_negative = sum(isinstance(factor, Negative) for factor in numeric) % 2 == 1
            return _signed(Product(tuple(_unsigned(factor) for factor in numeric)), is_negative)
        case Quotient(numerator, denominator):
            above, below = substituted(numerator), substituted(denominator)
            is_negative = isinstance(above, Negative) != isinstance(below, Negative)
            return _signed(Quotient(_unsigned(above), _unsigned(below)), is_negative)
        case _:
            return map_children(tree, substituted)


def _signed(tree: Expression, is_negative: bool) -> Expression:
    """Return a tree or its negative; two minus signs cancel."""
    if not is_negative:
        return tree
    return tree.operand if isinstance(tree, Negative) else Negative(tree)


def _unsigned(tree: Expression) -> Expression:
    """Return a tree without its minus sign."""
    return tree.operand if isinstance(tree, Negative) else tree
