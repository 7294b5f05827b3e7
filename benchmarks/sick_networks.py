"""A recipe as a training of this library: its layers, its method, how many steps.

What a recipe leaves open is what Keras does by default: Glorot's uniform weights, biases of 0, batches of 32, and the
learning rates of `meta.defaults`. An optimizer that is not told is Adam. Epochs that are not told are 20, or as many
as make 2,000 steps. Steps are epochs × ⌈rows / batch⌉, at most 20,000.

Batch normalisation stands before the activation here, wherever a recipe puts it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from sick_data import Data
from sick_faults import UnbuildableError
from sick_losses import loss_of

import downslope as ds

MOST_STEPS = 20_000
_BATCH, _EPOCHS, _LEAST_STEPS = 32, 20, 2000
_RATES = {"sgd": 0.01, "adam": 0.001, "rmsprop": 0.001, "adagrad": 0.001, "adadelta": 0.001}
_OTHER_RATE = 0.001
_KERAS_EPSILON = 1e-7
_INITIALISATIONS = {
    "random_uniform": "uniform_0.05",
    "uniform": "uniform_0.05",
    "random_normal": "normal_0.05",
    "normal": "normal_0.05",
    "truncated_normal": "normal_0.05",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
}
_DECORATIONS = {"activation", "init", "bias_init", "dropout_after", "extra_activations", "note", "name"}
_SHAPES = {"kernel", "pad", "padding", "stride", "strides", "batchnorm"}


def choices_of(recipe: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """Return what `ds.train` is told, but for the network, the data, the steps and the seed.

    Raises:
        UnbuildableError: for an optimizer or a loss that is not known.
    """
    batch = batch_of(recipe, len(data.inputs))
    decay = {name: float(recipe[name]) for name in ("l2", "weight_decay") if recipe.get(name)}
    noted = re.search(r"\bl2\s*=?\s*(\d[\d.]*(?:e-?\d+)?)", str(recipe.get("note", "")).lower())
    if noted and "l2" not in recipe:
        decay["l2"] = float(noted.group(1))
    return {**method_of(recipe), **loss_of(recipe, data.task), **decay, "batch": batch, "task": data.task}


def batch_of(recipe: Mapping[str, Any], rows: int) -> int | None:
    """Return the examples of a batch; None for all."""
    told = recipe.get("batch")
    if isinstance(told, str):
        if told.lower() in ("full", "all"):
            return None
        raise UnbuildableError(f"a batch is a number or 'full', not {told!r}")
    return min(int(told or _BATCH), rows)


def steps_of(recipe: Mapping[str, Any], rows: int) -> tuple[int, float]:
    """Return how many steps are taken, and how many epochs that is."""
    batch = batch_of(recipe, rows) or rows
    of_epoch = math.ceil(rows / batch)
    epochs = recipe.get("epochs")
    wanted = max(_EPOCHS * of_epoch, _LEAST_STEPS) if epochs is None else math.ceil(float(epochs) * of_epoch)
    steps = max(min(wanted, MOST_STEPS), 1)
    return steps, steps / of_epoch


# --- layers ----------------------------------------------------------------------------------------------------------


def network_of(recipe: Mapping[str, Any], shape: tuple[int, ...], seed: int) -> ds.Network:
    """Return the network of a recipe, its weights and biases drawn by a seed.

    Raises:
        UnbuildableError: for a layer or an initialisation that is not known.
    """
    layers, biases = [], {}
    for told in _without_activations(recipe):
        if told.get("bias_init") not in (None, "zeros"):
            biases[len(layers)] = str(told["bias_init"])
        layers = _extended(layers, told)
    try:
        made = ds.network(shape, layers, seed=seed)
    except ds.DownslopeError as error:
        raise UnbuildableError(str(error)) from None
    return _with_biases(made, biases, seed)


def _without_activations(recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the layers, without the activation that a note says was removed.

    DeepCrime counts layers from 0 as Keras lists them, dropout included.
    """
    layers = [dict(layer) for layer in recipe.get("layers") or []]
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
    more = [ds.Activate(name) for name in told.get("extra_activations") or ()]
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


def _initialisation(name: str | None) -> str:
    """Return an initialisation as this library spells it."""
    plain = str(name or "glorot_uniform").strip().lower()
    if plain.startswith("const_"):
        return plain.replace("const_", "constant_", 1)
    return _INITIALISATIONS.get(plain, plain)


def _with_biases(made: ds.Network, biases: Mapping[int, str], seed: int) -> ds.Network:
    """Return the network with the biases of some layers drawn; the library knows only biases that are all alike."""
    import equinox
    import jax.numpy

    for place, name in biases.items():
        count = made.layers[place].bias.shape[0]
        drawn = jax.numpy.asarray(_drawn(name, count, np.random.default_rng([seed, place])), "float32")
        made = equinox.tree_at(lambda network, place=place: network.layers[place].bias, made, drawn)
    return made


