"""Methods: one record for each, the rules they step by, and the theory of their rates; schedules of the rate."""

from downslope.methods._choices import MethodSettings, ScheduleName, ScheduleSettings
from downslope.methods._method import Method, method, method_names
from downslope.methods._rules import Rule, RuleInput, rule_of
from downslope.methods._schedule import SCHEDULE_SETTINGS, Schedule, schedule
from downslope.methods._spec import MethodSpec, Setting
from downslope.methods._table import (
    ADAM,
    ADAMW,
    BFGS,
    FIT_METHODS,
    GRADIENT_DESCENT,
    L_BFGS,
    LEVENBERG_MARQUARDT,
    METHODS,
    MOMENTUM,
    NESTEROV,
    NEWTON,
    NOISY_GRADIENT_DESCENT,
    RMSPROP,
    TRUST_REGION,
    MethodName,
    facts_of,
    is_known,
    spec_named,
)
from downslope.methods._theory import MethodFacts, NoTheory, Theory

__all__ = [
    "ADAM",
    "ADAMW",
    "BFGS",
    "FIT_METHODS",
    "GRADIENT_DESCENT",
    "LEVENBERG_MARQUARDT",
    "L_BFGS",
    "METHODS",
    "MOMENTUM",
    "NESTEROV",
    "NEWTON",
    "NOISY_GRADIENT_DESCENT",
    "RMSPROP",
    "SCHEDULE_SETTINGS",
    "TRUST_REGION",
    "Method",
    "MethodFacts",
    "MethodName",
    "MethodSettings",
    "MethodSpec",
    "NoTheory",
    "Rule",
    "RuleInput",
    "Schedule",
    "ScheduleName",
    "ScheduleSettings",
    "Setting",
    "Theory",
    "facts_of",
    "is_known",
    "method",
    "method_names",
    "rule_of",
    "schedule",
    "spec_named",
]
