"""The fields of a JSON object from a file, each read with its type; anything else is a `TraceError` that names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any, TypeVar

from downslope._errors import TraceError, described
from downslope._types import Plain
from downslope.trace._plain import decoded

T = TypeVar("T")

_LARGEST = 2**62


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
        return self.checked(name, lambda value: is_whole(value, least), f"a whole number from {least} up")

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
    return type(value) is int and least <= value <= _LARGEST


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
