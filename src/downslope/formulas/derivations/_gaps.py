"""Where a formula has a value but no derivative: at kinks, jumps and vertical tangents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from downslope.formulas._roughness import rough_parts
from downslope.formulas.evaluation import evaluate
from downslope.formulas.expressions import (
    ZERO,
    Call,
    Expression,
    Name,
    Negative,
    Number,
    Quotient,
    Sum,
    book,
    latex,
    names_in,
    numpy_functions,
)
from downslope.formulas.symbolic import TooLargeError, simplifier, terms_of

_REACH = 1e-6  # of the point: the distance at which slopes on both sides are compared
_NEARER = 100.0
_KINDS = ("kink", "jump", "root", "edge")
_MOST = 12


@dataclass(frozen=True)
class Gap:
    """A place without a derivative.

    Args:
        left: the variable, or an expression.
        right: its value there.
        is_certain: whether both sides were compared there; a border that is not solved is only a possible place.
    """

    left: Expression
    right: Expression
    is_certain: bool

    def text(self) -> str:
        """Return the place as an equation."""
        return f"{book(self.left)} = {book(self.right)}"

    def latex(self) -> str:
        """Return the place as an equation in LaTeX."""
        return f"{latex(self.left)} = {latex(self.right)}"


def gaps(tree: Expression, variable: str, *, decimals: bool = False) -> tuple[Gap, ...]:
    """Return where a formula has a value but no derivative by a variable, the certain places first.

    >>> from downslope.formulas import formula
    >>> [gap.text() for gap in gaps(formula("|x² - 4| + x|x|").body, "x")]
    ['x = -2', 'x = 2']
    """
    certain: dict[Gap, float] = {}
    possible: dict[Gap, None] = {}
    for part in rough_parts(tree):
        if part.kind not in _KINDS or variable not in names_in(part.border):
            continue
        zeros = _zeros(part.border, variable, decimals) if names_in(tree) == (variable,) else None
        if zeros is None:
            # An edge of the domain has no derivative only if the formula has a value there; that is not looked at.
            if part.kind != "edge":
                possible[Gap(part.border, ZERO, is_certain=False)] = None
            continue
        for zero in zeros:
            value = float(evaluate(zero, {}, numpy_functions()))
            if lacks_slope(tree, variable, {variable: value}):
                certain[Gap(Name(variable), zero, is_certain=True)] = value
    return (*sorted(certain, key=lambda gap: certain[gap]), *possible)[:_MOST]


def _zeros(border: Expression, variable: str, decimals: bool) -> list[Expression] | None:
    """Return the zeros of a polynomial of degree 1 or 2; None for anything else."""
    try:
        terms = terms_of(border)
    except TooLargeError:
        return None
    coefficients = [Fraction(0)] * 3
    for powers, coefficient in terms.coefficients.items():
        degree = Fraction(0) if not powers else powers[0][1]
        alone = not powers or (len(powers) == 1 and powers[0][0].key == variable)
        if not alone or not isinstance(degree, Fraction) or degree not in (0, 1, 2):
            return None
        coefficients[int(degree)] += coefficient
    c, b, a = coefficients
    simplified = simplifier(decimals=decimals)
    if a == 0:
        return [simplified(_number(-c / b))] if b else []
    square = b * b - 4 * a * c
    if square < 0:
        return []
    root = Call("sqrt", (_number(square),))
    signs = (-1, 1) if square else (1,)
    tops = [Sum((_number(-b), root if sign * a > 0 else Negative(root))) for sign in signs]
    return [_constant(Quotient(top, _number(2 * a)), decimals) for top in tops]


def _constant(tree: Expression, decimals: bool) -> Expression:
    """Return a number without names in its shortest form."""
    from downslope.formulas.symbolic import Textbook

    return Textbook(decimals=decimals).tree(terms_of(tree))


def _number(value: Fraction) -> Expression:
    """Return a number as a tree, its sign in front."""
    return Negative(Number(-value)) if value < 0 else Number(value)


def lacks_slope(tree: Expression, variable: str, point: Mapping[str, float]) -> bool:
    """Return whether a formula has a value at a point, and slopes on both sides that differ or grow without bound.

    Only formulas with a part that is not smooth are looked at.

    >>> from downslope.formulas import formula
    >>> [lacks_slope(formula(text).body, "x", {"x": 0.0}) for text in ("|x|", "x|x|", "cbrt(x)", "1/x")]
    [True, False, True, False]
    """
    if not any(part.kind in _KINDS and variable in names_in(part.border) for part in rough_parts(tree)):
        return False
    import numpy as np

    functions, at = numpy_functions(), point[variable]
    reach = _REACH * max(1.0, abs(at))
    with np.errstate(all="ignore"):
        value = float(evaluate(tree, {name: np.float64(number) for name, number in point.items()}, functions))
        if not math.isfinite(value):
            return False
        slopes = []
        for side in (-1.0, 1.0):
            moves = np.array([side * reach, side * reach / _NEARER])
            values = np.broadcast_to(evaluate(tree, {**point, variable: at + moves}, functions), 2)
            far, near = (values - value) / moves
            # A slope that grows as its ends approach each other is vertical.
            if math.isfinite(near) and abs(near) > 3 * abs(far) and abs(near) > 1:
                return True
            slopes.append(float(far))
    left, right = slopes
    # Where there is a value on one side only, the slope of that side is the derivative.
    return math.isfinite(left) and math.isfinite(right) and abs(left - right) > 1e-3 * (1 + abs(left) + abs(right))
