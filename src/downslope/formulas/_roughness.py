"""Where a formula is not smooth, from its tree: kinks, jumps, vertical tangents, edges of the domain, poles.

Each `RoughPart` has a border, an expression that is zero where the part is not smooth. On one side of all borders the
formula is a smooth piece, a tree of its own: |u| is u or −u there, max(u, v) one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from downslope.formulas.expressions import (
    TWO,
    UNITY,
    ZERO,
    Call,
    Combination,
    Condition,
    Expression,
    MathConstant,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    children,
    comparisons,
    constant_value,
    map_children,
    names_in,
    odd_root,
)

_MOST_PAIRS = 10  # of arguments of one max or min


@dataclass(frozen=True)
class RoughPart:
    """A part of a formula that is not smooth.

    Args:
        node: the part.
        border: what is zero where it is not smooth.
        kind: "kink" (|u|, max, min, relu), "root" (∛u, u^(2/3), with values on both sides), "jump" (sign, step, the
            pieces of a piecewise formula), "steps" (floor and its relatives, with a border at each whole number),
            "edge" (√u, ln u, with values on one side) or "divisor" (a pole or a gap).
    """

    node: Expression
    border: Expression
    kind: str

    @property
    def has_two_sides(self) -> bool:
        """Whether there are values on both sides of the border."""
        return self.kind not in ("edge", "divisor")


def rough_parts(tree: Expression) -> tuple[RoughPart, ...]:
    """Return the parts of a tree that are not smooth, inner ones first, each border once.

    >>> from downslope.formulas import book, formula
    >>> [(part.kind, book(part.border)) for part in rough_parts(formula("√x + |x - 1|/(x + 2)").body)]
    [('edge', 'x'), ('kink', 'x - 1'), ('divisor', 'x + 2')]
    """
    parts: dict[tuple[Expression, str], RoughPart] = {}
    for node in _inner_first(tree):
        for border, kind in _borders(node):
            if names_in(border):
                parts.setdefault((border, kind), RoughPart(node, border, kind))
    return tuple(parts.values())


def _inner_first(tree: Expression) -> Iterator[Expression]:
    """Yield every node in post-order."""
    for child in children(tree):
        yield from _inner_first(child)
    yield tree


def _borders(node: Expression) -> Iterator[tuple[Expression, str]]:
    """Yield the borders of one node, with their kinds."""
    match node:
        case Quotient(_, denominator):
            yield denominator, "divisor"
        case Power(base, exponent):
            yield from _borders_of_power(base, exponent)
        case Piecewise(_, conditions):
            for condition in conditions:
                for comparison in comparisons(condition):
                    yield _difference(comparison.left, comparison.right), "jump"
        case Call("max" | "min", arguments):
            for first, second in list(combinations(arguments, 2))[:_MOST_PAIRS]:
                yield _difference(first, second), "kink"
        case Call("floor" | "ceil", (u,)):
            # The whole numbers as the zeros of one smooth expression.
            yield _sine_of_turns(u), "steps"
        case Call("mod", (u, v)):
            yield _sine_of_turns(Quotient(u, v)), "steps"
            yield v, "divisor"
        case Call("root", (u, degree)):
            known = constant_value(degree)
            yield u, "root" if known is not None and known % 2 == 1 else "edge"
        case Call("besselj" | "polygamma" as function, (_, u)):
            # Its poles are 0, −1, −2, …; a Bessel function of whole order is smooth everywhere.
            if function == "polygamma":
                yield _sine_of_turns(u), "divisor"
        case Call(function, (u, *_)) if function in _CALLS:
            border, kind = _CALLS[function]
            yield border(u), kind
        case _:
            return


def _borders_of_power(base: Expression, exponent: Expression) -> Iterator[tuple[Expression, str]]:
    """Yield the borders of a power."""
    known = constant_value(exponent)
    if known is None:
        # u^v is e^(v·ln u), which has values for u > 0 alone.
        if names_in(base):
            yield base, "edge"
        return
    if known.denominator != 1:
        yield base, "edge" if odd_root(exponent) is None else "root"
    # A cusp and a pole may lie at the same zero: u^(−2/3) has both borders.
    if known < 0:
        yield base, "divisor"


def _difference(first: Expression, second: Expression) -> Expression:
    """Return a difference; a zero is left out."""
    if second == ZERO:
        return first
    return second if first == ZERO else Sum((first, Negative(second)))


def _sine_of_turns(u: Expression) -> Expression:
    """Return sin(π·u), which is zero where u is whole."""
    return Call("sin", (Product((MathConstant("π"), u)),))


def _itself(u: Expression) -> Expression:
    return u


def _within_unity(u: Expression) -> Expression:
    return Sum((UNITY, Negative(Power(u, TWO))))


_CALLS: dict[str, tuple[Callable[[Expression], Expression], str]] = {
    "abs": (_itself, "kink"),
    "relu": (_itself, "kink"),
    "sign": (_itself, "jump"),
    "step": (_itself, "jump"),
    "cbrt": (_itself, "root"),
    "sqrt": (_itself, "edge"),
    **dict.fromkeys(("ln", "log10", "log2"), (_itself, "edge")),
    **dict.fromkeys(("asin", "acos", "atanh"), (_within_unity, "edge")),
    "acosh": (lambda u: Sum((u, Negative(UNITY))), "edge"),
    "tan": (lambda u: Call("cos", (u,)), "divisor"),
    "sec": (lambda u: Call("cos", (u,)), "divisor"),
    "cot": (lambda u: Call("sin", (u,)), "divisor"),
    "csc": (lambda u: Call("sin", (u,)), "divisor"),
    **dict.fromkeys(("coth", "csch", "acsch"), (_itself, "divisor")),
    **dict.fromkeys(("acoth", "asec", "acsc"), (lambda u: Sum((Power(u, TWO), Negative(UNITY))), "edge")),
    # The domain is 0 < u ≤ 1, and both its ends are zeros of the border.
    "asech": (lambda u: Product((u, Sum((UNITY, Negative(u))))), "edge"),
    # All poles are whole numbers. A border without one only cuts a smooth piece in two.
    **dict.fromkeys(("gamma", "lgamma", "digamma", "factorial"), (_sine_of_turns, "divisor")),
}


def smooth_piece(
    tree: Expression,
    sign: Callable[[Expression], int],
    whole: Callable[[Expression], int] | None = None,
) -> Expression:
    """Return the smooth formula that a tree is where its borders have certain signs.

    Args:
        tree: the formula.
        sign: the sign of a border, 1 or −1.
        whole: the value of a call of floor or ceil, or of the floor of u/v in mod(u, v); None where there are none.
    """

    def inner(node: Expression) -> Expression:
        return smooth_piece(node, sign, whole)

    match tree:
        case Call("abs", (u,)):
            return inner(u) if sign(u) > 0 else Negative(inner(u))
        case Call("relu", (u,)):
            return inner(u) if sign(u) > 0 else ZERO
        case Call("step", (u,)):
            return UNITY if sign(u) > 0 else ZERO
        case Call("sign", (u,)):
            return UNITY if sign(u) > 0 else Negative(UNITY)
        case Call("max" | "min" as function, arguments):
            return inner(_selected(function, arguments, sign))
        case Call("cbrt", (u,)):
            return _piece_of_root(u, Fraction(1, 3), inner, sign)
        case Call("root", (u, degree)) if (known := constant_value(degree)) is not None and known % 2 == 1:
            return _piece_of_root(u, 1 / known, inner, sign)
        case Power(Call("cbrt", (u,)), exponent) if (known := constant_value(exponent)) and known.denominator == 1:
            # ∛u² is one power, whose slope is one quotient.
            return _piece_of_root(u, known / 3, inner, sign)
        case Call("floor" | "ceil", _) if whole is not None:
            return _number(whole(tree))
        case Call("mod", (u, v)) if whole is not None:
            return Sum((inner(u), Negative(Product((_number(whole(Call("floor", (Quotient(u, v),)))), inner(v))))))
        case Piecewise():
            return inner(_piece_in_force(tree, sign))
        case Power(base, exponent) if names_in(base):
            return _piece_of_power(base, exponent, inner, sign)
        case _:
            return map_children(tree, inner)


def _selected(function: str, arguments: tuple[Expression, ...], sign: Callable[[Expression], int]) -> Expression:
    """Return the argument that max or min selects."""
    best = arguments[0]
    for other in arguments[1:]:
        # The borders are differences in the order of the arguments.
        ahead = _signed_difference(best, other, sign) > 0
        best = best if ahead == (function == "max") else other
    return best


def _piece_in_force(tree: Piecewise, sign: Callable[[Expression], int]) -> Expression:
    """Return the value of a piecewise formula whose condition holds; NaN where none does."""
    for value, condition in zip(tree.values, tree.conditions, strict=False):
        if _holds(condition, sign):
            return value
    return tree.otherwise if tree.otherwise is not None else Quotient(ZERO, ZERO)


def _holds(condition: Condition, sign: Callable[[Expression], int]) -> bool:
    """Tell whether a condition holds inside of its region, away from its border."""
    if isinstance(condition, Combination):
        parts = (_holds(part, sign) for part in condition.conditions)
        return all(parts) if condition.word == "and" else any(parts)
    if condition.sign in "=≠":
        return condition.sign == "≠"
    ahead = _signed_difference(condition.left, condition.right, sign) > 0
    return ahead == (condition.sign in ">≥")


def _signed_difference(left: Expression, right: Expression, sign: Callable[[Expression], int]) -> int:
    """Return the sign of left − right, whichever of the two is a zero."""
    if left == ZERO and right != ZERO:
        return -sign(right)
    return sign(_difference(left, right))


def _piece_of_power(
    base: Expression, exponent: Expression, inner: Callable[[Expression], Expression], sign: Callable[[Expression], int]
) -> Expression:
    """Return a power with a positive base: (−8)^(2/3) is 8^(2/3), and (−8)^(1/3) is −8^(1/3)."""
    known = constant_value(exponent)
    if known is None or odd_root(exponent) is None:
        return Power(inner(base), inner(exponent))
    return _piece_of_root(base, known, inner, sign)


def _piece_of_root(
    base: Expression,
    exponent: Fraction,
    inner: Callable[[Expression], Expression],
    sign: Callable[[Expression], int],
) -> Expression:
    """Return a power with an odd denominator as one of a base that is not negative."""
    if exponent.denominator == 1:
        return Power(inner(base), _signed(exponent))
    if sign(base) > 0:
        return Power(inner(base), _signed(exponent))
    turned = Power(Negative(inner(base)), _signed(exponent))
    return Negative(turned) if exponent.numerator % 2 else turned


def _signed(value: Fraction) -> Expression:
    """Return a number as a decimal, which is read as a power of positive numbers alone."""
    decimal = value.denominator != 1
    return Negative(Number(-value, decimal)) if value < 0 else Number(value, decimal)


def _number(value: int) -> Expression:
    """Return a whole number as a tree."""
    return Negative(Number(Fraction(-value))) if value < 0 else Number(Fraction(value))


def as_quotient(tree: Expression) -> tuple[Expression, Expression] | None:
    """Return numerator and denominator of a tree whose terms have denominators with names; None for other trees.

    >>> from downslope.formulas import book, formula
    >>> tuple(map(book, as_quotient(formula("x + 1/x").body)))
    ('x·x + 1', 'x')
    """
    above, below = _fraction_of(tree)
    return (above, below) if below != UNITY else None


def _fraction_of(tree: Expression) -> tuple[Expression, Expression]:
    """Return numerator and denominator, 1 where there is none with names."""
    match tree:
        case Negative(operand):
            above, below = _fraction_of(operand)
            return Negative(above), below
        case Sum(terms):
            parts = [_fraction_of(term) for term in terms]
            divisors = tuple(dict.fromkeys(below for _, below in parts if below != UNITY))
            lifted = [
                _product([above, *(divisor for divisor in divisors if divisor != below)]) for above, below in parts
            ]
            return Sum(tuple(lifted)), _product(list(divisors))
        case Product(factors):
            parts = [_fraction_of(factor) for factor in factors]
            return _product([above for above, _ in parts]), _product([below for _, below in parts])
        case Quotient(numerator, denominator) if names_in(denominator):
            first, second = _fraction_of(numerator), _fraction_of(denominator)
            return _product([first[0], second[1]]), _product([first[1], second[0]])
        case Power(base, exponent) if names_in(base):
            return _fraction_of_power(tree, base, exponent)
        case Call("tan" | "sec" | "cot" | "csc" as function, (u,)):
            sine, cosine = Call("sin", (u,)), Call("cos", (u,))
            return {"tan": (sine, cosine), "sec": (UNITY, cosine), "cot": (cosine, sine), "csc": (UNITY, sine)}[
                function
            ]
        case _:
            return tree, UNITY


def _fraction_of_power(tree: Expression, base: Expression, exponent: Expression) -> tuple[Expression, Expression]:
    """Return numerator and denominator of a power with a constant exponent."""
    known = constant_value(exponent)
    if known is None or known == 0:
        return tree, UNITY
    if known < 0:
        return UNITY, Power(base, Number(-known)) if known != -1 else base
    above, below = _fraction_of(base)
    if below == UNITY or known.denominator != 1:
        return tree, UNITY
    return Power(above, exponent), Power(below, exponent)


def _product(factors: list[Expression]) -> Expression:
    """Return a product without its factors 1."""
    rest = [factor for factor in factors if factor != UNITY]
    if not rest:
        return UNITY
    return rest[0] if len(rest) == 1 else Product(tuple(rest))


def exponential_factor(tree: Expression) -> tuple[Expression, Expression] | None:
    """Return w and u of a tree w·e^u; None for other trees.

    The slope w′ + w·u′ times e^u vanishes where its first factor does, of which balls do not lose the sign far out.
    """
    match tree:
        case Negative(operand):
            inner = exponential_factor(operand)
            return None if inner is None else (Negative(inner[0]), inner[1])
        case Power(MathConstant("e"), exponent) if names_in(exponent):
            return UNITY, exponent
        case Call("exp", (u,)):
            return UNITY, u
        case Quotient(numerator, denominator):
            inner = exponential_factor(numerator)
            return None if inner is None else (Quotient(inner[0], denominator), inner[1])
        case Product(factors):
            for index, factor in enumerate(factors):
                inner = exponential_factor(factor)
                if inner is not None:
                    return _product([*factors[:index], inner[0], *factors[index + 1 :]]), inner[1]
            return None
        case _:
            return None
