"""A recipe as a training of this library: its layers, its method, how many steps.

What a recipe leaves open is what Keras does by default: Glorot's uniform weights, biases of 0, batches of 32, and the
learning rates of `meta.defaults`. An optimizer that is not told is Adam. Epochs that are not told are 20, or as many
as make 2,000 steps. Steps are epochs × ⌈rows / batch⌉, at most 20,000.

Batch normalisation stands before the activation here, wherever a recipe puts it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from sick_data import Data
from sick_faults import UnbuildableError
from sick_initialisations import Drawn, initialisation_of
from sick_losses import any_outputs, loss_of
from sick_recipes import activation_of, layer_of, number_in, optimizer_of, snake

import downslope as ds

MOST_STEPS = 20_000
_BATCH, _EPOCHS, _LEAST_STEPS = 32, 20, 2000
_RATES = {"sgd": 0.01, "adam": 0.001, "rmsprop": 0.001, "adagrad": 0.001, "adadelta": 0.001}
_OTHER_RATE = 0.001
KERAS_EPSILON = 1e-7
_DECORATIONS = {"activation", "init", "bias_init", "dropout_after", "extra_activations", "note", "name"}
_SHAPES = {"kernel", "pad", "padding", "stride", "strides", "batchnorm"}


def choices_of(recipe: Mapping[str, Any], data: Data, network: ds.Network | None = None) -> dict[str, Any]:
    """Return what `ds.train` is told, but for the network, the data, the steps and the seed.

    Args:
        recipe: an entry of the file.
        data: its data.
        network: its network, whose number of outputs may suit its loss and still not its targets.

    Raises:
        UnbuildableError: for an optimizer or a loss that is not known.
    """
    batch = batch_of(recipe, len(data.inputs))
    decay = decays_of(recipe)
    loss = loss_of(recipe, data.task)
    if network is not None:
        loss = any_outputs(loss, network.outputs, data)
    return {**method_of(recipe), **loss, **decay, "batch": batch, "task": data.task}


def batch_of(recipe: Mapping[str, Any], rows: int) -> int | None:
    """Return the examples of a batch; None for all."""
    told = recipe.get("batch", recipe.get("batch_size"))
    if isinstance(told, str):
        if re.search(r"\b(full|all|whole|entire)\b", told.lower()):
            return None
        if re.search(r"\b(online|stochastic|single)\b", told.lower()):
            return 1
        if not re.search(r"\d", told):
            raise UnbuildableError(f"a batch is a number or 'full', not {told!r}")
        told = number_in(told, "a batch")
    return min(max(int(told or _BATCH), 1), rows)


def steps_of(recipe: Mapping[str, Any], rows: int) -> tuple[int, float]:
    """Return how many steps are taken, and how many epochs that is."""
    batch = batch_of(recipe, rows) or rows
    of_epoch = math.ceil(rows / batch)
    epochs, steps = recipe.get("epochs"), recipe.get("steps", recipe.get("iterations"))
    wanted = max(_EPOCHS * of_epoch, _LEAST_STEPS)
    if epochs is not None:
        wanted = math.ceil(number_in(epochs, "epochs") * of_epoch)
    elif steps is not None:
        wanted = int(number_in(steps, "steps"))
    taken = max(min(wanted, MOST_STEPS), 1)
    return taken, taken / of_epoch


# --- layers ----------------------------------------------------------------------------------------------------------


def network_of(recipe: Mapping[str, Any], shape: tuple[int, ...], seed: int) -> ds.Network:
    """Return the network of a recipe, its weights and biases drawn by a seed.

    Raises:
        UnbuildableError: for a layer or an initialisation that is not known.
    """
    layers, drawn = [], {}
    for told in _without_activations(recipe):
        for leaf, key in (("weight", "init"), ("bias", "bias_init")):
            distribution = _drawn_of(told.get(key), leaf)
            if distribution is not None:
                drawn[len(layers), leaf] = distribution
        layers = _extended(layers, told)
    try:
        made = ds.network(shape, layers, seed=seed)
    except ds.DownslopeError as error:
        raise UnbuildableError(str(error)) from None
    return _with_drawn(made, drawn, seed)


def has_drawn_leaves(recipe: Mapping[str, Any]) -> bool:
    """Tell whether a network begins with numbers that the library does not draw by itself from its layers."""
    layers = [layer_of(layer) for layer in recipe.get("layers") or []]
    return any(
        _drawn_of(layer.get(key), leaf) is not None
        for layer in layers
        for leaf, key in (("weight", "init"), ("bias", "bias_init"))
    )


def _drawn_of(told: Any, leaf: str) -> str | Drawn | None:
    """Return what a leaf is drawn from here; None where the library draws it: kernels by name, biases of 0."""
    if told is None or (leaf == "bias" and told in ("", "zeros", 0)):
        return None
    distribution = initialisation_of(told)
    return None if leaf == "weight" and isinstance(distribution, str) else distribution


def _without_activations(recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the layers, without the activation that a note says was removed.

    DeepCrime counts layers from 0 as Keras lists them, dropout included.
    """
    layers = [layer_of(layer) for layer in recipe.get("layers") or []]
    if not layers:
        raise UnbuildableError("the recipe has no layers")
    found = re.search(r"activation of layer (\d+) (was )?removed", str(recipe.get("note", "")).lower())
    if found:
        places = [place for place, layer in enumerate(layers) for _ in range(2 if layer.get("dropout_after") else 1)]
        wanted = int(found.group(1))
        place = places[wanted] if wanted < len(places) else len(layers) - 1
        layers[place]["activation"] = "linear"
    return layers


