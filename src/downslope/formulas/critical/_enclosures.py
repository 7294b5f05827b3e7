"""Powers, the gamma function and its relatives on balls, by their monotony and convexity.

Between two neighbouring poles, and above 0, ψ = (ln|Γ|)′ rises, since ψ⁽ⁿ⁾ is positive for odd n. So ψ⁽ⁿ⁾ of even
order lies between its values at the ends of a ball, and ln|Γ| and ψ⁽ⁿ⁾ of odd order are convex: the larger end bounds
them from above, and where they do not rise or fall all along, a tangent from below. Around a pole −k they are quotients
by powers of x + k, from the recurrence of Γ.

References: NIST Digital Library of Mathematical Functions, chapter 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flint import arb

_NARROW = 2.0**-12  # relative radius from which Arb's own power is as narrow as that of the ends
_MOST_SHIFTS = 300  # of an argument below 0: one term each


def integer_power(base: arb, exponent: int) -> arb:
    """Return an integer power: what lies between those of both ends, an even one no lower than 0 around 0.

    Arb's own bound for wide balls forgets the sign, and that of an odd power of a ball with the middle 0 is not finite.
    """
    from flint import arb

    if exponent == 1:
        return base
    if exponent == 0 or not base.is_finite():
        return base**exponent
    if base.contains(0):
        if exponent < 0 or base.is_zero():
            return base**exponent
        highest = base.abs_upper() ** exponent if exponent % 2 == 0 else base.upper() ** exponent
        return arb(0).union(highest) if exponent % 2 == 0 else (-((-base.lower()) ** exponent)).union(highest)
    if base.rad() <= _NARROW * abs(base.mid()):
        return base**exponent
    return (base.lower() ** exponent).union(base.upper() ** exponent)


def gamma(x: arb) -> arb:
    """Return an enclosure of Γ; not finite on a ball with a pole."""
    from flint import arb

    if not _is_between_poles(x):
        return arb.nan()
    if x.rad().is_zero():
        return x.gamma()
    low, high = arb(x.lower()), arb(x.upper())
    first, last = low.gamma(), high.gamma()
    if low.digamma() > 0 or high.digamma() < 0:
        return first.union(last)
    middle = arb(x.mid())
    # The tangent of ln|Γ|.
    lowest = middle.gamma() * (-abs(middle.digamma()) * x.rad()).exp()
    return first.union(last).union(lowest)


def lgamma(x: arb) -> arb:
    """Return an enclosure of ln|Γ|."""
    return abs(gamma(x)).log()


def polygamma(order: int, x: arb) -> arb:
    """Return an enclosure of ψ⁽ⁿ⁾; not finite on a ball with a pole."""
    from flint import arb

    if not _is_between_poles(x):
        return arb.nan()
    if x.rad().is_zero():
        return _at(order, x)
    low, high = arb(x.lower()), arb(x.upper())
    ends = _at(order, low).union(_at(order, high))
    if order % 2 == 0 or x > 0 or _at(order + 1, low) > 0 or _at(order + 1, high) < 0:
        return ends
    middle = arb(x.mid())
    lowest = _at(order, middle) - abs(_at(order + 1, middle)) * x.rad()
    return ends.union(lowest if lowest > 0 else arb(0))


def gamma_around_pole(x: arb) -> tuple[arb, arb] | None:
    """Return numerator and divisor of Γ on a ball with one pole −k: Γ(x + k + 1)/∏(x + j) over x + k, j < k."""
    k = _pole_in(x)
    if k is None:
        return None
    above = gamma(x + (k + 1))
    for j in range(k):
        above /= x + j
    return above, x + k


def polygamma_around_pole(order: int, x: arb) -> tuple[arb, arb] | None:
    """Return numerator and divisor of ψ⁽ⁿ⁾ on a ball with one pole −k: (B·(x + k)ⁿ⁺¹ + c) over (x + k)ⁿ⁺¹.

    Here c = (−1)ⁿ⁺¹·n!, and B = ψ⁽ⁿ⁾(x + k + 1) + c·Σ (x + j)⁻ⁿ⁻¹ over j < k.
    """
    k = _pole_in(x)
    if k is None:
        return None
    factor = _factor(order)
    rest = polygamma(order, x + (k + 1))
    for j in range(k):
        rest += factor / integer_power(x + j, order + 1)
    divisor = integer_power(x + k, order + 1)
    return rest * divisor + factor, divisor


def _at(order: int, x: arb) -> arb:
    """Return ψ⁽ⁿ⁾ at a ball without width: (−1)ⁿ⁺¹·n!·ζ(n + 1, x), of Hurwitz's zeta function, for x > 0."""
    from flint import arb

    if order == 0:
        return x.digamma()
    shifts = 0 if x > 0 else 1 - int(float(x.lower()))
    if shifts > _MOST_SHIFTS:
        return arb.nan()
    total = arb(order + 1).zeta(x + shifts)
    for j in range(shifts):
        total += 1 / (x + j) ** (order + 1)
    return _factor(order) * total


def _factor(order: int) -> arb:
    """Return (−1)ⁿ⁺¹·n!."""
    from flint import arb

    value = arb(order + 1).gamma()
    return value if order % 2 else -value


def _is_between_poles(x: arb) -> bool:
    """Tell whether a ball certainly lies above 0 or between two whole numbers."""
    if x > 0:
        return True
    if not x.is_finite():
        return False
    below = x.floor().unique_fmpz()
    return below is not None and bool(x > below)


def _pole_in(x: arb) -> int | None:
    """Return k, if −k is the only pole that a ball may contain; else None."""
    if not x.is_finite() or not x.rad() < 1:
        return None
    k = -round(float(x.mid()))
    if not 0 <= k <= _MOST_SHIFTS:
        return None
    return k if x > -k - 1 and (k == 0 or x < 1 - k) else None
