"""The schema of `fit`."""

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
    """The further choices of a fit by a method of `descend`."""

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
    """The choices of a fit of all rows together."""

    start: Annotated[
        Mapping[str, float] | None,
        Choice(
            None,
            "Initial values by parameter; missing ones are searched for.",
            "fit",
            kind="point",
            metavar="POINT",
            typed="Initial values of parameters: k=0.1,room=20.",
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
            typed="Bounds of parameters: k=0..,b=-1..1; ends may be open.",
        ),
    ]
    fixed: Annotated[
        Mapping[str, float] | None,
        Choice(
            None,
            "Parameters held fixed, with their values.",
            "fit",
            kind="point",
            option="--fix",
            metavar="POINT",
            typed="Parameters held fixed: b=0.",
        ),
    ]
    ties: Annotated[
        Mapping[str, str] | None,
        Choice(
            None,
            'Parameters computed from others: {"b": "2a"}.',
            "fit",
            kind="units",
            option="--tie",
            metavar="NAME=FORMULA",
            typed="A parameter computed from others: b=2a. May be repeated.",
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
            "The standard deviation of the column on the right, if it has measurement errors too: a column's name, "
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
            'The weight of each squared residual, in place of `sigma` and in the same forms: "1/s²".',
            "fit",
            kind="text",
            metavar="COLUMN",
            typed="The weight of each squared residual.",
            checks=False,
        ),
    ]
    absolute_sigma: Annotated[
        bool,
        Choice(
            False,
            "Whether `sigma` holds true standard deviations, so that standard errors do not depend on the residuals.",
            "fit",
            typed="Treat --sigma as true standard deviations, whatever the residuals.",
        ),
    ]
    loss: Annotated[
        LossName,
        Choice(
            "linear",
            "The loss: linear (least squares); huber, soft-L1 or cauchy, which give outliers less weight; or "
            "the likelihoods poisson, for counts, and binomial, for shares of trials whose numbers are the weights.",
            "fit",
        ),
    ]
    loss_scale: Annotated[
        float | None,
        Choice(
            None,
            "The residual beyond which a robust loss gives less weight; None for one from the residuals' median.",
            "fit",
            above=0,
            typed="The residual beyond which a robust loss gives less weight.",
        ),
    ]
    method: Annotated[
        "FitMethodName | MethodName | Method | MethodSpec | optax.GradientTransformation",
        replace(
            METHOD,
            default="levenberg-marquardt",
            help="The method: levenberg-marquardt, trust region, or a method of `descend`.",
            names=(*get_args(FitMethodName), *METHOD.names),
            typed="levenberg-marquardt, trust region, gradient descent, adam, …",
        ),
    ]
    steps: Annotated[
        int | None,
        Choice(
            None,
            "The maximum number of steps tried; None for 2000, or 1000 for a method of `descend`.",
            "fit",
            least=0,
            letter="-n",
            metavar="N",
            typed="The maximum number of steps.",
        ),
    ]
    confidence: Annotated[
        float, Choice(0.95, "The confidence level of the intervals, between 0 and 1.", "fit", checks=False)
    ]
    intervals: Annotated[
        IntervalKind,
        Choice(
            "linear",
            "The kind of intervals: linear, value ± t·error; or profile, from refits, which may be asymmetric.",
            "fit",
            kind="name",
            names=("linear", "profile"),
        ),
    ]
    rows: Annotated[
        str | Sequence[int] | None,
        Choice(
            None,
            'The rows to use, counted from 1, ends included: "10:200", ":50,80:"; None for all.',
            "fit",
            kind="text",
            metavar="RANGES",
            typed="The rows to use, counted from 1: 10:200.",
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
            'Options for reading the table that override automatic detection: {"decimal": "comma", "names": 3}.',
            "rows",
            kind="units",
            metavar="NAME=VALUE",
            typed="An option for reading the table: decimal=comma, names=3, separator=tab, … May be repeated.",
        ),
    ]
    seed: Annotated[
        int,
        Choice(
            0, "Seed of the search for a start.", "fit", least=0, most=LARGEST_SEED, typed="Seed of all random numbers."
        ),
    ]


class FitChoices(PlainFitChoices, total=False):
    """The choices of a fit."""

    by: Annotated[
        str | Sequence[str] | None,
        Choice(
            None,
            "The column or columns that define the groups; each group has its own parameters, `Vm[treated]`.",
            "fit",
            kind="columns",
            metavar="COLUMN",
            typed="The column that defines the groups; each group has its own parameters.",
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
