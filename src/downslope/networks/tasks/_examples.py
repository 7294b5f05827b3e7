"""The task of a network and examples: the network by its sizes, its loss, and the revival of dead units.

References: Sokar et al., "The dormant neuron phenomenon in deep reinforcement learning", 2023, for the revival.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import Structure, jax, precision
from downslope._errors import DataError, ObjectiveError, SettingError, in_a_line
from downslope._types import Plain, Point, Tree
from downslope.networks._losses import Loss
from downslope.networks._objective import network_objective
from downslope.networks._trained import Batching, Task, trained
from downslope.networks.data import (
    CLASSES,
    NUMBERS,
    TWO_CLASSES,
    Examples,
    Target,
    class_weights,
    examples_like,
    facts,
    prepare,
)
from downslope.networks.layers import (
    FLAT,
    Layer,
    Network,
    activation,
    layers_in,
    network,
)
from downslope.networks.models import Model, model_of
from downslope.networks.tasks._sizes import NetworkChoices, built, loss_of, outputs_of

if TYPE_CHECKING:
    from jax import Array

    from downslope.descent import Objective

_MOST_ROWS = 512
_INWARD = ("weight", "scale", "offset")  # of a unit, along the last axis


def revived(model: Model, point: Point, memory: Tree, inputs: np.ndarray, fresh: Point) -> Point:
    """Return a point whose dead units have newly drawn weights and a bias of 0; the other units keep theirs.

    Args:
        model: a network whose layers are known.
        point: its weights.
        memory: its running means.
        inputs: examples; a unit is dead if it passes no gradient on the first 512 of them.
        fresh: newly drawn weights.
    """
    # As in training, so that batches are normalised by their own mean, without dropout.
    passed = model.forward(point, memory, inputs[:_MOST_ROWS], None, True)
    dead = {
        layer: _dead(name, before)
        for layer, name, before in zip(model.layers[:-1], model.activations, passed.before, strict=False)
    }
    leaves, shape = jax().tree.flatten(point)
    named = zip(_tree.part_names(point), leaves, _tree.leaves(fresh), strict=True)
    return jax().tree.unflatten(shape, [_mixed(part, leaf, new, dead) for part, leaf, new in named])


def _dead(name: str, before: Array) -> np.ndarray:
    """Return which units of a layer pass no gradient on any example, shape (units,)."""
    slope = activation(name).slope
    if slope is None:
        return np.zeros(before.shape[-1], bool)
    flat = np.asarray(slope(before.astype("float32"))) < FLAT
    return np.all(flat, axis=tuple(range(flat.ndim - 1)))


def _mixed(part: str, leaf: Array, new: Array, dead: dict[str, np.ndarray]) -> Array:
    """Return a part in which what leads into dead units comes from a new one."""
    layer, _, kind = part.rpartition("/")
    if layer not in dead or kind not in (*_INWARD, "bias"):
        return leaf
    # What leads out of a dead unit stays: it has had no influence, and gets one with the new weights.
    return jax().numpy.where(dead[layer], 0 if kind == "bias" else new, leaf)


def example_task(
    model: Any,
    choices: NetworkChoices,
    examples: tuple[Examples, Examples | None],
    batching: Batching,
    *,
    seed: int,
    computing: Plain,
    own: Callable[[Any], Structure],
) -> Task:
    """Return the task of a network and examples.

    Args:
        model: the model, as for `train`.
        choices: the choices of a network.
        examples: those for training, and those held back or None, as `read_examples` returns them.
        batching: how many examples a step sees.
        seed: of weights and of the rows held back.
        computing: the choices of `ComputationChoices`, by name.
        own: the function from a model or a loss of the user's to the structure that its programs are kept for.
    """
    training, held = examples
    seen, loss = fitted(model, choices, training.inputs, training.encoding.target, seed)
    computing = weighing(computing, training.encoding.target, training.targets)
    batch = batching.of(len(training))
    objective = network_objective(
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
        computing=computing,
        own=own,
    )
    return network_task(model, choices, seen, training, training.notes, objective, batch)


def network_task(
    model: Any,
    choices: NetworkChoices,
    seen: Model,
    examples: Examples,
    notes: tuple[str, ...],
    objective: Objective,
    batch: int | None,
) -> Task:
    """Return the task of a network and its objective.

    Args:
        model: the model, as for `train`; drawn again for other seeds.
        choices: the choices of a network.
        seen: the model as `fitted` returns it, which training starts from.
        examples: the examples, or a sample of them, that sizes and dead units are taken from.
        notes: what to report on the data.
        objective: the objective to train.
        batch: examples per step; None for all.
    """
    encoding = examples.encoding

    def drawn(other: int) -> Point:
        return fitted(model, choices, examples.inputs, encoding.target, other)[0].point

    def revive(point: Point, memory: Tree, fresh: Point) -> Point:
        return revived(seen, point, memory, examples.inputs, fresh)

    return Task(
        objective=objective,
        start=seen.point,
        batch=batch,
        training=lambda trace: trained(seen, trace, encoding, notes),
        drawn=drawn,
        revived=revive if seen.layers else None,
    )


def read_examples(
    data: Any, target: Any, validation: Any, seed: int, reading: Plain
) -> tuple[Examples, Examples | None]:
    """Return the examples for training and those for validation, or None.

    Args:
        data: the data, as for `examples`.
        target: the column to predict.
        validation: the share of the rows held back, or data of its own.
        seed: of the rows held back.
        reading: further choices of `prepare`, by name.
    """
    if data is None:
        raise DataError("no training data", hint='for example data="digits", or a file with a target column')
    reading = {name: choice for name, choice in reading.items() if name != "streaming"}
    # A number is a share of the rows; anything else is validation data.
    is_share = validation is None or isinstance(validation, int | float)
    training, held = prepare(data, target, validation=validation if is_share else 0, seed=seed, **reading)
    if is_share:
        return training, held
    return training, examples_like(training, validation, target, missing=reading["missing"])


def weighing(computing: Plain, target: Target, targets: np.ndarray) -> Plain:
    """Return the choices of a computation with the weights of classes as numbers in their order, or None.

    Raises:
        SettingError: for weights of numbers, and of classes that there are not.
    """
    return {**computing, "class_weights": class_weights(computing.get("class_weights"), target, targets)}


def fitted(model: Any, choices: NetworkChoices, inputs: np.ndarray, target: Target, seed: int) -> tuple[Model, Loss]:
    """Return the model and its loss, after checking that they fit the examples.

    Args:
        model: a network of any kind, layers, or None.
        choices: the choices of a network.
        inputs: some of the inputs, shape (rows, …).
        target: the target.
        seed: of the weights.

    Raises:
        SettingError: for a network that does not fit.
    """
    if model is None:
        outputs = outputs_of(choices, loss_of(choices, target.kind), target.outputs, len(target.categories))
        model = built(choices, inputs.shape[1:], outputs, seed)
    seen, outputs = fitting_model(model, inputs, seed)
    # A user's network with two outputs for two classes ends in a softmax.
    if choices["loss"] is None and target.kind == TWO_CLASSES and outputs == 2:
        choices = {**choices, "loss": "softmax cross-entropy"}
    loss = loss_of(choices, target.kind)
    _check_outputs(outputs, loss, target, is_chosen=choices["loss"] is not None)
    return seen, loss


def fitting_model(model: Any, inputs: np.ndarray, seed: int) -> tuple[Model, int]:
    """Return a network, or layers, as a model, and the number of its outputs for one example.

    Raises:
        SettingError, ObjectiveError: if it does not take such inputs.
    """
    shape = inputs.shape[1:]
    layers = layers_in(model)
    if layers is None and isinstance(model, list | tuple) and any(isinstance(layer, Layer) for layer in model):
        layers = tuple(model)  # refused below, with the number of what is no layer
    if layers is not None and not isinstance(model, Network):
        model = network(shape, layers, seed=seed)
    # Caught here by its shape: inside JAX it would be an error about a matrix product.
    if isinstance(model, Network) and model.inputs != shape:
        raise SettingError(f"the network takes examples of shape {model.inputs}, and these are of shape {shape}")
    seen = model_of(model)
    return seen, _outputs_of(seen, inputs)


def _outputs_of(model: Model, inputs: np.ndarray) -> int:
    """Return the number of a model's outputs for one example."""
    if model.outputs is not None:
        return int(np.prod(model.outputs))
    # Two rows, so that a model which ignores the batch axis is found out.
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
            f"{called} fails on examples of shape {inputs.shape[1:]}: {in_a_line(error)}",
            hint="an Equinox module maps one example, a Flax NNX module a batch of them",
        ) from error
    if shape[:1] != (2,):
        raise ObjectiveError(f"the model returns outputs of shape {shape} for two examples", hint="one row for each")
    return int(np.prod(shape[1:]))


