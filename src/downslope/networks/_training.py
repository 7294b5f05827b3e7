"""Train: the verb from a network and data, or a loss and batches, to a Training. It makes a Plan and goes down it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from downslope._errors import SettingError
from downslope._types import Plain
from downslope.descent import Batches, Method, Record, descend_batches, method, plan
from downslope.networks._building import Choices
from downslope.networks._example_task import example_task
from downslope.networks._folder import journal_of
from downslope.networks._loss_function import function_task
from downslope.networks._stream import is_stream
from downslope.networks._stream_task import stream_task
from downslope.networks._task import Batching, Task
from downslope.networks._trained import Training

_RATES = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "lion": 1e-4, "gradient descent": 0.1}
_OTHER_RATE = 0.01
_EVALUATIONS, _PROBES = 40, 20
# A probe takes about 16 products with the Hessian on a sample of up to four batches: with these distances, a tenth of
# the work at most.
_CLOSEST_PROBES, _CLOSEST_PROBES_OF_ALL = 1000, 250


def train(
    model: Any = None,
    data: Any = None,
    target: Any = None,
    *,
    start: Any = None,
    steps: int = 2000,
    batch: int | None = 32,
    method: str | Method | Any = "adam",
    learning_rate: float | Callable[[Any], Any] | None = None,
    schedule: Any = None,
    validation: float | Any = None,
    patience: int | None = None,
    weight_decay: float = 0.0,
    l2: float = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    mixed_precision: bool = False,
    evaluate_every: int | None = None,
    probe_every: int | None = None,
    layers_every: int = 10,
    save: str | Path | None = None,
    resume: bool = False,
    progress: bool | Callable[[int, int, float], None] | None = None,
    seed: int = 0,
    standardise: bool = True,
    scale_targets: bool = True,
    missing: Any = "refuse",
    task: Any = None,
    drop: str | Sequence[str] = (),
    **others: Any,
) -> Training:
    """Train a network and keep what every step left behind.

    Args:
        model: None for a dense network as `hidden`, `activation` and the other choices of a network say; a sequence of
            layers; a `Network`; an Equinox module, one with its state as a pair, or a Flax NNX module, which come back
            in their own kind; or, with `start`, a loss function of (params, batch), perhaps with `key`.
        data: what to train on: a CSV or Parquet file, a frame, a mapping of columns, a pair (inputs, targets), or the
            name of a sample such as "digits". Or a stream of batches (inputs, targets) of one shape, which is taken as
            it is: an iterator, a loader, a list of pairs. For a loss function any tree of arrays with one entry an
            example along their first axes, or a stream of any batches; a list is a stream.
        target: the column to predict, for a table.
        start: the parameters that a loss function begins with, a tree of arrays or an Equinox module.
        steps: the steps to take.
        batch: examples of a step; None for all of them. A stream has its own.
        method: how to step, as for `plan`.
        learning_rate: the rate α; None for 0.001 with Adam and its like, 0.1 with gradient descent, 0.01 with others.
        schedule: how the rate changes, as for `plan`.
        validation: the share of the rows held back, 0 for none; None for a fifth of ten rows or more; or other data,
            of a stream the only way.
        patience: evaluations without a better validation loss after which the run ends.
        weight_decay: share of the weights, times the rate, that each step takes away (decoupled, as in AdamW).
        l2: λ of a penalty λ Σ w² on all kernels, part of the loss.
        clip_norm: longest gradient that is stepped along, as for `plan`.
        clip_value: largest entry of the gradient, as for `plan`.
        accumulate: batches whose gradients are averaged for one step.
        mixed_precision: compute in bfloat16, with weights in float32.
        evaluate_every: steps from one evaluation to the next; about 40 in all if None.
        probe_every: steps from one look at the Hessian's ends and the gradient's noise to the next; about 20 in all if
            None, 1000 steps apart at least (250 if each sees all examples); 0 for none.
        layers_every: steps from one look inside the layers to the next.
        save: a folder to write the run into while it goes on; killed at any moment, it can be gone on with.
        resume: whether to go on with the run in `save`, to the same numbers; begun if nothing is there.
        progress: as for `descend`.
        seed: of weights, order of examples, dropout and the choice of rows to validate.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do.
        missing: what becomes of missing cells, as for `examples`.
        task: "classes" or "numbers", as for `examples`.
        drop: columns to leave out.
        others: choices of a network (`hidden`, `convolutions`, `activation`, `initialisation`, `normalisation`, `skip`,
            `dropout`, `output_activation`, `loss`, `from_logits`), and settings of the method or the schedule.

    Returns:
        The trained network with its trace.

    Raises:
        DataError, SettingError, ObjectiveError: for what makes no sense, before anything is trained.

    >>> made = train(data="iris", hidden=(16,), steps=1000, progress=False)
    >>> made.metrics["validation_accuracy"] > 0.9
    True
    """
    choices, settings = _sorted(others)
    goal = _goal(
        model,
        start,
        choices,
        (data, target, validation),
        Batching(_whole("batch", batch, none=True), _whole("accumulate", accumulate)),
        seed,
        {"standardise": standardise, "scale_targets": scale_targets, "missing": missing, "task": task, "drop": drop},
        {"l2": _share("l2", l2), "mixed_precision": mixed_precision},
    )
    settings |= {"weight_decay": _share("weight_decay", weight_decay)} if weight_decay else {}
    chosen = _method(method, settings)
    planned = plan(
        goal.objective,
        goal.start,
        method=chosen,
        learning_rate=_rate(chosen, learning_rate, schedule),
        schedule=schedule,
        steps=steps,
        clip_norm=clip_norm,
        clip_value=clip_value,
        record=Record(layers_every, layers_every=layers_every, spectrum=False),
        seed=seed,
        batches=_batches(goal, accumulate, steps, layers_every, evaluate_every, probe_every, patience),
        **settings,
    )
    trace = descend_batches(planned, progress=progress, journal=journal_of(planned, save, resume))
    return goal.training(trace)


def _goal(
    model: Any,
    start: Any,
    choices: Choices,
    given: tuple[Any, Any, Any],
    batching: Batching,
    seed: int,
    reading: Plain,
    computing: Plain,
) -> Task:
    """Return what is to be trained: a loss function, or a network on a stream or on examples."""
    data, target, validation = given
    if start is not None or inspect.isfunction(model) or isinstance(model, functools.partial):
        _refuse("a loss function", choices, {"target": target, **computing, "task": reading["task"]})
        return function_task(model, start, data, validation, batching, seed)
    if is_stream(data, pairs=True):
        _refuse("a stream", None, {"target": target, "drop": reading["drop"]})
        return stream_task(model, choices, data, validation, seed=seed, task=reading["task"], computing=computing)
    return example_task(
        model, choices, data, target, validation, batching, seed=seed, reading=reading, computing=computing
    )


def _refuse(what: str, choices: Choices | None, others: Plain) -> None:
    """Raise for a choice that says nothing of what is trained."""
    plain = (str, tuple, list, int, float)
    asked = {
        name for name, value in others.items() if value is not None and (not isinstance(value, plain) or bool(value))
    }
    if choices is not None:
        asked |= {field.name for field in dataclasses.fields(Choices) if getattr(choices, field.name) != field.default}
    if asked:
        raise SettingError(f"{sorted(asked)[0]} says nothing of {what}", hint="leave it out")


def _sorted(others: Mapping[str, Any]) -> tuple[Choices, dict[str, Any]]:
    """Return the choices of a network, and the settings that are left."""
    names = {field.name for field in dataclasses.fields(Choices)}
    chosen = {name: value for name, value in others.items() if name in names}
    return Choices(**chosen), {name: value for name, value in others.items() if name not in names}


def _method(thing: Any, settings: dict[str, Any]) -> Method:
    """Return the method with those of the settings that are its own; they are taken out."""
    course = ("factor", "every", "warm_up")
    return method(thing, **{name: settings.pop(name) for name in list(settings) if name not in course})


def _rate(chosen: Method, learning_rate: Any, schedule: Any) -> Any:
    """Return the learning rate that was given, or the usual one for networks."""
    if learning_rate is not None or not chosen.takes_rate or callable(schedule):
        return learning_rate
    return _RATES.get(chosen.name, _OTHER_RATE)


def _batches(
    task: Task,
    accumulate: int,
    steps: int,
    every: int,
    evaluate_every: int | None,
    probe_every: int | None,
    patience: int | None,
) -> Batches:
    """Return how examples are taken; what is looked at falls on steps that look inside the layers as well."""
    _whole("evaluate_every", evaluate_every, none=True)
    _whole("probe_every", probe_every, least=0, none=True)
    batched = task.objective.batched
    assert batched is not None
    if _whole("patience", patience, none=True) and batched.held_out is None:
        raise SettingError(
            "patience waits for a better validation loss, and nothing is held back", hint="for example validation=0.2"
        )

    def rounded(cadence: int) -> int:
        return max(math.ceil(cadence / every), 1) * every

    evaluations = evaluate_every or -(-steps // _EVALUATIONS)
    closest = _CLOSEST_PROBES_OF_ALL if task.batch is None else _CLOSEST_PROBES
    probes = max(-(-steps // _PROBES), closest) if probe_every is None else probe_every
    return Batches(
        size=task.batch,
        accumulate=accumulate,
        evaluate_every=rounded(evaluations),
        patience=patience,
        probe_every=rounded(probes) if probes else 0,
    )


def _whole(name: str, number: Any, *, least: int = 1, none: bool = False) -> Any:
    """Return a whole number from `least` up, or None where that is allowed."""
    if (number is None and none) or (isinstance(number, int) and not isinstance(number, bool) and number >= least):
        return number
    raise SettingError(f"{name} must be a whole number from {least} up, not {number!r}")


def _share(name: str, number: Any) -> float:
    """Return a finite number from 0 up."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        raise SettingError(f"{name} must be a number from 0 up, not {number!r}")
    return number
