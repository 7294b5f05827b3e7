"""Fixed, tied and bounded parameters: which ones remain free, and in which ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._errors import PointError, SettingError, described, nearest
from downslope._numbers import real
from downslope.fitting._model import EquationModel
from downslope.formulas import formula

Bounds = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Constraints:
    """The free parameters, their bounds, and how the others follow.

    Args:
        free: names of the parameters to estimate, in order of appearance.
        fixed: parameters held constant, with their values.
        ties: parameters computed from others, each with its expression tree.
        low: lowest value of each free one, −∞ for none.
        high: highest value of each free one, ∞ for none.
    """

    free: tuple[str, ...]
    fixed: Mapping[str, float]
    ties: tuple[tuple[str, Any], ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value of each free parameter."""
        return self.low, self.high

    @property
    def none(self) -> bool:
        """Whether every parameter is free and unbounded."""
        return not self.fixed and not self.ties and bool(np.all(np.isinf([self.low, self.high])))

    def pressed(self, free: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return which free parameters lie on a bound that the gradient pushes them against, shape (free,)."""
        return ((free <= self.low) & (gradient > 0)) | ((free >= self.high) & (gradient < 0))

    def start(self, values: Mapping[str, float]) -> np.ndarray | None:
        """Return the free parameters of a start as an array, clipped to the bounds, NaN for those that it lacks.

        None if it has none of them.
        """
        if not any(name in values for name in self.free):
            return None
        array = np.array([values.get(name, math.nan) for name in self.free], dtype=float)
        return np.clip(array, self.low, self.high)

    def moved(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Return a note for each parameter whose start lies outside its bounds."""
        ends = zip(self.free, self.low, self.high, strict=True)
        return tuple(
            f"the start of {name}, {values[name]:g}, lies outside its bounds and was moved inside"
            for name, low, high in ends
            if name in values and not low <= values[name] <= high
        )

    def holding(self, values: Mapping[str, float]) -> Constraints:
        """Return the constraints with some of the free parameters held at these values."""
        others = np.array([name not in values for name in self.free], dtype=bool)
        free = tuple(name for name in self.free if name not in values)
        return replace(self, free=free, fixed={**self.fixed, **values}, low=self.low[others], high=self.high[others])


def constraints(
    model: EquationModel,
    fixed: Mapping[str, float] | None,
    ties: Mapping[str, str] | None,
    bounds: Bounds | None,
) -> Constraints:
    """Check the constraints of a fit and return them.

    Args:
        model: the equation.
        fixed: parameters to hold constant, with their values.
        ties: parameters computed from others: `{"b": "2a"}`.
        bounds: (low, high) by parameter; None for an open end.

    Raises:
        SettingError: for an unknown parameter, a value that is not a number, or no free parameter.
        FormulaError: for a tie that cannot be parsed.
    """
    for what, names in (("fixed", fixed), ("tied", ties), ("bounded", bounds)):
        for name in names or ():
            _check_name(model, name, what)
    held = {name: _number(f"fixed {name}", value) for name, value in (fixed or {}).items()}
    tied = tuple((name, _tie(model, name, text, ties or {})) for name, text in (ties or {}).items())
    both = sorted(set(held) & set(ties or {}))
    if both:
        raise SettingError(f"{both[0]} is both fixed and tied; choose one")
    free = tuple(name for name in model.parameters if name not in held and name not in (ties or {}))
    if not free:
        raise SettingError("every parameter is fixed or tied, so nothing is left to fit")
    for name in bounds or {}:
        if name not in free:
            raise SettingError(f"{name} has bounds, but it is {'fixed' if name in held else 'tied'}")
    ends = [_ends(name, (bounds or {}).get(name, (None, None))) for name in free]
    return Constraints(free, held, tied, np.array([low for low, _ in ends]), np.array([high for _, high in ends]))


def check_by_name(model: EquationModel, start: Any, bounds: Any) -> None:
    """Raise for a start or bounds that are rows of numbers, as SciPy takes them, with what to type instead.

    Raises:
        PointError: for a start that is no mapping.
        SettingError: for bounds that are none.
    """
    names = model.parameters
    if start is not None and not isinstance(start, Mapping):
        row = (
            np.ravel(start).tolist() if isinstance(start, Sequence | np.ndarray) and not isinstance(start, str) else []
        )
        values = row if len(row) == len(names) else [1.0] * len(names)
        raise PointError(
            f"a start is a mapping from parameters to numbers, not {described(start)}",
            hint=f"start={{{', '.join(f'{name!r}: {value!r}' for name, value in zip(names, values, strict=True))}}}",
        )
    if bounds is None or isinstance(bounds, Mapping):
        return
    ends = _rows_of_bounds(bounds, len(names)) or [(0, None)] * len(names)
    typed = ", ".join(f"{name!r}: ({low!r}, {high!r})" for name, (low, high) in zip(names, ends, strict=True))
    raise SettingError(
        f"bounds are a mapping from parameters to (low, high), not {described(bounds)}", hint=f"bounds={{{typed}}}"
    )


def _rows_of_bounds(bounds: Any, count: int) -> list[tuple[Any, Any]]:
    """Return SciPy's lows and highs as pairs by parameter, None for an open end; empty if they are none."""
    try:
        low, high = (np.broadcast_to(np.asarray(side, float), (count,)).tolist() for side in bounds)
    except (TypeError, ValueError):
        return []
    shown = [
        [None if math.isinf(end) else int(end) if end == int(end) else end for end in side] for side in (low, high)
    ]
    return list(zip(*shown, strict=True))


def checked_start(model: EquationModel, start: Mapping[str, float] | None) -> dict[str, float] | None:
    """Check the names and values of a start and return it as floats.

    Raises:
        PointError: for an unknown parameter, or a value that is not a finite number.
    """
    if start is None:
        return None
    if not isinstance(start, Mapping):
        hint = f"for example {{'{model.parameters[0]}': 1.0}}"
        raise PointError("a start is a mapping from parameters to numbers", hint=hint)
    for name in start:
        if name not in model.parameters:
            close = nearest(str(name), model.parameters)
            raise PointError(
                f"{model.equation.read_as} has no parameter {name!r}; it has {', '.join(model.parameters)}",
                hint=f"did you mean {close}?" if close else None,
            )
    return {name: _number(f"the start of {name}", value, PointError) for name, value in start.items()}


def _check_name(model: EquationModel, name: str, what: str) -> None:
    """Raise if the model has no parameter of this name."""
    if name not in model.parameters:
        close = nearest(str(name), model.parameters)
        raise SettingError(
            f"{name!r} is {what}, but {model.equation.read_as} has the parameters {', '.join(model.parameters)}",
            hint=f"did you mean {close}?" if close else None,
        )


def _number(what: str, value: Any, kind: type[SettingError] | type[PointError] = SettingError) -> float:
    """Return a value as a float; raise if it is not a finite number."""
    try:
        number = real(value)
    except (TypeError, ValueError, OverflowError):
        raise kind(f"{what} must be a number, not {described(value)}") from None
    if not math.isfinite(number):
        raise kind(f"{what} must be a finite number, not {number}")
    return number


def _tie(model: EquationModel, name: str, text: str, ties: Mapping[str, str]) -> Any:
    """Return the expression tree of a tie; it may refer to any parameter that is not tied itself."""
    others = [other for other in model.parameters if other not in ties]
    expression = formula(text, columns=others)
    if expression.variables:
        raise SettingError(
            f"{name} is tied to {expression.variables[0]}, which is not a parameter that it can depend on",
            hint=f"it can depend on {', '.join(others)}" if others else None,
        )
    return expression.body


def _ends(name: str, pair: Sequence[float | None]) -> tuple[float, float]:
    """Return the bounds of a parameter, infinite where open."""
    if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
        raise SettingError(f"the bounds of {name} are a pair (low, high), not {described(pair)}")
    low, high = (_end(name, value, sign) for value, sign in zip(pair, (-1, 1), strict=True))
    if not low < high:
        raise SettingError(f"the lower bound of {name}, {low}, is not below the upper one, {high}")
    return low, high


def _end(name: str, value: float | None, sign: int) -> float:
    """Return one bound as a float, ±∞ for an open end."""
    if value is None:
        return sign * math.inf
    try:
        number = real(value)
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"a bound of {name} must be a number or None, not {described(value)}") from None
    if math.isnan(number):
        raise SettingError(f"a bound of {name} must be a number or None, not nan")
    return number
