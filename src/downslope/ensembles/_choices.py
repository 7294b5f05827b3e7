"""What may be chosen of many descents at once: the schemas of `sweep`, `compare`, `multistart` and `search`."""

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
    """What may be chosen of a sweep, the same for each rate."""

    steps: Annotated[int, Choice(1000, "The most steps to take.", least=0, letter="-n", metavar="N")]


class CompareChoices(ScheduleChoices, ScheduleSettings, DescentChoices, ExecutorChoices, total=False):
    """What may be chosen of a race, the same for each method."""

    learning_rates: Annotated[
        Mapping[str, float] | None,
        Choice(None, "Rates by a method's name, for those whose rate is not to be searched.", kind="object"),
    ]
    steps: Annotated[int, Choice(1000, "The most steps to take.", least=0, letter="-n", metavar="N")]


class SpaceChoices(ObjectiveChoices, ExecutorChoices, total=False):
    """Where starts come from, besides a box."""

    spread: Annotated[
        float | Mapping[str, float] | Point,
        Choice(None, "Instead of bounds, the standard deviation of starts about the centre.", kind="object"),
    ]
    centre: Annotated[Point, Choice(None, "The middle of that cloud; 0 if None.", kind="object")]
    seed: Annotated[int, Choice(0, "Seed of whatever is random.", least=0, most=LARGEST_SEED)]
    engine: EngineChoice


class MultistartChoices(SpaceChoices, MethodSettings, total=False):
    """What may be chosen of descents from many starts."""

    starts: Annotated[int, Choice(1000, "How many.", least=1, most=MOST_STARTS, metavar="N")]
    method: Annotated[
        "MethodName | Method | MethodSpec | optax.GradientTransformation | None",
        replace(
            METHOD,
            default=None,
            help="A method of `descend` for every start; None for small steps along −∇f, then BFGS and Newton.",
            typed="A method for every start; careful steps if not given.",
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
            "The steps of that method; 1000 if None.",
            "step",
            least=0,
            letter="-n",
            metavar="N",
            typed="Steps of that method.",
        ),
    ]


class SearchChoices(SpaceChoices, total=False):
    """What may be chosen of a search for the lowest valley."""

    confirmations: Annotated[
        int,
        Choice(
            3,
            "How many rounds must end at the lowest point; 0 to go on until time or evaluations are used up.",
            least=0,
            metavar="N",
            typed="Rounds that must end at the lowest point before it stops.",
        ),
    ]
    target: Annotated[float | None, Choice(None, "A value that is low enough to stop at.", typed="Stop at this value.")]
    seconds: Annotated[float, Choice(10.0, "The most to take, time to compile included.", above=0)]
    evaluations: Annotated[int | None, Choice(None, "The most to make; None for no limit.", metavar="N")]
    islands: Annotated[
        int | None,
        Choice(None, "How many; None for 4.", most=1024, metavar="N"),
    ]
