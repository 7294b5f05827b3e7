"""What a person fixes, ties and bounds: the parameters that are left to find, and where they may go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import PointError, SettingError, nearest
from downslope.fitting._model import EquationModel
from downslope.formulas import formula

Bounds = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Constraints:
    """Which parameters are free, and where they may go.

    Args:
        free: the names to find, in order.
        fixed: those that are held, with their values.
        ties: those that follow from others, each with its tree.
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
        """Whether every parameter is free to go anywhere."""
        return not self.fixed and not self.ties and bool(np.all(np.isinf([self.low, self.high])))

    def pressed(self, free: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Tell of each free parameter whether it rests on a bound that its gradient pushes it against."""
        return ((free <= self.low) & (gradient > 0)) | ((free >= self.high) & (gradient < 0))

    def start(self, arguments: Mapping[str, float]) -> np.ndarray:
        """Return the free parameters of a start, moved inside the bounds.

        Raises:
            PointError: if one is missing.
        """
        missing = [name for name in self.free if name not in arguments]
        if missing:
            raise PointError(
                f"the start says nothing of {', '.join(missing)}",
                hint="give every free parameter a number, or no start at all and one is searched for",
            )
        return np.clip(np.array([arguments[name] for name in self.free], dtype=float), self.low, self.high)

    def moved(self, arguments: Mapping[str, float]) -> tuple[str, ...]:
        """Return a sentence for each parameter whose start lies outside its bounds."""
        ends = zip(self.free, self.low, self.high, strict=True)
        return tuple(
            f"the start of {name}, {arguments[name]:g}, lies outside its bounds and was moved inside"
            for name, low, high in ends
            if not low <= arguments[name] <= high
        )


def constraints(
    model: EquationModel,
    fixed: Mapping[str, float] | None,
    ties: Mapping[str, str] | None,
    bounds: Bounds | None,
) -> Constraints:
    """Return the constraints, every one checked.

    Args:
        model: the equation.
        fixed: parameters to hold, with their values.
        ties: parameters that follow from others: `{"b": "2a"}`.
        bounds: (low, high) of parameters; None for an open end.

    Raises:
        SettingError: for a name that is no parameter, a value that is no number, or nothing left to find.
        FormulaError: for a tie that cannot be read.
    """
    for what, names in (("fixed", fixed), ("tied", ties), ("bounded", bounds)):
        for name in names or ():
            _check_name(model, name, what)
    held = {name: _number(f"fixed {name}", value) for name, value in (fixed or {}).items()}
    tied = tuple((name, _tie(model, name, text, ties or {})) for name, text in (ties or {}).items())
    both = sorted(set(held) & set(ties or {}))
    if both:
        raise SettingError(f"{both[0]} is fixed and tied; it can be one of the two")
    free = tuple(name for name in model.parameters if name not in held and name not in (ties or {}))
    if not free:
        raise SettingError("every parameter is fixed or tied: nothing is left to find")
    for name in bounds or {}:
        if name not in free:
            raise SettingError(f"{name} has bounds, but it is {'fixed' if name in held else 'tied'}")
    ends = [_ends(name, (bounds or {}).get(name, (None, None))) for name in free]
    return Constraints(free, held, tied, np.array([low for low, _ in ends]), np.array([high for _, high in ends]))


def checked_start(model: EquationModel, start: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return the start as floats, after checking that every name is a parameter.

    Raises:
        PointError: for a name that is none, or a value that is no finite number.
    """
    if start is None:
        return None
    if not isinstance(start, Mapping):
        raise PointError("a start gives parameters by name", hint=f"for example {{'{model.parameters[0]}': 1.0}}")
    for name in start:
        if name not in model.parameters:
            close = nearest(str(name), model.parameters)
            raise PointError(
                f"{model.equation.read_as} has no parameter {name!r}; it has {', '.join(model.parameters)}",
                hint=f"did you mean {close}?" if close else None,
            )
    return {name: _number(f"the start of {name}", value, PointError) for name, value in start.items()}


def _check_name(model: EquationModel, name: str, what: str) -> None:
    """Raise if a name is no parameter of the model."""
    if name not in model.parameters:
        close = nearest(str(name), model.parameters)
        raise SettingError(
            f"{name!r} is {what}, but {model.equation.read_as} has the parameters {', '.join(model.parameters)}",
            hint=f"did you mean {close}?" if close else None,
        )


def _number(what: str, value: Any, kind: type[SettingError] | type[PointError] = SettingError) -> float:
    """Return a finite number, or raise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise kind(f"{what} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise kind(f"{what} must be a finite number, not {number}")
    return number


def _tie(model: EquationModel, name: str, text: str, ties: Mapping[str, str]) -> Any:
    """Return the tree of a tie, which may name parameters that are not tied themselves."""
    others = [other for other in model.parameters if other not in ties]
    read = formula(text, columns=others)
    if read.variables:
        raise SettingError(
            f"{name} is tied to {read.variables[0]}, which is no parameter that it can follow",
            hint=f"there are {', '.join(others)}" if others else None,
        )
    return read.body


def _ends(name: str, pair: Sequence[float | None]) -> tuple[float, float]:
    """Return the lowest and the highest value of a parameter."""
    if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
        raise SettingError(f"the bounds of {name} are a pair (low, high), not {pair!r}")
    low, high = (_end(name, value, sign) for value, sign in zip(pair, (-1, 1), strict=True))
    if not low < high:
        raise SettingError(f"the bounds of {name} go from {low} to {high}, which is no range")
    return low, high


def _end(name: str, value: float | None, sign: int) -> float:
    """Return an end of a range, ±∞ for an open one."""
    if value is None:
        return sign * math.inf
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SettingError(f"a bound of {name} must be a number or None, not {value!r}") from None
    if math.isnan(number):
        raise SettingError(f"a bound of {name} must be a number or None, not nan")
    return number
