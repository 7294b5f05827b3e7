"""Algebra on sums of products: products, powers and functions of `Terms`, and expressions as `Terms`.

Like factors are gathered as soon as they meet; nothing is multiplied out unless `expanded` is called.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from fractions import Fraction

from downslope.formulas.expressions import (
    Call,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
)
from downslope.formulas.symbolic._terms import (
    MOST_BITS,
    NOTHING,
    ONE,
    Base,
    Powers,
    Terms,
    TooLargeError,
    added,
    as_product,
    as_terms,
    bounded,
    content,
    number,
    of_base,
    of_product,
    of_sum,
    oriented,
    scaled,
)

_MOST_TERMS = 120  # of an expanded sum
_MOST_FACTORED = 1_000_000  # under a root
_MOST_EXPANDED = 12  # the highest power of a sum that is multiplied out


def terms_of(tree: Expression) -> Terms:
    """Return an expression as terms.

    Raises:
        TooLargeError: for numbers that are too large, or a division by zero.
    """
    match tree:
        case Number(value):
            return number(bounded(value))
        case Name(name):
            return of_base(Base("name", name, tree))
        case MathConstant(name):
            return of_base(Base("constant", f"#{name}", tree))
        case Negative(operand):
            return scaled(terms_of(operand), Fraction(-1))
        case Sum(terms):
            return added(map(terms_of, terms))
        case Product(factors):
            return functools.reduce(multiplied, map(terms_of, factors))
        case Quotient(numerator, denominator):
            return multiplied(terms_of(numerator), power(terms_of(denominator), number(-1)))
        case Power(base, exponent):
            return power(terms_of(base), terms_of(exponent))
        case Call(function, arguments):
            return called(function, tuple(map(terms_of, arguments)))
        case _:
            return of_base(Base("other", f"?{tree!r}", tree))


def multiplied(first: Terms, second: Terms) -> Terms:
    """Return a product, like factors gathered; sums in it stay as they are."""
    (c, left), (d, right) = as_product(first), as_product(second)
    if not left or not right:  # a number times a sum
        return scaled(second if not left else first, c if not left else d)
    return _gathered(c * d, (*left, *right))


def _gathered(coefficient: Fraction, factors: Iterable[tuple[Base, Fraction | Terms]]) -> Terms:
    """Return a product of powers with equal bases gathered and special functions reduced."""
    if not coefficient:
        return NOTHING
    exponents: dict[Base, Fraction | Terms] = {}
    for base, exponent in factors:
        before = exponents.get(base)
        exponents[base] = exponent if before is None else sum_of_exponents(before, exponent)
    coefficient *= _merge_opposites(exponents)
    _reduce_signs(exponents)
    _reduce_cube_roots(exponents)
    again: list[Terms] = []
    for base, exponent in list(exponents.items()):
        if isinstance(exponent, Terms):
            continue
        if exponent == 0:
            del exponents[base]
        # √(2x)² is 2x, and 2^(3/2) is 2·√2.
        elif base.kind == "sum" and exponent.denominator == 1 and not _stays_whole(base.arguments[0], exponent):
            del exponents[base]
            again.append(power(base.arguments[0], number(exponent)))
        elif base.kind == "number" and exponent.denominator != 1 and abs(exponent) > 1:
            whole = math.trunc(exponent)
            coefficient *= _number_power(_value_of(base), whole)
            exponents[base] = exponent - whole
        elif base.kind == "number" and exponent.denominator == 1:
            coefficient *= _number_power(_value_of(base), int(exponent))
            del exponents[base]
    product = of_product(coefficient, tuple(sorted(exponents.items(), key=lambda item: item[0].key)))
    return functools.reduce(multiplied, again, product)


def _merge_opposites(exponents: dict[Base, Fraction | Terms]) -> int:
    """Gather whole powers of a sum with roots of its negative, (x² - 1)·√(1 - x²), and return the sign that is left."""
    sign = 1
    for base, exponent in list(exponents.items()):
        if base.kind != "sum" or isinstance(exponent, Terms) or exponent.denominator == 1:
            continue
        if len(base.arguments[0].coefficients) < 2:
            continue
        factor, primitive = oriented(base.arguments[0])
        whole = exponents.get(of_sum(primitive)) if factor == -1 else None
        if isinstance(whole, Fraction) and whole.denominator == 1:
            del exponents[of_sum(primitive)]
            exponents[base] = exponent + whole
            sign *= -1 if whole % 2 else 1
    return sign


def _stays_whole(terms: Terms, exponent: Fraction) -> bool:
    """Return whether a whole power of a sum is one factor: 2 does not come out of (2x)^9999."""
    coefficient, _ = as_product(terms)
    if len(terms.coefficients) > 1 and coefficient == 1:
        return True
    return _is_too_large(coefficient, int(exponent))


def _is_too_large(value: Fraction, exponent: int) -> bool:
    """Return whether a whole power of a number is too large to be written out."""
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    return value not in (0, 1, -1) and bits * abs(exponent) > MOST_BITS


def _value_of(base: Base) -> Fraction:
    """Return the number that a base of the kind `number` is."""
    assert isinstance(base.node, Number)
    return base.node.value


def sum_of_exponents(first: Fraction | Terms, second: Fraction | Terms) -> Fraction | Terms:
    """Return the exponent of a product of two powers of one base."""
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return first + second
    total = added((as_terms(first), as_terms(second)))
    known = total.constant()
    return total if known is None else known


def _reduce_signs(exponents: dict[Base, Fraction | Terms]) -> None:
    """Gather |u|, sign(u) and u in a product: sign(u)/|u| is 1/u, and u·sign(u) is |u|."""
    for base in [base for base in exponents if base.is_call("abs") or base.is_call("sign")]:
        inside = base.arguments[0]
        coefficient, powers = as_product(inside)
        if coefficient != 1 or len(powers) != 1 or powers[0][1] != 1:
            continue
        u = powers[0][0]
        size, sign = _call_base("abs", (inside,)), _call_base("sign", (inside,))
        counts = [exponents.get(member, Fraction(0)) for member in (u, size, sign)]
        if any(isinstance(count, Terms) or count.denominator != 1 for count in counts):
            continue
        plain, sizes, signs = (int(count) for count in counts)  # type: ignore[arg-type]
        # An odd number of signs counts as one, and pairs of |u| are u².
        signs %= 2
        pairs = sizes - sizes % 2 if sizes > 0 else sizes + (-sizes) % 2
        plain, sizes = plain + pairs, sizes - pairs
        if signs and sizes:
            plain, sizes, signs = plain + sizes, 0, 0
        elif signs and plain:
            step = 1 if plain > 0 else -1
            plain, sizes, signs = plain - step, step, 0
        for member, count in ((u, plain), (size, sizes), (sign, signs)):
            exponents[member] = Fraction(count)
            if not count:
                del exponents[member]


def _reduce_cube_roots(exponents: dict[Base, Fraction | Terms]) -> None:
    """Gather ∛u and u in a product: ∛u³ is u, and u/∛u is ∛u²."""
    for base in [base for base in exponents if base.is_call("cbrt")]:
        coefficient, powers = as_product(base.arguments[0])
        roots = exponents.get(base, Fraction(0))
        if coefficient != 1 or len(powers) != 1 or powers[0][1] != 1 or isinstance(roots, Terms):
            continue
        u = powers[0][0]
        whole = exponents.get(u, Fraction(0))
        if isinstance(whole, Terms) or whole.denominator != 1 or roots.denominator != 1:
            continue
        if abs(roots) < 3 and roots * whole >= 0:
            continue
        thirds = 3 * whole + roots
        inside = Fraction(math.trunc(thirds / 3))
        for member, count in ((u, inside), (base, thirds - 3 * inside)):
            exponents[member] = count
            if not count:
                del exponents[member]


def power(base: Terms, exponent: Terms) -> Terms:
    """Return a power.

    Raises:
        TooLargeError: for 0 to a negative power, or a number that is too large.
    """
    known = exponent.constant()
    if known is None:
        return _symbolic_power(base, exponent)
    if known == 0:
        return ONE
    if known == 1:
        return base
    value = base.constant()
    if value is not None:
        return _power_of_number(value, known)
    coefficient, powers = as_product(base)
    # (2x)^9999 stays as it is.
    if known.denominator == 1 and _is_too_large(coefficient, int(known)):
        return of_product(Fraction(1), ((of_sum(base), known),))
    if known.denominator == 1:
        raised = ((member, _times(inner, known)) for member, inner in powers)
        return _gathered(_number_power(coefficient, int(known)), raised)
    return _root(base, coefficient, powers, known)


def _root(base: Terms, coefficient: Fraction, powers: Powers, exponent: Fraction) -> Terms:
    """Return a fractional power; a perfect power among the coefficients comes out of it."""
    factor = abs(coefficient) if len(base.coefficients) == 1 else content(base)
    outside = _exact_power(factor, exponent)
    inside = base if outside is None else scaled(base, 1 / factor)
    single = inside.only()
    if single is not None and single[1] == 1 and len(single[0]) == 1:
        (member, inner), *_ = single[0]
        # (√x)^(1/2) is x^(1/4), but √(x²) is not x.
        if isinstance(inner, Fraction) and (inner == 1 or inner.denominator % 2 == 0):
            return _gathered(outside or Fraction(1), ((member, inner * exponent),))
    return _gathered(outside or Fraction(1), ((of_sum(inside), exponent),))


def _symbolic_power(base: Terms, exponent: Terms) -> Terms:
    """Return a power with names in its exponent."""
    value = base.constant()
    if value is not None:
        if value == 1:
            return ONE
        member = Base("number", f"#{value}", Number(value))
        return _gathered(Fraction(1), ((member, exponent),))
    single = base.only()
    if single is not None and single[1] == 1 and len(single[0]) == 1:
        (member, inner), *_ = single[0]
        if member.key == "#e":
            together = multiplied(as_terms(inner), exponent)
            logarithm = together.only()
            # e^(ln u) is u.
            if logarithm is not None and logarithm[1] == 1 and len(logarithm[0]) == 1:
                (inside, count), *_ = logarithm[0]
                if inside.is_call("ln") and count == 1:
                    return inside.arguments[0]
            known = together.constant()
            return _gathered(Fraction(1), ((member, together if known is None else known),))
        if inner == 1:
            return _gathered(Fraction(1), ((member, exponent),))
    return _gathered(Fraction(1), ((of_sum(base), exponent),))


def _times(inner: Fraction | Terms, factor: Fraction) -> Fraction | Terms:
    """Return a multiple of an exponent."""
    return inner * factor if isinstance(inner, Fraction) else scaled(inner, factor)


def _power_of_number(value: Fraction, exponent: Fraction) -> Terms:
    """Return a power of two numbers, a root of a number without a rational value as a base."""
    if exponent.denominator == 1:
        return number(_number_power(value, int(exponent)))
    if value < 0:
        return of_product(Fraction(1), ((Base("number", f"#{value}", Number(value)), exponent),))
    exact = _exact_power(value, exponent)
    if exact is not None:
        return number(exact)
    outside, inside = _out_of_root(value, exponent.denominator)
    if outside != 1:
        return multiplied(number(_number_power(outside, exponent.numerator)), power(number(inside), number(exponent)))
    return _gathered(Fraction(1), ((Base("number", f"#{value}", Number(value)), exponent),))


def _out_of_root(value: Fraction, degree: int) -> tuple[Fraction, Fraction]:
    """Return what comes out of a root and what stays: √8 is 2·√2, √(1/2) is √2/2."""
    inside, below = value.numerator * value.denominator ** (degree - 1), value.denominator
    outside = 1
    if inside < _MOST_FACTORED:
        for factor in range(2, 1 + math.ceil(inside ** (1 / degree))):
            while inside % factor**degree == 0:
                inside //= factor**degree
                outside *= factor
    return Fraction(outside, below), Fraction(inside)


def _exact_power(value: Fraction, exponent: Fraction) -> Fraction | None:
    """Return a power of a positive number if it is rational, else None."""
    if value == 0:
        return Fraction(0) if exponent > 0 else None
    roots = [_whole_root(part, exponent.denominator) for part in (value.numerator, value.denominator)]
    if roots[0] is None or roots[1] is None:
        return None
    return _number_power(Fraction(roots[0], roots[1]), exponent.numerator)


def _whole_root(value: int, degree: int) -> int | None:
    """Return a whole root of a whole number, None if there is none."""
    if value.bit_length() > 1000:
        return None
    near = math.isqrt(value) if degree == 2 else round(value ** (1 / degree))
    return next((root for root in (near - 1, near, near + 1) if root >= 0 and root**degree == value), None)


def _number_power(value: Fraction, exponent: int) -> Fraction:
    """Return a whole power of a number."""
    if not value and exponent < 0:
        raise TooLargeError("division by zero")
    if _is_too_large(value, exponent):
        raise TooLargeError("a number is too large")
    return value**exponent


_AT_ZERO = {"sin": 0, "tan": 0, "asin": 0, "atan": 0, "sinh": 0, "tanh": 0, "asinh": 0, "atanh": 0, "sign": 0, "abs": 0}
_AT_ZERO |= {"cos": 1, "cosh": 1, "relu": 0, "cbrt": 0, "erf": 0}


def called(function: str, arguments: tuple[Terms, ...]) -> Terms:
    """Return a function of terms, with the values that are known exactly."""
    if function == "sqrt":
        return power(arguments[0], number(Fraction(1, 2)))
    if function == "exp":
        return power(of_base(Base("constant", "#e", MathConstant("e"))), arguments[0])
    if len(arguments) == 1:
        inside = arguments[0]
        value = inside.constant()
        if value == 0 and function in _AT_ZERO:
            return number(_AT_ZERO[function])
        if value is not None and function in ("abs", "sign"):
            return number(abs(value) if function == "abs" else (value > 0) - (value < 0))
        if function == "ln" and value == 1:
            return NOTHING
        if function == "ln" and inside.key == "1*#e^(1)":
            return ONE
        if function in ("mean", "sum"):
            coefficient, powers = as_product(inside)
            if coefficient != 1 and powers and len(inside.coefficients) == 1:
                return scaled(of_base(_call_base(function, (of_product(Fraction(1), powers),))), coefficient)
    return of_base(_call_base(function, arguments))


def _call_base(function: str, arguments: tuple[Terms, ...]) -> Base:
    """Return a call as a base."""
    key = f"{function}({', '.join(argument.key for argument in arguments)})"
    return Base("call", key, None, function, arguments)


def expanded(terms: Terms) -> Terms:
    """Return a sum with the whole powers of sums in it multiplied out.

    Raises:
        TooLargeError: if it would have too many terms.
    """
    parts = []
    for powers, coefficient in terms.coefficients.items():
        sums = [(base, e) for base, e in powers if base.kind == "sum" and isinstance(e, Fraction) and _is_whole(e)]
        rest = tuple((base, e) for base, e in powers if (base, e) not in sums)
        product = Terms({rest: coefficient})
        for base, exponent in sums:
            for _ in range(int(exponent)):
                product = distributed(product, expanded(base.arguments[0]))
        parts.append(product)
    return added(parts)


def _is_whole(exponent: Fraction) -> bool:
    """Return whether an exponent is positive and whole, and small enough to multiply a sum out."""
    if exponent.denominator == 1 and exponent > _MOST_EXPANDED:
        raise TooLargeError("a power is too high to be multiplied out")
    return exponent.denominator == 1 and exponent > 0


def distributed(first: Terms, second: Terms) -> Terms:
    """Return a product of two sums, each term times each."""
    if len(first.coefficients) * len(second.coefficients) > 2 * _MOST_TERMS:
        raise TooLargeError("a product has too many terms")
    products = (
        _gathered(c * d, (*left, *right))
        for left, c in first.coefficients.items()
        for right, d in second.coefficients.items()
    )
    return added(products)
