"""Random numbers that are the same in NumPy and JAX: a stateless function of seed, step and coordinate.

References: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011 (Threefry-2×32); Box and
Muller, "A note on the generation of random normal deviates", 1958.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

_WORDS = 2.0**32
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_ROUNDS = 20
_PARITY = 0x1BD11BDA


def normal(numpy: ModuleType, seed: Any, step: Any, offset: int, like: Any) -> Any:
    """Return standard normal numbers in the shape of an array.

    Args:
        numpy: `numpy` or `jax.numpy`.
        seed: a whole number below 2³².
        step: the step, a whole number.
        offset: the index of the array's first number among all coordinates.
        like: the array.
    """
    index = (numpy.arange(max(like.size, 1), dtype="uint32") + numpy.uint32(offset)).reshape(like.shape)
    wide = numpy.promote_types(like.dtype, "float32")
    first, second = _pair(numpy, seed, step, index, wide)
    return (numpy.sqrt(-2.0 * numpy.log(first)) * numpy.cos(2 * math.pi * second)).astype(like.dtype)


def uniform(numpy: ModuleType, seed: Any, step: Any, index: Any) -> Any:
    """Return numbers between 0 and 1, uniform and independent, twice as many along the last axis as the indices.

    Args:
        numpy: `numpy` or `jax.numpy`.
        seed: a whole number below 2³².
        step: the step, whole numbers below 2³² that broadcast with the indices.
        index: whole numbers below 2³².
    """
    return numpy.concatenate(_pair(numpy, seed, step, numpy.asarray(index, "uint32"), "float64"), axis=-1)


def _pair(numpy: ModuleType, seed: Any, step: Any, index: Any, dtype: Any) -> tuple[Any, Any]:
    """Return two independent uniform numbers for each index, half a unit above 0 so that their logarithm is finite."""
    words = _threefry(numpy.asarray(seed, "uint32"), numpy.zeros_like(index) + numpy.asarray(step, "uint32"), index)
    first, second = ((word.astype(dtype) + 0.5) / _WORDS for word in words)
    return first, second


def _threefry(key: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Return two words of random bits for a key and a counter of two words each; the key's second word is 0."""
    keys = (key, 0, key ^ _PARITY)
    first = first + key
    for number in range(_ROUNDS):
        turn = _ROTATIONS[number % 8]
        first = first + second
        second = ((second << turn) | (second >> (32 - turn))) ^ first
        if number % 4 == 3:
            group = number // 4 + 1
            first = first + keys[group % 3]
            second = second + keys[(group + 1) % 3] + group
    return first, second
