"""The settings of methods and schedules, as keyword arguments that editors complete."""

from typing import Annotated, Literal, TypedDict

from downslope._choices import Choice
from downslope.methods._table import METHODS

ScheduleName = Literal["constant", "step", "exponential", "cosine", "warm-up"]


def _setting(name: str) -> Choice:
    """Return the choice that a setting of methods is, from their records."""
    owners = [(spec, setting) for spec in METHODS if (setting := spec.setting(name)) is not None]
    usual = {spec.name: setting.default for spec, setting in owners if setting in spec.settings}
    shown = ", ".join(f"{value:g} for {owner}" for owner, value in usual.items())
    return Choice(None, f"{owners[0][1].help} Default {shown}.", "method", kind="number", checks=False)


class MethodSettings(TypedDict, total=False):
    """The settings that methods have; each has those of its own, with its own defaults."""

    momentum: Annotated[float, _setting("momentum")]
    beta1: Annotated[float, _setting("beta1")]
    beta2: Annotated[float, _setting("beta2")]
    decay: Annotated[float, _setting("decay")]
    epsilon: Annotated[float, _setting("epsilon")]
    initial: Annotated[float, _setting("initial")]
    weight_decay: Annotated[float, _setting("weight_decay")]
    noise: Annotated[float, _setting("noise")]
    noise_decay: Annotated[float, _setting("noise_decay")]
    memory: Annotated[int, _setting("memory")]


class ScheduleSettings(TypedDict, total=False):
    """The settings that schedules have."""

    factor: Annotated[
        float,
        Choice(None, "What the rate is multiplied by, each time or in all.", "schedule", kind="number", checks=False),
    ]
    every: Annotated[int, Choice(None, "Steps from one factor to the next.", "schedule", kind="number", checks=False)]
    warm_up: Annotated[int, Choice(None, "Steps until the rate is reached.", "schedule", kind="number", checks=False)]
