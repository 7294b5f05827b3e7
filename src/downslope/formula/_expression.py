"""The tree that a formula is read into: nine kinds of node, all plain frozen data.

The tree keeps what was typed (`-20p² + 200p - 300` stays a sum of three terms), so that it prints as a book would and
computes in the order that was written. It needs neither SymPy nor JAX: those are reached through `_symbolic` and
`_evaluation` when they are wanted.
"""

from __future__ import annotations

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
