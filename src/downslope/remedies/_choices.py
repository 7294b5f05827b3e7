"""The schemas of `prescribe` and `find_learning_rate`."""

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
    """The choices of a prescription."""

    seeds: Annotated[
        int,
        Choice(
            5,
            "The maximum number of paired runs to prove a remedy, at least 2; fewer are run if they suffice.",
            "run",
            least=2,
            metavar="N",
            typed="The maximum number of paired runs to prove a remedy.",
        ),
    ]
    trainings: Annotated[
        int | None,
        Choice(
            None,
            "The budget, in runs as long as this one or of 100 steps; None for 60, or 400 for a descent.",
            "run",
            metavar="N",
            typed="The budget, in runs as long as this one; 60, or 400 for a formula.",
        ),
    ]
    width: Annotated[
        int,
        Choice(
            1,
            "For a training, the number of runs started before the next decision. With 1, the search spends the "
            "least; with the number of workers, it ends soonest. The result depends on `width`, not on the workers.",
            "run",
            least=1,
            metavar="N",
            typed="Runs started before the next decision; the number of workers makes the search end soonest.",
        ),
    ]
    data: Annotated[
        DataLike | None,
        Choice(
            None,
            "The data of a saved run, unless they were a file or a sample.",
            "objective",
            kind="file",
            metavar="FILE",
            typed="The table of the formula, or the rows on which a run was trained.",
        ),
    ]
    model: Annotated[
        ModelLike | None,
        Choice(None, "The model of a saved run, unless it was a list of layers.", "network", kind="object"),
    ]
    target: Annotated[
        TargetLike | None,
        Choice(None, "The targets of a saved run, unless they were a column of its data.", "rows", kind="object"),
    ]
    validation: Annotated[
        DataLike | None,
        Choice(None, "The validation rows of a saved run, if they were data in memory.", "rows", kind="object"),
    ]
    loss: Annotated[
        Callable[[Any, Any], Any] | None,
        Choice(None, "The loss of a saved run, if it was a function.", "network", kind="object"),
    ]
    start: Annotated[
        Any, Choice(None, "The initial parameters of a saved run of a loss function.", "rows", kind="object")
    ]


class RateSearchChoices(MethodChoices, ScheduleChoices, DescentChoices, ProgressChoices, ExecutorChoices, total=False):
    """The choices of the search for a learning rate."""

    record: Annotated[
        "Record | int | None",
        Choice(None, "What the resulting plan records, as for `plan`.", kind="whole", option="", checks=False),
    ]
    steps: Annotated[
        int,
        Choice(
            100,
            "The steps of the whole run.",
            least=0,
            letter="-n",
            metavar="N",
            typed="Steps of the whole run; 100, or 2000 for a network.",
        ),
    ]
    budget: Annotated[
        int | None,
        Choice(
            None,
            "Steps of each check; None for those of the run, but at most 200, or 100 over batches.",
            "run",
            metavar="N",
            typed="Steps of each check; by default at most 200, or 100 for a network.",
        ),
    ]
