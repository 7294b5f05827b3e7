"""The checks, one symptom or close family a file.

A check takes the evidence of a trace (and the end state of a descent) and returns a Finding, None, or a NotRun that
says what it lacked. The order of causes stands in the record of each symptom, not here. Of a training: first the data,
then the network that was chosen, then how it began and how long its steps were, then what follows from these, and last
what may simply be due to when it was stopped.
"""

from downslope.diagnosis._finding import by_cause, by_key
from downslope.diagnosis.checks._bottleneck import bottleneck
from downslope.diagnosis.checks._condition import ill_conditioned
from downslope.diagnosis.checks._converged import converged
from downslope.diagnosis.checks._dead import dead_units
from downslope.diagnosis.checks._degenerate_normalisation import degenerate_normalisation
from downslope.diagnosis.checks._descending import still_descending
from downslope.diagnosis.checks._diverged import diverged
from downslope.diagnosis.checks._edge import edge_of_stability
from downslope.diagnosis.checks._evaluation_mismatch import evaluation_mismatch
from downslope.diagnosis.checks._exploding import exploding_gradients
from downslope.diagnosis.checks._few_rows import too_few_rows
from downslope.diagnosis.checks._frozen_parameters import frozen_parameters
from downslope.diagnosis.checks._gradient_course import rising_gradients
from downslope.diagnosis.checks._imbalance import imbalanced_classes
from downslope.diagnosis.checks._initialisation import poor_initialisation
from downslope.diagnosis.checks._kink import kink
from downslope.diagnosis.checks._labels import label_problem
from downslope.diagnosis.checks._leak import copied_targets, leaking_column, rows_on_both_sides
from downslope.diagnosis.checks._local_minimum import local_minimum
from downslope.diagnosis.checks._loss_function import wrong_loss
from downslope.diagnosis.checks._noise import noise_dominated
from downslope.diagnosis.checks._nonlinearity import missing_nonlinearity
from downslope.diagnosis.checks._not_finite import measured_not_finite, not_finite, recorded_not_finite
from downslope.diagnosis.checks._order import data_order
from downslope.diagnosis.checks._oscillating import oscillating
from downslope.diagnosis.checks._output import unshared_output, wrong_output_activation
from downslope.diagnosis.checks._overfitting import overfitting
from downslope.diagnosis.checks._plateau import plateau
from downslope.diagnosis.checks._rate import rate_too_large, rate_too_small
from downslope.diagnosis.checks._rate_ended import rate_ended_early
from downslope.diagnosis.checks._regularised import over_regularised
from downslope.diagnosis.checks._saddle import maximum, saddle_point
from downslope.diagnosis.checks._saturated import saturated_units
from downslope.diagnosis.checks._scaling import unscaled_inputs, unscaled_targets
from downslope.diagnosis.checks._shift import shifted_validation
from downslope.diagnosis.checks._skew import skewed_targets
from downslope.diagnosis.checks._skipped import skipped_steps
from downslope.diagnosis.checks._spike import loss_spike
from downslope.diagnosis.checks._symmetry import symmetric_units
from downslope.diagnosis.checks._too_few_steps import too_few_steps
from downslope.diagnosis.checks._training_end import (
    HEALTHY,
    NOT_JUDGED,
    NOT_STARTED,
    PLATEAU,
    healthy,
    not_judged,
    not_started,
    stepped_not_finite,
    training_diverged,
    training_not_finite,
    unexplained,
)
from downslope.diagnosis.checks._training_rate import training_rate_too_large, training_rate_too_small
from downslope.diagnosis.checks._unbounded import pole, unbounded
from downslope.diagnosis.checks._uncleared import uncleared_gradients
from downslope.diagnosis.checks._vanishing import vanishing_gradients

DESCENT_CHECKS = by_cause(
    converged,
    diverged,
    edge_of_stability,
    ill_conditioned,
    kink,
    maximum,
    not_finite,
    oscillating,
    plateau,
    pole,
    rate_too_large,
    rate_too_small,
    saddle_point,
    still_descending,
    unbounded,
)
TRAINING_CHECKS = by_cause(
    bottleneck,
    copied_targets,
    data_order,
    dead_units,
    degenerate_normalisation,
    evaluation_mismatch,
    exploding_gradients,
    frozen_parameters,
    imbalanced_classes,
    label_problem,
    leaking_column,
    loss_spike,
    missing_nonlinearity,
    noise_dominated,
    over_regularised,
    overfitting,
    poor_initialisation,
    rate_ended_early,
    rising_gradients,
    rows_on_both_sides,
    saturated_units,
    shifted_validation,
    skewed_targets,
    skipped_steps,
    symmetric_units,
    too_few_rows,
    too_few_steps,
    training_diverged,
    training_not_finite,
    training_rate_too_large,
    training_rate_too_small,
    uncleared_gradients,
    unscaled_inputs,
    unscaled_targets,
    unshared_output,
    vanishing_gradients,
    wrong_loss,
    wrong_output_activation,
)
STATE_RULES = tuple(check.rule for check in DESCENT_CHECKS if check.rule is not None)

# `local_minimum` compares any trace with others; the others speak where no check does.
DESCENT_SYMPTOMS = by_key([*(check.symptom for check in DESCENT_CHECKS), local_minimum.symptom])
TRAINING_SYMPTOMS = by_key([*(check.symptom for check in TRAINING_CHECKS), PLATEAU, HEALTHY, NOT_JUDGED, NOT_STARTED])

__all__ = [
    "DESCENT_CHECKS",
    "DESCENT_SYMPTOMS",
    "HEALTHY",
    "STATE_RULES",
    "TRAINING_CHECKS",
    "TRAINING_SYMPTOMS",
    "healthy",
    "local_minimum",
    "measured_not_finite",
    "not_judged",
    "not_started",
    "recorded_not_finite",
    "stepped_not_finite",
    "unexplained",
]
