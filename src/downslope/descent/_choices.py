"""The schema of `plan`, `descend` and `find_learning_rate`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_args

from downslope._choices import LARGEST_SEED, Choice
from downslope._types import TableLike
from downslope.descent._work import EngineName
from downslope.methods import Method, MethodName, MethodSettings, MethodSpec, Schedule, ScheduleName, ScheduleSettings

if TYPE_CHECKING:
    import optax

    from downslope.descent._plan import Record
    from downslope.descent.batches._batched import Batches

Progress = bool | Callable[[int, int, float], None] | None


# The method and the learning rate of a descent; other schemas replace default and sentences.
METHOD = Choice(
    "gradient descent",
    "The method: a name of `method_names()`, a `Method`, a `MethodSpec`, or an Optax transformation.",
    "step",
    kind="name",
    names=get_args(MethodName),
    compiles=True,
    letter="-m",
    typed="How to step: gradient descent, momentum, adam, newton, bfgs, …",
)
RATE = Choice(
    None,
    "The learning rate α, above 0, or an Optax schedule; None for the method's default.",
    "step",
    kind="rate",
    above=0,
    letter="-a",
    metavar="α",
    typed="The learning rate; the method's own if none is given.",
)
ScheduleChoice = Annotated[
    ScheduleName | Callable[[Any], Any] | Schedule | None,
    Choice(
        None,
        "How the rate changes: constant, step, exponential, cosine, warm-up, or an Optax schedule.",
        "step",
        typed="How the rate changes: constant, step, exponential, cosine, warm-up.",
    ),
]

EngineChoice = Annotated[
    EngineName,
    Choice(
        "auto",
        "The engine: numpy starts at once; jax compiles the steps first and is faster from about ten thousand steps "
        "or rows on; auto chooses by the amount of work.",
        names=get_args(EngineName),
        kind="name",
        compiles=True,
    ),
]


class ObjectiveChoices(TypedDict, total=False):
    """The choices that turn the text of a formula into an objective."""

    data: Annotated[
        TableLike | None,
        Choice(
            None,
            "The table whose columns the formula uses: a file, a mapping of columns, or a frame; see `read_table`.",
            "objective",
            kind="file",
            metavar="FILE",
            typed="A table whose columns the formula uses: .csv, .xlsx, .parquet, …",
        ),
    ]
    units: Annotated[
        Mapping[str, str] | None,
        Choice(
            None,
            "Units by name, for a formula.",
            "objective",
            kind="units",
            option="--unit",
            metavar="NAME=UNIT",
            typed="The unit of a name: t=hour. May be repeated.",
        ),
    ]
    table: Annotated[
        Mapping[str, object] | None,
        Choice(
            None,
            'Options for reading the table that override automatic detection: {"decimal": "comma", "sheet": 2}.',
            "objective",
            kind="units",
            metavar="NAME=VALUE",
            typed="An option for reading the table: decimal=comma, sheet=2, missing=-9999, … May be repeated.",
        ),
    ]


class ScheduleChoices(TypedDict, total=False):
    """The schedule of the learning rate."""

    schedule: ScheduleChoice


class RateChoices(ScheduleChoices, total=False):
    """The learning rate and its schedule."""

    learning_rate: Annotated[float | Callable[[Any], Any] | None, RATE]


class ClipChoices(TypedDict, total=False):
    """The clipping of gradients."""

    clip_norm: Annotated[
        float | None, Choice(None, "Scale gradients longer than this down to this norm.", "step", above=0)
    ]
    clip_value: Annotated[float | None, Choice(None, "Clip each entry of the gradient to ± this.", "step", above=0)]


class StopChoices(TypedDict, total=False):
    """When a descent has converged."""

    tolerance: Annotated[
        float,
        Choice(
            1e-10,
            "Stop when the norm of the gradient falls to this; 0 to continue until the point no longer changes.",
            least=0,
        ),
    ]


class DescentChoices(ClipChoices, StopChoices, ObjectiveChoices, total=False):
    """The choices that all descents share, whatever their method and rate."""

    record: Annotated[
        "Record | int | None",
        Choice(
            None,
            "What to record: a `Record`, or k for every k-th step.",
            kind="whole",
            option="--every",
            metavar="K",
            compiles=True,
            checks=False,
            typed="Record every K-th step.",
        ),
    ]
    engine: EngineChoice
    seed: Annotated[int, Choice(0, "Seed of all random numbers.", least=0, most=LARGEST_SEED)]


class MethodChoices(MethodSettings, ScheduleSettings, total=False):
    """The method of a descent and its settings."""

    method: Annotated["MethodName | Method | MethodSpec | optax.GradientTransformation", METHOD]


class PlanChoices(MethodChoices, RateChoices, DescentChoices, total=False):
    """The choices of a plan."""

    steps: Annotated[int, Choice(100, "The maximum number of steps.", least=0, letter="-n", metavar="N")]
    batches: Annotated["Batches | None", Choice(None, "The batch schedule, for an objective over batches.", "batches")]


class DescendChoices(PlanChoices, total=False):
    """The choices of a descent."""

    progress: Annotated[
        "Progress",
        Choice(
            None,
            "Whether to show a progress bar; None shows one on a terminal after a second. Or a function of (steps "
            "taken, maximum steps, value), called from time to time.",
            "run",
            kind="object",
        ),
    ]
