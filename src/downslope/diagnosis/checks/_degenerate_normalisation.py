"""A normalisation over hardly any values: `degenerate_normalisation`."""

from __future__ import annotations

from downslope._text import count
from downslope.diagnosis._finding import Finding, Quantity, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

DEGENERATE_NORMALISATION = Symptom(
    "degenerate_normalisation",
    Severity.PROBLEM,
    order=56,
    meaning="A normalisation takes its mean and deviation over a single value, or over very few.",
    quantity="values_normalised_over",
    remedies=("layer_normalisation", "larger_batch"),
)

# The deviation of four values scatters by two fifths of itself; each example depends that much on its neighbours.
_FEW = 4


def _fewest(evidence: TrainingEvidence) -> float | None:
    """Return the least number of values behind a statistic that is normalised by."""
    counts = evidence.network.get("normalised_over") or []
    return float(min(counts)) if counts else None


@check(
    DEGENERATE_NORMALISATION,
    needs=("network.normalised_over",),
    quantities=(Quantity("values_normalised_over", "values behind a statistic", "higher", _fewest),),
)
def degenerate_normalisation(evidence: TrainingEvidence) -> Finding | None:
    """Find statistics over one value, and over very few.

    Quantity: the number of values that each mean and deviation is taken over: the examples of a batch times the
    positions, or the units of a layer. Theory: a value less the mean of itself is 0, whatever it was, so that nothing
    passes (Ioffe and Szegedy 2015, section 3). Threshold: 1 is a problem, 2 to 4 are worth a note.
    """
    counts = evidence.network["normalised_over"]
    fewest = min(counts, default=0)
    if not 1 <= fewest <= _FEW:
        return None
    places = "A normalisation takes" if counts.count(fewest) == 1 else f"{counts.count(fewest)} normalisations take"
    rest = "the result is 0 for any input" if fewest == 1 else "what is left depends on chance"
    return training_finding(
        evidence,
        DEGENERATE_NORMALISATION,
        f"{places} mean and deviation over {count(fewest, 'value')}: {rest}.",
        f"statistics over more than {_FEW} values",
        numbers={"values": fewest, "batch": evidence.batch},
        causes=("batches of one example or a few", "a normalisation over the wrong axis", "a layer of one unit"),
        remedies=("larger batches", "a normalisation over the units of a layer"),
        problem=False if fewest > 1 else None,
        if_unknown=True,
    )
