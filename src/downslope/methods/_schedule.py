"""Schedules: how the learning rate changes by step, as a factor on the rate.

    constant      1
    step          factor^⌊t / every⌋
    exponential   factor^(t / steps)
    cosine        (1 + cos(πt / steps)) / 2
    warm-up       min(1, (t + 1) / warm_up), constant afterwards

with t the step and `steps` the budget of the descent. Each is written once for NumPy and JAX alike. Any Optax
schedule, a function from step to rate, is taken as it is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Annotated, Any, Literal, TypedDict

from downslope._choices import Choice
from downslope._errors import SettingError, described, nearest, whole

Factor = Callable[[Any, Any, Mapping[str, Any], ModuleType], Any]
ScheduleName = Literal["constant", "step", "exponential", "cosine", "warm-up"]


class ScheduleSettings(TypedDict, total=False):
    """The settings that schedules have."""

    factor: Annotated[
        float,
        Choice(
            None,
            "The factor on the rate: per drop for step, over the whole run for exponential.",
            "schedule",
            kind="number",
            checks=False,
        ),
    ]
    every: Annotated[int, Choice(None, "Steps between drops of the rate.", "schedule", kind="number", checks=False)]
    warm_up: Annotated[
        int, Choice(None, "Steps until the full rate is reached.", "schedule", kind="number", checks=False)
    ]


SCHEDULE_SETTINGS = tuple(ScheduleSettings.__annotations__)


@dataclass(frozen=True)
class Schedule:
    """A named course of the learning rate, or a function of the step.

    Args:
        name: "constant", "step", "exponential", "cosine", "warm-up", or "custom".
        settings: `factor`, `every` or `warm_up`, depending on the name.
        function: for "custom", the rate itself at a step.
    """

    name: str = "constant"
    settings: Mapping[str, float] = field(default_factory=dict)
    function: Callable[[Any], Any] | None = None

    def rate(self, step: Any, learning_rate: Any, steps: Any, settings: Mapping[str, Any], module: ModuleType) -> Any:
        """Return the rate at a step.

        Args:
            step: the step, a number or an array.
            learning_rate: the rate that the factor applies to.
            steps: the budget of the descent.
            settings: this schedule's settings, which may be traced.
            module: `numpy` or `jax.numpy`.
        """
        if self.function is not None:
            return self.function(step)
        return learning_rate * _FACTORS[self.name](step, steps, settings, module)


_FACTORS: dict[str, Factor] = {
    "constant": lambda step, steps, settings, module: 1.0,
    "step": lambda step, steps, settings, module: settings["factor"] ** module.floor(step / settings["every"]),
    "exponential": lambda step, steps, settings, module: settings["factor"] ** (step / steps),
    "cosine": lambda step, steps, settings, module: (1 + module.cos(math.pi * module.minimum(step / steps, 1.0))) / 2,
    "warm-up": lambda step, steps, settings, module: module.minimum((step + 1) / settings["warm_up"], 1.0),
}


def schedule(course: str | Callable[[Any], Any] | Schedule | None, steps: int, **settings: float) -> Schedule:
    """Return a schedule from its name, a function of the step, or a schedule.

    Args:
        course: the name, an Optax schedule (a function from step to rate), or None for a constant rate.
        steps: the budget, from which the defaults of `every` (a quarter) and `warm_up` (a tenth) follow.
        settings: `factor` (default 0.5 for "step", 0.01 for "exponential"), `every`, `warm_up`.

    Raises:
        SettingError: for a name or a setting that is not known.

    >>> schedule("step", 100).settings
    {'factor': 0.5, 'every': 25}
    """
    if isinstance(course, Schedule) or callable(course):
        if settings:
            raise SettingError(
                f"{sorted(settings)[0]} is a setting of a schedule by name, and this schedule is complete",
                hint='for example schedule="step", factor=0.5',
            )
        return course if isinstance(course, Schedule) else Schedule("custom", {}, course)
    if course is not None and not isinstance(course, str):
        raise SettingError(
            f"a schedule is a name or a function of the step, not {described(course)}",
            hint='for example schedule="cosine"',
        )
    steps = whole("steps", steps, least=0)
    name = (course or "constant").replace("_", "-").replace("warmup", "warm-up")
    if name not in _FACTORS:
        hint = nearest(name, _FACTORS)
        raise SettingError(
            f"there is no schedule {name!r}; known are {', '.join(_FACTORS)}",
            hint=f"did you mean {hint!r}?" if hint else None,
        )
    defaults = {
        "step": {"factor": 0.5, "every": max(1, steps // 4)},
        "exponential": {"factor": 0.01},
        "warm-up": {"warm_up": max(1, steps // 10)},
    }.get(name, {})
    unknown = set(settings) - set(defaults)
    if unknown:
        raise SettingError(
            f"the schedule {name!r} has no setting {sorted(unknown)[0]!r}", hint=f"it has {list(defaults) or 'none'}"
        )
    chosen = {**defaults, **settings}
    for key, number in chosen.items():
        if not (math.isfinite(number) and number > 0):
            raise SettingError(f"{key} of a schedule must be above 0, not {number}")
    return Schedule(name, chosen)
