"""What may be chosen of a prescription and of the search for a learning rate."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from downslope._choices import Choice
from downslope.descent import DescentChoices, MethodChoices, ScheduleChoices
from downslope.executors import ExecutorChoices
from downslope.networks import DataLike, ModelLike, TargetLike

if TYPE_CHECKING:
    from downslope.descent import Record

Progress = bool | Callable[[int, int, float], None] | None


class ProgressChoices(TypedDict, total=False):
    """Whether to show how far the work is."""

    progress: Annotated[Progress, Choice(None, "Whether to show progress, as for `descend`.", "run", kind="object")]


class PrescribeChoices(ProgressChoices, ExecutorChoices, total=False):
    """What may be chosen of a prescription."""

    seeds: Annotated[
        int,
        Choice(
            5,
            "The most pairs of runs that a remedy is proved with, from 2 up; fewer where they settle it.",
            "run",
            least=2,
            metavar="N",
            typed="The most pairs of runs that a remedy is proved with.",
        ),
    ]
    trainings: Annotated[
        int | None,
        Choice(
            None,
            "The most to spend in all, in runs as long as this one, or 100 steps; None for 60, of a descent 400.",
            "run",
            metavar="N",
            typed="The most to spend, in runs as long as this one; 60, for a formula 400.",
        ),
    ]
    width: Annotated[
        int,
        Choice(
            1,
            "Runs of the search for what mends a training that are begun before its next decision. With 1 it spends "
            "least; with as many as there are workers it ends soonest. The result depends on it, not on the workers.",
            "run",
            least=1,
            metavar="N",
            typed="Runs that are begun before the next decision: as many as there are workers ends soonest.",
        ),
    ]
    data: Annotated[
        DataLike | None,
        Choice(
            None,
            "What a saved run was trained on, where that was no file and no sample.",
            "objective",
            kind="file",
            metavar="FILE",
            typed="The table of the formula; or the rows that a run was trained on.",
        ),
    ]
    model: Annotated[
        ModelLike | None,
        Choice(None, "The model of a saved run, where it was no list of layers.", "network", kind="object"),
    ]
    target: Annotated[
        TargetLike | None,
        Choice(None, "The targets of a saved run, where they were no column of its data.", "rows", kind="object"),
    ]
    validation: Annotated[
        DataLike | None,
        Choice(None, "The rows held back of a saved run, where they were data in memory.", "rows", kind="object"),
    ]
    loss: Annotated[
        Callable[[Any, Any], Any] | None,
        Choice(None, "The loss of a saved run, where it was a function.", "network", kind="object"),
    ]
    start: Annotated[
        Any, Choice(None, "The parameters that the loss function of a saved run began with.", "rows", kind="object")
    ]


class RateSearchChoices(MethodChoices, ScheduleChoices, DescentChoices, ProgressChoices, ExecutorChoices, total=False):
    """What may be chosen of the search for a learning rate."""

    record: Annotated[
        "Record | int | None",
        Choice(None, "What the plan with the rate records, as for `plan`.", kind="whole", option="", checks=False),
    ]
    steps: Annotated[
        int,
        Choice(
            100,
            "The steps of the whole run.",
            least=0,
            letter="-n",
            metavar="N",
            typed="Of the whole run; 100, or 2000 for a network.",
        ),
    ]
    budget: Annotated[
        int | None,
        Choice(
            None,
            "Steps of each check; None for those of the run, 200 at most, over batches 100.",
            "run",
            metavar="N",
            typed="Steps of each check; 200, or 100 for a network, at most.",
        ),
    ]
