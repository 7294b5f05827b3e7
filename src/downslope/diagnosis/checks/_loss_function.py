"""A loss that does not measure the right quantity: `wrong_loss`."""

from __future__ import annotations

from downslope._types import Plain
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import without
from downslope.diagnosis._training_evidence import TrainingEvidence

WRONG_LOSS = Symptom(
    "wrong_loss",
    Severity.PROBLEM,
    order=20,
    meaning="The loss does not compare outputs with targets row by row, hardly tells them apart, or has no bound.",
    quantity="training_score",
    remedies=("suited_output", "scaled_targets"),
)

# Changes of the loss below this share of the one that is due are rounding.
_SAME = 5e-3
# Parts of a change that two halves of a batch make only together.
_MIXED = 0.05
# A cross-entropy of plain labels loses all of its range from right to wrong, one with labels smoothed by 0.9 a seventh.
_LITTLE = 0.1
_OF_NUMBERS = ("mean squared error", "mean absolute error", "huber")


def behaviour_of(evidence: TrainingEvidence) -> Plain:
    """Return the behaviour of the loss on artificial outputs; empty if it was not tested."""
    tried = evidence.trace.facts.get("loss")
    return tried if isinstance(tried, dict) else {}


def taken_by_loss(evidence: TrainingEvidence) -> str:
    """Return what the loss takes: "logits", "probabilities", "log-probabilities", "numbers"; "" if not known."""
    loss = evidence.network.get("loss") or {}
    if loss.get("name") in _OF_NUMBERS:
        return "numbers"
    if "entropy" in str(loss.get("name")) and loss.get("from_logits") is not None:
        return "logits" if loss["from_logits"] else "probabilities"
    return str(behaviour_of(evidence).get("takes") or "")


