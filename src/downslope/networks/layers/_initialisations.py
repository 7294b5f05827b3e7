"""The initial weights of a layer."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

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
InitialisationName = Literal[
    "auto",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "zeros",
    "ones",
]
_SCALED = ("uniform", "normal", "constant")
_PLAIN = {"zeros": 0.0, "ones": 1.0}
_MOST_WEIGHTS = 2**31  # of a layer: 16 GB while they are drawn in float64
_CUT_DEVIATION = 0.87962566103423978  # of a normal number that is truncated at ±2


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


def drawn(name: str, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return float32 weights drawn by NumPy, which compiles nothing.

    Args:
        name: the initialisation, as `checked` returns it. Those named after people and "normal" are truncated at two
            standard deviations and keep their variance.
        random: the generator.
        shape: (…, inputs, outputs); leading axes are those of a convolution's window.
    """
    if math.prod(shape) > _MOST_WEIGHTS:
        raise SettingError(
            f"a layer of {shape[-1]} units would have {math.prod(shape)} weights", hint="take fewer units"
        )
    kind, _, number = name.partition("_")
    if name in _PLAIN or kind == "constant":
        return np.full(shape, _PLAIN.get(name) if name in _PLAIN else float(number), np.float32)
    if kind in _SCALED:
        spread = float(number)
        numbers = random.uniform(-spread, spread, shape) if kind == "uniform" else random.normal(0, spread, shape)
        return numbers.astype(np.float32)
    deviation = math.sqrt(_variance(kind, shape))
    if number == "uniform":
        # A uniform distribution on ±a has the variance a²/3.
        return random.uniform(-math.sqrt(3) * deviation, math.sqrt(3) * deviation, shape).astype(np.float32)
    # Truncation lowers the variance; the division restores it.
    return (deviation / _CUT_DEVIATION * _cut_normal(random, shape)).astype(np.float32)


def _variance(kind: str, shape: tuple[int, ...]) -> float:
    """Return the variance of weights that keeps that of signals, of gradients, or of both on average."""
    window = math.prod(shape[:-2])
    # Each unit adds up one term for each pixel of the window and channel.
    inward, outward = window * shape[-2], window * shape[-1]
    return {"he": 2 / inward, "lecun": 1 / inward, "glorot": 2 / (inward + outward)}[kind]


def _cut_normal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return normal numbers, redrawn where they lie beyond two standard deviations."""
    numbers = random.normal(size=shape)
    while np.any(beyond := np.abs(numbers) > 2):
        numbers[beyond] = random.normal(size=int(beyond.sum()))
    return numbers
