"""The schema of `train` and `Setup`, and values that follow from several choices together.

A choice stands beside the code that it steers: those of rows in `data`, of a network in `tasks`, of the loss in
`_objective`, of batches and steps here. So one that is added takes one file.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypedDict

import numpy as np

from downslope._choices import LARGEST_COUNT, LARGEST_SEED, Choice
from downslope._errors import SettingError, described, whole
from downslope._types import Frame, TableLike
from downslope.descent import METHOD, RATE, Batched, Batches, ClipChoices, ScheduleChoice
from downslope.methods import (
    SCHEDULE_SETTINGS,
    Method,
    MethodName,
    MethodSettings,
    MethodSpec,
    ScheduleSettings,
    method,
)
from downslope.networks._objective import ComputationChoices
from downslope.networks.data import RowChoices, SampleName
from downslope.networks.layers import Layer, Network, layers_in
from downslope.networks.tasks import NetworkChoices

if TYPE_CHECKING:
    import optax

    from downslope.networks._trained import Task as Job
    from downslope.networks._trained import Training

ModelLike: TypeAlias = Sequence[Layer] | Network | Callable[..., Any] | tuple[Any, Any]
DataLike: TypeAlias = SampleName | TableLike | tuple[Any, Any] | Iterable[Any]
TargetLike: TypeAlias = str | Sequence[Any] | np.ndarray | Frame
_EVALUATIONS, _PROBES = 40, 20
# A probe takes about 16 products with the Hessian on a sample of up to four batches: with these distances, a tenth of
# the work at most.
_CLOSEST_PROBES, _CLOSEST_PROBES_OF_ALL = 1000, 250


class StepChoices(ClipChoices, MethodSettings, ScheduleSettings, total=False):
    """The choices of single steps, which may differ for the first steps of a training."""

    method: Annotated[
        "MethodName | Method | MethodSpec | optax.GradientTransformation",
        replace(
            METHOD,
            default="adam",
            help="How to step, as for `plan`.",
            typed="How to step: adam, adamw, momentum, lion, …",
        ),
    ]
    learning_rate: Annotated[
        float | Callable[[Any], Any] | None,
        replace(
            RATE,
            help="The learning rate α; None for 0.001 with Adam and its like, 0.1 with gradient descent, 0.01 with "
            "others.",
        ),
    ]
    schedule: ScheduleChoice
    weight_decay: Annotated[
        float,
        Choice(
            0.0,
            "The share of the weights, times the rate, that each step subtracts (decoupled, as in AdamW).",
            "step",
            least=0,
            typed="Decoupled weight decay: the share of the weights, times the rate, subtracted at each step.",
        ),
    ]


class TrainingChoices(NetworkChoices, RowChoices, StepChoices, ComputationChoices, total=False):
    """The choices of a training."""

    steps: Annotated[
        int,
        Choice(2000, "The maximum number of steps.", "training", least=0, most=LARGEST_COUNT, letter="-n", metavar="N"),
    ]
    start: Annotated[
        Any,
        Choice(
            None,
            "The initial parameters of a loss function: a tree of arrays or an Equinox module.",
            "training",
            kind="object",
            compiles=True,
        ),
    ]
    outputs: Annotated[
        Callable[[Any, Any], Any] | None,
        Choice(
            None,
            "For a loss function: outputs(params, batch), one row per example, to be scored.",
            "training",
            kind="object",
            compiles=True,
        ),
    ]
    targets: Annotated[
        str | Callable[[Any], Any] | None,
        Choice(
            None,
            "The targets of these outputs: the name of a leaf of the batch, or targets(batch).",
            "training",
            kind="object",
            compiles=True,
        ),
    ]
    begin: Annotated[
        Mapping[str, Any] | None,
        Choice(
            None,
            "Other choices for the first `steps` steps: method, learning_rate, "
            "schedule, clip_norm, clip_value, weight_decay, and their settings. With `revive`, units that are dead "
            "after these steps get new initial weights.",
            "training",
            kind="pairs",
            metavar="NAME=VALUE,…",
            typed="Settings for the first steps: steps=100,learning_rate=1.",
        ),
    ]
    batch: Annotated[
        int | None,
        Choice(
            32,
            "Examples per step; None for all of them. A stream has its own batches.",
            "batches",
            kind="batch",
            metavar="N|all",
            compiles=True,
            typed="Examples of a step.",
        ),
    ]
    validation: Annotated[
        float | DataLike | None,
        Choice(
            None,
            "The share of the rows held back, 0 for none; None for a fifth if there are ten rows or more. Or separate "
            "validation data, which is the only way for a stream.",
            "batches",
            kind="share or file",
            metavar="SHARE|FILE",
            compiles=True,
            typed="Rows held back: a fifth if not given, 0 for none; or a file of them.",
        ),
    ]
    patience: Annotated[
        int | None,
        Choice(
            None,
            "Stop after this many evaluations without a lower validation loss.",
            "batches",
            metavar="N",
            typed="Stop after N evaluations without a lower validation loss.",
        ),
    ]
    keep: Annotated[
        Literal["last", "best"],
        Choice(
            "last",
            "The step whose network is returned: the last, or the best by accuracy or R² on the rows held back, by "
            "the validation loss if there is neither, or by the training loss if no row is held back. Ties go to "
            "the lowest loss, then to the earliest step.",
            "batches",
            typed="last, or best for the network of the best evaluation.",
        ),
    ]
    accumulate: Annotated[
        int,
        Choice(
            1, "Number of batches whose gradients are averaged for one step.", "batches", metavar="N", compiles=True
        ),
    ]
    evaluate_every: Annotated[
        int | None,
        Choice(
            None,
            "Steps between evaluations; None for about 40 evaluations in all.",
            "batches",
            metavar="N",
            typed="Steps between evaluations; 40 in all if not given.",
        ),
    ]
    probe_every: Annotated[
        int | None,
        Choice(
            None,
            "Steps between probes of the Hessian's extreme eigenvalues and the gradient noise; None for about 20, "
            "at least 1000 steps apart (250 if each step sees all examples); 0 for none.",
            "batches",
            least=0,
            metavar="N",
            typed="Steps between curvature probes; 0 for none.",
        ),
    ]
    layers_every: Annotated[
        int,
        Choice(
            10,
            "Steps between records of the layers; 0 for none.",
            "batches",
            least=0,
            metavar="N",
            typed="Steps between records of the layers; 0 for none.",
        ),
    ]
    seed: Annotated[
        int,
        Choice(
            0,
            "Seed of the weights, the order of examples, dropout and the choice of validation rows.",
            "training",
            least=0,
            most=LARGEST_SEED,
            typed="Seed of all random numbers.",
        ),
    ]


class RunChoices(TypedDict, total=False):
    """The choices of how a training is reported and saved."""

    save: Annotated[
        str | os.PathLike[str] | None,
        Choice(
            None,
            "A folder to which the run is written as it trains, so that a killed run can be resumed. A folder that "
            "already holds a run is refused, so that nothing is lost.",
            "run",
            kind="file",
            metavar="DIR",
            typed="Write the run to this folder as it trains.",
        ),
    ]
    resume: Annotated[
        bool,
        Choice(
            False,
            "Continue the run in `save`, to the same numbers; a new run starts if there is none.",
            "run",
            typed="Continue the run in --save.",
        ),
    ]
    overwrite: Annotated[bool, Choice(False, "Replace the run in `save`.", "run", typed="Replace the run in --save.")]
    progress: Annotated[
        bool | Callable[[int, int, float], None] | None,
        Choice(None, "Whether to show progress, as for `descend`.", "run", kind="object"),
    ]
    watch: Annotated[
        "Callable[[Training], None] | None",
        Choice(
            None,
            "A function called at each evaluation but the last with the training so far, for example to draw it; the "
            "results do not depend on it.",
            "run",
        ),
    ]

    devices: Annotated[
        int | Literal["all"] | None,
        Choice(
            None,
            'The number of devices of this machine that share each batch, or "all" for the devices of every process '
            "that joined by `join_hosts`; None for one. Parameters are copied, and the loss remains the mean of the "
            "whole batch, so the numbers agree with those of one device up to rounding.",
            "run",
            kind="devices",
            metavar="N|all",
            typed="Divide each batch among N devices, or among all devices of all processes.",
        ),
    ]
    divide_state: Annotated[
        bool,
        Choice(
            False,
            "Whether each of several devices holds a part of the optimiser's state, such as Adam's moments, "
            "instead of a copy. With `save`, each process writes its own part with Orbax (the extra `shards`) to a "
            "folder that all processes must be able to reach.",
            "run",
            kind="truth",
            typed="Divide the optimiser's state among the devices.",
        ),
    ]


class TrainChoices(TrainingChoices, RunChoices, total=False):
    """The choices of `train` for one training."""


class ReplicateChoices(TrainChoices, total=False):
    """All choices of `train`."""

    seeds: Annotated[
        int | Sequence[int] | None,
        Choice(
            None,
            "The number of trainings, with seeds counted from `seed`, or a list of seeds. The result is a "
            "`Replicates` with an interval for each score. With `save`, each training is written to its own subfolder, "
            "seed-0, …",
            "run",
            kind="whole",
            checks=False,
            metavar="N",
            typed="Train N times with different seeds, and report how much the scores vary.",
        ),
    ]


class SetupChanges(TrainingChoices, total=False):
    """The choices of a setup that can be changed."""

    model: Annotated[ModelLike | None, Choice(None, "Another model.", "network", kind="object")]
    data: Annotated[DataLike, Choice(None, "Other data.", "rows", kind="object")]
    target: Annotated[TargetLike | None, Choice(None, "Another target.", "rows", kind="object")]
    bias: Annotated[float, Choice(None, "Initial value of the biases.", "network", kind="object", in_layers=True)]
    output_units: Annotated[int, Choice(None, "Units of the output layer.", "network", kind="object", in_layers=True)]
    least_units: Annotated[
        int, Choice(None, "Minimum number of units of a hidden layer.", "network", kind="object", in_layers=True)
    ]


def batches_of(task: "Job", chosen: Mapping[str, Any]) -> Batches:
    """Return the batch schedule; evaluations and probes are rounded to steps that record the layers as well."""
    steps, every, patience = chosen["steps"], chosen["layers_every"], chosen["patience"]
    batched = task.objective.batched
    assert batched is not None
    if patience and batched.held_out is None:
        raise SettingError(
            "patience needs a validation loss, but no rows are held back", hint="for example validation=0.2"
        )

    def rounded(cadence: int) -> int:
        return max(math.ceil(cadence / every), 1) * every if every else cadence

    evaluations = chosen["evaluate_every"] or -(-steps // _EVALUATIONS)
    closest = _CLOSEST_PROBES_OF_ALL if task.batch is None else _CLOSEST_PROBES
    probes = max(-(-steps // _PROBES), closest) if chosen["probe_every"] is None else chosen["probe_every"]
    return Batches(
        size=task.batch,
        accumulate=whole("accumulate", chosen["accumulate"]),
        evaluate_every=rounded(evaluations),
        patience=patience,
        probe_every=rounded(probes) if probes else 0,
        best_by=_best_by(batched, chosen["keep"]),
    )


def _best_by(batched: Batched, keep: str) -> str | None:
    """Return the evaluation whose best point is kept; None where the last point is.

    Raises:
        SettingError: where nothing is evaluated, or for another word.
    """
    if keep == "last":
        return None
    if keep != "best":
        raise SettingError(f"keep is 'last' or 'best', not {described(keep)}")
    if batched.held_out is None and batched.measured is None:
        raise SettingError(
            "there is no best evaluation to keep, since nothing is evaluated", hint="hold back rows with validation=…"
        )
    metric = (batched.facts.get("network") or {}).get("metric") or "loss"
    # On the rows trained on, only the loss: what fits them best has the highest accuracy there as well.
    return "training_loss" if batched.held_out is None else f"validation_{metric}"


def method_and_rate(chosen: Mapping[str, Any], settings: dict[str, Any]) -> tuple[Method, Any]:
    """Return the method with its settings, which are removed from `settings`, and its learning rate.

    Without a rate it is that of the method for networks.
    """
    own = {name: settings.pop(name) for name in list(settings) if name not in SCHEDULE_SETTINGS}
    way, rate = method(chosen["method"], **own), chosen["learning_rate"]
    is_settled = rate is not None or not way.takes_rate or callable(chosen["schedule"])
    return way, rate if is_settled else way.spec.network_rate


# Which of the first arguments of `train` is which.


def in_order(
    model: ModelLike | DataLike | None, data: DataLike | ModelLike | None, target: TargetLike | None
) -> tuple[Any, Any, Any]:
    """Return model, data and target; data may come first, as nothing that is data can be a model."""
    if not _is_data(model):
        return model, data, target
    if data is None or _is_model(data):
        return data, model, target
    if target is None and not _is_data_of_its_own(data):
        return None, model, data
    raise SettingError("two data sets and no model were passed", hint="pass validation rows as validation=…")


def _is_data(value: object) -> bool:
    """Tell whether an argument is data and cannot be a model."""
    pair = isinstance(value, tuple) and len(value) == 2 and hasattr(value[0], "shape") and not callable(value[0])
    return pair or isinstance(value, str | os.PathLike | Mapping) or (isinstance(value, Frame) and not callable(value))


def _is_data_of_its_own(value: object) -> bool:
    """Tell whether an argument is data and cannot be a target either."""
    return isinstance(value, Mapping | os.PathLike) or (isinstance(value, tuple) and _is_data(value))


def _is_model(value: object) -> bool:
    """Tell whether an argument is a model: layers, a network, a module or a loss function."""
    return callable(value) or layers_in(value) is not None
