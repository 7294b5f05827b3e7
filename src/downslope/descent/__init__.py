"""Making a trace: objective, method, plan, slope and the descent itself."""

from downslope.descent._choices import (
    METHOD,
    RATE,
    ClipChoices,
    DescendChoices,
    DescentChoices,
    EngineChoice,
    MethodChoices,
    ObjectiveChoices,
    PlanChoices,
    RateChoices,
    ScheduleChoice,
    ScheduleChoices,
    StopChoices,
)
from downslope.descent._curvature import spectrum_of_hessian
from downslope.descent._descend import descend
from downslope.descent._numpy_loop import NumericObjective
from downslope.descent._objective import Objective, check_point, objective
from downslope.descent._plan import Beginning, Plan, Record, make_plan, plan, settings_of_own
from downslope.descent._progress import Show, checked_progress, progress_bar
from downslope.descent._range_test import ShortRun, range_test, sharpness, short_run
from downslope.descent._recipe import versions
from downslope.descent._side_by_side import (
    RateDescents,
    descend_at_best_rate,
    descend_at_rates,
    end_value,
    standing,
    steps_to_rest,
)
from downslope.descent._slope import Slope, slope
from downslope.descent._surroundings import values_at
from downslope.descent._work import (
    COMPILING,
    EngineName,
    array_seconds,
    chosen_engine,
    evaluation_seconds,
    obstacle,
    step_seconds,
)
from downslope.descent.batches._batched import GRADIENT_COLUMN, LAYER_COLUMNS, Batched, Batches
from downslope.descent.batches._descent import descend_batches
from downslope.descent.batches._layout import DeviceLayout
from downslope.descent.batches._probe import Probe
from downslope.descent.batches._trace import header_of

__all__ = [
    "COMPILING",
    "GRADIENT_COLUMN",
    "LAYER_COLUMNS",
    "METHOD",
    "RATE",
    "Batched",
    "Batches",
    "Beginning",
    "ClipChoices",
    "DescendChoices",
    "DescentChoices",
    "DeviceLayout",
    "EngineChoice",
    "EngineName",
    "MethodChoices",
    "NumericObjective",
    "Objective",
    "ObjectiveChoices",
    "Plan",
    "PlanChoices",
    "Probe",
    "RateChoices",
    "RateDescents",
    "Record",
    "ScheduleChoice",
    "ScheduleChoices",
    "ShortRun",
    "Show",
    "Slope",
    "StopChoices",
    "array_seconds",
    "check_point",
    "checked_progress",
    "chosen_engine",
    "descend",
    "descend_at_best_rate",
    "descend_at_rates",
    "descend_batches",
    "end_value",
    "evaluation_seconds",
    "header_of",
    "make_plan",
    "objective",
    "obstacle",
    "plan",
    "progress_bar",
    "range_test",
    "settings_of_own",
    "sharpness",
    "short_run",
    "slope",
    "spectrum_of_hessian",
    "standing",
    "step_seconds",
    "steps_to_rest",
    "values_at",
    "versions",
]
