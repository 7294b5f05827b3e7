"""How a trace is made: objective, method, plan, slope and the descent itself."""

from downslope.descent._descend import descend
from downslope.descent._fork import Fork, fork, range_test, sharpness
from downslope.descent._objective import Objective, check_point, objective
from downslope.descent._plan import Beginning, Plan, Record, plan
from downslope.descent._progress import Show, progress_bar
from downslope.descent._recipe import versions
from downslope.descent._slope import Slope, slope
from downslope.descent._spectrum import spectrum_of_hessian
from downslope.descent.batches._batched import Batched, Batches
from downslope.descent.batches._descent import descend_batches
from downslope.descent.batches._trace import header_of

__all__ = [
    "Batched",
    "Batches",
    "Beginning",
    "Fork",
    "Objective",
    "Plan",
    "Record",
    "Show",
    "Slope",
    "check_point",
    "descend",
    "descend_batches",
    "fork",
    "header_of",
    "objective",
    "plan",
    "progress_bar",
    "range_test",
    "sharpness",
    "slope",
    "spectrum_of_hessian",
    "versions",
]
