"""Diagnosis: what a trace says of the descent that left it. Reads traces, and nothing that makes them."""

from downslope._stability import BY_CURVATURE, best_rate, stability_bound
from downslope.diagnosis._diagnose import Diagnosis, diagnose
from downslope.diagnosis._finding import Finding, NotRun, Severity
from downslope.diagnosis._quantities import has_moved, measure, quantity, quantity_names

__all__ = [
    "BY_CURVATURE",
    "Diagnosis",
    "Finding",
    "NotRun",
    "Severity",
    "best_rate",
    "diagnose",
    "has_moved",
    "measure",
    "quantity",
    "quantity_names",
    "stability_bound",
]
