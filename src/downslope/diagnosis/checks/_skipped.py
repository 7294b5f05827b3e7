"""Steps that mixed precision skipped: `skipped_steps`."""

from __future__ import annotations

import numpy as np

from downslope._text import count
from downslope.diagnosis._cells import CellState, stepped_states
from downslope.diagnosis._finding import Finding, Severity, Symptom, check
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.trace import Trace

SKIPPED_STEPS = Symptom(
    "skipped_steps",
    Severity.NOTE,
    order=171,
    meaning="The gradient of single steps was not finite, and these steps were left out.",
    quantity="highest_loss",
    remedies=("smaller_rate", "clipping"),
)

# A scaler tries a larger scale every so often, and loses a step each time; more are not its doing.
_SOME = 0.1


def skipped_rows(trace: Trace) -> np.ndarray:
    """Return the rows whose gradient is not finite beside a loss that is, where they are few and the run goes on.

    A loss of exactly 0 beside such a gradient was not computed.
    """
    none = np.zeros(len(trace), dtype=bool)
    bad = stepped_states(trace, "gradient_norm") == CellState.NOT_FINITE
    loss = np.broadcast_to(np.asarray(trace.recorded["value"], dtype=float), bad.shape)
    beside = bad & np.isfinite(loss) & (loss != 0)
    if not bad.any() or not np.array_equal(bad, beside):
        return none
    late = bad[-max(len(bad) // 10, 1) :]
    return none if bad.mean() > _SOME or (late.mean() > 0.5 and len(bad) > 1) else bad


@check(SKIPPED_STEPS, needs=("steps.gradient_norm",))
def skipped_steps(evidence: TrainingEvidence) -> Finding | None:
    """Find single gradients that are not finite beside a loss that is.

    Quantity: rows with such a gradient. Theory: half precision scales the loss, and a scaler that tries a larger scale
    leaves out the step that overflows. Threshold: any; more than a tenth of the rows, or the last ones, are a gradient
    that is not finite.
    """
    bad = skipped_rows(evidence.trace)
    if not bad.any():
        return None
    steps = np.asarray(evidence.trace.recorded["step"])[bad]
    where = f"step {steps[0]}" if len(steps) == 1 else f"{count(len(steps))}, first at step {steps[0]},"
    return Finding(
        SKIPPED_STEPS.key,
        Severity.NOTE,
        f"The gradient at {where} was not finite while the loss was: such a step of mixed precision is left out.",
        {"step": int(steps[0]), "rows": int(bad.sum())},
        "gradients that are finite, but for single ones",
        (int(steps[0]), int(steps[-1])),
        causes=("a scaler that tries a larger scale of the loss", "a batch with broken rows"),
    )
