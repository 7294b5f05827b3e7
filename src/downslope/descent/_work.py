"""Which engine runs a descent: NumPy where the work is less than compiling, JAX elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from downslope._errors import SettingError
from downslope.formulas import NumericFormula

if TYPE_CHECKING:
    from downslope.descent._plan import Plan

EngineName = Literal["auto", "numpy", "jax"]

# Seconds, of a core of 2024; only their ratios matter.
_COMPILING = 1.5  # importing JAX and compiling a descent
_STEP = 15e-6  # of a rule, with what the loop does besides
_SEARCHED_STEP = 300e-6  # of a rule that searches a line: some evaluations, each with interpolation
_TRIALS = 4  # evaluations along a line
_OPERATION = 1e-7  # an operation on plain numbers
_ARRAY_OPERATION = 1e-6  # the same on a column, whatever its length
_ENTRY = 1e-9  # for each number of a column


def engine_of(plan: Plan) -> str:
    """Return what runs a plan: "numpy" or "jax".

    Raises:
        SettingError: if NumPy is chosen and cannot run it.
    """
    if plan.engine == "jax":
        return "jax"
    obstacle = _obstacle(plan)
    if plan.engine == "numpy" and obstacle:
        raise SettingError(f"NumPy cannot run this descent: {obstacle}", hint='engine="jax" can')
    if obstacle:
        return "jax"
    return "numpy" if plan.engine == "numpy" or numpy_seconds(plan) < _COMPILING else "jax"


def numpy_seconds(plan: Plan) -> float:
    """Return about how long NumPy takes for all the steps of a plan."""
    assert plan.objective.formula is not None
    count = NumericFormula(plan.objective.formula).operations
    rows = len(next(iter(plan.objective.data.values()), ()))
    evaluation = count * (_ARRAY_OPERATION + _ENTRY * rows if rows else _OPERATION)
    searches = plan.method.searches_line
    return plan.steps * ((_SEARCHED_STEP if searches else _STEP) + evaluation * (_TRIALS if searches else 1))


def _obstacle(plan: Plan) -> str | None:
    """Return why NumPy cannot run a plan, or None."""
    if plan.objective.formula is None:
        return "only formulas have derivatives without JAX"
    if plan.objective.precision != "float64":
        return f"it computes in float64, not in {plan.objective.precision}"
    if not plan.is_small:
        return "a point has more than 16 numbers"
    if not plan.method.is_plain:
        return f"the method {plan.method.name} is an Optax transformation"
    if plan.schedule.function is not None:
        return "the schedule is a function, which JAX traces"
    return None
