"""Plain data as JSON knows it, so that arrays and numbers that are not finite come back as they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_ARRAY, _FLOAT, _MAPPING = {"array", "shape", "type"}, {"float"}, {"mapping"}


def encoded(thing: Any) -> Any:
    """Return a thing as JSON knows it: arrays and numbers that are not finite by what they are.

    >>> encoded({"rate": float("inf"), "widths": (8, 8)})
    {'rate': {'float': 'inf'}, 'widths': [8, 8]}
    """
    if isinstance(thing, Mapping):
        plain = {str(name): encoded(entry) for name, entry in thing.items()}
        # A mapping that happens to look like one of ours must not be read as one.
        return {"mapping": plain} if plain.keys() in (_ARRAY, _FLOAT, _MAPPING) else plain
    if isinstance(thing, np.ndarray):
        return {"array": encoded(thing.ravel().tolist()), "shape": list(thing.shape), "type": str(thing.dtype)}
    if isinstance(thing, np.generic):
        return encoded(thing.item())
    if isinstance(thing, list | tuple):
        return [encoded(entry) for entry in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return {"float": str(thing)}
    return thing


def decoded(thing: Any) -> Any:
    """Return what `encoded` was given, with lists for tuples."""
    if isinstance(thing, list):
        return [decoded(entry) for entry in thing]
    if not isinstance(thing, dict):
        return thing
    if thing.keys() == _ARRAY:
        return np.array(decoded(thing["array"]), dtype=np.dtype(thing["type"])).reshape(thing["shape"])
    if thing.keys() == _FLOAT:
        return float(thing["float"])
    if thing.keys() == _MAPPING:
        thing = thing["mapping"]
    return {name: decoded(entry) for name, entry in thing.items()}
