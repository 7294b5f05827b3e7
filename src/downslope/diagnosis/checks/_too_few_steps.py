"""A training that ended while the loss was falling: `too_few_steps`."""

from __future__ import annotations

from downslope._text import count
from downslope.diagnosis._course import Course
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding, unjudged
from downslope.diagnosis._needs import is_known, lacking, without
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._training_rate import reach_of
from downslope.trace import Outcome

TOO_FEW_STEPS = Symptom(
    "too_few_steps",
    Severity.PROBLEM,
    order=200,
    meaning="The loss was still falling when the steps ran out.",
    quantity="still_falling",
    remedies=("larger_rate", "adam", "more_steps", "momentum"),
)

# A loss that falls by more than this over the last fifth of a run has not settled.
_FALLS = 0.01
_FEW = 200
# Of its average pace: an exponential approach that still goes at half of it has 28 % of its way to go.
_PACE, _PACE_OF_FEW = 0.5, 0.35
_HALF = 0.5  # of the steps that were planned


@check(TOO_FEW_STEPS, needs=("evaluated.training_loss",))
def too_few_steps(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a loss that was still falling when the steps ran out.

    Quantity: the fall of the loss over the last fifth of the run, where it is above its scatter; and the pace of that
    fall beside the average one. Theory: an exponential approach slows down in proportion to the way left. Threshold:
    one part in a hundred where the network falls short; half of the average pace in any case; or so few steps that the
    weights moved by less than half their size.
    """
    if evidence.failed or evidence.loss_rose or evidence.course.plunges:
        return None
    if evidence.underfits is None and evidence.held_blocks.rose:
        return None  # more steps would raise the loss on rows held back further, which is overfitting
    planned = evidence.trace.plan.get("steps")
    if evidence.trace.outcome is Outcome.RUNNING and planned is not None and planned > evidence.last_step + 1:
        return NotRun(TOO_FEW_STEPS.key, f"the run has not ended: {evidence.last_step} of {planned} steps")
    if evidence.falls_short and evidence.score is None and reach_of(evidence) is None:
        return None  # it has hardly moved at all, which has a name of its own
    if evidence.network.get("l2") and not is_known("metrics.training_loss", evidence.trace):
        # The loss of a step holds the penalty, which may fall for long after that of the rows.
        return NotRun(TOO_FEW_STEPS.key, lacking(("metrics.training_loss",), evidence.trace) or "")
    pace = _pace(evidence)
    few = bool(evidence.log) and _ends_early(evidence)
    keeps_falling = pace is not None and pace >= (_PACE_OF_FEW if few else _PACE)
    reach = reach_of(evidence)
    hardly = evidence.last_step < _FEW and reach is not None and reach < 0.5
    short = evidence.underfits and (evidence.still_falling > _FALLS or hardly)
    if not keeps_falling and not short and evidence.underfits and evidence.last_step < _FEW and reach is None:
        return NotRun(TOO_FEW_STEPS.key, without("parts.update_norm beside parts.parameter_norm"))
    if not keeps_falling and not short:
        if evidence.underfits is None and (evidence.still_falling > _FALLS or hardly):
            return unjudged(evidence, TOO_FEW_STEPS)
        # The losses of batches hide a slow fall, which those of all rows would show.
        lacks = lacking(("metrics.training_loss",), evidence.trace) if evidence.underfits else None
        return None if lacks is None else NotRun(TOO_FEW_STEPS.key, lacks)
    fall = "the loss had hardly moved"
    if evidence.still_falling:
        fall = f"the loss was still falling, by {number(100 * evidence.still_falling)} % over the last fifth"
    elif keeps_falling:
        fall = f"the loss was still falling, at {number(pace)} of its average pace"
    words = (
        "were enough, though more would lower the loss further" if evidence.underfits is False else "were not enough"
    )
    return training_finding(
        evidence,
        TOO_FEW_STEPS,
        f"{count(evidence.last_step, evidence.unit).capitalize()} {words}: {fall}{_planned(evidence)}.",
        f"a fall of {number(100 * _FALLS)} % over the last fifth of the run, or half of the average pace",
        numbers={"still_falling": evidence.still_falling, "pace": pace, "epochs": evidence.epochs},
        causes=("too few steps", "a learning rate that is rather small"),
        remedies=(f"{count(4 * max(evidence.last_step, 1), 'step')}", "a larger learning rate"),
        problem=evidence.underfits,
        if_unknown=_ends_early(evidence),
    )


def _ends_early(evidence: TrainingEvidence) -> bool:
    """Tell whether the steps are few: of a log, by themselves or beside those that were planned.

    One healthy log in five still falls at half of its average pace, and a slope alone does not tell it from others.
    """
    if not evidence.log or (evidence.unit == "step" and evidence.last_step < _FEW):
        return True
    return _share_done(evidence) < _HALF


def _share_done(evidence: TrainingEvidence) -> float:
    """Return the steps taken over those that were planned; 1 where a log does not say."""
    steps = evidence.trace.plan.get("steps")
    return evidence.last_step / steps if evidence.log.get("planned") and steps else 1.0


def _planned(evidence: TrainingEvidence) -> str:
    """Return the clause on the planned steps, if fewer were taken."""
    share = _share_done(evidence)
    return f"; {evidence.trace.plan['steps']} were planned" if share < _HALF else ""


def _pace(evidence: TrainingEvidence) -> float | None:
    """Return the pace at the end over the average one, by evaluations where they are many, else by steps."""
    pace = evidence.course.late_pace
    return Course(evidence.step, evidence.loss).late_pace if pace is None else pace
