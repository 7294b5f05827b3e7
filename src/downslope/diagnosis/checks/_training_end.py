"""How a training ended: `not_finite`, `diverged`, `plateau`, and `healthy`."""

from __future__ import annotations

import math

import numpy as np

from downslope._text import count, in_words
from downslope._text import number as digits
from downslope.diagnosis._cells import CellState, stepped_states
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._skipped import skipped_rows
from downslope.trace import Outcome, Trace

_NEAR = 0.02  # of the loss of guessing: a loss this near to it is that of guessing
# Of the way down: what a loss gives back when it has turned. Public logs of healthy runs give back up to 7 %, of sick
# ones 18 % and more.
_RELAPSE, _ROWS = 0.12, 6
_FAR = 1.5  # times the limit of chance: of public logs those that diverged are at ten times and more
_STAYS_UP = 0.8  # of the rise: less at the end, and it comes back from a leap

NOT_FINITE = Symptom(
    "not_finite",
    Severity.PROBLEM,
    order=170,
    meaning="The loss or a gradient is not finite.",
    quantity="highest_loss",
    remedies=(
        "rate_from_curvature",
        "smaller_rate",
        "adam",
        "clipping",
        "warm_up",
        "smaller_rate_later",
        "clipping_later",
        "adam_later",
        "suited_output",
    ),
)

DIVERGED = Symptom(
    "diverged",
    Severity.PROBLEM,
    order=180,
    meaning="The loss ended above its start.",
    quantity="training_loss",
    remedies=(
        "rate_from_curvature",
        "smaller_rate",
        "adam",
        "clipping",
        "warm_up",
        "smaller_rate_later",
        "clipping_later",
        "adam_later",
        "suited_output",
    ),
)

PLATEAU = Symptom(
    "plateau",
    Severity.PROBLEM,
    order=240,
    meaning="The network does worse than the data allow, and no cause shows.",
    quantity="training_score",
    remedies=(
        "adam",
        "larger_rate",
        "smaller_rate",
        "relu",
        "layer_normalisation",
        "roomy",
        "smaller_batch",
        "more_steps",
    ),
)

HEALTHY = Symptom(
    "healthy",
    Severity.GOOD,
    order=250,
    meaning="The network does what the data allow.",
    quantity="training_score",
)

NOT_JUDGED = Symptom(
    "not_judged",
    Severity.GOOD,
    order=255,
    meaning="Nothing wrong was seen, and there was nothing to compare the score with.",
    quantity="training_loss",
)

NOT_STARTED = Symptom(
    "still_descending",
    Severity.GOOD,
    order=260,
    meaning="No step was taken yet.",
    quantity="training_score",
)


@check(NOT_FINITE)
def training_not_finite(evidence: TrainingEvidence) -> Finding | None:
    """Find the step, the layer and the operation at which a number was no longer finite."""
    if not evidence.failed:
        return None
    trace = evidence.trace
    origin = trace.facts.get("not_finite") or {}
    part = trace.not_finite_part or "value"
    what = "the loss" if part == "value" else f"the gradient of {part}"
    # A run without a step has none that could have been too long: data, start or program are not finite themselves.
    at_start = not trace.not_finite_step or evidence.last_step == 0
    causes, remedies = (_AT_START, _START_REMEDIES) if at_start else (_LATER, _LATER_REMEDIES)
    sentences = [f"At step {trace.not_finite_step} {what} was no longer a finite number.", origin.get("sentence", "")]
    if at_start:
        sentences[0] = f"Before the first step {what} is not a finite number."
    if origin.get("operation") == "data":
        causes, remedies = ("missing or infinite numbers in the data",), ("leave these rows out, or fill them in",)
    if origin.get("operation") == "gather":
        # Rows picked from beyond the end of an array are filled with NaN.
        sentences.append(f"Labels lie in 0 … {_last_class(evidence)}.")
        causes, remedies = ("labels that are out of range, such as 1 … C", *causes), ("count classes from 0", *remedies)
    return training_finding(
        evidence,
        NOT_FINITE,
        " ".join(filter(None, sentences)),
        "every loss and every gradient must be a finite number",
        numbers={
            "step": trace.not_finite_step,
            "part": part,
            **{name: origin.get(name) for name in ("operation", "layer")},
        },
        parts=() if part == "value" else (part,),
        causes=causes,
        remedies=remedies,
        problem=True,
    )


