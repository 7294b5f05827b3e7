"""Simplify an expression as a textbook would, without SymPy, and never change its value.

Several forms are written: as it is, multiplied out, as one fraction, with sin² + cos² = 1 used either way. The shortest
of those that agree with the original at points of its domain is chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from downslope.formulas.evaluation import evaluate
from downslope.formulas.expressions import (
    REDUCTIONS,
    Call,
    Expression,
    Name,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    book,
    names_in,
    numpy_functions,
    size,
    walk,
)
from downslope.formulas.symbolic._fractions import as_fractions
from downslope.formulas.symbolic._pieces import simplified_pieces
from downslope.formulas.symbolic._products import expanded, terms_of
from downslope.formulas.symbolic._terms import Terms, TooLargeError
from downslope.formulas.symbolic._textbook import Textbook

_MOST_NODES = 600  # nobody reads longer results
_MOST_NODES_TOGETHER = 250  # of an expression that is written as one fraction
_POINTS = 32
_AGREEMENT = 1e-8
_ROWS = 5
_IDENTITY, _EXPANSION = 5, 3  # symbols that an identity and a multiplication have to save


def simplifier(
    source: Iterable[Expression] = (), *, decimals: bool = False, columns: Collection[str] = ()
) -> Callable[[Expression], Expression]:
    """Return a function that simplifies trees.

    Args:
        source: the expressions that a user typed; their sums keep the order of their terms.
        decimals: whether numbers with a finite decimal expansion print as decimals.
        columns: the names that are data columns.

    >>> from downslope.formulas import formula
    >>> simplified = simplifier()
    >>> book(simplified(formula("(√x - (x - 1)/(2√x) - 1)/(√x - 1)²").body))
    '1/(2√x)'
    """
    textbook = Textbook(source, decimals=decimals)

    @functools.lru_cache(maxsize=256)
    def simplified(tree: Expression) -> Expression:
        if any(isinstance(node, Piecewise) for node in walk(tree)):
            pieces = simplified_pieces(tree, simplified, decimals=decimals)
            # Left of the case distinctions are what stand side by side: {…} + {…}.
            return pieces if pieces == tree or agree(tree, pieces, columns) else tree
        if size(tree) > _MOST_NODES:
            return gathered(tree, textbook)
        # A rewriting has to save something; the first form only gathers like terms.
        lengths: dict[Expression, int] = {}
        is_exact = _is_polynomial_tree(tree)
        for form, price in _forms(tree, textbook):
            lengths.setdefault(form, _length(form) + price)
        for form in sorted(lengths, key=lambda form: lengths[form]):
            # Polynomials are rearranged exactly: there is nothing to try, and NumPy is not needed.
            if is_exact or form == tree or agree(tree, form, columns):
                return form
        return tree

    return simplified


def gathered(tree: Expression, textbook: Textbook) -> Expression:
    """Return a tree with like terms and like factors gathered, as it is if it is too large for that."""
    try:
        return textbook.tree(terms_of(tree))
    except TooLargeError:
        return tree


def _forms(tree: Expression, textbook: Textbook) -> Iterator[tuple[Expression, int]]:
    """Yield the forms of a tree that a textbook might use, each with the length that it has to save."""
    try:
        terms = terms_of(tree)
    except TooLargeError:
        return
    plain = textbook.tree(terms)
    yield plain, 0
    if _is_polynomial(terms):
        multiplied_out = _attempt(expanded, terms)
        if multiplied_out is not None:
            yield textbook.tree(multiplied_out), 0
        if not any(base.kind == "sum" for powers in terms.coefficients for base, _ in powers):
            return
    if size(plain) > _MOST_NODES_TOGETHER:
        return
    try:
        for index, fraction in enumerate(as_fractions(terms)):
            price = _IDENTITY if index else 0
            yield textbook.tree(fraction), price
            multiplied_out = _attempt(expanded, fraction)
            if multiplied_out is not None:
                yield textbook.tree(multiplied_out), price + _EXPANSION
    except TooLargeError:
        return


def _is_polynomial_tree(tree: Expression) -> bool:
    """Return whether a tree has sums, products, quotients by numbers and whole positive powers of names only."""
    for node in walk(tree):
        match node:
            case Number() | Name() | Negative() | Sum() | Product() | Quotient(_, Number()):
                continue
            case Power(_, Number(value)) if value.denominator == 1 and value > 0:
                continue
            case _:
                return False
    return True


def _attempt(function: Callable[[Terms], Terms], terms: Terms) -> Terms | None:
    """Return a function's result, None if it would be too large."""
    try:
        return function(terms)
    except TooLargeError:
        return None


