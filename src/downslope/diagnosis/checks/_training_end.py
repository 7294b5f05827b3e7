"""How a training ended: `not_finite`, `diverged`, `plateau`, and `healthy`."""

from __future__ import annotations

from downslope._text import count, in_words
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

NOT_FINITE = Symptom(
    "not_finite",
    Severity.PROBLEM,
    order=170,
    meaning="The loss or a gradient is no finite number.",
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
    meaning="The loss ended above where it began.",
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
    return training_finding(
        evidence,
        NOT_FINITE,
        f"At step {trace.not_finite_step} {what} was no longer a finite number. {origin.get('sentence', '')}".strip(),
        "every loss and every gradient must be a finite number",
        numbers={
            "step": trace.not_finite_step,
            "part": part,
            **{name: origin.get(name) for name in ("operation", "layer")},
        },
        parts=() if part == "value" else (part,),
        causes=("steps that were too long", "a logarithm or a division at zero"),
        remedies=("a smaller learning rate", "clip the gradient's norm", "a loss from logits"),
        problem=True,
    )


@check(DIVERGED)
def training_diverged(evidence: TrainingEvidence) -> Finding | None:
    """Find a loss that ended above where it began."""
    if evidence.failed or not evidence.loss_rose:
        return None
    losses = evidence.measured("training_loss")
    first, last = (losses[0], losses[-1]) if len(losses) > 1 else (evidence.loss[0], evidence.end_of(evidence.loss))
    return training_finding(
        evidence,
        DIVERGED,
        f"The loss rose from {number(first)} to {number(last)}.",
        "a loss at the end below that at the start",
        numbers={"first_loss": float(first), "loss": float(last)},
        causes=("a rate that is too large", "a gradient of the wrong sign"),
        remedies=("a tenth of the learning rate",),
        problem=True,
    )


def unexplained(evidence: TrainingEvidence) -> Finding:
    """Return the finding for a network that falls short without a cause that shows: a `plateau`."""
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


def not_started() -> Finding:
    """Return the finding for a trace without a step."""
    return Finding(NOT_STARTED.key, Severity.GOOD, "No step was taken yet.", {}, "at least one step", (0, 0))


def healthy(evidence: TrainingEvidence) -> Finding:
    """Return the finding for a network that does what the data allow, or for one that was not trained yet."""
    if evidence.last_step == 0:
        return not_started()
    return Finding(
        HEALTHY.key,
        Severity.GOOD,
        f"The network does what the data allow: {_scores(evidence)} after {count(evidence.last_step)}.",
        evidence.numbers(learned=evidence.learned, epochs=evidence.epochs),
        f"a score within {number(evidence.margin)} of what {evidence.data.get('reference_by') or 'a simple learner'} "
        "makes of the same rows",
        evidence.all_steps,
        remedies=("more steps",) if evidence.still_falling > 0.05 and (evidence.learned or 0) < 1 else (),
    )


def _scores(evidence: TrainingEvidence) -> str:
    """Return the score beside the reference and guessing."""
    if evidence.score is None:
        return "the loss fell" if not evidence.loss_rose else "the loss rose"
    shown = f"{in_words(evidence.metric)} {number(evidence.score)}"
    if evidence.reference is None:
        return shown
    by = evidence.data.get("reference_by")
    return f"{shown}, where {by} score {number(evidence.reference)} and guessing {number(evidence.chance or 0)}"
