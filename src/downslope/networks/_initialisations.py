"""How the weights of a layer begin."""

from __future__ import annotations

import math
from typing import Any

from downslope._engine import jax
from downslope._errors import SettingError, nearest

# With these the spread of signals and of gradients is the same from layer to layer: He et al. 2015 for activations that
# are flat on one side, Glorot and Bengio 2010 for symmetric ones, LeCun et al. 1998 for the self-normalising one.
_SUITED = {
    "relu": "he_normal",
    "leaky_relu": "he_normal",
    "elu": "he_normal",
    "gelu": "he_normal",
    "silu": "he_normal",
    "softplus": "he_normal",
    "selu": "lecun_normal",
}
_NAMES = tuple(f"{who}_{shape}" for who in ("glorot", "he", "lecun") for shape in ("uniform", "normal"))
_SCALED = ("uniform", "normal", "constant")
_PLAIN = {"zeros": 0.0, "ones": 1.0}


def suited(activation: str) -> str:
    """Return the initialisation that suits an activation."""
    return _SUITED.get(activation, "glorot_uniform")


def checked(name: str, activation: str) -> str:
    """Return the initialisation's name, "auto" replaced by what suits the activation.

    Raises:
        SettingError: for a name that is not known.
    """
    plain = name.strip().lower().replace(" ", "_").replace("xavier", "glorot").replace("kaiming", "he")
    if plain == "auto":
        return suited(activation)
    if plain in _NAMES or plain in _PLAIN:
        return plain
    kind, _, number = plain.partition("_")
    try:
        scale = float(number)
    except ValueError:
        scale = math.nan
    if kind in _SCALED and math.isfinite(scale):
        return plain
    known = (*_NAMES, *_PLAIN, *(f"{kind}_0.05" for kind in _SCALED))
    close = nearest(plain, known)
    raise SettingError(
        f"there is no initialisation {name!r}; known are {', '.join(known)}, with any number in place of 0.05",
        hint=f"did you mean {close!r}?" if close else None,
    )


def drawn(name: str, key: Any, shape: tuple[int, ...]) -> Any:
    """Return an array drawn by a name that `checked` returned.

    Args:
        name: the initialisation.
        key: JAX random key.
        shape: (…, inputs, outputs); leading axes are those of a convolution's window.
    """
    numpy, random = jax().numpy, jax().random
    if name in _PLAIN:
        return numpy.full(shape, _PLAIN[name], numpy.float32)
    kind, _, number = name.partition("_")
    if kind == "constant":
        return numpy.full(shape, float(number), numpy.float32)
    if kind == "uniform":
        return random.uniform(key, shape, numpy.float32, -float(number), float(number))
    if kind == "normal":
        return float(number) * random.normal(key, shape, numpy.float32)
    return getattr(jax().nn.initializers, name)()(key, shape, numpy.float32)
