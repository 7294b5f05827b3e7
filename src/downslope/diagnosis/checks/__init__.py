"""The checks, one symptom or close family a file, in the order in which their findings are shown.

A check takes the evidence and the state of a trace and returns a Finding, None, or a NotRun that says what it lacked.
"""

from collections.abc import Callable

from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun
from downslope.diagnosis._state import State
from downslope.diagnosis._training import TrainingEvidence
from downslope.diagnosis.checks._bottleneck import bottleneck
from downslope.diagnosis.checks._condition import ill_conditioned
from downslope.diagnosis.checks._converged import converged
from downslope.diagnosis.checks._dead import dead_units
from downslope.diagnosis.checks._descending import still_descending
from downslope.diagnosis.checks._diverged import diverged
from downslope.diagnosis.checks._edge import edge_of_stability
from downslope.diagnosis.checks._exploding import exploding_gradients
from downslope.diagnosis.checks._initialisation import poor_initialisation
from downslope.diagnosis.checks._inputs import unscaled_inputs
from downslope.diagnosis.checks._labels import label_problem
from downslope.diagnosis.checks._local_minimum import local_minimum
from downslope.diagnosis.checks._loss_function import wrong_loss
from downslope.diagnosis.checks._noise import noise_dominated
from downslope.diagnosis.checks._nonlinearity import missing_nonlinearity
from downslope.diagnosis.checks._not_finite import not_finite
from downslope.diagnosis.checks._oscillating import oscillating
from downslope.diagnosis.checks._output import unshared_output, wrong_output_activation
from downslope.diagnosis.checks._overfitting import overfitting
from downslope.diagnosis.checks._plateau import plateau
from downslope.diagnosis.checks._rate import rate_too_large, rate_too_small
from downslope.diagnosis.checks._regularised import over_regularised
from downslope.diagnosis.checks._saddle import maximum, saddle_point
from downslope.diagnosis.checks._saturated import saturated_units
from downslope.diagnosis.checks._spike import loss_spike
from downslope.diagnosis.checks._symmetry import symmetric_units
from downslope.diagnosis.checks._targets import unscaled_targets
from downslope.diagnosis.checks._too_few_steps import too_few_steps
from downslope.diagnosis.checks._training_end import healthy, training_diverged, training_not_finite, unexplained
from downslope.diagnosis.checks._training_rate import training_rate_too_large, training_rate_too_small
from downslope.diagnosis.checks._vanishing import vanishing_gradients

Check = Callable[[Evidence, State], Finding | NotRun | None]

CHECKS: tuple[Check, ...] = (
    rate_too_large,
    diverged,
    not_finite,
    oscillating,
    saddle_point,
    maximum,
    plateau,
    rate_too_small,
    converged,
    still_descending,
    edge_of_stability,
    ill_conditioned,
)

TrainingCheck = Callable[[TrainingEvidence], Finding | NotRun | None]

# By cause: first the data, then what was asked of the network, then how it began and how long its steps were, then what
# follows from these, and last what may simply be due to when it was stopped.
TRAINING_CHECKS: tuple[TrainingCheck, ...] = (
    label_problem,
    wrong_loss,
    wrong_output_activation,
    unscaled_inputs,
    unscaled_targets,
    symmetric_units,
    poor_initialisation,
    missing_nonlinearity,
    over_regularised,
    exploding_gradients,
    vanishing_gradients,
    training_rate_too_large,
    dead_units,
    saturated_units,
    unshared_output,
    bottleneck,
    training_not_finite,
    training_diverged,
    training_rate_too_small,
    too_few_steps,
    overfitting,
    noise_dominated,
    loss_spike,
)

__all__ = ["CHECKS", "TRAINING_CHECKS", "Check", "TrainingCheck", "healthy", "local_minimum", "unexplained"]
