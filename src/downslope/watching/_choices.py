"""The schema of `watch` and of the callbacks."""

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from downslope._choices import Choice


class WatchChoices(TypedDict, total=False):
    """The choices of a watch."""

    every: Annotated[int, Choice(10, "Steps between records of the layers; 0 for none.", "run", least=0)]
    curvature_every: Annotated[
        int | None,
        Choice(
            None,
            "Steps between measurements of the curvature; 0 for none, None to measure at the start, at step 100 "
            "and whenever the number of steps has doubled.",
            "run",
            least=0,
        ),
    ]
    rows: Annotated[
        int,
        Choice(
            2000,
            "The maximum number of data rows kept in memory to train the reference learners; 0 for none. They are "
            "never written to disk.",
            "run",
            least=0,
        ),
    ]
    flush: Annotated[int, Choice(100, "Steps between transfers of the record to the host.", "run", least=1)]
    steps: Annotated[int | None, Choice(None, "The planned number of steps, if known.", "run", least=1)]
    name: Annotated[str | None, Choice(None, "The name of the run in reports.", "run")]
    criterion: Annotated[
        Any,
        Choice(
            None,
            "The loss as a function of outputs and targets, to be tested on artificial ones; None to judge the loss by "
            "its recorded values. For a JAX loop, the loss function `loss(model, batch)`, whose layers are "
            "recorded; None to record no layers.",
            "run",
            kind="object",
        ),
    ]
    scaler: Annotated[Any, Choice(None, "The loop's `torch.amp.GradScaler`, if there is one.", "run", kind="object")]
    batch: Annotated[
        Any,
        Choice(
            None,
            "For a JAX loop, the training examples on which the layers are measured.",
            "run",
            kind="object",
        ),
    ]
    also: Annotated[
        str | Sequence[str] | None,
        Choice(
            None,
            "One or several trackers that also receive the numbers and verdicts, as `ds.send` takes them: "
            '`"tensorboard:logs"`, `"wandb:offline"`, `"mlflow:URI"`.',
            "run",
            kind="object",
        ),
    ]
    overwrite: Annotated[bool, Choice(False, "Whether to replace a run in the folder.", "run")]
