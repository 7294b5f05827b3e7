"""Piecewise formulas: which condition holds where, their evaluation without foreign NaN, and their derivatives.

A derivative exists inside each piece. At the border of two pieces it is left undefined, since the pieces need not meet.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from downslope.formulas.expressions._functions import REDUCTIONS
from downslope.formulas.expressions._tree import (
    Call,
    Combination,
    Comparison,
    Condition,
    Expression,
    Piecewise,
    constant_value,
    names_in,
    sides,
    walk,
)

# The comparison that holds where another does not, and the same comparison without its border.
_NEGATED = {"<": "≥", "≤": ">", ">": "≤", "≥": "<", "=": "≠", "≠": "="}
_OPENED = {"≤": "<", "≥": ">"}
_MIRRORED = {"<": ">", "≤": "≥", ">": "<", "≥": "≤"}
_PROBES = 256

Evaluate = Callable[[Expression, Mapping[str, Any], Mapping[str, Callable[..., Any]]], Any]


def piecewise(
    tree: Piecewise, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], evaluate: Evaluate
) -> Any:
    """Evaluate a piecewise expression.

    Where values are arrays, every piece is computed in full and `functions["where"]` selects. A piece that is not in
    force would then put its NaN into gradients, since 0·NaN is NaN: there it is computed at a harmless point instead.
    """
    result: Any = math.nan if tree.otherwise is None else None
    pieces: list[tuple[Any, Expression]] = []
    before: Any = None  # whether an earlier condition holds
    for value, condition in zip(tree.values, tree.conditions, strict=False):
        mask = _holds(condition, values, functions, evaluate)
        if _is_plain(mask) and not pieces:
            if mask:
                return evaluate(value, values, functions)
            continue
        pieces.append((mask if before is None else functions["and"](mask, functions["not"](before)), value))
        before = mask if before is None else functions["or"](before, mask)
    if tree.otherwise is not None:
        if before is None:
            return evaluate(tree.otherwise, values, functions)
        result = _within(tree.otherwise, functions["not"](before), values, functions, evaluate)
    for mask, value in reversed(pieces):
        result = functions["where"](mask, _within(value, mask, values, functions, evaluate), result)
    return result


def _is_plain(mask: Any) -> bool:
    """Tell whether a condition was decided once for all rows."""
    return isinstance(mask, bool) or type(mask).__name__ in ("bool", "bool_")


def _holds(
    condition: Condition, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], evaluate: Evaluate
) -> Any:
    """Return whether a condition holds: a truth value, or an array of them."""
    if isinstance(condition, Comparison):
        left, right = (evaluate(side, values, functions) for side in (condition.left, condition.right))
        return functions[condition.sign](left, right)
    parts = [_holds(part, values, functions, evaluate) for part in condition.conditions]
    return functools.reduce(functions[condition.word], parts)


def _within(
    value: Expression,
    mask: Any,
    values: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]],
    evaluate: Evaluate,
) -> Any:
    """Evaluate a piece where it is in force, and at a harmless point elsewhere."""
    harmless = harmless_point(value, evaluate)
    if not harmless or _is_plain(mask):
        return evaluate(value, values, functions)
    inside = {name: functions["where"](mask, values[name], number) for name, number in harmless.items()}
    return evaluate(value, {**values, **inside}, functions)


@functools.lru_cache(maxsize=256)
def harmless_point(value: Expression, evaluate: Evaluate) -> Mapping[str, float] | None:
    """Return a point at which a piece and its surroundings are finite; None if it needs none or has none."""
    import numpy as np

    from downslope.formulas.expressions._functions import numpy_functions

    names = names_in(value)
    # A reduction would see the harmless rows beside the others.
    if not names or any(isinstance(node, Call) and node.function in REDUCTIONS for node in walk(value)):
        return None
    chance = np.random.default_rng(0)
    probes = chance.choice([-1.0, 1.0], (_PROBES, len(names))) * 10 ** chance.uniform(-1, 1, (_PROBES, len(names)))
    probes[: _PROBES // 2] = np.abs(probes[: _PROBES // 2])
    probes[0] = 1.0
    finite = np.ones(_PROBES, bool)
    with np.errstate(all="ignore"):
        for factor in (1.0, 0.999, 1.001):
            point = dict(zip(names, (factor * probes).T, strict=True))
            finite &= np.isfinite(np.broadcast_to(evaluate(value, point, numpy_functions()), _PROBES))
    rows = np.flatnonzero(finite)
    return dict(zip(names, map(float, probes[rows[0]]), strict=True)) if len(rows) else None


def negated(condition: Condition) -> Condition:
    """Return the condition that holds where another does not."""
    if isinstance(condition, Comparison):
        return Comparison(condition.left, _NEGATED[condition.sign], condition.right)
    word = "or" if condition.word == "and" else "and"
    return combined(word, [negated(part) for part in condition.conditions])


def combined(word: str, conditions: list[Condition]) -> Condition:
    """Return conditions joined by "and" or "or", each once, and those inside of the same word unpacked."""
    flat: dict[Condition, None] = {}
    for condition in conditions:
        inner = condition.conditions if isinstance(condition, Combination) and condition.word == word else (condition,)
        flat.update(dict.fromkeys(inner))
    parts = tuple(flat)
    return parts[0] if len(parts) == 1 else Combination(word, parts)


def inside_of_pieces(tree: Piecewise, variable: str) -> list[tuple[Expression, Condition]]:
    """Return each piece with the condition of its inside along a variable, without the borders to its neighbours.

    A condition that does not change with the variable keeps its border; a piece that is only a border is left out.

    >>> from downslope.formulas.expressions._tree import Name, Number, UNITY, ZERO
    >>> x = Name("x")
    >>> below, beside = Comparison(x, "<", ZERO), Comparison(x, "≥", ZERO)
    >>> [condition.sign for _, condition in inside_of_pieces(Piecewise((x, UNITY), (below, beside)), "x")]
    ['<', '>']
    """
    pieces, earlier = [], []
    for index, value in enumerate(tree.values):
        own = [tree.conditions[index]] if index < len(tree.conditions) else []
        inside = _opened(combined("and", [*own, *earlier]), variable)
        if inside is not None:
            pieces.append((value, _without_weaker(inside)))
        earlier += [negated(condition) for condition in own]
    return pieces


def _opened(condition: Condition, variable: str) -> Condition | None:
    """Return a condition without the border along a variable; None if nothing else is left of it."""
    if isinstance(condition, Combination):
        parts = [_opened(part, variable) for part in condition.conditions]
        left = [part for part in parts if part is not None]
        if not left or (condition.word == "and" and len(left) < len(parts)):
            return None
        return combined(condition.word, left)
    if not any(variable in names_in(side) for side in sides(condition)):
        return condition
    if condition.sign == "=":
        return None
    return Comparison(condition.left, _OPENED.get(condition.sign, condition.sign), condition.right)


def _without_weaker(condition: Condition) -> Condition:
    """Return a condition without comparisons that follow from others: x > 2 of x > 1 and x > 2."""
    if not isinstance(condition, Combination) or condition.word != "and":
        return condition

    strictest: dict[tuple[Expression, str], Any] = {}
    for part in condition.conditions:
        if isinstance(part, Comparison) and part.sign in "<>":
            bound, key = constant_value(part.right), (part.left, part.sign)
            if bound is not None:
                choose = min if part.sign == "<" else max
                strictest[key] = bound if key not in strictest else choose(strictest[key], bound)

    def is_needed(part: Condition) -> bool:
        if not isinstance(part, Comparison):
            return True
        bound = strictest.get((part.left, part.sign))
        return bound is None or constant_value(part.right) == bound

    return chained([part for part in condition.conditions if is_needed(part)])


def chained(conditions: Sequence[Condition]) -> Condition:
    """Return conditions that all have to hold; a lower and an upper bound of one expression as a chain, 1 < x < 2."""
    bounds = [_bound(part) for part in conditions if isinstance(part, Comparison)]
    upper = [bound for bound in bounds if bound.sign in "<≤"]
    lower = [bound for bound in bounds if bound.sign in ">≥"]
    if len(conditions) == 2 and len(upper) == len(lower) == 1 and upper[0].left == lower[0].left:
        return Combination("and", (_mirrored(lower[0]), upper[0]))
    return combined("and", list(conditions))


def _bound(comparison: Comparison) -> Comparison:
    """Return a comparison with a number on its left the other way round."""
    is_bound = not names_in(comparison.left) and names_in(comparison.right)
    return _mirrored(comparison) if is_bound else comparison


def _mirrored(comparison: Comparison) -> Comparison:
    """Return a comparison with its sides exchanged."""
    return Comparison(comparison.right, _MIRRORED.get(comparison.sign, comparison.sign), comparison.left)


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of a condition in the order they are written."""
    if isinstance(condition, Comparison):
        yield condition
        return
    for part in condition.conditions:
        yield from comparisons(part)
