"""Plain data as JSON types and back, to the last bit: arrays and numbers that are not finite are encoded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._errors import TraceError

_ARRAY, _FLOAT, _MAPPING = {"array", "shape", "type"}, {"float"}, {"mapping"}
_NOT_FINITE = ("nan", "inf", "-inf")
_LARGEST = 2**28  # bytes of an array
# A type by name: no list of fields, and no wide text, of which a short list would fill the memory.
_TYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|<U\d{1,3}")


def encoded(value: Any) -> Any:
    """Convert plain data to JSON types; arrays and numbers that are not finite become mappings.

    >>> encoded({"rate": float("inf"), "widths": (8, 8)})
    {'rate': {'float': 'inf'}, 'widths': [8, 8]}
    """
    if isinstance(value, Mapping):
        plain = {str(name): encoded(entry) for name, entry in value.items()}
        if len(plain) < len(value):
            raise TraceError(f"two of the keys {', '.join(map(repr, value))} are the same as text", hint="rename one")
        # A user's mapping with the same keys as an encoding must not be decoded as one.
        return {"mapping": plain} if plain.keys() in (_ARRAY, _FLOAT, _MAPPING) else plain
    if isinstance(value, np.ndarray):
        return {"array": encoded(value.ravel().tolist()), "shape": list(value.shape), "type": str(value.dtype)}
    if isinstance(value, np.generic):
        return encoded(value.item())
    if isinstance(value, list | tuple):
        return [encoded(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def decoded(value: Any) -> Any:
    """Invert `encoded`; tuples become lists.

    Raises:
        ValueError: for an encoding that makes no sense.
    """
    if isinstance(value, list):
        return [decoded(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _ARRAY:
        return _array(decoded(value["array"]), value["shape"], value["type"])
    if value.keys() == _FLOAT:
        if value["float"] not in _NOT_FINITE:
            raise ValueError("a number that is not finite has another name")
        return float(value["float"])
    if value.keys() == _MAPPING:
        value = value["mapping"]
        if not isinstance(value, dict):
            raise ValueError("a mapping is none")
    return {name: decoded(entry) for name, entry in value.items()}


def _array(entries: Any, shape: Any, kind: Any) -> np.ndarray:
    """Return an array from its entries, its shape and the name of its type."""
    if not isinstance(shape, list) or len(shape) > 32:
        raise ValueError("the shape of an array is none")
    sizes = [size for size in shape if type(size) is int and 0 <= size < 2**48]
    if len(sizes) < len(shape):
        raise ValueError("the shape of an array is none")
    if not isinstance(entries, list) or len(entries) != math.prod(sizes):
        raise ValueError("an array has another shape than its entries")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind) or len(entries) * np.dtype(kind).itemsize > _LARGEST:
        raise ValueError("an array is of no type that is written")
    if any(
        isinstance(entry, list | dict | None) or isinstance(entry, str) != kind.startswith("<U") for entry in entries
    ):
        raise ValueError("an array holds other entries than its type says")
    try:
        return np.array(entries, np.dtype(kind)).reshape(sizes)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
