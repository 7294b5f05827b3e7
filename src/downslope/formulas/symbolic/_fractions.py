"""Sums as one fraction: common factors in front, one denominator, common divisors cancelled."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from downslope.formulas.symbolic._products import distributed, expanded, multiplied, power
from downslope.formulas.symbolic._terms import (
    ONE,
    Base,
    Powers,
    Terms,
    TooLargeError,
    added,
    as_product,
    as_terms,
    content,
    number,
    of_base,
    of_product,
    oriented,
    scaled,
)

_MOST_DEGREE = 24  # of a polynomial that is divided; a division costs about its square
# A power of a base, whole or with a name in its exponent: e^(2x) is the square of (e, x).
Generator = tuple[Base, Terms | None]
Polynomial = dict[tuple[int, ...], Fraction]

# The squares that the other function of the pair replaces: sin² = 1 - cos², cosh² = 1 + sinh².
_IDENTITIES = {"sin": ("cos", 1, -1), "cosh": ("sinh", 1, 1)}, {"cos": ("sin", 1, -1), "sinh": ("cosh", -1, 1)}


def as_fractions(terms: Terms) -> Iterator[Terms]:
    """Yield a sum as one fraction, and once more with squares of sine, cosine, sinh and cosh reduced either way."""
    yield _as_fraction(terms, {})
    functions = _functions_in(terms)
    for identity in _IDENTITIES:
        if any(name in functions for name in identity):
            yield _as_fraction(terms, identity)


def _functions_in(terms: Terms) -> set[str]:
    """Return the functions of the factors of a sum, and of sums within it."""
    names: set[str] = set()
    for powers in terms.coefficients:
        for base, _ in powers:
            if base.kind == "call":
                names.add(base.function)
            elif base.kind == "sum":
                names |= _functions_in(base.arguments[0])
    return names


def _as_fraction(terms: Terms, identity: Mapping[str, tuple[str, int, int]]) -> Terms:
    """Return a sum as one product of powers, cancelled."""
    coefficient, powers = as_product(_outside(terms, identity))
    parts = [number(coefficient)]
    for base, exponent in powers:
        rule = identity.get(base.function) if base.kind == "call" else None
        # A square below the line is replaced as those above it are, or nothing would cancel.
        if rule is not None and isinstance(exponent, Fraction) and exponent < 0 and exponent % 2 == 0:
            parts.append(power(_square(base, rule), number(exponent / 2)))
        elif base.kind != "sum" or not isinstance(exponent, Fraction):
            parts.append(power(of_base(base), as_terms(exponent)))
        elif exponent == 1:
            parts.append(_outside(base.arguments[0], identity))
        # A sum below the line stays a factor: multiplied out it would be longer. One with fractions in it is joined.
        elif exponent.denominator == 1 and (exponent > 0 or _has_quotient(base.arguments[0])):
            parts.append(power(_as_fraction(base.arguments[0], identity), number(exponent)))
        else:
            parts.append(power(base.arguments[0], number(exponent)))
    return _cancelled(functools.reduce(multiplied, parts, ONE))


def _has_quotient(terms: Terms) -> bool:
    """Return whether a sum has a negative whole power of a name or of a sum in it."""
    return any(
        isinstance(exponent, Fraction) and exponent < 0 for powers in terms.coefficients for _, exponent in powers
    )


def _outside(terms: Terms, identity: Mapping[str, tuple[str, int, int]]) -> Terms:
    """Return a sum with the factors that all its terms share in front, the rest multiplied out."""
    if len(terms.coefficients) < 2:
        return terms
    split = [dict(_generators(powers)) for powers in terms.coefficients]
    shared = {
        generator: min(powers.get(generator, Fraction(0)) for powers in split)
        for generator in dict.fromkeys(itertools.chain.from_iterable(split))
    }
    front = functools.reduce(multiplied, (_raised(g, count) for g, count in shared.items()), ONE)
    back = power(front, number(-1))
    rest = added(
        multiplied(of_product(coefficient, powers), back) for powers, coefficient in terms.coefficients.items()
    )
    rest = _reduced(expanded(rest), identity)
    return multiplied(front, rest)


def _generators(powers: Powers) -> Iterator[tuple[Generator, Fraction]]:
    """Yield the generators of a product with their exponents."""
    for base, exponent in powers:
        if isinstance(exponent, Fraction):
            yield (base, None), exponent
            continue
        plain = exponent.coefficients.get((), Fraction(0))
        rest = added((exponent, number(-plain)))
        factor, direction = oriented(rest)
        yield (base, direction), factor
        if plain:
            yield (base, None), plain


def _raised(generator: Generator, count: Fraction) -> Terms:
    """Return a power of a generator."""
    base, direction = generator
    return power(of_base(base), number(count) if direction is None else scaled(direction, count))


def _reduced(terms: Terms, identity: Mapping[str, tuple[str, int, int]]) -> Terms:
    """Return a sum of products in which an identity replaces the squares of some functions."""
    if not identity:
        return terms
    parts = []
    for powers, coefficient in terms.coefficients.items():
        product = number(coefficient)
        for base, exponent in powers:
            rule = identity.get(base.function) if base.kind == "call" else None
            if rule is None or not isinstance(exponent, Fraction) or exponent.denominator != 1 or exponent < 2:
                product = distributed(product, power(of_base(base), as_terms(exponent)))
                continue
            # u³ is u²·u: pairs of factors are replaced, an odd factor stays.
            square = _square(base, rule)
            for _ in range(int(exponent) // 2):
                product = distributed(product, square)
            if exponent % 2:
                product = distributed(product, of_base(base))
        parts.append(product)
    return added(parts)


def _square(base: Base, rule: tuple[str, int, int]) -> Terms:
    """Return the square of a function in terms of its partner."""
    other, constant, sign = rule
    partner = Base("call", f"{other}({base.arguments[0].key})", None, other, base.arguments)
    return added((number(constant), scaled(power(of_base(partner), number(2)), Fraction(sign))))


def _cancelled(terms: Terms) -> Terms:
    """Return a product in which what divides a sum above and one below is cancelled."""
    # Each round lowers a degree, so that there are never more rounds than degrees.
    for _ in range(_MOST_DEGREE):
        coefficient, powers = as_product(terms)
        sums = [(base, e) for base, e in powers if base.kind == "sum" and isinstance(e, Fraction)]
        pairs = [(above, below) for above in sums if _is_whole(above[1]) for below in sums if below[1] < 0]
        smaller = next((shorter for above, below in pairs if (shorter := _without_common(above, below))), None)
        if smaller is None:
            return terms
        (first, second), rewritten = smaller
        rest = tuple(item for item in powers if item[0] not in (first, second))
        terms = multiplied(of_product(coefficient, rest), rewritten)
    return terms


def _is_whole(exponent: Fraction) -> bool:
    """Return whether an exponent is positive and whole."""
    return exponent > 0 and exponent.denominator == 1


def _without_common(
    above: tuple[Base, Fraction], below: tuple[Base, Fraction]
) -> tuple[tuple[Base, Base], Terms] | None:
    """Return two sums and the quotient of their powers with their common divisor cancelled, None if there is none."""
    (top, p), (bottom, q) = above, below
    numerator, denominator = top.arguments[0], bottom.arguments[0]
    quotient = _divided(numerator, denominator)
    if quotient is not None:
        product = multiplied(power(quotient, number(p)), power(denominator, number(p + q)))
        return (top, bottom), product
    # A root has no whole number of factors to give away.
    if q.denominator != 1:
        return None
    quotient = _divided(denominator, numerator)
    if quotient is not None:
        return (top, bottom), multiplied(power(quotient, number(q)), power(numerator, number(p + q)))
    common = _common_divisor(numerator, denominator)
    if common is None:
        return None
    left, right = _divided(numerator, common), _divided(denominator, common)
    if left is None or right is None:
        return None
    parts = power(left, number(p)), power(right, number(q)), power(common, number(p + q))
    return (top, bottom), functools.reduce(multiplied, parts)


def _divided(numerator: Terms, denominator: Terms) -> Terms | None:
    """Return a quotient of two sums if the division has no remainder, else None."""
    generators, scales = _common_generators(numerator, denominator)
    above, shift = _polynomial(numerator, generators, scales)
    below, other = _polynomial(denominator, generators, scales)
    # A generator that stands below alone would be left over.
    if not all(any(e[index] for e in above) for index in range(len(generators)) if any(e[index] for e in below)):
        return None
    quotient = _exact_quotient(above, below)
    if quotient is None:
        return None
    moved = multiplied(shift, power(other, number(-1)))
    return expanded(multiplied(_terms_of(quotient, generators, scales), moved))


def _common_generators(*sums: Terms) -> tuple[list[Generator], list[int]]:
    """Return the generators of sums, each with the common denominator of its exponents."""
    exponents: dict[Generator, int] = {}
    for terms in sums:
        for powers in terms.coefficients:
            for generator, count in _generators(powers):
                # √x and x are powers of x^(1/2), in which both sums are polynomials.
                exponents[generator] = math.lcm(exponents.get(generator, 1), count.denominator)
    return list(exponents), list(exponents.values())


def _polynomial(terms: Terms, generators: list[Generator], scales: list[int]) -> tuple[Polynomial, Terms]:
    """Return a sum as a polynomial without common powers, and the product of these."""
    rows: list[tuple[tuple[int, ...], Fraction]] = []
    for powers, coefficient in terms.coefficients.items():
        counts = dict(_generators(powers))
        row = tuple(
            int(counts.get(generator, Fraction(0)) * scale) for generator, scale in zip(generators, scales, strict=True)
        )
        rows.append((row, coefficient))
    least = [min(row[index] for row, _ in rows) for index in range(len(generators))]
    if any(max(row[index] for row, _ in rows) - low > _MOST_DEGREE for index, low in enumerate(least)):
        raise TooLargeError("a polynomial has too high a degree")
    shift = functools.reduce(
        multiplied,
        (
            _raised(generator, Fraction(low, scale))
            for generator, low, scale in zip(generators, least, scales, strict=True)
            if low
        ),
        ONE,
    )
    return {tuple(e - low for e, low in zip(row, least, strict=True)): c for row, c in rows}, shift


def _terms_of(polynomial: Polynomial, generators: list[Generator], scales: list[int]) -> Terms:
    """Return a polynomial as a sum."""
    return added(
        functools.reduce(
            multiplied,
            (
                _raised(generator, Fraction(e, scale))
                for generator, e, scale in zip(generators, row, scales, strict=True)
                if e
            ),
            number(coefficient),
        )
        for row, coefficient in polynomial.items()
    )


def _exact_quotient(above: Polynomial, below: Polynomial) -> Polynomial | None:
    """Return the quotient of two polynomials if there is no remainder, else None."""
    # Long division, the terms in lexicographic order of their exponents.
    rest, quotient = dict(above), {}
    leading = max(below)
    while rest:
        top = max(rest)
        difference = tuple(a - b for a, b in zip(top, leading, strict=True))
        if min(difference, default=0) < 0:
            return None
        factor = rest[top] / below[leading]
        quotient[difference] = factor
        for row, coefficient in below.items():
            moved = tuple(a + b for a, b in zip(row, difference, strict=True))
            value = rest.get(moved, Fraction(0)) - factor * coefficient
            if value:
                rest[moved] = value
            # Exact zeros have to go, or the rest would never be empty.
            else:
                rest.pop(moved, None)
    return quotient


def _common_divisor(first: Terms, second: Terms) -> Terms | None:
    """Return the greatest common divisor of two sums, None if it is a number."""
    generators, scales = _common_generators(first, second)
    left, _ = _polynomial(first, generators, scales)
    right, _ = _polynomial(second, generators, scales)
    everywhere = range(len(generators))
    shared = [index for index in everywhere if all(any(row[index] for row in side) for side in (left, right))]
    # Two different primitive sums, one of them of degree 1 in each shared generator: `_divided` has seen all there is.
    if not shared or all(max(row[index] for row in side) < 2 for side in (left, right) for index in shared):
        return None
    if len(generators) == 1 and _is_irreducible_square(right):
        return None
    # Imported here alone, since that takes longer than most simplifications.
    import flint

    ring = flint.fmpq_mpoly_ctx.get([f"g{index}" for index in range(len(generators))], "lex")
    sides = (
        ring.from_dict({row: flint.fmpq(c.numerator, c.denominator) for row, c in side.items()})
        for side in (left, right)
    )
    common = next(sides).gcd(next(sides))
    rows = {tuple(int(e) for e in row): Fraction(int(c.p), int(c.q)) for row, c in common.to_dict().items()}
    # Common powers were split off before, so that a single term is a number.
    if len(rows) < 2:
        return None
    divisor = _terms_of(rows, generators, scales)
    return scaled(divisor, 1 / content(divisor))


def _is_irreducible_square(polynomial: Polynomial) -> bool:
    """Return whether a polynomial of one generator is of degree 2 without real zeros."""
    if max(row[0] for row in polynomial) != 2:
        return False
    a, b, c = (polynomial.get((degree,), Fraction(0)) for degree in (2, 1, 0))
    return b * b < 4 * a * c
