"""The tree that a formula is read into: nine kinds of node, all plain frozen data.

The tree keeps what was typed (`-20p² + 200p - 300` stays a sum of three terms), so that it prints as a book would and
computes in the order that was written. It needs neither SymPy nor JAX: those are reached through `_symbolic` and
`_evaluation` when they are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number; `decimal` remembers that it was typed with a point, so that results print that way too."""

    value: Fraction
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or a data column."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """π or e, by that one letter."""

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


Expression = Number | Name | Constant | Negative | Sum | Product | Quotient | Power | Call


def children(node: Expression) -> tuple[Expression, ...]:
    """Return the nodes right below a node, in the order they are written."""
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
        case _:
            return ()


def walk(tree: Expression) -> Iterator[Expression]:
    """Yield every node, a node before those below it, in the order they are written."""
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
    """Return the number of nodes on the longest way down."""
    deepest, stack = 0, [(tree, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack += [(below, level + 1) for below in children(node)]
    return deepest