@check(
    WRONG_LOSS,
    reads=(
        "loss.unpaired",
        "loss.not_additive",
        "loss.joint",
        *(f"loss.{name}?" for name in ("descent", "takes", "form", "label_gain", "squeezed", "unbounded")),
        "network.loss.name",
        "network.kind?",
        "network.outputs?",
    ),
)
def wrong_loss(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a loss that does not pair outputs with targets, does not tell them apart, has no end, or has other targets.

    Quantity: what the loss of artificial outputs changes by when targets are dealt to other rows, when a batch is cut
    in two, when outputs move towards the targets, when they are sure and wrong, and as they grow; each over the change
    between outputs drawn anew. Theory: a mean over examples of a loss of each is paired and additive (Vapnik's
    empirical risk), and a minimum needs a lower bound. Threshold: rounding; for labels, a tenth of the range.
    """
    facts = behaviour_of(evidence)
    loss = evidence.network.get("loss") or {}
    reason = _fault(facts, evidence) or _endless(facts, evidence) or _shared(evidence, str(loss.get("name")))
    certain = reason is not None
    reason = reason or _mixing(facts) or _unsuited(evidence, str(loss.get("name")), facts)
    if reason is None and facts.get("unread"):
        return _unread_note(evidence, str(facts["unread"]))
    if reason is None:
        lacks_counts = evidence.is_classes and evidence.data.get("class_counts") is None
        return NotRun(WRONG_LOSS.key, without("data.class_counts")) if lacks_counts else None
    sentence, remedy = reason
    return training_finding(
        evidence,
        WRONG_LOSS,
        sentence,
        "a loss that is a mean over examples, each against its own target, of the targets' kind",
        numbers={name: value for name, value in facts.items() if isinstance(value, float)},
        causes=("shapes that broadcast", "a reduction over the wrong axis", "a loss for another kind of target"),
        remedies=(remedy,),
        if_unknown=certain,
    )


def _unread_note(evidence: TrainingEvidence, unread: str) -> Finding:
    """Return the note on a loss that reads one array of a batch and not the others, as without targets."""
    return training_finding(
        evidence,
        WRONG_LOSS,
        f"The loss reads a single array of the batch: whatever {unread} holds, it is the same.",
        "a loss that reads all arrays of a batch",
        causes=("an array taken for another", "targets that were forgotten"),
        remedies=(f"compare the outputs with {unread}", "leave the array out of the data"),
        confidence=0.5,
        problem=False,
    )


def _fault(facts: Plain, evidence: TrainingEvidence) -> tuple[str, str] | None:
    """Return the fault of the loss as a function, for any network, and its remedy."""
    unpaired, mixed, joint = facts.get("unpaired"), facts.get("not_additive"), facts.get("joint")
    # What compares two sets of rows, such as their distributions, needs no pairs, and mixes the rows of each.
    if unpaired is not None and unpaired < _SAME and (mixed is None or mixed < _MIXED):
        if facts.get("leaf"):
            return (
                f"The loss is the same whichever row {facts['leaf']} belongs to: it is not used row by row.",
                f"give {facts['leaf']} the shape of what it is combined with",
            )
        if joint is None or joint > _SAME:
            return (
                "The loss is the same whichever row a target belongs to: outputs and targets are not compared row by "
                "row.",
                "give outputs and targets the same shape before they are subtracted",
            )
        if evidence.network.get("kind") is not None:
            return "The loss is the same whatever the targets are.", "a loss that compares outputs with targets"
    shift = facts.get("label_shift")
    if shift and evidence.is_classes:
        return (
            f"The loss of a label is lowest for the output {'after' if shift > 0 else 'before'} its own: labels and "
            "outputs are not numbered alike.",
            "count classes from 0, as outputs are",
        )
    # A loss function may push its outputs away from a leaf on purpose, as from a negative example.
    compares_sets = unpaired is not None and unpaired < _SAME
    if (facts.get("descent") or 0.0) > _SAME and evidence.network.get("kind") is not None and not compares_sets:
        return (
            "Moving outputs towards their targets raises the loss: its sign is wrong.",
            "reverse its sign",
        )
    gain = facts.get("label_gain")
    if gain is not None and gain < _LITTLE:
        share = f"{number(100 * gain)} % of its range"
        return (
            f"The loss hardly distinguishes right labels from wrong ones: between them it changes by {share}.",
            "a label smoothing of at most 0.2",
        )
    width = facts.get("squeezed")
    if width is not None:
        return (
            f"The loss squeezes the outputs into a range of {number(width)} before its own softmax, and even confident "
            "and correct outputs cost nearly as much as a guess.",
            "the same loss of the outputs as they are",
        )
    return None


def _endless(facts: Plain, evidence: TrainingEvidence) -> tuple[str, str] | None:
    """Return the fault of a loss that falls without bound as outputs grow, and its remedy."""
    if not facts.get("unbounded"):
        return None
    low, high = evidence.network.get("output_bounds") or (None, None)
    if low is not None or high is not None:
        return None  # outputs that cannot grow lead nowhere
    remedy = "a loss that is at least 0, such as a square"
    if facts.get("takes") == "log-probabilities":
        remedy = "the logarithm of a softmax of the outputs before the loss"
    return "The loss has no lower bound: it falls in proportion to the outputs as they grow.", remedy


def _mixing(facts: Plain) -> tuple[str, str] | None:
    """Return the fault of a loss that mixes rows, and its remedy."""
    if (facts.get("not_additive") or 0.0) <= _MIXED:
        return None
    return (
        "A change of outputs in one half of a batch changes what those in the other half cost: rows are mixed.",
        "reduce over the outputs of each example first, then over the examples",
    )


def _shared(evidence: TrainingEvidence, name: str) -> tuple[str, str] | None:
    """Return the fault of one output for several classes, and its remedy."""
    classes = len(evidence.data.get("class_counts") or [])
    if name != "binary cross-entropy" or classes <= 2 or evidence.network.get("outputs") != 1:
        return None
    return f"{classes} classes share one output of a binary cross-entropy.", "softmax cross-entropy"


def _unsuited(evidence: TrainingEvidence, name: str, facts: Plain) -> tuple[str, str] | None:
    """Return why a loss does not suit the kind of the targets, and what to do."""
    classes = len(evidence.data.get("class_counts") or [])
    by_values = "squared error" if facts.get("form") == "squares" else None
    of_numbers = name if name in _OF_NUMBERS else by_values
    if evidence.is_classes and of_numbers is not None:
        return (
            f"Classes are trained on the {of_numbers}, whose gradient vanishes where the network is sure and wrong.",
            "softmax cross-entropy" if classes > 2 else "binary cross-entropy",
        )
    return None
