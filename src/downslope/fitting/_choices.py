"""What may be chosen of a fit: the schema of `fit`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import numpy as np

from downslope._choices import LARGEST_SEED, Choice
from downslope.descent import METHOD, RATE, ClipChoices, ScheduleChoices
from downslope.executors import ExecutorChoices
from downslope.methods import FitMethodName, Method, MethodName, MethodSettings, MethodSpec, ScheduleSettings

if TYPE_CHECKING:
    import optax

IntervalKind = Literal["linear", "profile"]
LossName = Literal["linear", "huber", "soft-L1", "cauchy", "poisson", "binomial"]


class DescendingFitChoices(ScheduleChoices, ClipChoices, MethodSettings, ScheduleSettings, total=False):
    """What a fit by a method of `descend` takes besides."""

    learning_rate: Annotated[
        float | None,
        replace(
            RATE,
            help="The learning rate α of a method of `descend`; None for one over the highest curvature at the start.",
            kind=None,  # a number: a fit takes no schedule
            typed="The learning rate of a method of `descend`; one over the highest curvature if not given.",
        ),
    ]
    tolerance: Annotated[
        float, Choice(1e-10, "With a method of `descend`, stop when the norm of the gradient falls to this.", least=0)
    ]


class PlainFitChoices(DescendingFitChoices, ExecutorChoices, total=False):
    """What may be chosen of a fit of all rows as one."""

    start: Annotated[
        Mapping[str, float] | None,
        Choice(
            None,
            "Where to start, by parameter; None to search for a start.",
            "fit",
            kind="point",
            metavar="POINT",
            typed="The point to start from: x=4,y=3.",
        ),
    ]
    bounds: Annotated[
        Mapping[str, Sequence[float | None]] | None,
        Choice(
            None,
            "(low, high) by parameter, None for an open end.",
            "fit",
            kind="ranges",
            metavar="RANGES",
            typed="How far parameters may go: k=0..,b=-1..1; ends may be open.",
        ),
    ]
    fixed: Annotated[
        Mapping[str, float] | None,
        Choice(
            None,
            "Parameters to hold, with their values.",
            "fit",
            kind="point",
            option="--fix",
            metavar="POINT",
            typed="Parameters to hold: b=0.",
        ),
    ]
    ties: Annotated[
        Mapping[str, str] | None,
        Choice(
            None,
            'Parameters that follow from others: {"b": "2a"}.',
            "fit",
            kind="units",
            option="--tie",
            metavar="NAME=FORMULA",
            typed="A parameter that follows others: b=2a. May be repeated.",
        ),
    ]
    y: Annotated[
        str | None,
        Choice(
            None,
            "The measured column, or a formula of columns, where the model is a Python function.",
            "fit",
            kind="object",
            option="",
            checks=False,
        ),
    ]
    sigma: Annotated[
        str | float | Sequence[float] | np.ndarray | None,
        Choice(
            None,
            "The standard deviation of each measurement: a column, a formula of columns, numbers, or one number.",
            "fit",
            kind="column or number",
            metavar="COLUMN",
            typed="The standard deviation of each measurement; or one number.",
        ),
    ]
    sigma_x: Annotated[
        str | float | Sequence[float] | np.ndarray | Mapping[str, object] | None,
        Choice(
            None,
            "The standard deviation of the column on the right, where it too is measured with errors: a column's name, "
            'numbers, one number, or these by column, {"size": "s_size"}. Distances are then orthogonal.',
            "fit",
            kind="deviations",
            metavar="COLUMN",
            typed="The standard deviation of the column on the right, or by column: size=s_size,age=0.5.",
            checks=False,
        ),
    ]
    weights: Annotated[
        str | Sequence[float] | np.ndarray | None,
        Choice(
            None,
            'What each squared residual is multiplied by, instead of `sigma`, likewise: "1/s²".',
            "fit",
            kind="text",
            metavar="COLUMN",
            typed="What each squared residual is multiplied by.",
            checks=False,
        ),
    ]
    absolute_sigma: Annotated[
        bool,
        Choice(
            False,
            "Whether `sigma` is in true units, so that errors do not depend on the residuals.",
            "fit",
            typed="Take --sigma for true deviations, whatever the residuals.",
        ),
    ]
    loss: Annotated[
        LossName,
        Choice(
            "linear",
            "How residuals count: linear; huber, soft-L1, cauchy, where outliers count less; or, by likelihood, "
            "poisson for counts and binomial for shares of trials, whose numbers are the weights.",
            "fit",
        ),
    ]
    loss_scale: Annotated[
        float | None,
        Choice(
            None,
            "The residual from which on a robust loss counts less; from the residuals' median if None.",
            "fit",
            above=0,
            typed="The residual from which on a robust loss counts less.",
        ),
    ]
    method: Annotated[
        "FitMethodName | MethodName | Method | MethodSpec | optax.GradientTransformation",
        replace(
            METHOD,
            default="levenberg-marquardt",
            help="How to find the parameters: levenberg-marquardt, trust region, or a method of `descend`.",
            names=(*get_args(FitMethodName), *METHOD.names),
            typed="levenberg-marquardt, trust region, gradient descent, adam, …",
        ),
    ]
    steps: Annotated[
        int | None,
        Choice(
            None,
            "The most steps to try; 2000 if None, 1000 for a method of `descend`.",
            "fit",
            least=0,
            letter="-n",
            metavar="N",
            typed="The most steps to take.",
        ),
    ]
    confidence: Annotated[float, Choice(0.95, "The confidence of the intervals, between 0 and 1.", "fit", checks=False)]
    intervals: Annotated[
        IntervalKind,
        Choice(
            "linear",
            "How intervals are computed: linear, value ± t·error; or profile, by refits, with ends of their own.",
            "fit",
            kind="name",
            names=("linear", "profile"),
        ),
    ]
    rows: Annotated[
        str | Sequence[int] | None,
        Choice(
            None,
            'The rows that take part, counted from 1, ends included: "10:200", ":50,80:"; all if None.',
            "fit",
            kind="text",
            metavar="RANGES",
            typed="The rows that take part, counted from 1: 10:200.",
            checks=False,
        ),
    ]
    where: Annotated[
        str | None,
        Choice(
            None,
            'A condition on columns that rows must meet: "x < 5".',
            "fit",
            kind="text",
            metavar="CONDITION",
            typed='A condition that rows must meet: "x < 5".',
            checks=False,
        ),
    ]
    units: Annotated[
        Mapping[str, str] | None,
        Choice(
            None,
            "Units of columns, from which those of the parameters follow.",
            "objective",
            kind="units",
            option="--unit",
            metavar="NAME=UNIT",
            typed="The unit of a name: t=hour. May be repeated.",
        ),
    ]
    missing: Annotated[
        "str | float | Sequence[str | float]",
        Choice(
            (),
            "Further spellings or numbers that stand for a missing cell: -9999.",
            "rows",
            kind="texts",
            metavar="VALUE",
            typed="A number or word that stands for a missing cell: -9999. May be repeated.",
        ),
    ]
    sheet: Annotated[
        str | int | None,
        Choice(
            None,
            "The sheet of a workbook, by name or number; the first that holds a table if None.",
            "rows",
            kind="text",
            metavar="NAME",
            typed="The sheet of a workbook; the first that holds a table if not given.",
        ),
    ]
    table: Annotated[
        Mapping[str, object] | None,
        Choice(
            None,
            'How the table is read, where it is not as its cells suggest: {"decimal": "comma", "names": 3}.',
            "rows",
            kind="units",
            metavar="NAME=VALUE",
            typed="How the table is read: decimal=comma, names=3, separator=tab, … May be repeated.",
        ),
    ]
    seed: Annotated[
        int,
        Choice(
            0, "Seed of the search for a start.", "fit", least=0, most=LARGEST_SEED, typed="Seed of what is random."
        ),
    ]


class FitChoices(PlainFitChoices, total=False):
    """What may be chosen of a fit."""

    by: Annotated[
        str | Sequence[str] | None,
        Choice(
            None,
            "The column that tells groups apart, or several; each group has parameters of its own, `Vm[treated]`.",
            "fit",
            kind="columns",
            metavar="COLUMN",
            typed="The column that tells groups apart; each has parameters of its own.",
            checks=False,
        ),
    ]
    shared: Annotated[
        str | Sequence[str],
        Choice(
            (),
            "With `by`, the parameters that all groups have in common.",
            "fit",
            kind="columns",
            metavar="NAMES",
            typed="With --by, the parameters that all groups have in common: K,b.",
            checks=False,
        ),
    ]
