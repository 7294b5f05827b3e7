"""Remedies: changes of a run, tried and compared with the unchanged run."""

from downslope.remedies._prescribe import prescribe
from downslope.remedies._prescription import Prescription
from downslope.remedies._rate_finding import RateCheck, RateFinding
from downslope.remedies._rate_search import find_learning_rate
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import Effect, Trial, Yardstick

__all__ = [
    "Effect",
    "Prescription",
    "RateCheck",
    "RateFinding",
    "Remedy",
    "Trial",
    "Yardstick",
    "find_learning_rate",
    "prescribe",
]
