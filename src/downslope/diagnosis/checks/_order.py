"""Batches that are not drawn at random: `data_order`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

DATA_ORDER = Symptom(
    "data_order",
    Severity.PROBLEM,
    order=12,
    meaning="The rows of a stream come in the order of their targets, so that a batch shows only some of them.",
    quantity="training_score",
)

_DEVIATIONS = 3.0
_SHARE = 0.1  # of the variance, beyond what chance leaves between batches
_MOST = 0.5  # from here on a step forgets what the one before has learnt, whatever the score


@check(
    DATA_ORDER,
    needs=("data.between_batches?", "data.between_batches_shuffled?", "data.between_batches_deviation?"),
)
def data_order(evidence: TrainingEvidence) -> Finding | None:
    """Find a stream of batches that are more alike inside than rows drawn at random.

    Quantity: the share of the targets' variance that lies between batches, of a class that of each 0 or 1, beside its
    values over permutations of the rows. Theory: the gradient of a batch is that of all rows on average only if its
    rows are drawn at random; batches of one class each pull to and fro (Bengio 2012, section 3.1.1). Threshold: three
    deviations and a tenth of the variance. Rows that lie in memory are shuffled.
    """
    data = evidence.data
    share, level = data["between_batches"], data["between_batches_shuffled"]
    if share is None or level is None:
        return None
    beyond = share - level
    if beyond <= max(_DEVIATIONS * (data["between_batches_deviation"] or 0.0), _SHARE):
        return None
    what = "classes" if evidence.is_classes else "targets"
    return training_finding(
        evidence,
        DATA_ORDER,
        f"The stream comes in the order of its {what}: {number(100 * share)} % of their variance lies between batches, "
        f"and {number(100 * level)} % if its rows were shuffled.",
        "three deviations of the share over permutations, and a tenth of the variance",
        numbers={"between_batches": share, "between_batches_shuffled": level},
        causes=("rows sorted before they were cut into batches",),
        remedies=("shuffle the rows before they are cut into batches",),
        problem=beyond > _MOST if evidence.falls_short is None else None,
    )