_AT_START = (
    "inputs or targets that are not finite",
    "a start outside the loss's domain",
    "a program that divides by 0",
)
_START_REMEDIES = ("check the data for missing or infinite numbers", "another start", "a loss from logits")
_LATER = ("steps that were too long", "a logarithm or a division at zero")
_LATER_REMEDIES = ("a smaller learning rate", "clip the gradient's norm", "a loss from logits")


def _last_class(evidence: TrainingEvidence) -> str:
    """Return the highest label, as a number where the classes are known."""
    counts = evidence.data.get("class_counts")
    outputs = evidence.inside.output_width
    classes = len(counts) if counts else outputs
    return str(int(classes) - 1) if np.isfinite(classes) and classes > 1 else "C − 1, where C is the number of outputs"


def stepped_not_finite(trace: Trace) -> Finding | None:
    """Find a loss or a gradient that is not finite in the rows of a training that went on all the same."""
    if trace.outcome is Outcome.NOT_FINITE or not len(trace):
        return None
    for name, what in (("value", "loss"), ("gradient_norm", "gradient's norm")):
        bad = stepped_states(trace, name) == CellState.NOT_FINITE
        if name == "gradient_norm":
            bad &= ~skipped_rows(trace)
        if not bad.any():
            continue
        row, rows = int(np.argmax(bad)), int(bad.sum())
        step, steps = int(trace.recorded["step"][row]), np.asarray(trace.recorded["step"])
        lasts = bool(bad[row:].all()) and row < len(bad) - 1
        since = f"From step {step} on the {what} is not finite" if lasts else f"At step {step} the {what} is not finite"
        more = f" (in {rows} of {len(bad)} rows)" if rows > 1 and not lasts else ""
        at_start = row == 0
        causes = _AT_START if at_start else ("numbers beyond the range of half precision", *_LATER)
        beside = ""
        if name == "gradient_norm" and np.all(np.asarray(trace.recorded["value"])[bad] == 0):
            beside = " while the loss is written as 0: it was not computed, or overflowed"
        return Finding(
            NOT_FINITE.key,
            Severity.PROBLEM,
            f"{since}{more}{beside}, and the run went on.",
            {"part": name, "row": row, "step": step, "rows": rows},
            "every loss and every gradient must be a finite number",
            (step, int(steps[-1]) if lasts else step),
            causes=causes,
            remedies=_START_REMEDIES if at_start else ("a larger type, or a scaled loss", *_LATER_REMEDIES),
        )
    return None


