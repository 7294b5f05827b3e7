"""Units by name, with Pint, which is imported on first use; and the dimensions of parameters."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from downslope._errors import UnitError, nearest
from downslope.formulas.expressions import (
    Call,
    Expression,
    ForeignFunction,
    Name,
    Negative,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    comparisons,
    constant_value,
)

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


# Dimensional analysis: infer the dimensions of a formula's parameters from those of its columns.


Dimension = Mapping[str, Fraction]
_SAME = {"abs", "min", "max", "mean", "sum", "relu"}


def dimensions(
    left: Expression, right: Expression, columns: Sequence[str], parameters: Sequence[str]
) -> dict[str, dict[str, Fraction] | None]:
    """Return the exponent of each column in the dimension of each parameter; None where it is undetermined.

    Args:
        left: the equation's left side.
        right: the equation's right side.
        columns: names with known dimensions, each a base dimension of its own.
        parameters: names whose dimensions to infer.

    >>> from downslope.formulas import formula
    >>> left, right = formula("y", columns=["y"]), formula("a e^(-k x)", columns=["x"])
    >>> {name: dict(powers) for name, powers in dimensions(left.body, right.body, ["x", "y"], ["a", "k"]).items()}
    {'a': {'y': Fraction(1, 1)}, 'k': {'x': Fraction(-1, 1)}}
    """
    equations = _Equations(parameters)
    equations.equal(equations.of(left), equations.of(right))
    return {name: equations.solution(name) for name in parameters}


class _Equations:
    """Linear equations between exponents, solved for one unknown each as they are added (Gauss–Jordan elimination)."""

    def __init__(self, unknown: Sequence[str]) -> None:
        self.unknown = tuple(unknown)
        self.solved: dict[str, dict[str, Fraction]] = {}

    def of(self, tree: Expression) -> dict[str, Fraction] | None:
        """Return a tree's dimension (None for zero, which has any) and add the equations that it implies."""
        match tree:
            case Name(name):
                return {name: Fraction(1)}
            case Negative(operand):
                return self.of(operand)
            case Sum(terms):
                return self._alike(terms)
            case Product(factors):
                return _product([(self.of(factor), 1) for factor in factors])
            case Quotient(numerator, denominator):
                return _product([(self.of(numerator), 1), (self.of(denominator), -1)])
            case Power(base, exponent):
                return self._power(base, exponent)
            case Call("sqrt", (argument,)):
                return _product([(self.of(argument), Fraction(1, 2))])
            case Call(ForeignFunction() as function, arguments) if function.rule is not None:
                return _product([(self._alike(arguments), -1)])  # Voigt's profile: a share for each unit of x
            case Call(function, arguments) if function in _SAME:
                return self._alike(arguments)
            case Piecewise(values, conditions):
                for condition in conditions:
                    for comparison in comparisons(condition):
                        self._alike((comparison.left, comparison.right))
                return self._alike(values)
            case Call(_, arguments):
                for argument in arguments:
                    self.equal(self.of(argument), {})
                return {}
            case _:
                return None if constant_value(tree) == 0 else {}

    def equal(self, first: dict[str, Fraction] | None, second: dict[str, Fraction] | None) -> None:
        """Add the equation that two dimensions are equal, unless it contradicts the earlier ones."""
        if first is None or second is None:
            return
        # first = second  ⇔  first/second is dimensionless: solve that for one unknown, the pivot.
        difference = self._reduced(_product([(first, 1), (second, -1)]) or {})
        pivot = next((name for name in difference if name in self.unknown), None)
        # No unknown is left: the equation holds or contradicts the earlier ones, and determines nothing either way.
        if pivot is None:
            return
        factor = difference.pop(pivot)
        rule = {name: -power / factor for name, power in difference.items()}
        # Substitute into the earlier solutions as well, so that each stays free of solved unknowns.
        self.solved = {name: _replaced(known, pivot, rule) for name, known in self.solved.items()} | {pivot: rule}

    def solution(self, name: str) -> dict[str, Fraction] | None:
        """Return the dimension of an unknown, or None if it depends on another unknown."""
        known = self.solved.get(name)
        if known is None or any(other in self.unknown for other in known):
            return None
        return known

    def _alike(self, terms: Sequence[Expression]) -> dict[str, Fraction] | None:
        """Equate the dimensions of all terms and return the first that is not None."""
        known = [dimension for dimension in map(self.of, terms) if dimension is not None]
        for dimension in known[1:]:
            self.equal(known[0], dimension)
        return known[0] if known else None

    def _power(self, base: Expression, exponent: Expression) -> dict[str, Fraction] | None:
        """Return the dimension of a power; with a variable exponent, the power and its base are dimensionless."""
        known, below = constant_value(exponent), self.of(base)
        if known is not None:
            return _product([(below, known)])
        # A power with a variable exponent has the same dimension for every exponent only if its base has none.
        self.equal(self.of(exponent), {})
        self.equal(below, {})
        return {}

    def _reduced(self, dimension: dict[str, Fraction]) -> dict[str, Fraction]:
        """Return a dimension with all solved unknowns substituted."""
        for name in [name for name in dimension if name in self.solved]:
            dimension = _replaced(dimension, name, self.solved[name])
        return dimension


def _product(powers: Sequence[tuple[dict[str, Fraction] | None, Fraction | int]]) -> dict[str, Fraction]:
    """Return the dimension of a product of powers."""
    total: dict[str, Fraction] = {}
    for dimension, exponent in powers:
        for name, power in (dimension or {}).items():
            total[name] = total.get(name, Fraction(0)) + power * exponent
    return {name: power for name, power in total.items() if power}


def _replaced(dimension: dict[str, Fraction], name: str, by: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return a dimension with a name replaced by its own dimension."""
    power = dimension.get(name)
    if power is None:
        return dimension
    return _product([({other: p for other, p in dimension.items() if other != name}, 1), (by, power)])