def _drawn(name: str, count: int, random: np.random.Generator) -> np.ndarray:
    """Return biases; Keras takes a vector of n numbers for a layer of n inputs and n outputs."""
    who, _, shape = _initialisation(name).partition("_")
    variance = {"glorot": 1 / count, "lecun": 1 / count, "he": 2 / count}.get(who)
    if who in ("ones", "zeros"):
        return np.full(count, float(who == "ones"))
    try:
        if variance is None:
            scale = float(shape)
            plain = {"uniform": (-scale, scale), "constant": (scale, scale)}.get(who)
            return random.uniform(*plain, count) if plain else random.normal(0, abs(scale), count)
    except ValueError:
        raise UnbuildableError(f"there is no initialisation {name!r} here") from None
    if shape == "uniform":
        return random.uniform(-1, 1, count) * math.sqrt(3 * variance)
    return random.normal(0, math.sqrt(variance), count)


# --- method ----------------------------------------------------------------------------------------------------------


def method_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return `method`, `learning_rate` and the settings of a recipe's optimizer.

    Raises:
        UnbuildableError: for an optimizer that is not known.
    """
    told = recipe.get("optimizer") or {"name": "adam"}
    name = str(told.get("name", "adam")).lower().replace(" ", "")
    rate = float(told.get("lr", told.get("learning_rate", _RATES.get(name, _OTHER_RATE))))
    epsilon = float(told.get("eps", told.get("epsilon", _KERAS_EPSILON)))
    betas = {"beta1": float(told.get("b1", told.get("beta_1", 0.9)))}
    betas["beta2"] = float(told.get("b2", told.get("beta_2", 0.999)))
    if "flipped_gradient_sign" in (recipe.get("label") or ()):
        return {"method": _uphill(name, rate, told)}
    if name in ("sgd", "gd", "momentum", "nesterov"):
        return {**_of_momentum(name, told), "learning_rate": rate}
    if name in ("adam", "adamw"):
        return {"method": name, "learning_rate": rate, "epsilon": epsilon, **betas}
    if name == "rmsprop":
        decay = float(told.get("rho", told.get("decay", 0.9)))
        return {"method": name, "learning_rate": rate, "epsilon": epsilon, "decay": decay}
    if name == "adagrad":
        initial = float(told.get("initial", told.get("initial_accumulator_value", 0.1)))
        return {"method": name, "learning_rate": rate, "epsilon": epsilon, "initial": initial}
    return {"method": _of_optax(name, rate)}


def _of_momentum(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return gradient descent with or without momentum."""
    momentum = float(told.get("momentum") or (0.9 if name in ("momentum", "nesterov") else 0.0))
    if not momentum:
        return {"method": "gradient descent"}
    return {"method": "nesterov" if told.get("nesterov") or name == "nesterov" else "momentum", "momentum": momentum}


def _of_optax(name: str, rate: float) -> Any:
    """Return an optimizer that this library has not, as Optax has it."""
    import optax

    found = {"adadelta": optax.adadelta, "adamax": optax.adamax, "nadam": optax.nadam, "lion": optax.lion}.get(name)
    if found is None:
        raise UnbuildableError(f"there is no optimizer {name!r} here")
    return found(rate, eps=_KERAS_EPSILON) if name == "adadelta" else found(rate)


def _uphill(name: str, rate: float, told: Mapping[str, Any]) -> Any:
    """Return an optimizer that adds where it should subtract."""
    import optax

    momentum, nesterov = float(told.get("momentum") or 0) or None, bool(told.get("nesterov"))
    known = {"adam": optax.adam(rate), "rmsprop": optax.rmsprop(rate), "adagrad": optax.adagrad(rate)}
    found = known.get(name) or (optax.sgd(rate, momentum, nesterov) if name == "sgd" else _of_optax(name, rate))
    return optax.chain(found, optax.scale(-1.0))


# --- formulas --------------------------------------------------------------------------------------------------------


def formula_of(recipe: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Return a formula with its header, and the start by name: x, y, z, or the names in the formula by the alphabet."""
    right = re.sub(r"\b(np|numpy|math|jnp|torch|tf)\.", "", str(recipe["formula"]))
    start = recipe["start"]
    if isinstance(start, Mapping):
        point = {name: float(number) for name, number in start.items()}
    else:
        numbers = [float(number) for number in np.atleast_1d(start)]
        found = sorted(set(re.findall(r"\b[a-zA-Z]\w*\b(?!\s*\()", right)) - {"pi", "e", "E"})
        names = found if len(found) == len(numbers) else ["x", "y", "z", "w", "u", "v"][: len(numbers)]
        point = dict(zip(names, numbers, strict=True))
    return f"f({', '.join(point)}) = {right}", point