def _extended(layers: list[Any], told: Mapping[str, Any]) -> list[Any]:
    """Return the layers with one more, and with what stands behind it."""
    kinds = set(told) - _DECORATIONS - _SHAPES
    if not kinds and "batchnorm" in told:
        if not layers or not hasattr(layers[-1], "normalisation"):
            raise UnbuildableError("batch normalisation needs a layer with weights before it")
        return [*layers[:-1], dataclasses.replace(layers[-1], normalisation="batch")]
    made = _layer(told, kinds)
    more = [ds.Activate(activation_of(name)) for name in told.get("extra_activations") or ()]
    dropped = float(told.get("dropout_after") or 0)
    return [*layers, made, *more, *([ds.Dropout(dropped)] if dropped else [])]


def _layer(told: Mapping[str, Any], kinds: set[str]) -> Any:
    """Return one layer."""
    if kinds == {"maxpool"}:
        return ds.MaxPool(int(told["maxpool"]))
    if kinds == {"dropout"}:
        return ds.Dropout(float(told["dropout"]))
    if kinds == {"flatten"}:
        return ds.Flatten()
    if not kinds and "activation" in told:
        return ds.Activate(told["activation"])
    common = {
        "activation": told.get("activation") or "linear",
        "initialisation": _initialisation(told.get("init")),
        "normalisation": "batch" if told.get("batchnorm") else "none",
    }
    if kinds == {"units"}:
        return ds.Dense(int(told["units"]), **common)
    if kinds == {"conv"}:
        padding, stride = told.get("pad") or told.get("padding") or "valid", told.get("stride") or told.get("strides")
        return ds.Convolution(
            int(told["conv"]), int(told.get("kernel", 3)), padding=padding, stride=stride or 1, **common
        )
    raise UnbuildableError(f"there is no layer of {', '.join(sorted(kinds)) or 'nothing'} here")


def _initialisation(told: Any) -> str:
    """Return the initialisation that the library draws by; zeros where the numbers are drawn here."""
    distribution = initialisation_of(told)
    return "zeros" if isinstance(distribution, Drawn) else distribution


