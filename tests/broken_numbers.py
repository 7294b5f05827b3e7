"""Copies of results in which one number, wherever it stands, is NaN or ±∞."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_DEEPEST = 5


def broken(value: Any, number: float, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield copies of a value, each with one of its numbers replaced, with the path to that number."""
    if depth > _DEEPEST or isinstance(value, bool | np.bool_):
        return
    if isinstance(value, float | np.floating):
        yield path, type(value)(number)
    elif isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size:
            yield path, np.full_like(value, number)
            if value.size > 1:
                last = value.copy()
                last.flat[-1] = number
                yield f"{path}[-1]", last
    elif isinstance(value, Mapping):
        for key, entry in list(value.items())[:4]:
            for where, other in broken(entry, number, f"{path}[{key!r}]", depth + 1):
                yield where, {**value, key: other}
    elif isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        for index, entry in list(enumerate(value))[:2]:
            for where, other in broken(entry, number, f"{path}[{index}]", depth + 1):
                yield where, type(value)([*value[:index], other, *value[index + 1 :]])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            for where, other in broken(getattr(value, field.name), number, f"{path}.{field.name}", depth + 1):
                twin = copy.copy(value)
                for name in [name for name in getattr(twin, "__dict__", {}) if name not in _fields(twin)]:
                    del twin.__dict__[name]  # what was derived from the number
                object.__setattr__(twin, field.name, other)
                yield where, twin


def _fields(value: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(value)}
