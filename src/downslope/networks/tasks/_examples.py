"""A network and data as something to be trained."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from downslope._engine import jax, precision
from downslope._errors import DataError, ObjectiveError, SettingError
from downslope._types import Plain, Point
from downslope.networks._losses import Loss
from downslope.networks._objective import network_objective
from downslope.networks._revival import revived
from downslope.networks._trained import trained
from downslope.networks.data._examples import Examples, examples_like, prepare
from downslope.networks.data._facts import facts
from downslope.networks.data._target import CLASSES, NUMBERS, TWO_CLASSES, Target
from downslope.networks.layers._building import Choices, built, loss_of, outputs_of
from downslope.networks.layers._network import Network, layers_in, network
from downslope.networks.models._model import Model, model_of
from downslope.networks.tasks._task import Batching, Task


def example_task(
    model: Any,
    choices: Choices,
    data: Any,
    target: Any,
    validation: Any,
    batching: Batching,
    *,
    seed: int,
    reading: Plain,
    computing: Plain,
) -> Task:
    """Return a network and data as something to be trained.

    Args:
        model: what to train, as for `train`.
        choices: what is asked for of a network.
        data: what to train on, as for `examples`.
        target: the column to predict.
        validation: the share of the rows held back, or data of its own.
        batching: how many examples a step sees.
        seed: of weights and of the rows held back.
        reading: further choices of `prepare`, by name.
        computing: further choices of `network_objective`, by name.
    """
    training, held = _examples(data, target, validation, seed, reading)
    seen, loss = fitted(model, choices, training.inputs, training.encoding.target, seed)
    batch = batching.of(len(training))
    made = network_objective(
        seen,
        (training.inputs, training.targets),
        None if held is None else (held.inputs, held.targets),
        loss,
        training.kind,
        batch=batch or len(training),
        facts={
            "data": facts(training, held, seed),
            "encoding": training.encoding.as_dict(),
            "notes": list(training.notes),
        },
        **computing,
    )
    encoding, notes = training.encoding, training.notes

    def drawn(other: int) -> Point:
        return fitted(model, choices, training.inputs, encoding.target, other)[0].point

    def revive(point: Point, memory: Any, fresh: Point) -> Point:
        return revived(seen, point, memory, training.inputs, fresh)

    return Task(
        objective=made,
        start=seen.point,
        batch=batch,
        training=lambda trace: trained(seen, trace, encoding, notes),
        drawn=drawn,
        revived=revive if seen.layers else None,
    )


def _examples(data: Any, target: Any, validation: Any, seed: int, reading: Plain) -> tuple[Examples, Examples | None]:
    """Return what to train on and what to validate."""
    if data is None:
        raise DataError(
            "train on what? no data is given", hint='for example data="digits", or a file with a target column'
        )
    is_share = validation is None or isinstance(validation, int | float)
    made, held = prepare(data, target, validation=validation if is_share else 0, seed=seed, **reading)
    if is_share:
        return made, held
    return made, examples_like(made, validation, target, missing=reading["missing"])


def fitted(model: Any, choices: Choices, inputs: np.ndarray, target: Target, seed: int) -> tuple[Model, Loss]:
    """Return the model to train and its loss, which fit examples and targets.

    Args:
        model: what to train: a network of any kind, layers, or None.
        choices: what is asked for of a network.
        inputs: some of the inputs, shape (rows, …).
        target: what is predicted.
        seed: of the weights.

    Raises:
        SettingError: for a network that does not.
    """
    if model is None:
        outputs = outputs_of(choices, loss_of(choices, target.kind), target.outputs, len(target.categories))
        model = built(choices, inputs.shape[1:], outputs, seed)
    seen, outputs = given_model(model, inputs, seed)
    if choices.loss is None and target.kind == TWO_CLASSES and outputs == 2:
        choices = dataclasses.replace(choices, loss="softmax cross-entropy")
    loss = loss_of(choices, target.kind)
    _check_outputs(outputs, loss, target)
    return seen, loss


def given_model(model: Any, inputs: np.ndarray, seed: int) -> tuple[Model, int]:
    """Return a network, or layers, as a model, and how many numbers it makes of one example.

    Raises:
        SettingError, ObjectiveError: if it does not take examples of these inputs.
    """
    shape = inputs.shape[1:]
    layers = layers_in(model)
    if layers is not None and not isinstance(model, Network):
        model = network(shape, layers, seed=seed)
    if isinstance(model, Network) and model.inputs != shape:
        raise SettingError(f"the network takes examples of shape {model.inputs}, and these are of shape {shape}")
    seen = model_of(model)
    return seen, _outputs_of(seen, inputs)


def _outputs_of(model: Model, inputs: np.ndarray) -> int:
    """Return how many numbers a model makes of one example."""
    some = np.repeat(inputs[:1], 2, axis=0)
    try:
        with precision("float32"):
            shape = (
                jax()
                .eval_shape(lambda batch: model.forward(model.point, model.memory, batch, None, False).outputs, some)
                .shape
            )
    except Exception as error:
        called = model.description.get("class", "the network")
        raise ObjectiveError(
            f"{called} fails on examples of shape {inputs.shape[1:]}: {type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]}",
            hint="an Equinox module maps one example, a Flax NNX module a batch of them",
        ) from error
    if shape[:1] != (2,):
        raise ObjectiveError(f"the model makes outputs of shape {shape} of two examples", hint="one row for each")
    return int(np.prod(shape[1:]))


def _check_outputs(outputs: int, loss: Loss, target: Target) -> None:
    """Raise if outputs and targets cannot be compared."""
    wanted = _wanted_outputs(loss, target)
    if wanted and outputs not in wanted:
        raise SettingError(
            f"the network has {outputs} outputs, and {' or '.join(map(str, wanted))} are needed for "
            f"{', '.join(target.names)} ({loss.name})",
            hint="give its last layer as many",
        )


def _wanted_outputs(loss: Loss, target: Target) -> tuple[int, ...]:
    """Return how many outputs a network may have; none where it cannot be told.

    What can be computed, if to no good, is left to the diagnosis: one number against several outputs, and the places of
    several classes against one.
    """
    if loss.whole is not None or (target.kind == NUMBERS and target.outputs == 1):
        return ()
    if target.kind == NUMBERS:
        return (target.outputs,)
    if target.kind == CLASSES and loss.name != "softmax cross-entropy":
        return 1, len(target.categories)
    if target.kind == TWO_CLASSES and loss.name != "softmax cross-entropy":
        return 1, 2
    return (len(target.categories),)
