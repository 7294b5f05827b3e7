"""An output that cannot say what is wanted: `wrong_output_activation`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

WRONG_OUTPUT_ACTIVATION = Symptom(
    "wrong_output_activation",
    Severity.PROBLEM,
    order=30,
    meaning="The output cannot take the targets' values, or is not what the loss expects.",
    quantity="training_score",
    remedies=("suited_output",),
)

_BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, None),
    "softplus": (0.0, None),
}
_BOUNDS |= {"exponential": (0.0, None), "elu": (-1.0, None)}
# Targets that lie outside what the output can reach by more than this share of their range are out of reach.
_SLACK = 0.02


@check(
    WRONG_OUTPUT_ACTIVATION,
    needs=("layers", "network.kind", "network.activations", "network.loss.name"),
    reads=(
        "network.loss.from_logits?",
        "start",
        "data.outputs",
        "data.class_counts|data.target_low",
        "data.class_counts|data.target_high",
    ),
)
def wrong_output_activation(evidence: TrainingEvidence) -> Finding | None:
    """Find an output activation that cannot take the targets' values, or that the loss does not expect.

    Quantity: the range of the activation beside that of the targets, and the pairing of activation and loss. Theory: an
    output that is bounded away from the targets leaves an error that no weights remove; a cross-entropy of
    probabilities needs probabilities, one of logits needs unbounded numbers (Bishop 2006, section 4.3.6). Threshold:
    any.
    """
    if not evidence.layers:
        return None
    reason = _of_classes(evidence) if evidence.is_classes else _of_numbers(evidence)
    if reason is None:
        return None
    sentence, remedy = reason
    return training_finding(
        evidence,
        WRONG_OUTPUT_ACTIVATION,
        sentence,
        "an output whose range is that of the targets and that the loss expects",
        numbers={"output": evidence.activations[-1]},
        parts=evidence.layers[-1:],
        causes=("an activation taken over from another kind of task",),
        remedies=(remedy,),
    )


@check(
    WRONG_OUTPUT_ACTIVATION,
    order=150,
    needs=("layers", "network.kind", "network.activations", "network.loss.name"),
    reads=("start", "data.class_counts|data.target_mean"),
)
def unshared_output(evidence: TrainingEvidence) -> Finding | None:
    """Find an output for each class that does not know of the others.

    Quantity: the pairing of output and loss. Theory: exactly one class is right, so the probabilities should add up to
    1; where the loss divides by their sum, as some do, it works all the same and only slower. So it comes late among
    the causes. Threshold: any.
    """
    loss = evidence.network.get("loss") or {}
    classes = len(evidence.data.get("class_counts") or [])
    if not evidence.layers or not evidence.is_classes or loss.get("name") != "softmax cross-entropy":
        return None
    if evidence.activations[-1] != "sigmoid" or classes < 3 or not evidence.widths[-1] > 1:
        return None
    return training_finding(
        evidence,
        WRONG_OUTPUT_ACTIVATION,
        "Each class has a sigmoid of its own, though exactly one is right.",
        "an output whose numbers add up to 1",
        numbers={"output": "sigmoid"},
        parts=evidence.layers[-1:],
        causes=("an activation taken over from another kind of task",),
        remedies=("softmax output",),
        confidence=0.6,
    )


def _of_classes(evidence: TrainingEvidence) -> tuple[str, str] | None:
    """Return what is wrong with the output of a classifier, and what to do."""
    output, outputs = evidence.activations[-1], evidence.widths[-1]
    loss = evidence.network.get("loss") or {}
    entropy, logits = "entropy" in str(loss.get("name")), loss.get("from_logits")
    classes = len(evidence.data.get("class_counts") or [])
    if output == "softmax" and outputs == 1:
        return "A softmax over one output is always 1: the network cannot say anything.", "a sigmoid output"
    if loss.get("name") == "softmax cross-entropy" and outputs == 1:
        return (
            "A softmax cross-entropy divides one output by itself: its share is always 1, and no gradient is left.",
            "sigmoid output with binary cross-entropy" if classes <= 2 else f"softmax over {classes} outputs",
        )
    if entropy and logits is False and output not in ("sigmoid", "softmax"):
        return (
            f"The loss takes probabilities, and the output is {output}: numbers outside [0, 1] are cut "
            "off, and with them the gradient.",
            "softmax output" if outputs > 1 else "sigmoid output",
        )
    if entropy and logits and output in ("sigmoid", "softmax"):
        return f"The loss takes logits, and the output is {output}: it is squeezed twice.", "linear output"
    if output in ("relu", "linear", "tanh") and outputs > 1 and not entropy:
        return f"{classes} classes are predicted by {output} outputs.", "softmax output with cross-entropy"
    if outputs == 1 and classes > 2:
        return f"{classes} classes are predicted by one output.", f"softmax over {classes} outputs"
    return None


def _of_numbers(evidence: TrainingEvidence) -> tuple[str, str] | None:
    """Return what is wrong with the output for numbers, and what to do."""
    output, outputs, wanted = evidence.activations[-1], evidence.widths[-1], evidence.data.get("outputs")
    if wanted and outputs > wanted:
        return f"{int(outputs)} outputs are each compared with {wanted} target.", f"{wanted} output"
    low, high = evidence.data.get("target_low"), evidence.data.get("target_high")
    if output not in _BOUNDS or low is None or high is None:
        return None
    least, most = _BOUNDS[output]
    slack = _SLACK * (high - low)
    if (least is not None and low < least - slack) or (most is not None and high > most + slack):
        return (
            f"The output is {output} and cannot leave [{number(least)}, {number(most) if most is not None else '∞'}], "
            f"but the targets go from {number(low)} to {number(high)}.",
            "linear output",
        )
    if output == "softmax":
        return "The outputs of a softmax add up to 1, which numbers need not.", "linear output"
    return None
