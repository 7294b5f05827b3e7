"""An output that cannot represent the targets: `wrong_output_activation`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import without
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._loss_function import behaviour_of, taken_by_loss

WRONG_OUTPUT_ACTIVATION = Symptom(
    "wrong_output_activation",
    Severity.PROBLEM,
    order=30,
    meaning="The output cannot take the targets' values, or is not what the loss expects.",
    quantity="training_score",
    remedies=("suited_output",),
)

# Targets that lie outside what the output can reach by more than this share of their range are out of reach.
_SLACK = 0.02
_CAPPED = 10.0  # between the least and the largest logit: a right class has a share of 99.9 % then
_LEARNT = 0.95  # of the loss that is gone: what is left is no harm
_NEEDS = ("network.output", "network.outputs", "network.kind?", "network.loss.name")

Reason = tuple[str, str]


@check(
    WRONG_OUTPUT_ACTIVATION,
    needs=_NEEDS,
    reads=("network.loss.from_logits?", "network.output_bounds?", "loss.takes?"),
)
def wrong_output_activation(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find an output activation that cannot take the targets' values, or that the loss does not expect.

    Quantity: the bounds of the outputs beside those of the targets, and the pairing of output and loss. Theory: an
    output that is bounded away from the targets leaves an error that no weights remove; a cross-entropy of
    probabilities needs probabilities, one of logits needs unbounded numbers (Bishop 2006, section 4.3.6). Threshold:
    any.
    """
    certain = _of_single_output(evidence)
    reason = certain or (_of_numbers(evidence) if evidence.network["kind"] == "numbers" else _of_classes(evidence))
    if reason is None:
        lacking = _lacking(evidence)
        return None if lacking is None else NotRun(WRONG_OUTPUT_ACTIVATION.key, lacking)
    sentence, remedy = reason
    return training_finding(
        evidence,
        WRONG_OUTPUT_ACTIVATION,
        sentence,
        "an output whose range is that of the targets and that the loss expects",
        numbers={"output": evidence.network["output"] or "not recognised"},
        parts=evidence.layers[-1:],
        causes=("an activation taken over from another kind of task",),
        remedies=(remedy,),
        if_unknown=certain is not None or _is_harmful(evidence),
    )


def _is_harmful(evidence: TrainingEvidence) -> bool:
    """Tell whether a loss function suffers from its output, though there is no score to tell by.

    What a network with targets suffers, its score shows.
    """
    low, high = evidence.network.get("output_bounds") or (None, None)
    # Logits that are capped far out cost next to nothing.
    capped = low is not None and high is not None and high - low > _CAPPED
    return evidence.network["kind"] is None and not capped and (evidence.fell_by or 0.0) < _LEARNT


