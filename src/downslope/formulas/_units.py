"""Units by name, through Pint, which is loaded only when units are given."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from downslope._errors import UnitError, nearest

if TYPE_CHECKING:
    from downslope.formulas._formula import Formula

_PLAIN = {"%": "percent", "°C": "delta_degree_Celsius", "°F": "delta_degree_Fahrenheit", "€": "euro", "$": "dollar"}
_SHORT = {
    "percent": "%",
    "delta_degree_Celsius": "°C",
    "degree_Celsius": "°C",
    "delta_degree_Fahrenheit": "°F",
    "degree_Fahrenheit": "°F",
    "dollar": "$",
    "euro": "€",
    "point": "points",
}
_LONGEST = 60
_PIECE = re.compile(r"\s+|(?:\*\*|\^)-?[1-9](?![0-9])|\*(?!\*)|[/()·×]|1(?![0-9])|(?:[^\W\d_]|[%°€$])(?:\w|[%°€$⁻])*")
_SUPERSCRIPTS = str.maketrans("0123456789.", "⁰¹²³⁴⁵⁶⁷⁸⁹·")


def checked_units(units: Mapping[str, str], formula: Formula) -> dict[str, str]:
    """Return the units, after checking that each is known and belongs to a name of the formula.

    Raises:
        UnitError: for an unknown unit, or a name that does not occur.
    """
    names = [*([formula.name] if formula.name else []), *formula.variables, *formula.columns]
    for name, unit in units.items():
        if name not in names:
            close = nearest(name, names)
            raise UnitError(
                f"a unit is given for {name!r}, which does not occur in {formula.read_as}",
                hint=f"did you mean {close}?" if close else None,
            )
        parse(unit)
    return dict(units)


def parse(unit: str) -> Any:
    """Return a Pint unit.

    Raises:
        UnitError: if there is no such unit.

    >>> str(parse("km/hour"))
    'kilometer / hour'
    """
    pieces = _PIECE.findall(unit)
    if len(unit) > _LONGEST or "".join(pieces) != unit:
        raise UnitError(f"{unit[:_LONGEST]!r} is no unit", hint="a unit is written like hour, %/hour, m² or kg*m/s^2")
    text = unit.replace("×", "*").replace("·", "*")
    for plain, name in _PLAIN.items():
        text = text.replace(plain, name)
    try:
        return _registry().Unit(text)
    except Exception as error:  # Pint raises a dozen kinds, from its own tokenizer's up
        word = getattr(error, "unit_names", unit)
        word = word if isinstance(word, str) else next(iter(word), unit)
        close = nearest(word, dir(_registry()))
        raise UnitError(f"there is no unit {word!r}", hint=f"did you mean {close}?" if close else None) from None


def unit_ratio(above: str, below: str) -> str:
    """Return the unit of something in the one unit by something in the other, written short: %/h.

    >>> unit_ratio("percent", "hour")
    '%/h'
    >>> unit_ratio("m/s", "s")
    'm/s²'
    """
    return _short(parse(above) / parse(below))


def unit_of_powers(powers: Mapping[str, float], units: Mapping[str, str]) -> str:
    """Return the unit of a product of powers of quantities, in their units where those are given, else in their names.

    Args:
        powers: the exponent of each quantity, by name.
        units: units by name, of all of them or of none.

    >>> unit_of_powers({"price": 1, "size": -1}, {})
    'price/size'
    >>> unit_of_powers({"price": 1, "size": -1}, {"price": "dollar", "size": "m²"})
    '$/m²'
    """
    if not all(name in units for name in powers):
        return _quotient(powers)
    unit = _registry().Unit("")
    for name, power in powers.items():
        unit = unit * parse(units[name]) ** float(power)
    return _short(unit)


def unit_product(one: str, other: str) -> str:
    """Return the unit of a product of two rates, shortened where the units cancel.

    >>> unit_product("point/minute", "minute/degC")
    'points/°C'
    """
    return _short(parse(one) * parse(other))


def check_convertible(given: str, needed: str, what: str) -> None:
    """Raise if something in the one unit cannot stand where the other is needed.

    Raises:
        UnitError: naming both units.
    """
    if not parse(given).is_compatible_with(parse(needed)):
        raise UnitError(f"{what} is in {given}, but {needed} is needed", hint="these units measure different things")


def factor(given: str, needed: str) -> float:
    """Return how many of the needed unit one of the given unit is.

    >>> factor("hour", "minute")
    60.0
    """
    check_convertible(given, needed, "a value")
    return float(_registry().Quantity(1, parse(given)).to(parse(needed)).magnitude)


def _short(unit: Any) -> str:
    """Return a Pint unit as books write it: short symbols, superscripts, one stroke; "1" for none."""
    powers: dict[str, float] = {}
    for name, power in _registry().Quantity(1, unit).unit_items():
        symbol = _symbol(name)
        powers[symbol] = powers.get(symbol, 0) + power
    return _quotient(powers)


def _symbol(name: str) -> str:
    """Return the symbol of a unit, with or without a prefix: k$ for kilodollar."""
    symbol = _registry().get_symbol(name)
    for long, short in _SHORT.items():
        if name.endswith(long):
            return symbol.removesuffix(_registry().get_symbol(long)) + short
    return symbol


def _quotient(powers: Mapping[str, float]) -> str:
    """Return a product of powers with one stroke; "1" for none."""
    above = [_raised(symbol, power) for symbol, power in powers.items() if power > 0]
    below = [_raised(symbol, -power) for symbol, power in powers.items() if power < 0]
    top = "·".join(above) or "1"
    if not below:
        return top
    return f"{top}/{below[0]}" if len(below) == 1 else f"{top}/({'·'.join(below)})"


def _raised(symbol: str, power: float) -> str:
    """Return a unit's symbol with its power as a superscript."""
    return symbol if power == 1 else symbol + f"{float(power):g}".translate(_SUPERSCRIPTS)


@functools.cache
def _registry() -> Any:
    """Return the units that are known: Pint's, with money, points and people besides."""
    import pint

    registry = pint.UnitRegistry(cache_folder=None)
    known = set(dir(registry))
    for name in ("dollar", "euro", "person", "piece", "item", "house", "customer"):
        if name not in known:
            registry.define(f"{name} = [{name}]")
    return registry