def _with_drawn(made: ds.Network, drawn: Mapping[tuple[int, str], str | Drawn], seed: int) -> ds.Network:
    """Return the network with leaves drawn here: distributions without a name, and biases that are not all alike."""
    import equinox
    import jax.numpy

    for (place, leaf), distribution in drawn.items():
        weights = made.layers[place]
        if weights is None:
            raise UnbuildableError(f"layer {place} has no {leaf} to begin with")
        random = np.random.default_rng([seed, place, *([] if leaf == "bias" else [1])])
        shape = getattr(weights, leaf).shape
        # A bias of n numbers is drawn like a kernel of n inputs and n units, as Keras takes it.
        numbers = _numbers(distribution, shape, random) if leaf == "weight" else _biases(distribution, shape[0], random)
        leaf_of = functools.partial(_leaf, place=place, name=leaf)
        made = equinox.tree_at(leaf_of, made, jax.numpy.asarray(numbers, "float32"))
    return made


def _leaf(network: ds.Network, *, place: int, name: str) -> Any:
    return getattr(network.layers[place], name)


def _numbers(distribution: str | Drawn, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    assert isinstance(distribution, Drawn)
    return distribution.of(random, shape)


def _biases(distribution: str | Drawn, count: int, random: np.random.Generator) -> np.ndarray:
    """Return biases; Keras takes a vector of n numbers for a layer of n inputs and n outputs."""
    if isinstance(distribution, Drawn):
        return (
            distribution.of(random, (1, count))[0]
            if distribution.kind == "orthogonal"
            else distribution.of(random, (count,))
        )
    who, _, shape = distribution.partition("_")
    variance = {"glorot": 1 / count, "lecun": 1 / count, "he": 2 / count}.get(who)
    if who in ("ones", "zeros"):
        return np.full(count, float(who == "ones"))
    if variance is None:
        scale = float(shape)
        plain = {"uniform": (-scale, scale), "constant": (scale, scale)}.get(who)
        return random.uniform(*plain, count) if plain else random.normal(0, abs(scale), count)
    if shape == "uniform":
        return random.uniform(-1, 1, count) * math.sqrt(3 * variance)
    return random.normal(0, math.sqrt(variance), count)


# --- method ----------------------------------------------------------------------------------------------------------

_METHODS = {
    "stochastic_gradient_descent": "sgd",
    "gradient_descent": "sgd",
    "vanilla_sgd": "sgd",
    "batch_gradient_descent": "sgd",
    "mini_batch_gradient_descent": "sgd",
    "gd": "sgd",
    "sgd_momentum": "momentum",
    "sgdm": "momentum",
    "nag": "nesterov",
    "nesterov_momentum": "nesterov",
}


def method_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return `method`, `learning_rate`, the settings of a recipe's optimizer, and how gradients are clipped.

    Raises:
        UnbuildableError: for an optimizer that is not known.
    """
    name, rate, told = named_method(recipe)
    clips = {key: number_in(told[key], key) for key in ("clip_norm", "clip_value") if told.get(key)}
    return {**_method_of(recipe, name, rate, told), **clips}


def named_method(recipe: Mapping[str, Any]) -> tuple[str, float, dict[str, Any]]:
    """Return the name of a recipe's optimizer as frameworks have it, its rate, and all that is said of it."""
    settings = optimizer_of(recipe.get("optimizer"))
    name = re.sub(r"_optimi[sz]er$", "", snake(str(settings.get("name") or "adam").rpartition(".")[2]))
    name = _METHODS.get(name, name.replace("_", ""))
    return name, number_in(settings.get("lr", _RATES.get(name, _OTHER_RATE)), "a learning rate"), settings


def decays_of(recipe: Mapping[str, Any]) -> dict[str, float]:
    """Return the penalties on weights that a recipe or its note names: `l2`, `weight_decay`."""
    decay = {name: number_in(recipe[name], name) for name in ("l2", "weight_decay") if recipe.get(name)}
    noted = re.search(r"\bl2\s*=?\s*(\d[\d.]*(?:e-?\d+)?)", str(recipe.get("note", "")).lower())
    if noted and "l2" not in recipe:
        decay["l2"] = float(noted.group(1))
    return decay


def _method_of(recipe: Mapping[str, Any], name: str, rate: float, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return `method`, `learning_rate` and settings."""
    epsilon = number_in(told.get("eps", KERAS_EPSILON), "epsilon")
    betas = {f"beta{index}": number_in(told.get(f"b{index}", usual), "beta") for index, usual in ((1, 0.9), (2, 0.999))}
    if "flipped_gradient_sign" in (recipe.get("label") or ()):
        return {"method": _uphill(name, rate, told)}
    if name in ("sgd", "momentum", "nesterov"):
        return {**_of_momentum(name, told), "learning_rate": rate}
    if name in ("adam", "adamw"):
        return {"method": name, "learning_rate": rate, "epsilon": epsilon, **betas}
    if name == "rmsprop":
        decay = number_in(told.get("rho", told.get("decay", 0.9)), "rho")
        return {"method": name, "learning_rate": rate, "epsilon": epsilon, "decay": decay}
    if name == "adagrad":
        initial = number_in(told.get("initial", 0.1), "the first accumulator")
        return {"method": name, "learning_rate": rate, "epsilon": epsilon, "initial": initial}
    return {"method": _of_optax(name, rate)}


def _of_momentum(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return gradient descent with or without momentum."""
    momentum = number_in(told.get("momentum") or (0.9 if name in ("momentum", "nesterov") else 0.0), "momentum")
    if not momentum:
        return {"method": "gradient descent"}
    return {"method": "nesterov" if told.get("nesterov") or name == "nesterov" else "momentum", "momentum": momentum}


def _of_optax(name: str, rate: float) -> Any:
    """Return an optimizer that this library has not, as Optax has it."""
    import optax

    found = {
        "adadelta": optax.adadelta,
        "adamax": optax.adamax,
        "nadam": optax.nadam,
        "lion": optax.lion,
        "amsgrad": optax.amsgrad,
        "radam": optax.radam,
        "adabelief": optax.adabelief,
        "lamb": optax.lamb,
        "rprop": optax.rprop,
    }.get(name)
    if found is None:
        raise UnbuildableError(f"there is no optimizer {name!r} here")
    return found(rate, eps=KERAS_EPSILON) if name == "adadelta" else found(rate)


def _uphill(name: str, rate: float, told: Mapping[str, Any]) -> Any:
    """Return an optimizer that adds where it should subtract."""
    import optax

    momentum = number_in(told.get("momentum") or 0, "momentum") or None
    nesterov = bool(told.get("nesterov"))
    known = {"adam": optax.adam(rate), "rmsprop": optax.rmsprop(rate), "adagrad": optax.adagrad(rate)}
    found = known.get(name) or (optax.sgd(rate, momentum, nesterov) if name == "sgd" else _of_optax(name, rate))
    return optax.chain(found, optax.scale(-1.0))


# --- formulas --------------------------------------------------------------------------------------------------------


def formula_of(recipe: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Return a formula with its header, and the start by name: x, y, z, or the names in the formula by the alphabet."""
    right = re.sub(r"\b(np|numpy|math|jnp|torch|tf)\.", "", str(recipe["formula"]))
    start = recipe["start"]
    if isinstance(start, str):  # "x=1, y=2"
        start = dict(pair.split("=", 1) for pair in re.sub(r"\s", "", start).split(","))
    if isinstance(start, Mapping):
        point = {name: float(number) for name, number in start.items()}
    else:
        numbers = [float(number) for number in np.atleast_1d(start)]
        found = sorted(set(re.findall(r"\b[a-zA-Z]\w*\b(?!\s*\()", right)) - {"pi", "e", "E"})
        names = found if len(found) == len(numbers) else ["x", "y", "z", "w", "u", "v"][: len(numbers)]
        point = dict(zip(names, numbers, strict=True))
    return f"f({', '.join(point)}) = {right}", point
