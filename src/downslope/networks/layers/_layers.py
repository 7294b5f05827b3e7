"""The layers that a network is built from, as plain data: what is asked for, before any weight is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from downslope._errors import SettingError, nearest, whole
from downslope._types import Plain
from downslope.networks.layers._activations import activation
from downslope.networks.layers._initialisations import checked

NORMALISATIONS = ("none", "batch", "layer")


@dataclass(frozen=True)
class Dense:
    """A layer of units, each of which sees every input: φ(normalised(xW + b)), then dropout, then the skip.

    Args:
        units: how many outputs.
        activation: φ, one of `activation_names()`.
        initialisation: how W begins: "auto" for what suits the activation, a name such as "he_normal", or
            "uniform_0.05", "normal_0.05", "constant_0.01" with any number.
        bias: what b begins at, the same for every unit.
        normalisation: "none", "batch" (over the batch) or "layer" (over the units).
        skip: whether the layer's input is added to its output; both must be of one shape.
        dropout: share of the outputs set to 0 in each training step.
    """

    units: int
    activation: str = "linear"
    initialisation: str = "auto"
    bias: float = 0.0
    normalisation: str = "none"
    skip: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class Convolution:
    """A layer of channels, each a small window that slides over the image.

    Args:
        channels: how many outputs at each place.
        kernel: side of the window.
        activation, initialisation, bias, normalisation, skip, dropout: as for `Dense`; normalised by channel.
        padding: "valid" (the image shrinks) or "same".
        stride: places from one window to the next.
    """

    channels: int
    kernel: int = 3
    activation: str = "linear"
    initialisation: str = "auto"
    bias: float = 0.0
    normalisation: str = "none"
    skip: bool = False
    dropout: float = 0.0
    padding: str = "valid"
    stride: int = 1


@dataclass(frozen=True)
class MaxPool:
    """The largest of each square of `size` × `size` places."""

    size: int = 2


@dataclass(frozen=True)
class Flatten:
    """An image as one row of numbers."""


@dataclass(frozen=True)
class Dropout:
    """A share of the numbers set to 0 in each training step, the others enlarged to make up for it."""

    share: float = 0.5


@dataclass(frozen=True)
class Activate:
    """An activation by itself."""

    activation: str


Layer = Dense | Convolution | MaxPool | Flatten | Dropout | Activate
_KINDS: dict[str, type] = {
    "dense": Dense,
    "convolution": Convolution,
    "max_pool": MaxPool,
    "flatten": Flatten,
    "dropout": Dropout,
    "activate": Activate,
}


def has_weights(layer: Layer) -> bool:
    """Tell whether a layer has something to learn."""
    return isinstance(layer, Dense | Convolution)


def as_dict(layer: Layer) -> Plain:
    """Return a layer as plain data, with its kind."""
    kind = next(name for name, made in _KINDS.items() if isinstance(layer, made))
    return {"kind": kind, **dataclasses.asdict(layer)}


def from_dict(told: Mapping[str, Any]) -> Layer:
    """Return the layer that `as_dict` told of."""
    return _KINDS[told["kind"]](**{name: entry for name, entry in told.items() if name != "kind"})


def check(layer: Any, place: int) -> Layer:
    """Return a layer with its names as the tables spell them.

    Raises:
        SettingError: for a number out of range or a name that is not known, saying which layer.
    """
    if not isinstance(layer, Layer):
        raise SettingError(
            f"layer {place + 1} is a {type(layer).__name__}",
            hint="layers are Dense, Convolution, MaxPool, Flatten, Dropout",
        )
    if isinstance(layer, Dropout):
        _share(layer.share, place)
    if isinstance(layer, Activate):
        return Activate(activation(layer.activation).name)
    if isinstance(layer, MaxPool):
        return MaxPool(_size("size", layer.size, place))
    return _with_weights(layer, place) if isinstance(layer, Dense | Convolution) else layer


def _with_weights(layer: Dense | Convolution, place: int) -> Layer:
    """Return a layer with weights, checked."""
    _share(layer.dropout, place)
    wanted = ("units",) if isinstance(layer, Dense) else ("channels", "kernel", "stride")
    sizes = {name: _size(name, getattr(layer, name), place) for name in wanted}
    if isinstance(layer, Convolution) and layer.padding not in ("valid", "same"):
        raise SettingError(f"the padding of layer {place + 1} is valid or same, not {layer.padding!r}")
    if layer.normalisation not in NORMALISATIONS:
        close = nearest(str(layer.normalisation), NORMALISATIONS)
        raise SettingError(
            f"layer {place + 1} is normalised by {', '.join(NORMALISATIONS)}, not {layer.normalisation!r}",
            hint=f"did you mean {close!r}?" if close else None,
        )
    name = activation(layer.activation).name
    return dataclasses.replace(layer, **sizes, activation=name, initialisation=checked(layer.initialisation, name))


def _size(name: str, number: Any, place: int) -> int:
    """Return a size, or raise unless it is a whole number from 1 up."""
    return whole(f"{name} of layer {place + 1}", number)


def _share(number: Any, place: int) -> None:
    """Raise unless a share lies in [0, 1)."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1:
        raise SettingError(f"the dropout of layer {place + 1} must be from 0 up to below 1, not {number!r}")
