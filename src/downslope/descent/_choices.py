"""What may be chosen of a descent: the schema of `plan`, `descend` and `find_learning_rate`."""

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
    "How to step: a name of `method_names()`, a `Method`, a `MethodSpec`, or an Optax transformation.",
    "step",
    kind="name",
    names=get_args(MethodName),
    compiles=True,
    letter="-m",
    typed="How to step: gradient descent, momentum, adam, newton, bfgs, …",
)
RATE = Choice(
    None,
    "The learning rate α, above 0, or an Optax schedule; the method's own if None.",
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
        "What runs the steps: numpy, which starts at once; jax, which compiles them first and is faster from some "
        "ten thousand steps or rows on; auto chooses by the work to be done.",
        names=get_args(EngineName),
        kind="name",
        compiles=True,
    ),
]


class ObjectiveChoices(TypedDict, total=False):
    """What else makes an objective of a formula's text."""

    data: Annotated[
        TableLike | None,
        Choice(
            None,
            "The table of a formula's columns: a file, a mapping of columns, or a frame; see `read_table`.",
            "objective",
            kind="file",
            metavar="FILE",
            typed="A table whose columns the formula names: .csv, .xlsx, .parquet, …",
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
            'How the table is read, where it is not as its cells suggest: {"decimal": "comma", "sheet": 2}.',
            "objective",
            kind="units",
            metavar="NAME=VALUE",
            typed="How the table is read: decimal=comma, sheet=2, missing=-9999, … May be repeated.",
        ),
    ]


class ScheduleChoices(TypedDict, total=False):
    """How the learning rate changes."""

    schedule: ScheduleChoice


class RateChoices(ScheduleChoices, total=False):
    """The learning rate and its schedule."""

    learning_rate: Annotated[float | Callable[[Any], Any] | None, RATE]


class ClipChoices(TypedDict, total=False):
    """How long a gradient may be."""

    clip_norm: Annotated[float | None, Choice(None, "Shorten gradients longer than this.", "step", above=0)]
    clip_value: Annotated[float | None, Choice(None, "Cut the gradient's entries to ± this.", "step", above=0)]


class StopChoices(TypedDict, total=False):
    """When a descent has arrived."""

    tolerance: Annotated[
        float,
        Choice(1e-10, "Stop when the norm of the gradient falls to this; 0 to go on until nothing moves.", least=0),
    ]


class DescentChoices(ClipChoices, StopChoices, ObjectiveChoices, total=False):
    """What descents share, whichever method and rate they take."""

    record: Annotated[
        "Record | int | None",
        Choice(
            None,
            "What to write down: a `Record`, or k for every k-th step.",
            kind="whole",
            option="--every",
            metavar="K",
            compiles=True,
            checks=False,
            typed="Record every K-th step.",
        ),
    ]
    engine: EngineChoice
    seed: Annotated[int, Choice(0, "Seed of whatever is random.", least=0, most=LARGEST_SEED)]


class MethodChoices(MethodSettings, ScheduleSettings, total=False):
    """The method of a descent and its settings."""

    method: Annotated["MethodName | Method | MethodSpec | optax.GradientTransformation", METHOD]


class PlanChoices(MethodChoices, RateChoices, DescentChoices, total=False):
    """What may be chosen of a plan."""

    steps: Annotated[int, Choice(100, "The most steps to take.", least=0, letter="-n", metavar="N")]
    batches: Annotated[
        "Batches | None", Choice(None, "How examples are taken, for an objective over batches.", "batches")
    ]


class DescendChoices(PlanChoices, total=False):
    """What may be chosen of a descent."""

    progress: Annotated[
        "Progress",
        Choice(
            None,
            "Whether to show a progress bar; None to show one on a terminal after a second. Or a function of (steps "
            "done, steps allowed, value), called now and then.",
            "run",
            kind="object",
        ),
    ]
