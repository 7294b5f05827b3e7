"""The built-in network: an Equinox module that maps a batch through its layers and shows what happens in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox
import numpy as np

from downslope._engine import jax
from downslope._errors import ObjectiveError, SettingError, described, whole
from downslope._types import Plain
from downslope.networks.layers._layer import ForwardContext, Layer, Shape, checked_layer, from_dict, located

if TYPE_CHECKING:
    from jax import Array

# Primes: an example of either shape fits no layer but by its rules.
_UNLIKELY = ((1009,), (1013, 1019, 1021))
_LARGEST_SIDE = 1_000_000_000
_OF_UNITS = ("units", "channels", "initialisation")  # a layer with any of these fields has weights


class Passed(NamedTuple):
    """The result of a forward pass of a batch.

    Args:
        outputs: the last layer's outputs, shape (batch, …).
        memory: the running means and variances after this batch.
        before: the pre-activations of each layer with weights.
        after: the activations of each layer with weights.
    """

    outputs: Array
    memory: Any
    before: tuple[Array, ...]
    after: tuple[Array, ...]


class Network(equinox.Module):
    """A network of layers. `network(x)` maps one example, or a batch of them.

    Args:
        layers: the weights, one tree of arrays a layer, None for layers that learn nothing.
        plan: the layers.
        inputs: shape of one example.
        outputs: shape of the outputs for one example.
    """

    layers: tuple[Any, ...]
    plan: tuple[Layer, ...] = equinox.field(static=True)
    inputs: tuple[int, ...] = equinox.field(static=True)
    outputs: tuple[int, ...] = equinox.field(static=True)

    def __call__(self, examples: Any) -> Array:
        """Return the outputs of one example, shape `inputs`, or of a batch of them, without dropout."""
        numpy = jax().numpy
        array = numpy.asarray(examples)
        # One example is mapped as a batch of one.
        alone = array.shape == self.inputs
        passed = self.forward(array[None] if alone else array, self.memory(), None, training=False)
        return passed.outputs[0] if alone else passed.outputs

    def memory(self) -> dict[str, Any]:
        """Return the layers' state between batches, such as running means and variances, at step 0."""
        return {
            f"{index}/{name}": entry
            for index, (layer, weights) in enumerate(zip(self.plan, self.layers, strict=True))
            for name, entry in layer.memory(weights).items()
        }

    def forward(
        self, examples: Any, memory: Any, key: Array | None, *, training: bool, nudges: tuple[Array, ...] | None = None
    ) -> Passed:
        """Map a batch.

        Args:
            examples: shape (batch, *inputs).
            memory: the layers' state between batches.
            key: random key of the dropout; None outside training.
            training: whether units drop out and batches are normalised by their own mean.
            nudges: zeros added to each pre-activation, so that its gradient can be computed; None for nothing.
        """
        values, carried, looked_into = examples, dict(memory), self._recorded
        before, after = [], []
        activated = {activate: looked_into.index(layer) for layer, activate in self._activated.items()}
        for index, (layer, weights) in enumerate(zip(self.plan, self.layers, strict=True)):
            recorded = index in looked_into
            context = ForwardContext(
                training=training,
                # A key of its own for each layer, so that no two layers drop the same units.
                key=None if key is None or not training else jax().random.fold_in(key, index),
                memory=_of_layer(index, carried),
                nudge=nudges[len(before)] if recorded and nudges is not None else None,
            )
            values = layer.forward(weights, values, context)
            # Names are by layer, since several layers have running means.
            carried |= {f"{index}/{name}": entry for name, entry in context.memory.items()}
            if recorded:
                if context.before is None:
                    raise ObjectiveError(
                        f"layer {index + 1}, {layer.as_python()}, has weights and an activation, and records neither",
                        hint="call context.activated(values, self.activation) in its forward",
                    )
                before.append(context.before)
                after.append(context.after)
            elif index in activated:
                after[activated[index]] = values
        return Passed(values, carried, tuple(before), tuple(after))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of the layers that have weights and an activation, in order: `layers/0` and so on."""
        return tuple(f"layers/{index}" for index in self._recorded)

    @property
    def activations(self) -> tuple[str, ...]:
        """The activations of these layers, in order; that of an `Activate` behind a linear layer is the layer's."""
        activated = self._activated
        return tuple(
            getattr(self.plan[activated.get(index, index)], "activation")  # noqa: B009 - not all have one
            for index in self._recorded
        )

    @property
    def _activated(self) -> dict[int, int]:
        """The indices of the activations that stand by themselves, by that of the linear layer that they belong to."""
        shape, recorded, linear = self.inputs, self._recorded, None
        activated: dict[int, int] = {}
        for index, (layer, weights) in enumerate(zip(self.plan, self.layers, strict=True)):
            outputs, name = layer.output_shape(shape), getattr(layer, "activation", None)
            if weights is not None:
                linear = index if index in recorded and name == "linear" else None
            elif isinstance(name, str) and linear is not None:
                activated[linear], linear = index, None
            elif outputs[-1:] != shape[-1:]:
                linear = None  # units of one layer no longer stand along the last axis
            shape = outputs
        return activated

    @property
    def kernels(self) -> tuple[Plain, ...]:
        """How the kernels of these layers lie, in order; see `networks.models._layer_facts`."""
        shape, recorded = self.inputs, self._recorded
        kernels: list[Plain] = []
        for index, (layer, weights) in enumerate(zip(self.plan, self.layers, strict=True)):
            shape = layer.output_shape(shape)
            if index in recorded:
                kernels.append(_kernel(f"layers/{index}", layer, weights, shape))
        behind = range(len(kernels) - 1, -1, -1)
        return tuple(
            {**kernel, "depth": depth, "height": height}
            for depth, (kernel, height) in enumerate(zip(kernels, behind, strict=True))
        )

    @property
    def _recorded(self) -> tuple[int, ...]:
        """The indices of the layers that a training records."""
        pairs = enumerate(zip(self.plan, self.layers, strict=True))
        return tuple(
            index
            for index, (layer, weights) in pairs
            if weights is not None and isinstance(getattr(layer, "activation", None), str)
        )

    def with_weights(self, values: Sequence[float]) -> Network:
        """Return the network with other weights and biases.

        Args:
            values: all of them, one after the other, in the order of the leaves of `layers`.

        Raises:
            SettingError: for another number of values, or values that are not finite.
        """
        leaves, form = jax().tree.flatten(self)
        sizes = [leaf.size for leaf in leaves]
        try:
            numbers = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape != (sum(sizes),) or not np.all(np.isfinite(numbers)):
            raise SettingError(f"the network has {sum(sizes)} weights, which are finite numbers")
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        return jax().tree.unflatten(form, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])

    def describe(self) -> Plain:
        """Return the network as plain data, from which `network_from` builds it again."""
        return {"inputs": list(self.inputs), "layers": [layer.as_dict() for layer in self.plan]}