@check(DIVERGED, needs=("evaluated.training_loss",))
def training_diverged(evidence: TrainingEvidence) -> Finding | None:
    """Find a loss that ended above where it began, that turned and rises, or that falls without bound.

    Quantity: the loss of the first and of the last tenth of the rows, beside their scatter. Theory: a t-test, since the
    loss of a batch is a draw. Threshold: three standard errors and 5 %; five errors and half of what it had fallen by,
    where it rises from its lowest; ten times its first size below zero, at a pace that does not slow down.
    """
    course = evidence.course
    turned = ((course.relapsed or _turned(evidence)) and not evidence.rises_by_design) or _drifts(evidence)
    if evidence.failed or not (evidence.loss_rose or turned or course.plunges):
        return None
    first, last = course.first, course.last
    sentence = f"The loss rose from {number(first)} to {number(last)}."
    causes, remedies = ("a rate that is too large", "a gradient of the wrong sign"), ("a tenth of the learning rate",)
    if evidence.loss_rose and not last > first:  # thrown up within the first tenth of the rows
        first = float(course.numbers[0])
        sentence = f"The loss rose from {number(first)} at once, and is {number(last)} now."
    elif not evidence.loss_rose and turned:
        sentence = f"The loss fell to {number(course.lowest[0])}, rises since, and is {number(last)} now."
    elif not evidence.loss_rose:
        sentence = f"The loss falls without bound, from {number(first)} to {number(last)}, and no slower than before."
        causes, remedies = (
            ("a loss without a lowest value", "a loss of the wrong sign"),
            ("a loss that is bounded below",),
        )
    return training_finding(
        evidence,
        DIVERGED,
        sentence,
        "a loss at the end no higher than at the start, by three standard errors and 5 %",
        numbers={"first_loss": first, "lowest_loss": course.lowest[0], "loss": last, "scatter": course.scatter},
        causes=causes,
        remedies=remedies,
        problem=True if evidence.loss_rose else None,
        if_unknown=True,
    )


def _turned(evidence: TrainingEvidence) -> bool:
    """Tell whether the loss turned, and stays up: its last tenth is above its lowest by more than chance."""
    blocks = evidence.blocks
    if len(blocks.numbers) < _ROWS or not blocks.lowest or not blocks.rise > _FAR * blocks.limit * blocks.error:
        return False
    # Near zero any wave is many times the lowest, so that a rise counts as a share of the way that was won.
    risen = blocks.rise > _RELAPSE * max(blocks.fall, abs(float(blocks.medians[blocks.lowest])))
    highest = float(blocks.medians[blocks.lowest :].max() - blocks.medians[blocks.lowest])
    return risen and blocks.rise >= _STAYS_UP * highest


def _drifts(evidence: TrainingEvidence) -> bool:
    """Tell whether a run that goes on from an earlier one rises on all rows: what it had won is not in the log."""
    held = evidence.held_blocks
    late = bool(evidence.log.get("begins_late")) and len(evidence.held) > 2 and len(evidence.course) >= _ROWS
    return late and evidence.blocks.rose and (held.rose or held.rises_each_time)


def unexplained(evidence: TrainingEvidence) -> Finding:
    """Return the finding for a network that falls short without a cause that shows: a `plateau`."""
    if evidence.score is None or evidence.reference is None:
        return _unmoved(evidence)
    fell = "" if evidence.fell_by is None else f" The loss fell by {number(100 * evidence.fell_by)} % and then no more."
    return training_finding(
        evidence,
        PLATEAU,
        f"The network does worse than the data allow: {_scores(evidence)}.{fell} No cause shows.",
        f"a score within {number(evidence.margin)} of the reference",
        causes=("flat ground", "a network of the wrong kind for these data"),
        remedies=("another start", "another width or depth", "another learning rate"),
        confidence=0.5,
        problem=True,
    )


def _unmoved(evidence: TrainingEvidence) -> Finding:
    """Return the finding for a loss that never moved, where there is no reference to compare a score with."""
    guessing, course = _guessing(evidence), evidence.course
    level = evidence.chance_level
    sentence = f"The loss did not fall: it is {number(course.last)} at the end and was {number(course.first)}."
    if guessing is not None:
        of, loss = guessing
        sentence = (
            f"The loss stays at {number(course.last)} from first to last: guessing among {of} costs {number(loss)}."
        )
    elif level is not None:
        sentence = (
            f"The loss is {number(course.last)} at the end, and guessing, of {level.words} costs {number(level.loss)}."
        )
    return training_finding(
        evidence,
        PLATEAU,
        f"{sentence} No cause shows.",
        "a loss that falls by 5 %, or by more than its scatter hides",
        numbers={"first_loss": course.first, "loss": course.last, "scatter": course.scatter},
        causes=(
            "a network that says the same of every row",
            "flat ground",
            "a gradient that does not reach the weights",
        ),
        remedies=("another start", "another learning rate", "check the gradient of each part"),
        confidence=0.5,
        problem=True,
    )


