"""A loss that does not measure what is wanted: `wrong_loss`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

WRONG_LOSS = Symptom(
    "wrong_loss",
    Severity.PROBLEM,
    order=20,
    meaning="The loss does not compare outputs with targets row by row, or is for other targets.",
    quantity="training_score",
    remedies=("suited_output", "scaled_targets"),
)

# Two losses that differ by less than this share are the same loss, in float32.
_SAME = 1e-4


@check(
    WRONG_LOSS,
    reads=("loss.unpaired", "network.loss.name", "network.kind", "data.class_counts|data.target_mean"),
)
def wrong_loss(evidence: TrainingEvidence) -> Finding | None:
    """Find a loss that does not pair outputs with targets, does not average over examples, or is for other targets.

    Quantity: what the loss of made-up outputs changes by when targets are dealt to other rows, and when a batch is cut
    in two. Theory: a mean over examples of a loss of each is paired and additive (Vapnik's empirical risk). Threshold:
    rounding.
    """
    tried = evidence.trace.facts.get("loss")
    facts = tried if isinstance(tried, dict) else {}
    name = (evidence.network.get("loss") or {}).get("name", "")
    reason = _fault(facts) or _unsuited(evidence, str(name))
    if reason is None:
        return None
    sentence, remedy = reason
    return training_finding(
        evidence,
        WRONG_LOSS,
        sentence,
        "a loss that is a mean over examples, each against its own target, of the targets' kind",
        numbers={name: value for name, value in facts.items() if value is not None},
        causes=("shapes that broadcast", "a reduction over the wrong axis", "a loss for another kind of target"),
        remedies=(remedy,),
    )


def _fault(facts: dict[str, float]) -> tuple[str, str] | None:
    """Return what is wrong with the loss as a function, and what to do."""
    if facts.get("unpaired") is not None and facts["unpaired"] < _SAME:
        return (
            "The loss is the same whichever row a target belongs to: outputs and targets are not compared row by row.",
            "give outputs and targets the same shape before they are subtracted",
        )
    if facts.get("not_additive") is not None and facts["not_additive"] > 0.01:
        return (
            "The loss of a batch is not the mean of the losses of its halves: rows are mixed.",
            "reduce over the outputs of each example first, then over the examples",
        )
    if facts.get("descent") is not None and facts["descent"] > 0:
        return "Moving outputs towards their targets raises the loss: its sign is wrong.", "turn the loss's sign"
    return None


def _unsuited(evidence: TrainingEvidence, name: str) -> tuple[str, str] | None:
    """Return why a loss does not suit the kind of the targets, and what to do."""
    classes = len(evidence.data.get("class_counts") or [])
    outputs = evidence.widths[-1] if len(evidence.widths) else 0
    if evidence.is_classes and name in ("mean squared error", "mean absolute error", "huber"):
        return (
            f"Classes are trained on the {name}, whose gradient vanishes where the network is sure and wrong.",
            "softmax cross-entropy" if classes > 2 else "binary cross-entropy",
        )
    if name == "binary cross-entropy" and classes > 2 and outputs == 1:
        return f"{classes} classes share one output of a binary cross-entropy.", "softmax cross-entropy"
    return None