def _is_polynomial(terms: Terms) -> bool:
    """Return whether a sum consists of whole positive powers of names and of such sums."""
    return all(
        not isinstance(exponent, Terms)
        and exponent > 0
        and exponent.denominator == 1
        and (base.kind == "name" or (base.kind == "sum" and _is_polynomial(base.arguments[0])))
        for powers in terms.coefficients
        for base, exponent in powers
    )


def _length(tree: Expression) -> int:
    """Return the length of a tree in print: its symbols, fractions within fractions counted more."""
    length = len(book(tree).replace(" ", "")) - isinstance(tree, Negative)
    for node in walk(tree):
        if isinstance(node, Quotient):
            nested = sum(isinstance(inner, Quotient) and not _is_number(inner) for inner in walk(node)) - 1
            length += 1 + 4 * max(0, nested)
        elif isinstance(node, Call) and node.function not in ("sqrt", "abs"):
            length += 2 - len(node.function)  # sigmoid is no longer than sin
        elif isinstance(node, Sum):
            length += sum(isinstance(term, Quotient) and not _is_number(term) for term in node.terms)
            length += max(0, len(node.terms) - 3)
    return length


def _is_number(tree: Expression) -> bool:
    """Return whether a tree has no names."""
    return not names_in(tree)


def agree(first: Expression, second: Expression, columns: Collection[str] = ()) -> bool:
    """Return whether two expressions have equal values wherever the first has one, tried at many points.

    A form that has no value where the first has one would shrink the domain, and does not agree either.
    """
    import numpy as np

    names = sorted({*names_in(first), *names_in(second)})
    tables = [name for name in names if name in columns]
    over_rows = bool(tables) or any(isinstance(node, Call) and node.function in REDUCTIONS for node in walk(first))
    with np.errstate(all="ignore"):
        if over_rows:
            pairs = [_both(first, second, point) for point in _row_points(names, tables)]
            left, right = (np.concatenate([np.ravel(pair[side]) for pair in pairs]) for side in (0, 1))
        else:
            left, right = map(np.ravel, np.broadcast_arrays(*_both(first, second, _points(tuple(names)))))
        valued = np.isfinite(left)
        if not valued.any():
            return False
        left, right = left[valued], right[valued]
        # Cancellation in either form leaves the rounding of its largest part: compare at all points but a few.
        close = np.abs(left - right) <= _AGREEMENT * (1 + np.abs(left) + np.abs(right))
        return bool(np.isfinite(right).all() and close.mean() > 0.9)


def _both(first: Expression, second: Expression, point: dict[str, Any]) -> tuple[Any, Any]:
    """Return the values of two expressions at a point."""
    functions = numpy_functions()
    return evaluate(first, point, functions), evaluate(second, point, functions)


@functools.lru_cache(maxsize=64)
def _points(names: Sequence[str]) -> dict[str, Any]:
    """Return values for names: of order 1, small, large, positive, negative, and within (0, 1)."""
    import numpy as np

    random = np.random.default_rng(7)
    values = {}
    for name in names:
        small = random.uniform(0.05, 0.95, 8), random.uniform(0.05, 0.95, 8)
        sizes = np.concatenate([small[0], random.uniform(0.5, 3, 10), random.uniform(3, 40, 6), small[1]])
        # The first third is positive for every name, so that logarithms and roots of products have values.
        signs = np.where(np.arange(_POINTS) < 4, 1.0, random.choice([-1.0, 1.0], _POINTS))
        signs[8:14] = 1.0
        signs[24:] = -1.0
        values[name] = sizes * signs
    return values


def _row_points(names: Sequence[str], columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield points of a few numbers and columns."""
    import numpy as np

    random = np.random.default_rng(7)
    for low, high in ((0.2, 2.0), (-3.0, 3.0), (1.0, 9.0)):
        yield {
            name: random.uniform(low, high, _ROWS) if name in columns else float(random.uniform(low, high))
            for name in names
        }
