"""What may be chosen of a watch: the schema of `watch` and of the callbacks."""

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from downslope._choices import Choice


class WatchChoices(TypedDict, total=False):
    """What may be chosen of a watch."""

    every: Annotated[int, Choice(10, "Steps from one look into the layers to the next; 0 for none.", "run", least=0)]
    curvature_every: Annotated[
        int | None,
        Choice(
            None,
            "Steps from one look at the curvature to the next, 0 for none; None for looks at the start, at step 100 "
            "and each time that the steps have doubled.",
            "run",
            least=0,
        ),
    ]
    rows: Annotated[
        int,
        Choice(
            2000,
            "The most rows of data that are kept in memory, to be compared with simple learners; 0 for none. They are "
            "never written down.",
            "run",
            least=0,
        ),
    ]
    flush: Annotated[
        int, Choice(100, "Steps from one transfer of what was recorded to the host to the next.", "run", least=1)
    ]
    steps: Annotated[int | None, Choice(None, "The steps that are planned, if they are known.", "run", least=1)]
    name: Annotated[str | None, Choice(None, "What the run is called in reports.", "run")]
    criterion: Annotated[
        Any,
        Choice(
            None,
            "The loss as a function of outputs and targets, to be tried on artificial ones; None to judge the loss by "
            "what is seen of it. Of a loop of JAX the loss function, `loss(model, batch)`, whose layers are looked "
            "into; None for no looks.",
            "run",
            kind="object",
        ),
    ]
    scaler: Annotated[Any, Choice(None, "The `torch.amp.GradScaler` of the loop, if it has one.", "run", kind="object")]
    batch: Annotated[
        Any,
        Choice(
            None,
            "Of a loop of JAX, the examples that the layers are looked into with: some of those trained on.",
            "run",
            kind="object",
        ),
    ]
    also: Annotated[
        str | Sequence[str] | None,
        Choice(
            None,
            "A tracker that gets the numbers and verdicts as well, or several, as `ds.send` takes them: "
            '`"tensorboard:logs"`, `"wandb:offline"`, `"mlflow:URI"`.',
            "run",
            kind="object",
        ),
    ]
    overwrite: Annotated[bool, Choice(False, "Whether a run that is in the folder is replaced.", "run")]