def _guessing(evidence: TrainingEvidence) -> tuple[str, float] | None:
    """Return among what a network guesses whose loss is that of guessing, and that loss; None for another loss."""
    counts = np.asarray(evidence.data.get("class_counts") or (), dtype=float)
    classes = {"two classes": 2}.get(str(evidence.network.get("kind")), len(counts))
    if classes < 2 or not evidence.is_classes:
        return None
    shares = counts[counts > 0] / counts.sum() if len(counts) else np.zeros(0)
    # The logarithm of C for even guesses, the entropy of the classes for guesses at their shares.
    losses = [math.log(classes), float(-np.sum(shares * np.log(shares))) if len(shares) else math.inf]
    course = evidence.course
    near = [
        loss for loss in losses if abs(course.last - loss) < _NEAR * loss and abs(course.first - loss) < _NEAR * loss
    ]
    return (f"{classes} classes", near[0]) if near else None


def not_started() -> Finding:
    """Return the finding for a trace without a step."""
    return Finding(NOT_STARTED.key, Severity.GOOD, "No step was taken yet.", {}, "at least one step", (0, 0))


def not_judged(evidence: TrainingEvidence, unknown: str, *, has_notes: bool = False) -> Finding:
    """Return the finding for a training that cannot be compared, and why, or for one that has no step yet."""
    if evidence.last_step == 0:
        return not_started()
    course = evidence.course
    moves = f"The loss went from {number(course.first)} to {number(course.last)}"
    pace = "and still falls" if evidence.still_falling > 0.05 else "and is steady"
    shown = "" if evidence.score is None else f", at {_scores(evidence)}"
    seen = "Nothing but what the notes say" if has_notes else "Nothing wrong"
    return Finding(
        NOT_JUDGED.key,
        Severity.GOOD,
        f"{seen} was seen, but it is unknown whether the network does what the data allow: {unknown}. "
        f"{moves} {pace} after {count(evidence.last_step, evidence.unit)}{shown}.",
        evidence.numbers(first_loss=course.first, loss=course.last, epochs=evidence.epochs),
        "a score on rows held back beside that of a simple learner",
        evidence.all_steps,
        confidence=0.5,
    )


def healthy(evidence: TrainingEvidence) -> Finding:
    """Return the finding for a network that does what the data allow."""
    if evidence.last_step == 0:
        return not_started()
    rows = evidence.data.get("validation_rows")
    on = f" on {rows} rows held back" if rows else " on rows held back"
    error = "" if evidence.score_error is None else f" ± {digits(evidence.score_error, 2)}"
    return Finding(
        HEALTHY.key,
        Severity.GOOD,
        f"The network does what the data allow: {_scores(evidence, error + on)} after {count(evidence.last_step)}.",
        evidence.numbers(learned=evidence.learned, standard_error=evidence.score_error, epochs=evidence.epochs),
        f"a score within {number(evidence.margin)} of what {evidence.data.get('reference_by') or 'a simple learner'} "
        "makes of the same rows",
        evidence.all_steps,
        remedies=("more steps",) if evidence.still_falling > 0.05 and (evidence.learned or 0) < 1 else (),
    )


def _scores(evidence: TrainingEvidence, details: str = "") -> str:
    """Return the score, with details behind it, beside the reference and guessing."""
    shown = f"{in_words(evidence.metric)} {number(evidence.score or 0)}{details}"
    if evidence.reference is None:
        return shown
    by = evidence.data.get("reference_by") or "a simple learner"
    beside = f"{shown}, where {by} score{'' if by.endswith('s') else 's'} {number(evidence.reference)}"
    return beside if evidence.chance is None else f"{beside} and guessing {number(evidence.chance)}"
