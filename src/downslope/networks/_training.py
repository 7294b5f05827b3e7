"""Train: the verb from a network and data to a Training. It makes a Plan and goes down it."""

from __future__ import annotations

import dataclasses
import functools
import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, SettingError
from downslope._text import number
from downslope.descent import Batches, Method, Objective, Plan, Record, descend_batches, header_of, method, plan
from downslope.networks._building import Choices, built, loss_of, outputs_of
from downslope.networks._encoding import Encoding
from downslope.networks._examples import Examples, examples_like, prepare
from downslope.networks._facts import facts
from downslope.networks._layers import Layer
from downslope.networks._model import Model, model_of
from downslope.networks._network import Network, network
from downslope.networks._objective import network_objective
from downslope.trace import Journal, Trace, load

_RATES = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "lion": 1e-4, "gradient descent": 0.1}
_OTHER_RATE = 0.01
_EVALUATIONS, _PROBES, _CLOSEST_PROBES = 40, 20, 250


@dataclass(frozen=True, eq=False)
class Training:
    """A network that was trained.

    Args:
        model: the network as it ended, in its own kind.
        trace: what every step left behind.
        encoding: how data become inputs and outputs predictions; None for a loss function.
        notes: what was read of the data and decided, as sentences.
        outputs: from inputs, encoded, to outputs; None for a loss function.
    """

    model: Any
    trace: Trace
    encoding: Encoding | None
    notes: tuple[str, ...]
    outputs: Callable[[Any], np.ndarray] | None

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """What was measured at the end, by name: `validation_accuracy` and its like."""
        columns = self.trace.metrics
        return {name: float(column[-1]) for name, column in columns.items() if name != "step"}

    def predict(self, data: Any) -> np.ndarray:
        """Return predictions for new rows, in the targets' own labels or scale; see `predict`."""
        if self.encoding is None or self.outputs is None:
            raise DataError("a loss function makes no predictions", hint="use the trained parameters, `model`")
        logits = self.trace.facts["network"]["loss"]["from_logits"]
        return self.encoding.decode(self.outputs(self.encoding.encode(data)), from_logits=logits is not False)

    def __str__(self) -> str:
        return "\n".join([*self.notes, str(self.trace), self.verdict])

    @property
    def verdict(self) -> str:
        """The metrics at the end as a sentence."""
        shown = [f"{name.replace('_', ' ')} {number(value)}" for name, value in self.metrics.items() if _is_score(name)]
        return ", ".join(shown)

    def __repr__(self) -> str:
        return f"<Training of {self.trace.last_step} steps, {self.verdict}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self)).replace(chr(10), '<br>')}</p>"


def _is_score(name: str) -> bool:
    """Tell whether a measurement is one that people read."""
    return name.startswith(("training_", "validation_"))


