"""Dimensional analysis: infer the dimensions of a formula's parameters from those of its columns.

Terms of a sum have equal dimensions, arguments of functions such as exp and sin have none, and both sides of an
equation agree. These rules are linear equations for the exponents k in parameter = Π columnᵏ. In `y = a·e^(−k·x)`, k
has the dimension 1/x and a that of y. An equation that contradicts earlier ones (as in `x + 1`) is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from downslope.formulas._evaluation import constant_value
from downslope.formulas._expression import (
    Call,
    Expression,
    Name,
    Negative,
    Power,
    Product,
    Quotient,
    Sum,
)

Dimension = Mapping[str, Fraction]
_SAME = {"abs", "min", "max", "mean", "sum", "relu"}


def dimensions(
    left: Expression, right: Expression, columns: Sequence[str], parameters: Sequence[str]
) -> dict[str, dict[str, Fraction] | None]:
    """Return the exponent of each column in the dimension of each parameter; None where it is undetermined.

    Args:
        left: the equation's left side.
        right: the equation's right side.
        columns: names with known dimensions, each a base dimension of its own.
        parameters: names whose dimensions to infer.

    >>> from downslope.formulas import formula
    >>> left, right = formula("y", columns=["y"]), formula("a e^(-k x)", columns=["x"])
    >>> {name: dict(powers) for name, powers in dimensions(left.body, right.body, ["x", "y"], ["a", "k"]).items()}
    {'a': {'y': Fraction(1, 1)}, 'k': {'x': Fraction(-1, 1)}}
    """
    equations = _Equations(parameters)
    equations.equal(equations.of(left), equations.of(right))
    return {name: equations.solution(name) for name in parameters}


class _Equations:
    """Linear equations between exponents, solved for one unknown each as they are added (Gauss–Jordan elimination)."""

    def __init__(self, unknown: Sequence[str]) -> None:
        self.unknown = tuple(unknown)
        self.solved: dict[str, dict[str, Fraction]] = {}

    def of(self, tree: Expression) -> dict[str, Fraction] | None:
        """Return a tree's dimension (None for zero, which has any) and add the equations that it implies."""
        match tree:
            case Name(name):
                return {name: Fraction(1)}
            case Negative(operand):
                return self.of(operand)
            case Sum(terms):
                return self._alike(terms)
            case Product(factors):
                return _product([(self.of(factor), 1) for factor in factors])
            case Quotient(numerator, denominator):
                return _product([(self.of(numerator), 1), (self.of(denominator), -1)])
            case Power(base, exponent):
                return self._power(base, exponent)
            case Call("sqrt", (argument,)):
                return _product([(self.of(argument), Fraction(1, 2))])
            case Call(function, arguments) if function in _SAME:
                return self._alike(arguments)
            case Call(_, arguments):
                for argument in arguments:
                    self.equal(self.of(argument), {})
                return {}
            case _:
                return None if constant_value(tree) == 0 else {}

    def equal(self, first: dict[str, Fraction] | None, second: dict[str, Fraction] | None) -> None:
        """Add the equation that two dimensions are equal, unless it contradicts the earlier ones."""
        if first is None or second is None:
            return
        # first = second  ⇔  first/second is dimensionless: solve that for one unknown, the pivot.
        difference = self._reduced(_product([(first, 1), (second, -1)]) or {})
        pivot = next((name for name in difference if name in self.unknown), None)
        # No unknown is left: the equation holds or contradicts the earlier ones, and determines nothing either way.
        if pivot is None:
            return
        factor = difference.pop(pivot)
        rule = {name: -power / factor for name, power in difference.items()}
        # Substitute into the earlier solutions as well, so that each stays free of solved unknowns.
        self.solved = {name: _replaced(known, pivot, rule) for name, known in self.solved.items()} | {pivot: rule}

    def solution(self, name: str) -> dict[str, Fraction] | None:
        """Return the dimension of an unknown, or None if it depends on another unknown."""
        known = self.solved.get(name)
        if known is None or any(other in self.unknown for other in known):
            return None
        return known

    def _alike(self, terms: Sequence[Expression]) -> dict[str, Fraction] | None:
        """Equate the dimensions of all terms and return the first that is not None."""
        known = [dimension for dimension in map(self.of, terms) if dimension is not None]
        for dimension in known[1:]:
            self.equal(known[0], dimension)
        return known[0] if known else None

    def _power(self, base: Expression, exponent: Expression) -> dict[str, Fraction] | None:
        """Return the dimension of a power; with a variable exponent, the power and its base are dimensionless."""
        known, below = constant_value(exponent), self.of(base)
        if known is not None:
            return _product([(below, known)])
        # A power with a variable exponent has the same dimension for every exponent only if its base has none.
        self.equal(self.of(exponent), {})
        self.equal(below, {})
        return {}

    def _reduced(self, dimension: dict[str, Fraction]) -> dict[str, Fraction]:
        """Return a dimension with all solved unknowns substituted."""
        for name in [name for name in dimension if name in self.solved]:
            dimension = _replaced(dimension, name, self.solved[name])
        return dimension


def _product(powers: Sequence[tuple[dict[str, Fraction] | None, Fraction | int]]) -> dict[str, Fraction]:
    """Return the dimension of a product of powers."""
    total: dict[str, Fraction] = {}
    for dimension, exponent in powers:
        for name, power in (dimension or {}).items():
            total[name] = total.get(name, Fraction(0)) + power * exponent
    return {name: power for name, power in total.items() if power}


def _replaced(dimension: dict[str, Fraction], name: str, by: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return a dimension with a name replaced by its own dimension."""
    power = dimension.get(name)
    if power is None:
        return dimension
    return _product([({other: p for other, p in dimension.items() if other != name}, 1), (by, power)])
