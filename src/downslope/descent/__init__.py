"""How a trace is made: objective, method, plan, slope and the descent itself."""

from downslope.descent._batch_descent import descend_batches
from downslope.descent._batch_trace import header_of
from downslope.descent._batched import Batched, Batches
from downslope.descent._data import check_numbers, read_table
from downslope.descent._descend import descend
from downslope.descent._fork import Fork, fork, range_test, sharpness
from downslope.descent._given import versions
from downslope.descent._method import Method, method, method_names
from downslope.descent._objective import Objective, check_point, objective
from downslope.descent._plan import Beginning, Plan, Record, plan
from downslope.descent._rules import Step, rule_of
from downslope.descent._schedule import Schedule, schedule
from downslope.descent._slope import Slope, slope
from downslope.descent._spectrum import spectrum_of_hessian

__all__ = [
    "Batched",
    "Batches",
    "Beginning",
    "Fork",
    "Method",
    "Objective",
    "Plan",
    "Record",
    "Schedule",
    "Slope",
    "Step",
    "check_numbers",
    "check_point",
    "descend",
    "descend_batches",
    "fork",
    "header_of",
    "method",
    "method_names",
    "objective",
    "plan",
    "range_test",
    "read_table",
    "rule_of",
    "schedule",
    "sharpness",
    "slope",
    "spectrum_of_hessian",
    "versions",
]