def _kernel(name: str, layer: Layer, weights: Any, outputs: Shape) -> Plain:
    """Return how a layer's kernel lies, by the convention for layers: a leaf "weight", its units last."""
    leaves = weights if isinstance(weights, Mapping) else vars(weights) if hasattr(weights, "__dict__") else {}
    weight, bias = leaves.get("weight"), leaves.get("bias")
    shape = () if weight is None else np.shape(weight)
    known = len(shape) > 1
    skip = bool(getattr(layer, "skip", False))
    return {
        "layer": name,
        "leaf": f"{name}/weight",
        "bias": None if bias is None else f"{name}/bias",
        "input_axes": list(range(len(shape) - 1)) if known else None,
        "unit_axes": [len(shape) - 1] if known else None,
        "ranges": [[0, side] for side in shape] if known else None,
        "positions": max(int(np.prod(outputs)) // shape[-1], 1) if known else None,
        "bypassed": skip,
        "is_only_way": not skip,
        "normalised": getattr(layer, "normalisation", "none") != "none",
    }


def network(inputs: int | Sequence[int], layers: Sequence[Layer], *, seed: int = 0) -> Network:
    """Return a network with its weights drawn.

    Args:
        inputs: the number of features, or the shape of one example: (height, width) or (height, width, channels).
        layers: the layers in order: `Dense`, `Convolution`, `MaxPool`, `Flatten`, `Dropout`, `Activate`, or of a class
            of your own derived from `Layer`.
        seed: seed of the weights.

    Raises:
        SettingError: for invalid layers, or layers that do not fit the shape of their inputs.

    >>> from downslope import Dense
    >>> small = network(2, [Dense(8, "tanh"), Dense(1)])
    >>> small.outputs, small.layers[0].weight.shape
    ((1,), (2, 8))
    """
    sides = inputs if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes) else (inputs,)
    first = tuple(whole("inputs", side, most=_LARGEST_SIDE) for side in sides)
    seed = whole("seed", seed, least=0)
    if not isinstance(layers, Sequence) or isinstance(layers, str | bytes):
        raise SettingError(f"layers are a list, not {described(layers)}", hint="for example [ds.Dense(8), ds.Dense(1)]")
    plan = tuple(checked_layer(layer, number) for number, layer in enumerate(layers, start=1))
    shape, drawn = first, []
    for index, layer in enumerate(plan):
        # A generator for each layer, so that a layer's weights do not depend on what stands before it.
        random = np.random.default_rng([seed, index])
        outputs = located(index + 1, lambda layer=layer, shape=shape: layer.output_shape(shape))
        drawn.append(_in_float32(layer.initialise(shape, random)))
        shape = _checked_shape(outputs, layer, index + 1)
    if not any(jax().tree.leaves(weights) for weights in drawn):
        raise SettingError("a network needs a layer with weights", hint="for example Dense(1)")
    return Network(tuple(drawn), plan, first, shape)