def train(
    model: Any = None,
    data: Any = None,
    target: Any = None,
    *,
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
            layers; a `Network`; an Equinox or Flax NNX module.
        data: what to train on: a CSV or Parquet file, a frame, a mapping of columns, a pair (inputs, targets), or the
            name of a sample such as "digits".
        target: the column to predict, for a table.
        steps: the steps to take.
        batch: examples of a step; None for all of them.
        method: how to step, as for `plan`.
        learning_rate: the rate α; None for 0.001 with Adam and its like, 0.1 with gradient descent, 0.01 with others.
        schedule: how the rate changes, as for `plan`.
        validation: the share of the rows held back, 0 for none; None for a fifth of ten rows or more; or other data.
        patience: evaluations without a better validation loss after which the run ends.
        weight_decay: share of the weights, times the rate, that each step takes away (decoupled, as in AdamW).
        l2: λ of a penalty λ Σ w² on all kernels, part of the loss.
        clip_norm: longest gradient that is stepped along, as for `plan`.
        clip_value: largest entry of the gradient, as for `plan`.
        accumulate: batches whose gradients are averaged for one step.
        mixed_precision: compute in bfloat16, with weights in float32.
        evaluate_every: steps from one evaluation to the next; about 40 in all if None.
        probe_every: steps from one look at the Hessian's ends and the gradient's noise to the next; about 20 in all if
            None, 250 steps apart at least; 0 for none.
        layers_every: steps from one look inside the layers to the next.
        save: a folder to write the run into while it goes on; killed at any moment, it can be gone on with.
        resume: whether to go on with the run in `save`.
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
    training, held = _examples(data, target, validation, seed, standardise, scale_targets, missing, task, drop)
    choices, settings = _sorted(others)
    made, seen = _objective(model, choices, training, held, batch, seed, l2, mixed_precision)
    if weight_decay:
        settings["weight_decay"] = weight_decay
    chosen = _method(method, settings)
    course = {name: settings.pop(name) for name in ("factor", "every", "warm_up") if name in settings}
    planned = plan(
        made,
        seen.point,
        method=chosen,
        learning_rate=_rate(chosen, learning_rate, schedule),
        schedule=schedule,
        steps=steps,
        clip_norm=clip_norm,
        clip_value=clip_value,
        record=Record(layers_every=layers_every, spectrum=False),
        seed=seed,
        batches=_batches(batch, len(training), accumulate, steps, layers_every, evaluate_every, probe_every, patience),
        **course,
    )
    trace = descend_batches(planned, progress=progress, journal=_journal(planned, save, resume))
    return trained(seen, trace, training.encoding, training.notes)


def trained(model: Model, trace: Trace, encoding: Encoding, notes: tuple[str, ...]) -> Training:
    """Return a training from the model it began with and its trace."""
    from downslope import _tree
    from downslope._engine import jax, precision

    _, shape = jax().tree.flatten(model.point)
    point = jax().tree.unflatten(shape, [trace.end[name] for name in _tree.part_names(model.point)])
    kept = trace.facts.get("memory") or []
    _, form = jax().tree.flatten(model.memory)
    memory = jax().tree.unflatten(form, [np.asarray(leaf) for leaf in kept]) if kept else model.memory

    def outputs(inputs: Any) -> np.ndarray:
        with precision("float32"):
            return np.asarray(model.forward(point, memory, np.asarray(inputs), None, False).outputs)

    return Training(model.rebuilt(point, memory), trace, encoding, notes, outputs)


def _examples(
    data: Any,
    target: Any,
    validation: Any,
    seed: int,
    standardise: bool,
    scale: bool,
    missing: Any,
    task: Any,
    drop: Any,
) -> tuple[Examples, Examples | None]:
    """Return what to train on and what to validate."""
    if data is None:
        raise DataError(
            "train on what? no data is given", hint='for example data="digits", or a file with a target column'
        )
    is_share = validation is None or isinstance(validation, int | float)
    made, held = prepare(
        data,
        target,
        validation=validation if is_share else 0,
        seed=seed,
        standardise=standardise,
        scale_targets=scale,
        missing=missing,
        task=task,
        drop=drop,
    )
    if is_share:
        return made, held
    return made, examples_like(made, validation, target, missing=missing)


def _sorted(others: Mapping[str, Any]) -> tuple[Choices, dict[str, Any]]:
    """Return the choices of a network, and the settings that are left."""
    names = {field.name for field in dataclasses.fields(Choices)}
    chosen = {name: value for name, value in others.items() if name in names}
    return Choices(**chosen), {name: value for name, value in others.items() if name not in names}


def _objective(
    model: Any,
    choices: Choices,
    training: Examples,
    held: Examples | None,
    batch: int | None,
    seed: int,
    l2: float,
    mixed: bool,
) -> tuple[Objective, Model]:
    """Return the objective, and the model that it is of."""
    kind = training.kind
    loss = loss_of(choices, kind)
    shape = training.inputs.shape[1:]
    if model is None:
        classes = len(training.encoding.target.categories)
        model = built(choices, shape, outputs_of(choices, loss, training.encoding.outputs, classes), seed)
    elif isinstance(model, Sequence) and all(isinstance(layer, Layer) for layer in model):
        model = network(shape, model, seed=seed)
    _check_inputs(model, shape)
    seen = model_of(model)
    held_out = None if held is None else (held.inputs, held.targets)
    per_step = min(batch or len(training), len(training))
    known = {"data": facts(training, held, seed), "encoding": training.encoding.as_dict()}
    made = network_objective(
        seen,
        (training.inputs, training.targets),
        held_out,
        loss,
        kind,
        batch=per_step,
        l2=l2,
        mixed_precision=mixed,
        facts=known,
    )
    return made, seen


def _check_inputs(model: Any, shape: tuple[int, ...]) -> None:
    """Raise if the examples do not fit into a built-in network."""
    if isinstance(model, Network) and model.inputs != shape:
        raise SettingError(f"the network takes examples of shape {model.inputs}, and these are of shape {shape}")


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
    batch: int | None,
    rows: int,
    accumulate: int,
    steps: int,
    every: int,
    evaluate_every: int | None,
    probe_every: int | None,
    patience: int | None,
) -> Batches:
    """Return how examples are taken; what is looked at falls on steps that look inside the layers as well."""
    for name, value in (("batch", batch), ("accumulate", accumulate), ("evaluate_every", evaluate_every)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise SettingError(f"{name} must be a whole number from 1 up, not {value!r}")

    def rounded(cadence: int) -> int:
        return max(math.ceil(cadence / every), 1) * every

    evaluations = evaluate_every or -(-steps // _EVALUATIONS)
    probes = max(-(-steps // _PROBES), _CLOSEST_PROBES) if probe_every is None else probe_every
    return Batches(
        size=None if batch is None or batch * accumulate >= rows else batch,
        accumulate=accumulate,
        evaluate_every=rounded(evaluations),
        patience=patience,
        probe_every=rounded(probes) if probes else 0,
    )


def _journal(planned: Plan, save: str | Path | None, resume: bool) -> Journal | None:
    """Return the journal of a run: begun, or gone on with."""
    if save is None:
        if resume:
            raise SettingError("resume what?", hint="name the folder of the run with save=")
        return None
    if not resume:
        return Journal.begin(save, header_of(planned))
    told = load(save).plan
    other = [name for name, value in planned.description.items() if told.get(name) != value]
    if other:
        raise SettingError(
            f"the run in {save} was made by another plan: {other[0]} is {told.get(other[0])} there, "
            f"{planned.description[other[0]]} here",
            hint="resume with the same choices as it was begun with",
        )
    return Journal.reopen(save)
