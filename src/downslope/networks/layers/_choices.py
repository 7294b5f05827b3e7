"""Layers with other choices: what can be changed inside a network that is ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from downslope._errors import SettingError
from downslope.networks.layers._layers import Convolution, Dense, Layer, has_weights
from downslope.networks.layers._network import Network


def layers_in(model: Any) -> tuple[Layer, ...] | None:
    """Return the layers of a model of ours; None for anything else."""
    if isinstance(model, Network):
        return model.plan
    if isinstance(model, list | tuple) and model and all(isinstance(layer, Layer) for layer in model):
        return tuple(model)
    return None


def with_layers(model: Any, choices: Mapping[str, Any]) -> list[Layer]:
    """Return the layers of a model with other choices; those of the output layer are its activation, units and weights.

    Raises:
        SettingError: for a model that is not ours.
    """
    layers = layers_in(model)
    if layers is None:
        raise SettingError(f"nothing can be changed inside a {type(model).__name__}", hint="change it where it is made")
    places = [place for place, layer in enumerate(layers) if has_weights(layer)]
    made, skips = list(layers), choices.get("skip")
    for place in places:
        layer: Any = layers[place]
        of_hidden = {name: choices[name] for name in ("activation", "normalisation", "dropout") if name in choices}
        of_all = {name: choices[name] for name in ("initialisation", "bias") if name in choices}
        if place == places[-1]:
            of_hidden = _of_output(choices)
        else:
            if skips is not None and place != places[0] and _keeps_size(layers, place):
                of_hidden["skip"] = bool(skips)
            if "least_units" in choices and isinstance(layer, Dense):
                of_hidden["units"] = max(layer.units, choices["least_units"])
        made[place] = dataclasses.replace(layer, **of_hidden, **of_all)
    return made


def _of_output(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is chosen of the output layer."""
    found = {}
    if "output_activation" in choices:
        found["activation"] = "linear" if choices["output_activation"] == "auto" else choices["output_activation"]
    if "outputs" in choices:
        found["units"] = choices["outputs"]
    return found


def _keeps_size(layers: Sequence[Any], place: int) -> bool:
    """Tell whether a layer makes as many units as the one before it, so that it can be skipped."""
    layer, before = layers[place], layers[place - 1]
    if isinstance(layer, Dense):
        return isinstance(before, Dense) and before.units == layer.units
    same = isinstance(before, Convolution) and before.channels == layer.channels
    return same and layer.padding == "same" and layer.stride == 1


def written(layer: Layer) -> str:
    """Return a layer as it is written in Python, without what is the default."""
    fields = dataclasses.fields(layer)
    told = [(field.name, getattr(layer, field.name)) for field in fields]
    said = [
        repr(entry) if field.default is dataclasses.MISSING else f"{name}={entry!r}"
        for field, (name, entry) in zip(fields, told, strict=True)
        if field.default is dataclasses.MISSING or entry != field.default
    ]
    return f"{type(layer).__name__}({', '.join(said)})"
