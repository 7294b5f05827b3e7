"""Which parameters of a formula may change places, as (a, k) and (b, l) may in a·e^(−k·x) + b·e^(−l·x)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from downslope.formulas._expression import (
    Call,
    Expression,
    Name,
    Negative,
    Power,
    Product,
    Quotient,
    Sum,
    names_in,
    walk,
)


def interchangeable(tree: Expression, parameters: Collection[str]) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Return groups of terms that differ in nothing but their parameters, each term as the names that are its own.

    Args:
        tree: the expression.
        parameters: the names that may change places.

    >>> from downslope.formulas import formula
    >>> interchangeable(formula("a e^(-k x) + b e^(-l x) + c", columns=["x"]).body, ["a", "b", "c", "k", "l"])
    ((('a', 'k'), ('b', 'l')),)
    """
    everywhere = Counter(node.name for node in walk(tree) if isinstance(node, Name))
    found = []
    for node in walk(tree):
        if isinstance(node, Sum):
            groups: dict[Expression, list[tuple[str, ...]]] = defaultdict(list)
            for term in node.terms:
                own = _own(term, parameters, everywhere)
                if own:
                    groups[_renamed(term, {name: f"#{place}" for place, name in enumerate(own)})].append(own)
            found += [tuple(group) for group in groups.values() if len(group) > 1]
    return tuple(found)


def _own(term: Expression, parameters: Collection[str], everywhere: Counter[str]) -> tuple[str, ...]:
    """Return the parameters that occur in this term and nowhere else."""
    here = Counter(node.name for node in walk(term) if isinstance(node, Name))
    return tuple(name for name in names_in(term) if name in parameters and here[name] == everywhere[name])


def _renamed(tree: Expression, names: Mapping[str, str]) -> Expression:
    """Return a tree with some names replaced."""
    match tree:
        case Name(name):
            return Name(names.get(name, name))
        case Negative(operand):
            return Negative(_renamed(operand, names))
        case Sum(terms):
            return Sum(tuple(_renamed(term, names) for term in terms))
        case Product(factors):
            return Product(tuple(_renamed(factor, names) for factor in factors))
        case Quotient(numerator, denominator):
            return Quotient(_renamed(numerator, names), _renamed(denominator, names))
        case Power(base, exponent):
            return Power(_renamed(base, names), _renamed(exponent, names))
        case Call(function, arguments):
            return Call(function, tuple(_renamed(argument, names) for argument in arguments))
        case _:
            return tree