def network_from(description: Plain, *, seed: int = 0) -> Network:
    """Return the network that `Network.describe` describes, its weights drawn anew.

    Raises:
        TraceError: for a layer of a class that is not defined here.
    """
    return network(description["inputs"], [from_dict(layer) for layer in description["layers"]], seed=seed)


# Layers with other choices: what can be changed inside a network of `Layer`s.


def layers_in(model: Any) -> tuple[Layer, ...] | None:
    """Return the layers of a `Network` or a sequence of layers; None for anything else."""
    if isinstance(model, Network):
        return model.plan
    if isinstance(model, list | tuple) and model and all(isinstance(layer, Layer) for layer in model):
        return tuple(model)
    return None


def with_layers(model: Any, choices: Mapping[str, Any]) -> list[Layer]:
    """Return the layers of a model with other choices; of the last layer only activation, units and weights change.

    Raises:
        SettingError: for a foreign model.
    """
    layers = layers_in(model)
    if layers is None:
        raise SettingError(
            f"nothing can be changed inside a {type(model).__name__}", hint="change the code that builds it"
        )
    indices = [index for index, layer in enumerate(layers) if any(hasattr(layer, name) for name in _OF_UNITS)]
    changed = list(layers)
    for index in indices:
        of_all = {name: choices[name] for name in ("initialisation", "bias") if name in choices}
        if index == indices[-1]:
            own = _of_output(choices)
        else:
            own = {name: choices[name] for name in ("activation", "normalisation", "dropout") if name in choices}
            if (
                choices.get("skip") is not None
                and index != indices[0]
                and _keeps_size(layers[index - 1], layers[index])
            ):
                own["skip"] = bool(choices["skip"])
            if "least_units" in choices and hasattr(layers[index], "units"):
                own["units"] = max(getattr(layers[index], "units"), choices["least_units"])  # noqa: B009 - not all have some
        # The activation may stand behind its layer, by itself.
        behind = _activation_behind(layers, index)
        if behind is not None and "activation" in own:
            changed[behind] = layers[behind].changed(activation=own.pop("activation"))
        changed[index] = layers[index].changed(**own, **of_all)
    return changed


def _activation_behind(layers: Sequence[Layer], index: int) -> int | None:
    """Return the index of the activation by itself that a linear layer has before the next layer with weights."""
    if getattr(layers[index], "activation", "linear") != "linear":
        return None
    for behind, layer in enumerate(layers[index + 1 :], index + 1):
        if any(hasattr(layer, name) for name in _OF_UNITS):
            return None
        if isinstance(getattr(layer, "activation", None), str):
            return behind
    return None


def _of_output(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of the output layer."""
    own = {}
    if "output_activation" in choices:
        own["activation"] = "linear" if choices["output_activation"] == "auto" else choices["output_activation"]
    if "output_units" in choices:
        own["units"] = choices["output_units"]
    return own


def _keeps_size(before: Layer, layer: Layer) -> bool:
    """Tell whether a layer keeps the shape of the outputs of the layer before it, so that it can be skipped.

    The shape of an example is not known for layers in a list. So both map the shapes of examples of unlikely sizes:
    where their outputs agree nevertheless, they agree for any example.
    """
    for example in _UNLIKELY:
        try:
            shape = before.output_shape(example)
            if layer.output_shape(shape) == shape:
                return True
        except Exception:
            continue
    return False


def _of_layer(index: int, memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a network's memory that belong to one layer, by their names in it."""
    prefix = f"{index}/"
    return {name.removeprefix(prefix): entry for name, entry in memory.items() if name.startswith(prefix)}


def _in_float32(weights: Any) -> Any:
    """Return weights with float32 arrays in place of other floats, as everything is trained in float32."""
    return jax().tree.map(lambda leaf: np.asarray(leaf, np.float32), weights)


def _checked_shape(outputs: Any, layer: Layer, number: int) -> Shape:
    """Return the shape of a layer's outputs, or raise if it is none."""
    if not isinstance(outputs, tuple) or not all(isinstance(side, int) and side > 0 for side in outputs):
        raise SettingError(
            f"layer {number}, {layer.as_python()}, gives its output shape as {outputs!r}",
            hint="output_shape returns a tuple of whole numbers, such as (8,)",
        )
    return outputs
