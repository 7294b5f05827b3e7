"""Which parameters of a formula may change places, as (a, k) and (b, l) may in a·e^(−k·x) + b·e^(−l·x)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

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

    Where single terms are not alike, several that share a parameter are taken for one: p in a·cos(p·x) + b·sin(p·x).

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
            single = [(term,) for term in node.terms]
            found += _groups(single, parameters, everywhere) or _groups(
                _clusters(node.terms, parameters, everywhere), parameters, everywhere
            )
    return tuple(found)


def divisors(tree: Expression) -> frozenset[str]:
    """Return the names that something is divided by, alone or as factors, as by T in cos(x/T).

    >>> from downslope.formulas import formula
    >>> sorted(divisors(formula("a cos(2π x/T) + b/(1 + x - m)", columns=["x"]).body))
    ['T']
    """
    below = [node.denominator for node in walk(tree) if isinstance(node, Quotient)]
    found = set()
    while below:
        match below.pop():
            case Name(name):
                found.add(name)
            case Product(factors):
                below += factors
            case Power(base, _):
                below.append(base)
    return frozenset(found)


def _groups(
    clusters: Sequence[tuple[Expression, ...]], parameters: Collection[str], everywhere: Counter[str]
) -> list[tuple[tuple[str, ...], ...]]:
    """Return the clusters that are alike but for their own parameters, each as the names of these."""
    groups: dict[tuple[Expression, ...], list[tuple[str, ...]]] = defaultdict(list)
    for cluster in clusters:
        own = _own(cluster, parameters, everywhere)
        if own:
            places = {name: f"#{place}" for place, name in enumerate(own)}
            groups[tuple(_renamed(term, places) for term in cluster)].append(own)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _clusters(
    terms: Sequence[Expression], parameters: Collection[str], everywhere: Counter[str]
) -> list[tuple[Expression, ...]]:
    """Return the terms gathered by the parameters that they share with each other and with nothing else."""
    inside = _own(terms, parameters, everywhere)
    clusters: list[tuple[tuple[Expression, ...], set[str]]] = []
    for term in terms:
        names = set(names_in(term)) & set(inside)
        joined = [one for one in clusters if one[1] & names]
        clusters = [one for one in clusters if not one[1] & names]
        clusters.append(
            ((*(each for one in joined for each in one[0]), term), names.union(*(one[1] for one in joined)))
        )
    return [cluster for cluster, _ in clusters]


def _own(terms: Sequence[Expression], parameters: Collection[str], everywhere: Counter[str]) -> tuple[str, ...]:
    """Return the parameters that occur in these terms and nowhere else."""
    here = Counter(node.name for term in terms for node in walk(term) if isinstance(node, Name))
    return tuple(name for name in here if name in parameters and here[name] == everywhere[name])


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
