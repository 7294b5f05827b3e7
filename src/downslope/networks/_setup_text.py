"""How choices of a training are written: as Python, and as plain data in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from downslope.networks._layer_choices import layers_in, written

_LONGEST = 1000  # entries of a choice that is kept in the trace


def same_choice(one: Any, other: Any) -> bool:
    """Tell whether a choice is another; arrays never are."""
    return type(one) is type(other) and isinstance(one, str | int | float | bool | tuple | None) and one == other


def is_plain(thing: Any) -> bool:
    """Tell whether a thing is kept in a file as it is."""
    if isinstance(thing, list | tuple):
        return len(thing) <= _LONGEST and all(is_plain(part) for part in thing)
    if isinstance(thing, Mapping):
        return all(isinstance(name, str) and is_plain(part) for name, part in thing.items())
    return isinstance(thing, str | int | float | bool | Path | None)


def plain(thing: Any) -> Any:
    """Return a plain thing as a file gives it back."""
    if isinstance(thing, list | tuple):
        return [plain(part) for part in thing]
    return str(thing) if isinstance(thing, Path) else thing


def as_written(thing: Any, name: str) -> str:
    """Return a thing as it is written in Python, or a name for one that is too long to be."""
    layers = layers_in(thing)
    if layers is not None:
        return f"[{', '.join(f'ds.{written(layer)}' for layer in layers)}]"
    if isinstance(thing, Path):
        return repr(str(thing))
    if isinstance(thing, Mapping) and all(isinstance(part, str | int | float | None) for part in thing.values()):
        return repr(dict(thing))
    short = isinstance(thing, str | int | float | bool | None) or (
        isinstance(thing, tuple | list) and len(thing) < 30 and all(isinstance(e, str | int | float) for e in thing)
    )
    return repr(thing) if short else name
