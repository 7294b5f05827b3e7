"""Evaluations that contradict the steps: `evaluation_mismatch`."""

from __future__ import annotations

import numpy as np

from downslope._text import in_words
from downslope.diagnosis._cells import CellState, evaluated_states
from downslope.diagnosis._finding import Finding, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

_EVALUATIONS = 3  # at the end, all of which have to be apart
_STEPS_AROUND = 16

EVALUATION_MISMATCH = Symptom(
    "evaluation_mismatch",
    Severity.PROBLEM,
    order=175,
    meaning="Evaluation is not finite, far from the loss of the steps on the same rows, or in training mode.",
    quantity="lost_evaluations",
    remedies=("layer_normalisation", "smaller_rate"),
)


def _lost(evidence: TrainingEvidence) -> float | None:
    """Return the largest share of the evaluations of one kind that are not finite."""
    shares = [
        np.mean(evaluated_states(evidence.trace, name) == CellState.NOT_FINITE) for name in _evaluations(evidence)
    ]
    return float(max(shares)) if shares else None


def _evaluations(evidence: TrainingEvidence) -> list[str]:
    """Return the names of the evaluations, the losses first."""
    names = [name for name in evidence.trace.metrics if name.partition("_")[0] in ("training", "validation")]
    return sorted(names, key=lambda name: not name.endswith("_loss"))


@check(
    EVALUATION_MISMATCH,
    reads=("evaluated.training_loss",),
    quantities=(Quantity("lost_evaluations", "share of evaluations that are not finite", "lower", _lost),),
)
def evaluation_mismatch(evidence: TrainingEvidence) -> Finding | None:
    """Find evaluations that are not finite, far from the loss of the steps while these do well, or in the wrong mode.

    Quantity: the state of each evaluation: finite, not finite, not measured; and the loss that evaluation finds on the
    rows trained on over the mean loss of the steps around it. Theory: evaluation computes what training does, but for
    dropout, which only raises the loss of the steps, and for the statistics of a normalisation. Threshold: any; twice
    the loss of the steps, and a tenth of the first loss above it; evaluations in training mode, each of them, of a
    network with dropout or running statistics.
    """
    if evidence.failed:
        return None  # the weights themselves are not finite, and every evaluation with them
    for name in _evaluations(evidence):
        lost = np.flatnonzero(evaluated_states(evidence.trace, name) == CellState.NOT_FINITE)
        if not len(lost):
            continue
        steps = np.asarray(evidence.trace.metrics.get("step", np.arange(lost[-1] + 1)))
        lasts = len(lost) > 1 and lost[-1] - lost[0] == len(lost) - 1 and lost[-1] == len(steps) - 1
        when = f"from step {steps[lost[0]]} on" if lasts else f"at step {steps[lost[0]]}"
        return training_finding(
            evidence,
            EVALUATION_MISMATCH,
            f"The {in_words(name)} is not finite {when}, while the loss of every step is: {_why(evidence)}.",
            "evaluations that are finite where the steps are",
            numbers={"evaluation": name, "step": int(steps[lost[0]]), "evaluations": len(lost)},
            causes=(
                "running statistics that are not finite or never move",
                "missing or huge numbers in the rows held back",
                "half precision in evaluation",
            ),
            remedies=(
                "check the rows held back",
                "check the running means and variances",
                "a normalisation by layer",
            ),
            problem=True,
        )
    return _apart(evidence) or _other_mode(evidence)


def _losses_apart(evidence: TrainingEvidence, name: str) -> list[tuple[float, float, float]]:
    """Return, for the last evaluations of a loss, what it was, the mean of the steps around, and its standard error."""
    losses = np.asarray(evidence.trace.metrics.get(name, ()), dtype=float)
    steps = np.asarray(evidence.trace.metrics.get("step", ()))
    finite = np.isfinite(evidence.loss)
    known = np.flatnonzero(np.isfinite(losses) & (steps > 0)) if len(losses) == len(steps) else np.zeros(0, int)
    if len(known) < _EVALUATIONS or finite.sum() < _STEPS_AROUND:
        return []
    apart = []
    for index in known[-_EVALUATIONS:]:
        near = np.argsort(np.abs(evidence.step[finite] - steps[index]), kind="stable")[:_STEPS_AROUND]
        rows = evidence.loss[finite][near]
        apart.append((float(losses[index]), float(rows.mean()), float(rows.std() / np.sqrt(len(rows)))))
    return apart


def _apart(evidence: TrainingEvidence) -> Finding | None:
    """Return the finding for evaluations that are far above the loss of the steps on the same rows."""
    losses, rows = _losses_apart(evidence, "training_loss"), "the rows trained on"
    if not losses and evidence.network.get("statistics_move") is False and evidence.falls_short:
        # Rows held back may have a higher loss for other reasons, but statistics that never move are one.
        losses, rows = _losses_apart(evidence, "validation_loss"), "rows held back"
    # Without dropout and running statistics both compute the same, on other rows of the same kind.
    if not losses or evidence.network.get("statistics_move", True) is None:
        return None
    first = float(np.mean(evidence.loss[: max(len(evidence.loss) // 50, 1)]))
    for evaluated, stepped, error in losses:
        if not evaluated - stepped > max(abs(stepped), 0.1 * abs(first), 4 * error):
            return None
    evaluated, stepped, _ = losses[-1]
    return training_finding(
        evidence,
        EVALUATION_MISMATCH,
        f"The steps end at a loss of {number(stepped)}, and evaluation on {rows} finds {number(evaluated)}: "
        f"{_why(evidence)}.",
        "a loss in evaluation up to twice that of the steps",
        numbers={"evaluated_loss": evaluated, "stepped_loss": stepped},
        causes=(
            "running statistics that never move or lag far behind",
            "a model left in training mode, or put into it",
            "batches so small that their statistics are not those of the rows",
        ),
        remedies=("check the running means and variances", "a normalisation by layer"),
        if_unknown=True,
    )


def _other_mode(evidence: TrainingEvidence) -> Finding | None:
    """Return the finding for a model that is evaluated in training mode, or trained on in evaluation mode."""
    network = evidence.network
    # Without dropout and running statistics both modes compute the same.
    if not network.get("dropout") and network.get("statistics_move") is None:
        return None
    what = " and ".join(
        [
            *(["units are dropped"] if network.get("dropout") else []),
            *(["statistics are those of the batch"] if network.get("statistics_move") is not None else []),
        ]
    )
    if network.get("evaluated_as_trained"):
        sentence = f"The model was in training mode when it was evaluated, in which {what}: the scores are not its own."
        cause, remedy = "model.eval() is not called before an evaluation", "model.eval() before, model.train() after it"
    elif network.get("trained_as_evaluated"):
        sentence = f"The last steps were taken in evaluation mode, the first in training mode, in which {what}."
        cause, remedy = "model.train() is not called after an evaluation", "model.train() after each evaluation"
    else:
        return None
    return training_finding(
        evidence,
        EVALUATION_MISMATCH,
        sentence,
        "every evaluation in evaluation mode, and every step in the mode of the first",
        causes=(cause,),
        remedies=(remedy,),
        if_unknown=bool(network.get("evaluated_as_trained")),
    )


def _why(evidence: TrainingEvidence) -> str:
    """Return why evaluation may find something else than the steps, as the rest of a sentence."""
    if evidence.network.get("statistics_move") is False:
        return "the running statistics that evaluation normalises by never move"
    return "evaluation computes something else than training, or reads other rows"