@check(WRONG_OUTPUT_ACTIVATION, order=150, needs=_NEEDS)
def unshared_output(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find an output for each class that does not know of the others.

    Quantity: the pairing of output and loss. Theory: exactly one class is right, so the probabilities should add up to
    1; where the loss divides by their sum, as some do, it works all the same and only slower. So it comes late among
    the causes. Threshold: any.
    """
    loss = evidence.network.get("loss") or {}
    counts = evidence.data.get("class_counts")
    if not evidence.is_classes or loss.get("name") != "softmax cross-entropy":
        return None
    if evidence.network["output"] != "sigmoid" or not evidence.network["outputs"] > 1:
        return None
    if counts is None:
        return NotRun(WRONG_OUTPUT_ACTIVATION.key, without("data.class_counts"))
    if len(counts) < 3:
        return None
    return training_finding(
        evidence,
        WRONG_OUTPUT_ACTIVATION,
        "Each class has its own sigmoid, though exactly one class is right.",
        "an output whose numbers add up to 1",
        numbers={"output": "sigmoid"},
        parts=evidence.layers[-1:],
        causes=("an activation taken over from another kind of task",),
        remedies=("softmax output",),
        confidence=0.6,
    )


def _lacking(evidence: TrainingEvidence) -> str | None:
    """Return the missing fact without which output and loss cannot be judged; None if all are known."""
    kind, data = evidence.network["kind"], evidence.data
    facts = {None: (), "numbers": ("outputs", "target_low", "target_high")}.get(kind, ("class_counts",))
    missing = next((name for name in facts if data.get(name) is None), None)
    if missing is not None:
        return without(f"data.{missing}")
    if evidence.network["output"] == "" and evidence.network.get("output_bounds") is None:
        return "the last operations of the model are not recognised"
    if kind != "numbers" and taken_by_loss(evidence) == "":
        return "the values of the loss do not say whether it takes logits or probabilities"
    return None


def _of_single_output(evidence: TrainingEvidence) -> Reason | None:
    """Return why a single output can say nothing, or not enough, whatever the network learns, and what to do."""
    if evidence.network["outputs"] != 1:
        return None
    classes, is_number = len(evidence.data.get("class_counts") or []), evidence.network["kind"] == "numbers"
    if evidence.network["output"] == "softmax":
        remedy = "linear output" if is_number else "a sigmoid output"
        return "A softmax over one output is always 1: the network cannot say anything.", remedy
    if is_number:
        return None
    if (evidence.network.get("loss") or {}).get("name") == "softmax cross-entropy":
        return (
            "A softmax cross-entropy divides one output by itself: its share is always 1, and no gradient is left.",
            "sigmoid output with binary cross-entropy" if classes <= 2 else f"softmax over {classes} outputs",
        )
    if classes > 2:
        return f"{classes} classes are predicted by one output.", f"softmax over {classes} outputs"
    return None


def _of_classes(evidence: TrainingEvidence) -> Reason | None:
    """Return the fault of the output of a classifier or a loss function, and its remedy."""
    output, outputs, takes = evidence.network["output"], evidence.network["outputs"], taken_by_loss(evidence)
    classes = len(evidence.data.get("class_counts") or [])
    if takes == "probabilities":
        return _for_probabilities(evidence, output, outputs)
    if takes == "logits":
        return _for_logits(evidence, output, outputs)
    if takes == "log-probabilities" and output == "linear":
        return (
            "The loss takes logarithms of probabilities, and the output is linear: nothing holds the numbers below 0.",
            "the logarithm of a softmax as output",
        )
    if takes == "numbers" and classes and output in ("relu", "linear", "tanh") and outputs > 1:
        return f"{classes} classes are predicted by {output} outputs.", "softmax output with cross-entropy"
    return None


def _for_probabilities(evidence: TrainingEvidence, output: str, outputs: int) -> Reason | None:
    """Return the fault of an output that the loss takes for probabilities."""
    bounds = evidence.network.get("output_bounds")
    if bounds is None:
        return None
    low, high = bounds
    if low is not None and high is not None and low >= 0 and high <= 1:
        return None
    return (
        f"The loss takes probabilities, and the output {_in_words(output, bounds)}: numbers outside [0, 1] are cut "
        "off, and with them the gradient.",
        "softmax output" if outputs > 1 else "sigmoid output",
    )


def _for_logits(evidence: TrainingEvidence, output: str, outputs: int) -> Reason | None:
    """Return the fault of an output that the loss takes for logits."""
    bounds = evidence.network.get("output_bounds")
    if output == "log_softmax" or bounds is None:
        return None
    low, high = bounds
    if low is not None and high is not None:
        # Nobody needs logits that are farther apart than ±15 of each other.
        if high - low > 30:
            return None
        return (
            f"The loss takes logits, and the output {_in_words(output, bounds)}: it is squeezed twice.",
            "linear output",
        )
    if output == "relu" or (outputs == 1 and low is not None and low > -15):
        return (
            f"The loss takes logits, and the output {_in_words(output, bounds)}: what would be below "
            f"{number(low or 0)} is cut off, and with it the gradient.",
            "linear output",
        )
    return None


def _of_numbers(evidence: TrainingEvidence) -> Reason | None:
    """Return the fault of the output for numbers, and its remedy."""
    output, outputs, wanted = evidence.network["output"], evidence.network["outputs"], evidence.data.get("outputs")
    # A loss of the user's may take a mean and a spread; a square compares each output with what is wanted.
    compares = taken_by_loss(evidence) == "numbers"
    if wanted and outputs > wanted and compares:
        return f"{int(outputs)} outputs are each compared with {wanted} target.", f"{wanted} output"
    low, high = evidence.data.get("target_low"), evidence.data.get("target_high")
    bounds = evidence.network.get("output_bounds")
    custom = (evidence.network.get("loss") or {}).get("name") == "custom" and behaviour_of(evidence).get(
        "form"
    ) != "squares"
    if bounds is None or low is None or high is None or custom:
        return None
    least, most = bounds
    slack = _SLACK * (high - low)
    if (least is not None and low < least - slack) or (most is not None and high > most + slack):
        return (
            f"The output {_in_words(output, bounds)}, but the targets go from {number(low)} to {number(high)}.",
            "linear output",
        )
    if output == "softmax":
        return "The outputs of a softmax add up to 1, which numbers need not.", "linear output"
    return None


def _in_words(output: str, bounds: tuple[float | None, float | None]) -> str:
    """Return the activation and the range of an output, as the rest of a sentence."""
    low, high = ("−∞" if bounds[0] is None else number(bounds[0]), "∞" if bounds[1] is None else number(bounds[1]))
    called = f"is {output} and " if output and output != "linear" else ""
    return f"is {output}" if output == "linear" else f"{called}cannot leave [{low}, {high}]"
