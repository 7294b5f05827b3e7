"""How a trace is made: objective, method, plan, slope and the descent itself."""

from downslope.descent._choices import (
    METHOD,
    RATE,
    ClipChoices,
    DescendChoices,
    DescentChoices,
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
from downslope.descent.batches._batched import Batched, Batches
from downslope.descent.batches._descent import descend_batches
from downslope.descent.batches._trace import header_of

__all__ = [
    "METHOD",
    "RATE",
    "Batched",
    "Batches",
    "Beginning",
    "ClipChoices",
    "DescendChoices",
    "DescentChoices",
    "MethodChoices",
    "Objective",
    "ObjectiveChoices",
    "Plan",
    "PlanChoices",
    "RateChoices",
    "RateDescents",
    "Record",
    "ScheduleChoice",
    "ScheduleChoices",
    "ShortRun",
    "Show",
    "Slope",
    "StopChoices",
    "check_point",
    "checked_progress",
    "descend",
    "descend_at_best_rate",
    "descend_at_rates",
    "descend_batches",
    "end_value",
    "header_of",
    "make_plan",
    "objective",
    "plan",
    "progress_bar",
    "range_test",
    "settings_of_own",
    "sharpness",
    "short_run",
    "slope",
    "spectrum_of_hessian",
    "standing",
    "steps_to_rest",
    "values_at",
    "versions",
]
