"""Diagnosis: findings about a descent or a training, from its trace alone."""

from downslope.diagnosis._diagnose import (
    Diagnosis,
    decay_is_worth_trying,
    diagnose,
    is_advisable,
    rates_worth_trying,
    settles,
    symptoms,
)
from downslope.diagnosis._end_state import ARRIVED_BY_TOLERANCE, plunges
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom
from downslope.diagnosis._quantities import has_moved, measure, quantity, quantity_names
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks import DESCENT_SYMPTOMS, TRAINING_SYMPTOMS

__all__ = [
    "ARRIVED_BY_TOLERANCE",
    "DESCENT_SYMPTOMS",
    "TRAINING_SYMPTOMS",
    "Diagnosis",
    "Evidence",
    "Finding",
    "NotRun",
    "Quantity",
    "Severity",
    "Symptom",
    "TrainingEvidence",
    "decay_is_worth_trying",
    "diagnose",
    "has_moved",
    "is_advisable",
    "measure",
    "plunges",
    "quantity",
    "quantity_names",
    "rates_worth_trying",
    "settles",
    "symptoms",
]
