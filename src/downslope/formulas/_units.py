"""Units by name: checking, conversion and short notation, with Pint, which is imported on first use."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from downslope._errors import UnitError, nearest

if TYPE_CHECKING:
    from downslope.formulas._formula import Formula

_PLAIN = {"%": "percent", "°C": "delta_degree_Celsius", "°F": "delta_degree_Fahrenheit", "€": "euro", "$": "dollar"}
# Symbols that people write, where Pint's own differ.
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
# A unit is checked against _PIECE before Pint sees it, since Pint parses arbitrary expressions.
_LONGEST = 60
_PIECE = re.compile(r"\s+|(?:\*\*|\^)-?[1-9](?![0-9])|\*(?!\*)|[/()·×]|1(?![0-9])|(?:[^\W\d_]|[%°€$])(?:\w|[%°€$⁻])*")
_SUPERSCRIPTS = str.maketrans("0123456789.", "⁰¹²³⁴⁵⁶⁷⁸⁹·")


def checked_units(units: Mapping[str, str], formula: Formula) -> dict[str, str]:
    """Return units by name after checking that each unit is known and each name occurs in the formula.

    Raises:
        UnitError: if `units` is no mapping of texts, for an unknown unit, or a name that does not occur.
    """
    names = [*([formula.name] if formula.name else []), *formula.variables, *formula.columns]
    return checked_unit_names(units, names, formula.read_as)


def checked_unit_names(units: Mapping[str, str], names: Collection[str], owner: str) -> dict[str, str]:
    """Return units by name after checking each unit, and that each name is among `names`.

    Args:
        units: units by name.
        names: the names that may have a unit.
        owner: a description of what the names belong to, for the message.

    Raises:
        UnitError: if `units` is no mapping of texts, for an unknown unit, or an unknown name.
    """
    check_units(units)
    for name, unit in units.items():
        if name not in names:
            close = nearest(name, names)
            raise UnitError(
                f"units names {name!r}, which does not occur in {owner}",
                hint=f"did you mean {close}?" if close else None,
            )
        parse(unit)
    return dict(units)


def check_units(units: object) -> None:
    """Check that `units` is a mapping of texts to texts.

    Raises:
        UnitError: if it is not.
    """
    if not isinstance(units, Mapping) or not all(isinstance(text, str) for pair in units.items() for text in pair):
        raise UnitError("units is not a mapping of names to units", hint='for example units={"t": "hour"}')


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
    """Return the quotient of two units in short notation: %/h.

    >>> unit_ratio("percent", "hour")
    '%/h'
    >>> unit_ratio("m/s", "s")
    'm/s²'
    """
    return _short(parse(above) / parse(below))


def unit_of_powers(powers: Mapping[str, float], units: Mapping[str, str]) -> str:
    """Return the unit of a product of powers: of the quantities' units if all are known, else of their names.

    Args:
        powers: the exponent of each quantity, by name.
        units: the quantities' units, by name.

    >>> unit_of_powers({"price": 1, "size": -1}, {})
    'price/size'
    >>> unit_of_powers({"price": 1, "size": -1}, {"price": "dollar", "size": "m²"})
    '$/m²'
    """
    # A mixture of units and names would look like a unit and be none.
    if not all(name in units for name in powers):
        return _quotient(powers)
    unit = _registry().Unit("")
    for name, power in powers.items():
        unit = unit * parse(units[name]) ** float(power)
    return _short(unit)


def unit_product(first: str, second: str) -> str:
    """Return the product of two units in short notation, cancelled where possible.

    >>> unit_product("point/minute", "minute/degC")
    'points/°C'
    """
    return _short(parse(first) * parse(second))


def check_convertible(unit: str, needed: str, what: str) -> None:
    """Check that a quantity in `unit` can be converted to the unit `needed`.

    Args:
        unit: the quantity's unit.
        needed: the required unit.
        what: the quantity's description, for the message.

    Raises:
        UnitError: if the units measure different dimensions.
    """
    if not parse(unit).is_compatible_with(parse(needed)):
        raise UnitError(f"{what} is in {unit}, but {needed} is needed", hint="these units measure different things")


def factor(unit: str, needed: str) -> float:
    """Return the conversion factor from `unit` to the unit `needed`.

    >>> factor("hour", "minute")
    60.0
    """
    check_convertible(unit, needed, "a value")
    return float(_registry().Quantity(1, parse(unit)).to(parse(needed)).magnitude)


def _short(unit: Any) -> str:
    """Return a Pint unit in textbook notation: short symbols, superscripts, a single slash; "1" if dimensionless."""
    powers: dict[str, float] = {}
    for name, power in _registry().Quantity(1, unit).unit_items():
        # hour and h, or prefixed and plain, may give the same symbol: add their powers.
        symbol = _symbol(name)
        powers[symbol] = powers.get(symbol, 0) + power
    return _quotient(powers)


def _symbol(name: str) -> str:
    """Return the symbol of a unit, including any prefix: k$ for kilodollar."""
    symbol = _registry().get_symbol(name)
    for long, short in _SHORT.items():
        if name.endswith(long):
            return symbol.removesuffix(_registry().get_symbol(long)) + short
    return symbol


def _quotient(powers: Mapping[str, float]) -> str:
    """Return a product of powers with a single slash; "1" if there are none."""
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
    """Return Pint's registry, extended by money and countable things."""
    import pint

    # A registry of our own: definitions in the application's registry would change it for everybody else.
    registry = pint.UnitRegistry(cache_folder=None)
    known = set(dir(registry))
    for name in ("dollar", "euro", "person", "piece", "item", "house", "customer"):
        if name not in known:
            registry.define(f"{name} = [{name}]")
    return registry
