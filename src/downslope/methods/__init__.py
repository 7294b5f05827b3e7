"""Methods: how a descent steps, how its rate changes, and the theory of both."""

from downslope.methods._method import Method, method, method_names
from downslope.methods._rules import Rule, Step, rule_of
from downslope.methods._schedule import SCHEDULE_SETTINGS, Schedule, schedule
from downslope.methods._stability import (
    BY_CURVATURE,
    LINE_SEARCH,
    SCALED,
    WITH_MOMENTUM,
    best_rate,
    contraction,
    stability_bound,
)

__all__ = [
    "BY_CURVATURE",
    "LINE_SEARCH",
    "SCALED",
    "SCHEDULE_SETTINGS",
    "WITH_MOMENTUM",
    "Method",
    "Rule",
    "Schedule",
    "Step",
    "best_rate",
    "contraction",
    "method",
    "method_names",
    "rule_of",
    "schedule",
    "stability_bound",
]
