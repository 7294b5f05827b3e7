"""The schemas of `sweep`, `compare`, `multistart` and `search`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from downslope._choices import LARGEST_SEED, Choice
from downslope._types import Point
from downslope.descent import (
    METHOD,
    RATE,
    DescentChoices,
    EngineChoice,
    MethodChoices,
    ObjectiveChoices,
    ScheduleChoices,
)
from downslope.executors import ExecutorChoices
from downslope.methods import Method, MethodName, MethodSettings, MethodSpec, ScheduleSettings

if TYPE_CHECKING:
    import optax

MOST_STARTS = 1_000_000_000


class SweepChoices(MethodChoices, ScheduleChoices, DescentChoices, ExecutorChoices, total=False):
    """The choices of a sweep that all rates share."""

    steps: Annotated[int, Choice(1000, "The maximum number of steps.", least=0, letter="-n", metavar="N")]


class CompareChoices(ScheduleChoices, ScheduleSettings, DescentChoices, ExecutorChoices, total=False):
    """The choices of a race, the same for each method."""

    learning_rates: Annotated[
        Mapping[str, float] | None,
        Choice(
            None, "Fixed learning rates by method name; the rates of the other methods are searched.", kind="object"
        ),
    ]
    steps: Annotated[int, Choice(1000, "The maximum number of steps.", least=0, letter="-n", metavar="N")]


class SpaceChoices(ObjectiveChoices, ExecutorChoices, total=False):
    """The choices of how starting points are drawn other than from a box."""

    spread: Annotated[
        float | Mapping[str, float] | Point,
        Choice(
            None, "The standard deviation of the starting points about the centre, in place of bounds.", kind="object"
        ),
    ]
    centre: Annotated[Point, Choice(None, "The centre of the starting points; None for 0.", kind="object")]
    seed: Annotated[int, Choice(0, "Seed of all random numbers.", least=0, most=LARGEST_SEED)]
    engine: EngineChoice


class MultistartChoices(SpaceChoices, MethodSettings, total=False):
    """The choices of descents from many starts."""

    starts: Annotated[int, Choice(1000, "Number of starting points.", least=1, most=MOST_STARTS, metavar="N")]
    method: Annotated[
        "MethodName | Method | MethodSpec | optax.GradientTransformation | None",
        replace(
            METHOD,
            default=None,
            help="A method of `descend` for every start; None for small steps along −∇f, followed by BFGS and Newton.",
            typed="A method of `descend` for every start; if not given, small steps along −∇f, then BFGS and Newton.",
        ),
    ]
    learning_rate: Annotated[
        float | None,
        replace(
            RATE,
            help="The learning rate α of that method; its own default if None.",
            kind=None,  # a number: the starts share no schedule
            typed="The learning rate of that method.",
        ),
    ]
    steps: Annotated[
        int | None,
        Choice(
            None,
            "The maximum number of steps of that method; None for 1000.",
            "step",
            least=0,
            letter="-n",
            metavar="N",
            typed="The maximum number of steps of that method.",
        ),
    ]


class SearchChoices(SpaceChoices, total=False):
    """The choices of a search for the lowest valley."""

    confirmations: Annotated[
        int,
        Choice(
            3,
            "Rounds that must end at the lowest point before the search stops; 0 to use up the time or evaluations.",
            least=0,
            metavar="N",
            typed="Rounds that must end at the lowest point before the search stops.",
        ),
    ]
    target: Annotated[float | None, Choice(None, "A value low enough to stop at.", typed="Stop at this value.")]
    seconds: Annotated[float, Choice(10.0, "Time limit in seconds, compilation included.", above=0)]
    evaluations: Annotated[int | None, Choice(None, "Maximum number of evaluations; None for no limit.", metavar="N")]
    islands: Annotated[
        int | None,
        Choice(None, "Number of islands (groups of chains); None for 4.", most=1024, metavar="N"),
    ]
