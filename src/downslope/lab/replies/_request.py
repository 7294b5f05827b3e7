"""Requests read field by field, and the numbers of replies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope.lab._messages import LIMITS

Box = dict[str, tuple[float, float]]

_DIGITS = 9  # significant digits of numbers that are drawn or moved
_SAFE_RATE = 0.5  # the default rate as a share of the largest stable rate at the start
_ALIKE = 5.0  # the ratio of two ranges up to which a unit is as long along both
_ROUND = (1.0, 2.0, 5.0)  # leading digits of a default rate


class RequestError(ds.DownslopeError):
    """A request that the page never sends."""


class PageRequest:
    """A request of the page, whose fields are checked as they are read.

    Args:
        fields: the JSON object.

    Reading a field raises RequestError if its type is wrong, and FormulaError or SettingError if it exceeds a limit.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    @property
    def objective(self) -> ds.Objective:
        """The formula as an objective."""
        text = self.text("formula")
        if len(text) > LIMITS.formula:
            raise ds.FormulaError(
                f"this formula has {len(text)} characters; the lab reads up to {LIMITS.formula}",
                hint="in Python there is no such limit",
            )
        objective = ds.objective(text)
        names = objective.names or ()
        if len(names) > LIMITS.variables:
            raise ds.FormulaError(
                f"this formula has {len(names)} variables; the lab shows up to {LIMITS.variables}",
                hint="put numbers in the place of some; in Python there is no such limit",
            )
        return objective

    @property
    def plan(self) -> ds.Plan:
        """The plan of a descent: formula, start, method, rate and steps."""
        objective = self.objective
        method = ds.method(self.text("method"))
        rate = self.number_or_none("rate")
        return ds.plan(
            objective,
            self.start(objective),
            method=method,
            steps=self.steps,
            learning_rate=rate if method.takes_rate else None,
        )

    def start(self, objective: ds.Objective) -> dict[str, float]:
        """Return the start: a number for each variable."""
        start = self._fields.get("start")
        if not isinstance(start, Mapping):
            raise RequestError("The request has no start.", hint='Send something like {"x": 4}.')
        return {name: _checked_number(f"start of {name}", start.get(name)) for name in objective.names or ()}

    def point(self, field: str, names: Sequence[str]) -> dict[str, float]:
        """Return the numbers of a field for those of the names that it holds."""
        numbers = self._fields.get(field) or {}
        if not isinstance(numbers, Mapping):
            raise RequestError(f"{field} is a number for each name.")
        return {name: _checked_number(f"{field} of {name}", numbers[name]) for name in names if name in numbers}

    @property
    def steps(self) -> int:
        """The largest number of steps."""
        steps = self._fields.get("steps")
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise RequestError("The number of steps is a whole number of at least 0.")
        if steps > LIMITS.steps:
            raise ds.SettingError(
                f"the lab takes up to {LIMITS.steps} steps at a time, not {steps}", hint="in Python there is no limit"
            )
        return steps

    def over(self, objective: ds.Objective) -> tuple[str, ...]:
        """Return the one or two variables along the axes of the picture."""
        names = objective.names or ()
        over = self._fields.get("over")
        if over is None:
            return names[:2]
        if not isinstance(over, list) or len(over) != min(2, len(names)) or len(set(map(str, over))) != len(over):
            raise RequestError("The picture is over one variable, or over two different ones.")
        for name in over:
            if name not in names:
                raise RequestError(f"The formula has no variable {str(name)[:40]!r}.")
        return tuple(over)

    def box(self, field: str, over: tuple[str, ...]) -> Box | None:
        """Return the range of each variable that is shown, or None without a box."""
        box = self._fields.get(field)
        if box is None:
            return None
        if not isinstance(box, Mapping):
            raise RequestError(f"{field} is a range for each variable.")
        return {name: _checked_range(f"{field} of {name}", box.get(name)) for name in over}

    def text(self, field: str) -> str:
        """Return a text."""
        text = self._fields.get(field)
        if not isinstance(text, str):
            raise RequestError(f"The request has no {field}.")
        return text

    def number_or_none(self, field: str) -> float | None:
        """Return a number, or None without the field."""
        value = self._fields.get(field)
        return None if value is None else _checked_number(field, value)

    def truth_or_none(self, field: str) -> bool | None:
        """Return true or false, or None without the field."""
        value = self._fields.get(field)
        if value is not None and not isinstance(value, bool):
            raise RequestError(f"{field} is true or false.")
        return value

    def names(self, field: str) -> list[str]:
        """Return a list of texts."""
        names = self._fields.get(field)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RequestError(f"{field} is a list of names.")
        return names


