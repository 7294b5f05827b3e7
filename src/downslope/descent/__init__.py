"""How a trace is made: objective, method, plan, slope and the descent itself."""

from downslope.descent._descend import descend
from downslope.descent._method import Method, method, method_names
from downslope.descent._objective import Objective, objective
from downslope.descent._plan import Plan, Record, plan
from downslope.descent._schedule import Schedule, schedule
from downslope.descent._slope import Slope, slope

__all__ = [
    "Method",
    "Objective",
    "Plan",
    "Record",
    "Schedule",
    "Slope",
    "descend",
    "method",
    "method_names",
    "objective",
    "plan",
    "schedule",
    "slope",
]
