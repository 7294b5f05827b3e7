"""A request of the page, each field of it checked when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import downslope as ds
from downslope.lab._limits import LIMITS

_GENTLE = 0.5  # of what is stable at the start is the rate where none is asked for
_NICE = (1.0, 2.0, 5.0)

Box = dict[str, tuple[float, float]]


class RequestError(ds.DownslopeError):
    """A request that the page would not have made."""


class Request:
    """What came from the page.

    Args:
        told: the JSON object.

    Every field that is asked for raises RequestError if it is not what it should be, and FormulaError or SettingError
    if it goes beyond the limits of the lab.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    @property
    def objective(self) -> ds.Objective:
        """The formula as something to go down."""
        text = self.text("formula")
        if len(text) > LIMITS.formula:
            raise ds.FormulaError(
                f"this formula has {len(text)} characters; the lab reads up to {LIMITS.formula}",
                hint="in Python there is no such limit",
            )
        made = ds.objective(text)
        if len(made.names or ()) > LIMITS.variables:
            raise ds.FormulaError(
                f"this formula has {len(made.names or ())} variables; the lab shows up to {LIMITS.variables}",
                hint="put numbers in the place of some; in Python there is no such limit",
            )
        return made

    @property
    def plan(self) -> ds.Plan:
        """The formula, the start, the method, the rate and the steps."""
        objective = self.objective
        chosen = ds.method(self.text("method"))
        rate = self.number_or_none("rate")
        return ds.plan(
            objective,
            self.start(objective),
            method=chosen,
            steps=self.steps,
            learning_rate=rate if chosen.takes_rate else None,
        )

    def start(self, objective: ds.Objective) -> dict[str, float]:
        """Return the start: a number for each variable."""
        told = self._told.get("start")
        if not isinstance(told, Mapping):
            raise RequestError("The request has no start.", hint='Send something like {"x": 4}.')
        return {name: self._number(f"start of {name}", told.get(name)) for name in objective.names or ()}

    def point(self, field: str, names: Sequence[str]) -> dict[str, float]:
        """Return numbers for some of these names; nothing where they are not given."""
        told = self._told.get(field) or {}
        if not isinstance(told, Mapping):
            raise RequestError(f"{field} is a number for each name.")
        return {name: self._number(f"{field} of {name}", told[name]) for name in names if name in told}

    @property
    def steps(self) -> int:
        """How many steps to take at most."""
        steps = self._told.get("steps")
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise RequestError("The number of steps is a whole number from 0 up.")
        if steps > LIMITS.steps:
            raise ds.SettingError(
                f"the lab takes up to {LIMITS.steps} steps at a time, not {steps}", hint="in Python there is no limit"
            )
        return steps

    def over(self, objective: ds.Objective) -> tuple[str, ...]:
        """Return the one or two variables that the picture shows."""
        names = objective.names or ()
        told = self._told.get("over")
        if told is None:
            return names[:2]
        if not isinstance(told, list) or len(told) != min(2, len(names)) or len(set(map(str, told))) != len(told):
            raise RequestError("The picture is over one variable, or over two different ones.")
        for name in told:
            if name not in names:
                raise RequestError(f"The formula has no variable {str(name)[:40]!r}.")
        return tuple(told)

    def box(self, field: str, over: tuple[str, ...]) -> Box | None:
        """Return the range of each variable that is shown, or None if there is none."""
        told = self._told.get(field)
        if told is None:
            return None
        if not isinstance(told, Mapping):
            raise RequestError(f"{field} is a range for each variable.")
        return {name: self._range(f"{field} of {name}", told.get(name)) for name in over}

    def text(self, field: str) -> str:
        """Return a text."""
        told = self._told.get(field)
        if not isinstance(told, str):
            raise RequestError(f"The request has no {field}.")
        return told

    def number_or_none(self, field: str) -> float | None:
        """Return a number, or None if it is not given."""
        told = self._told.get(field)
        return None if told is None else self._number(field, told)

    def names(self, field: str) -> list[str]:
        """Return a list of texts."""
        told = self._told.get(field)
        if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
            raise RequestError(f"{field} is a list of names.")
        return told

    def _range(self, what: str, told: Any) -> tuple[float, float]:
        if not isinstance(told, list) or len(told) != 2:
            raise RequestError(f"The {what} is two numbers.")
        low, high = (self._number(what, end) for end in told)
        if low > high:
            raise RequestError(f"The {what} begins after its end.")
        return low, high

    @staticmethod
    def _number(what: str, told: Any) -> float:
        if isinstance(told, bool) or not isinstance(told, int | float):
            raise RequestError(f"The {what} is not a number.")
        return float(told)


def plan_of(request: Request) -> ds.Plan:
    """Return the plan of a request, with a rate that suits the start where none is asked for."""
    made = request.plan
    if request.number_or_none("rate") is None and made.method.name == "gradient descent":
        return made.changed(learning_rate=_gentle_rate(made))
    return made


def _gentle_rate(made: ds.Plan) -> float:
    """Return a round rate, well within what is stable at the start, and no more than the usual one."""
    usual = made.learning_rate
    hessian = np.asarray(ds.slope(made.objective, made.start).hessian, dtype=float)
    if not np.all(np.isfinite(hessian)):
        return usual
    steepest = float(np.abs(np.linalg.eigvalsh(np.atleast_2d(hessian))).max())
    if steepest <= 2 * _GENTLE / usual:
        return usual
    wanted = 2 * _GENTLE / steepest
    power = 10.0 ** math.floor(math.log10(wanted))
    return float(f"{power * max(one for one in _NICE if one * power <= wanted * (1 + 1e-12)):.1g}")


# Numbers on their way to the page: rounded to what can be seen, null where they are not finite.


_SEEN = 9  # significant digits of what is drawn or moved


def plain(number: float | None) -> float | None:
    """Return a number for JSON, null if it is not finite."""
    return None if number is None or not math.isfinite(number) else float(number)


def shown(numbers: Sequence[float] | np.ndarray, digits: int = _SEEN) -> list[float | None]:
    """Return numbers for JSON, so many digits of each."""
    plain_floats = np.asarray(numbers, dtype=float).tolist()  # NumPy's own scalars take twice as long to be written
    return [float(f"{number:.{digits}g}") if math.isfinite(number) else None for number in plain_floats]


def kept(count: int, most: int) -> np.ndarray:
    """Return the places of so many rows at most, spread evenly, both ends among them."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def evidence(told: Any) -> str:
    """Return a piece of evidence as text: a number, a word, or numbers by name."""
    from downslope._text import number

    if isinstance(told, bool) or told is None:
        return {True: "yes", False: "no", None: "–"}[told]
    if isinstance(told, int | float):
        return number(told)
    if isinstance(told, dict):
        return ", ".join(f"{name} {evidence(one)}" for name, one in told.items())
    if isinstance(told, list | tuple):
        return ", ".join(map(evidence, told))
    return str(told)