def _check_outputs(outputs: int, loss: Loss, target: Target, *, is_chosen: bool) -> None:
    """Raise if outputs and targets cannot be compared, or the loss that suits the targets does not suit the outputs."""
    wanted = _wanted_outputs(loss, target)
    # Frameworks train one output under a softmax cross-entropy without a word: a fault that the diagnosis names.
    is_fault = is_chosen and outputs == 1 and loss.name == "softmax cross-entropy" and target.kind != NUMBERS
    if wanted and outputs not in wanted and not is_fault:
        raise SettingError(
            f"the network has {outputs} outputs, and {' or '.join(map(str, wanted))} are needed for "
            f"{', '.join(target.names)} ({loss.name})",
            hint="give its last layer as many",
        )


def _wanted_outputs(loss: Loss, target: Target) -> tuple[int, ...]:
    """Return the numbers of outputs that a network may have; () where any number can be computed with.

    What can be computed, if to no good, is left to the diagnosis: one number against several outputs, and the indices
    of several classes against one output.
    """
    if loss.whole is not None or (target.kind == NUMBERS and target.outputs == 1):
        return ()
    if target.kind == NUMBERS:
        return (target.outputs,)
    # A squared error on classes is computed against one-hot targets, or against the index of the class.
    if target.kind == CLASSES and loss.name != "softmax cross-entropy":
        return 1, len(target.categories)
    if target.kind == TWO_CLASSES and loss.name != "softmax cross-entropy":
        return 1, 2
    return (len(target.categories),)
