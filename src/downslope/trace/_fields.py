"""Plain data in JSON files: encoded without loss, decoded, and read field by field, each with its type.

Arrays and numbers that are not finite are encoded, so that they are restored to the last bit. A field of another type
than it should have is a `TraceError` that names it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Set
from typing import Any, TypeVar

import numpy as np

from downslope._errors import TraceError, described
from downslope._types import Plain

T = TypeVar("T")

_LARGEST_WHOLE = 2**62
_ARRAY, _FLOAT, _MAPPING = {"array", "shape", "type"}, {"float"}, {"mapping"}
_NESTED = (list, dict)
_ENTRIES: tuple[Set[type], Set[type]] = (frozenset({int, float, bool}), frozenset({str}))  # of numbers, of texts
_NOT_FINITE = ("nan", "inf", "-inf")
_DEEPEST = 60  # levels of plain data
_LARGEST_ARRAY = 2**28  # bytes of an array
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


def decoded(value: Any, levels: int = _DEEPEST) -> Any:
    """Invert `encoded`; tuples become lists.

    Raises:
        ValueError: for an encoding that makes no sense, or more than so many levels.
    """
    if isinstance(value, list):
        if levels == 0:
            raise ValueError("it is nested too deeply")
        return [decoded(entry, levels - 1) if isinstance(entry, _NESTED) else entry for entry in value]
    if not isinstance(value, dict):
        return value
    if levels == 0:
        raise ValueError("it is nested too deeply")
    if "array" in value and value.keys() == _ARRAY:
        return _array(decoded(value["array"], levels - 1), value["shape"], value["type"])
    if "float" in value and value.keys() == _FLOAT:
        if value["float"] not in _NOT_FINITE:
            raise ValueError("a number that is not finite has another name")
        return float(value["float"])
    if "mapping" in value and value.keys() == _MAPPING:
        value = value["mapping"]
        if not isinstance(value, dict):
            raise ValueError("a mapping is none")
    return {name: decoded(entry, levels - 1) if isinstance(entry, _NESTED) else entry for name, entry in value.items()}


def _array(entries: Any, shape: Any, kind: Any) -> np.ndarray:
    """Return an array from its entries, its shape and the name of its type."""
    if not isinstance(shape, list) or len(shape) > 32:
        raise ValueError("the shape of an array is none")
    sizes = [size for size in shape if type(size) is int and 0 <= size < 2**48]
    if len(sizes) < len(shape):
        raise ValueError("the shape of an array is none")
    if not isinstance(entries, list) or len(entries) != math.prod(sizes):
        raise ValueError("an array has another shape than its entries")
    dtype = _dtype(kind) if isinstance(kind, str) else None
    if dtype is None or len(entries) * dtype.itemsize > _LARGEST_ARRAY:
        raise ValueError("an array is of no type that is written")
    if not {type(entry) for entry in entries} <= _ENTRIES[dtype.kind == "U"]:
        raise ValueError("an array holds other entries than its type says")
    try:
        return np.array(entries, dtype).reshape(sizes)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None


@functools.lru_cache(maxsize=64)
def _dtype(kind: str) -> np.dtype | None:
    """Return the type of an array from its name; None for one that is not written."""
    return np.dtype(kind) if _TYPE.fullmatch(kind) else None


class Fields:
    """The fields of a JSON object.

    Args:
        value: what should be the object.
        path: where it is, for messages: the file, then the names on the path to it.
        names: the names that it must have, no others; None where any may be there.
    """

    def __init__(self, value: object, path: str, names: Set[str] | None = None) -> None:
        if not isinstance(value, dict):
            raise TraceError(f"{path} is damaged: a mapping is needed, not {described(value)}")
        if names is not None and value.keys() != names:
            wrong = min(value.keys() ^ names)
            state = "is missing" if wrong in names else "is not known"
            raise TraceError(f"{path} is damaged: {wrong[:100]} {state}")
        self.value: dict[str, Any] = value
        self._path = path

    def refusal(self, name: str, needed: str) -> TraceError:
        """Return the error for a field."""
        return self.error(f"{name} must be {needed}, not {described(self.value.get(name))}")

    def error(self, message: str) -> TraceError:
        """Return an error that names the file."""
        return TraceError(f"{self._path} is damaged: {message}")

    def checked(self, name: str, holds: Callable[[Any], bool], needed: str) -> Any:
        """Return a field that fulfils a condition."""
        if not holds(self.value.get(name)):
            raise self.refusal(name, needed)
        return self.value.get(name)

    def whole(self, name: str, least: int = 0) -> int:
        """Return a whole number."""
        return self.checked(name, lambda value: is_whole(value, least), f"a whole number of at least {least}")

    def text(self, name: str) -> str:
        """Return a text."""
        return self.checked(name, is_text, "a text")

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        return self.checked(name, lambda value: isinstance(value, bool), "true or false")

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of names, each of them once."""
        names = self.checked(name, is_list_of(is_text), "a list of names")
        if len(set(names)) < len(names):
            raise self.refusal(name, "a list of different names")
        return tuple(names)

    def plain(self, name: str) -> Any:
        """Return plain data, decoded."""
        try:
            return decoded(self.value[name])
        except ValueError as error:
            raise self.error(f"in {name}, {error}") from None

    def mapping(self, name: str) -> Plain:
        """Return a mapping of plain data, decoded."""
        value = self.plain(name)
        if not isinstance(value, dict):
            raise self.refusal(name, "a mapping")
        return value

    def inner(self, name: str, names: Set[str] | None = None) -> Fields:
        """Return a field that is an object itself."""
        return Fields(self.value.get(name), f"{self._path}: {name}", names)

    def each(self, name: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """Return the entries of a list, each read by a function of the entry and its path."""
        entries = self.checked(name, lambda value: isinstance(value, list), "a list")
        return tuple(read(entry, f"{self._path}: {name} {index}") for index, entry in enumerate(entries))


def is_text(value: Any) -> bool:
    """Tell whether a value is a text."""
    return isinstance(value, str)


def is_whole(value: Any, least: int = 0) -> bool:
    """Tell whether a value is a whole number from `least` up; truth values are none."""
    return type(value) is int and least <= value <= _LARGEST_WHOLE


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return whether a value is a list whose entries fulfil a condition, as a function of the value."""
    return lambda value: isinstance(value, list) and all(holds(entry) for entry in value)


def is_mapping_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return whether a value is a mapping whose entries fulfil a condition, as a function of the value."""
    return lambda value: isinstance(value, Mapping) and all(holds(entry) for entry in value.values())


def optional(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return whether a value is missing or fulfils a condition, as a function of the value."""
    return lambda value: value is None or holds(value)
