"""The choice of the engine: NumPy if the work is less than compiling, otherwise JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from downslope._errors import SettingError
from downslope.formulas import NumericFormula
from downslope.methods import Method

if TYPE_CHECKING:
    from downslope.descent._objective import Objective
    from downslope.descent._plan import Plan

EngineName = Literal["auto", "numpy", "jax"]

# Seconds, of a core of 2024; only their ratios matter.
COMPILING = 1.5  # importing JAX and compiling a descent
_STEP = 15e-6  # of a rule, with what the loop does besides
_SEARCHED_STEP = 300e-6  # of a rule that searches a line: some evaluations, each with interpolation
_TRIALS = 4  # evaluations along a line
_OPERATION = 1e-7  # an operation on plain numbers
_ARRAY_OPERATION = 1e-6  # the same on a column, whatever its length
_ENTRY = 1e-9  # for each number of a column


def engine_of(plan: Plan) -> str:
    """Return the engine of a plan: "numpy" or "jax".

    Raises:
        SettingError: if NumPy is chosen and cannot run it.
    """
    return chosen_engine(plan.engine, _obstacle(plan), lambda: numpy_seconds(plan))


def chosen_engine(engine: EngineName, obstacle: str | None, seconds: Callable[[], float]) -> str:
    """Return "numpy" or "jax".

    Args:
        engine: the choice.
        obstacle: why NumPy cannot run it, or None.
        seconds: returns about how long NumPy takes.

    Raises:
        SettingError: for another name, or if NumPy is chosen and cannot run it.
    """
    if engine not in get_args(EngineName):
        raise SettingError(f"the engine is numpy, jax or auto, not {engine!r}")
    if engine == "numpy" and obstacle:
        raise SettingError(f"NumPy cannot run this descent: {obstacle}", hint='engine="jax" can')
    if engine == "jax" or obstacle:
        return "jax"
    return "numpy" if engine == "numpy" or seconds() < COMPILING else "jax"


def numpy_seconds(plan: Plan) -> float:
    """Return about how long NumPy takes for all the steps of a plan."""
    return plan.steps * step_seconds(plan.objective, plan.method)


def step_seconds(objective: Objective, method: Method) -> float:
    """Return about how long NumPy takes for a step of a method."""
    evaluation = evaluation_seconds(objective)
    return _SEARCHED_STEP + _TRIALS * evaluation if method.searches_line else _STEP + evaluation


def evaluation_seconds(objective: Objective, points: int = 1) -> float:
    """Return about how long NumPy takes for the value and the gradient of a formula at some points side by side."""
    assert objective.formula is not None
    count = NumericFormula(objective.formula).operations
    rows = len(next(iter(objective.data.values()), ()))
    if not rows and points == 1:
        return count * _OPERATION
    return count * array_seconds(points * max(rows, 1))


def array_seconds(numbers: int) -> float:
    """Return about how long NumPy takes for an operation on an array."""
    return _ARRAY_OPERATION + _ENTRY * numbers


def obstacle(objective: Objective) -> str | None:
    """Return why NumPy cannot differentiate an objective, or None."""
    if objective.formula is None:
        return "only formulas have derivatives without JAX"
    if objective.precision != "float64":
        return f"it computes in float64, not in {objective.precision}"
    return None


def _obstacle(plan: Plan) -> str | None:
    """Return why NumPy cannot run a plan, or None."""
    if known := obstacle(plan.objective):
        return known
    if not plan.is_small:
        return "a point has more than 16 numbers"
    if not plan.method.is_plain:
        return f"the method {plan.method.name} is an Optax transformation"
    if plan.schedule.function is not None:
        return "the schedule is a function, which JAX traces"
    return None