def _checked_number(label: str, value: Any) -> float:
    """Return a number, or raise with its label."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"The {label} is not a number.")
    return float(value)


def _checked_range(label: str, ends: Any) -> tuple[float, float]:
    """Return the ends of a range, or raise with its label."""
    if not isinstance(ends, list) or len(ends) != 2:
        raise RequestError(f"The {label} is two numbers.")
    low, high = (_checked_number(label, end) for end in ends)
    if low > high:
        raise RequestError(f"The {label} begins after its end.")
    return low, high


def filling(box: Box, over: tuple[str, ...], ratio: float | None, *, is_equal: bool | None = None) -> Box:
    """Return a box of two variables widened to the shape of the picture, so that a unit is as long along both.

    Only then −∇f stands at right angles on the lines of equal height. Ranges that differ much are left alone.

    Args:
        box: the range of each variable.
        over: the variables along the axes.
        ratio: the width of the picture over its height; None to leave the box alone.
        is_equal: whether a unit is to be as long along both; None to decide by the ranges.
    """
    if len(over) != 2 or ratio is None or not ratio > 0:
        return box
    alike = are_alike([box[name] for name in over]) if is_equal is None else is_equal
    if not alike:
        return box
    spans = [box[name][1] - box[name][0] for name in over]
    height = max(spans[0] / ratio, spans[1])
    return {name: _around(*box[name], span) for name, span in zip(over, (height * ratio, height), strict=True)}


def are_alike(ranges: Sequence[tuple[float, float]]) -> bool:
    """Tell whether two ranges differ so little that a unit can be as long along both."""
    spans = [high - low for low, high in ranges]
    return 0 < max(spans) <= _ALIKE * min(spans)


def _around(low: float, high: float, span: float) -> tuple[float, float]:
    """Return the range of a length with the middle of another range."""
    slack = (span - (high - low)) / 2
    return low - slack, high + slack


def plan_of(request: PageRequest) -> ds.Plan:
    """Return the plan of a request; without a rate, gradient descent gets one that suits the start."""
    plan = request.plan
    if request.number_or_none("rate") is None and plan.method.name == "gradient descent":
        return plan.changed(learning_rate=_default_rate(plan))
    return plan


def _default_rate(plan: ds.Plan) -> float:
    """Return a round rate well below the stability bound at the start, at most the method's own default."""
    usual, numeric = plan.learning_rate, plan.objective.numeric
    assert numeric is not None  # every objective of the lab is a formula
    # Not ds.slope, which judges the point as well and takes as long as the descent.
    hessian = np.array(numeric.hessian([float(plan.start[name]) for name in numeric.variables]))
    if not np.all(np.isfinite(hessian)):
        return usual
    # Gradient descent on a quadratic is stable up to 2 over the largest eigenvalue.
    steepest = float(np.abs(np.linalg.eigvalsh(np.atleast_2d(hessian))).max())
    if steepest <= 2 * _SAFE_RATE / usual:
        return usual
    rate = 2 * _SAFE_RATE / steepest
    power = 10.0 ** math.floor(math.log10(rate))
    return float(f"{power * max(digit for digit in _ROUND if digit * power <= rate * (1 + 1e-12)):.1g}")


def rounded(values: Sequence[float] | np.ndarray, digits: int = _DIGITS) -> list[float | None]:
    """Return numbers for JSON with the given significant digits, null where they are not finite."""
    floats = np.asarray(values, dtype=float).tolist()  # NumPy's own scalars take twice as long to be written
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in floats]


def rounded_number(value: float | np.ndarray | None, digits: int = 9) -> float | None:
    """Return a number for JSON with the given significant digits, null if it is not finite."""
    return rounded(np.asarray([value], dtype=float), digits)[0]


def program(name: str, call: str, *shown: str) -> str:
    """Return a Python program that assigns a call to a name and prints expressions."""
    return f"import downslope as ds\n\n{name} = {call}\n" + "".join(f"print({expression})\n" for expression in shown)


def factor(value: float, digits: int) -> str:
    """Return a number as a factor of a product: in brackets if it is negative."""
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text
