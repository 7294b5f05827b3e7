"""The structure of a formula in its parameters: which enter linearly, are interchangeable, or divide something."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from downslope.formulas.expressions import (
    Call,
    Expression,
    Name,
    Negative,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    children,
    constant_value,
    map_children,
    names_in,
    sides,
    walk,
)

_ADDITIVE = {"mean", "sum"}
_WAVES = {"sin", "cos"}


def linear_names(tree: Expression, names: Sequence[str]) -> tuple[str, ...]:
    """Return a set of names in which the tree is jointly linear: a + Σ pᵢ·bᵢ with a and b free of all pᵢ.

    Least squares solves for such parameters in a single step. The set is grown greedily in the order of `names`.

    Args:
        tree: the expression.
        names: the names to choose from, in order of preference.

    >>> from downslope.formulas import formula
    >>> linear_names(formula("y = a e^(-k x) + c", columns=["x"]).body, ["a", "k", "c"])
    ('a', 'c')
    """
    chosen: tuple[str, ...] = ()
    for name in names:
        # Jointly linear is more than linear in each: a·b is linear in a and in b, but not in both.
        if _is_linear(tree, {*chosen, name}):
            chosen += (name,)
    return chosen


def _is_linear(tree: Expression, names: Collection[str]) -> bool:
    """Return whether a tree is jointly linear (or constant) in names."""
    if not _holds(tree, names):
        return True
    match tree:
        case Name():
            return True
        case Negative() | Sum():
            return all(_is_linear(child, names) for child in children(tree))
        case Product(factors):
            # A product of two factors that both hold names is quadratic.
            holding = [factor for factor in factors if _holds(factor, names)]
            return len(holding) == 1 and _is_linear(holding[0], names)
        case Quotient(numerator, denominator):
            return not _holds(denominator, names) and _is_linear(numerator, names)
        case Power(base, exponent):
            return constant_value(exponent) == 1 and _is_linear(base, names)
        case Piecewise(values, conditions):
            fixed = not any(_holds(side, names) for condition in conditions for side in sides(condition))
            return fixed and all(_is_linear(value, names) for value in values)
        case Call(function, arguments):
            return function in _ADDITIVE and _is_linear(arguments[0], names)
        case _:
            return False


def _holds(tree: Expression, names: Collection[str]) -> bool:
    """Return whether any of the names occurs in a tree."""
    return any(name in names for name in names_in(tree))


def interchangeable(tree: Expression, parameters: Collection[str]) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Return groups of terms that are equal up to the names of their parameters; a term is the tuple of those names.

    In a·e^(−k·x) + b·e^(−l·x), swapping (a, k) with (b, l) changes nothing. If single terms form no group, terms that
    share a parameter are first joined into clusters, such as those with p in a·cos(p·x) + b·sin(p·x).

    Args:
        tree: the expression.
        parameters: the names that may be interchanged.

    >>> from downslope.formulas import formula
    >>> interchangeable(formula("a e^(-k x) + b e^(-l x) + c", columns=["x"]).body, ["a", "b", "c", "k", "l"])
    ((('a', 'k'), ('b', 'l')),)
    """
    # A parameter that also occurs outside a term is not its own: swapping it would change the rest.
    everywhere = Counter(node.name for node in walk(tree) if isinstance(node, Name))
    groups = []
    for node in walk(tree):
        if isinstance(node, Sum):
            single = [(term,) for term in node.terms]
            groups += _groups(single, parameters, everywhere) or _groups(
                _clusters(node.terms, parameters, everywhere), parameters, everywhere
            )
    return tuple(groups)


def divisors(tree: Expression) -> frozenset[str]:
    """Return the names that occur as divisors, alone or as factors of a denominator: T in cos(x/T).

    >>> from downslope.formulas import formula
    >>> sorted(divisors(formula("a cos(2π x/T) + b/(1 + x - m)", columns=["x"]).body))
    ['T']
    """
    below = [node.denominator for node in walk(tree) if isinstance(node, Quotient)]
    names = set()
    while below:
        match below.pop():
            case Name(name):
                names.add(name)
            case Product(factors):
                below += factors
            case Power(base, _):
                below.append(base)
    return frozenset(names)


def _groups(
    clusters: Sequence[tuple[Expression, ...]], parameters: Collection[str], everywhere: Counter[str]
) -> list[tuple[tuple[str, ...], ...]]:
    """Group the clusters that are equal up to renaming their own parameters."""
    groups: dict[tuple[Expression, ...], list[tuple[str, ...]]] = defaultdict(list)
    for cluster in clusters:
        own = _own(cluster, parameters, everywhere)
        if own:
            # Renaming a term's own parameters to #0, #1, … in order of appearance makes equal structures equal trees.
            numbered = {name: f"#{number}" for number, name in enumerate(own)}
            groups[tuple(_renamed(term, numbered) for term in cluster)].append(own)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _clusters(
    terms: Sequence[Expression], parameters: Collection[str], everywhere: Counter[str]
) -> list[tuple[Expression, ...]]:
    """Join terms into clusters by the parameters that they share; parameters used elsewhere do not join."""
    inside = _own(terms, parameters, everywhere)
    clusters: list[tuple[tuple[Expression, ...], set[str]]] = []
    for term in terms:
        names = set(names_in(term)) & set(inside)
        # Union of overlapping sets: the new term joins every cluster that it shares a parameter with.
        joined = [cluster for cluster in clusters if cluster[1] & names]
        clusters = [cluster for cluster in clusters if not cluster[1] & names]
        clusters.append(
            (
                (*(member for cluster in joined for member in cluster[0]), term),
                names.union(*(cluster[1] for cluster in joined)),
            )
        )
    return [cluster for cluster, _ in clusters]


def _own(terms: Sequence[Expression], parameters: Collection[str], everywhere: Counter[str]) -> tuple[str, ...]:
    """Return the parameters that occur in these terms only."""
    here = Counter(node.name for term in terms for node in walk(term) if isinstance(node, Name))
    return tuple(name for name in here if name in parameters and here[name] == everywhere[name])


def _renamed(tree: Expression, names: Mapping[str, str]) -> Expression:
    """Return a tree with some names replaced."""
    if isinstance(tree, Name):
        return Name(names.get(tree.name, tree.name))
    return map_children(tree, lambda child: _renamed(child, names))


def wave_arguments(tree: Expression, name: str) -> tuple[Expression, ...]:
    """Return the arguments of sines and cosines in which a name occurs.

    >>> from downslope.formulas import book, formula
    >>> [book(argument) for argument in wave_arguments(formula("a cos(2π(t - p)) + b", columns=["t"]).body, "p")]
    ['2π·(t - p)']
    """
    waves = (node.arguments[0] for node in walk(tree) if isinstance(node, Call) and node.function in _WAVES)
    return tuple(argument for argument in waves if name in names_in(argument))
