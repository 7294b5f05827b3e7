"""Parsing of command-line values: points, ranges, pairs, sizes, batches."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Literal

import downslope as ds

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def point(text: str | None, option: str, names: tuple[str, ...], *, is_whole: bool = True) -> dict[str, float]:
    """Return the point that a text such as `x=4,y=3` stands for; `4,3` are the coordinates in order.

    Args:
        text: names and numbers; a number may be an expression without names, such as π/2.
        option: the option that it was typed behind, for the message.
        names: the names that the formula has.
        is_whole: whether each of them needs a number.

    Raises:
        PointError: if there is no text, a piece of it is not `name=number`, or a name has no number.
    """
    example = ",".join(f"{name}={i}" for i, name in enumerate(names, start=1)) or "x=1"
    if text is None:
        raise ds.PointError(f"{option} is missing", hint=f"give every variable a number: {option} {example}")
    pieces = [piece.strip() for piece in _unwrapped(text).replace(";", ",").split(",")]
    if "=" not in text and len(pieces) == len(names) and not {"", *names} & {*pieces}:
        return {name: finite_number(piece, f"{option}: {name}") for name, piece in zip(names, pieces, strict=True)}
    numbers: dict[str, float] = {}
    for piece in pieces:
        name, equals, number = (part.strip() for part in piece.partition("="))
        if not (name and equals and number) or "=" in number:
            raise ds.PointError(f"{option}: {piece!r} is not name=number", hint=f"for example {option} {example}")
        name = _own_name(name, names)
        if name in numbers:
            raise ds.PointError(f"{option}: {name} is given twice")
        numbers[name] = finite_number(number, f"{option}: {name}")
    missing = [name for name in names if name not in numbers]
    if is_whole and missing and all(name in names for name in numbers):
        raise ds.PointError(
            f"{option} has no number for {', '.join(missing)}",
            hint=f"give every variable a number: {option} {example}",
        )
    return numbers


def _unwrapped(text: str) -> str:
    """Return coordinates without the parentheses of (1, 2) or the brackets of [1, 2]."""
    inside = text.strip()
    return inside[1:-1] if (inside[:1], inside[-1:]) in (("(", ")"), ("[", "]")) and "(" not in inside[1:] else text


def plain_name(name: str) -> str:
    """Return a name with its subscript as the library spells it: x₁ is x_1."""
    return re.sub("[₀-₉]+$", lambda match: "_" + match[0].translate(_SUBSCRIPTS), name)


def _own_name(name: str, names: Iterable[str]) -> str:
    """Return a variable's name as the formula spells it: x₁ and x1 are x_1, where only that one is there."""
    alike = [own for own in names if _plain(own) == _plain(name)]
    return alike[0] if name not in names and len(alike) == 1 else name


def _plain(name: str) -> str:
    return name.translate(_SUBSCRIPTS).replace("_", "").replace("{", "").replace("}", "")


def ranges(text: str | None, option: str = "--bounds") -> dict[str, tuple[float, float]] | None:
    """Return the ranges that a text such as `x=-3..3,y=0..1` stands for, or None for none.

    Raises:
        PointError: if a piece of it is not `name=low..high` with low below high.
    """
    if text is None:
        return None
    closed: dict[str, tuple[float, float]] = {}
    for name, (low, high) in open_ranges(text, option).items():
        if low is None or high is None:
            raise ds.PointError(f"{option}: {name} has an open end", hint=f"for example {option} {name}=-3..3")
        closed[name] = (low, high)
    return closed


def open_ranges(text: str, option: str) -> dict[str, tuple[float | None, float | None]]:
    """Return the ranges that a text such as `x=0..,y=..1` stands for, None for an open end.

    Raises:
        PointError: if a piece of it is not `name=low..high` with low below high.
    """
    ends_by_name: dict[str, tuple[float | None, float | None]] = {}
    for piece in text.replace(";", ",").split(","):
        name, _, span = (part.strip() for part in piece.partition("="))
        name = plain_name(name)
        low, dots, high = (part.strip() for part in span.partition(".."))
        if not (name and dots and (low or high)):
            raise ds.PointError(
                f"{option}: {piece.strip()!r} is not name=low..high", hint=f"for example {option} x=-3..3"
            )
        ends = [finite_number(end, f"{option}: {name}") if end else None for end in (low, high)]
        if ends[0] is not None and ends[1] is not None and not ends[0] < ends[1]:
            raise ds.PointError(f"{option}: the range of {name} is empty: {low} is not below {high}")
        ends_by_name[name] = (ends[0], ends[1])
    return ends_by_name


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Return texts such as `t=hour` as a mapping."""
    values = {}
    for text in texts or []:
        name, equals, rest = (part.strip() for part in text.partition("="))
        if not (name and equals and rest):
            raise ds.SettingError(f"{option}: {text!r} is not name=value")
        values[name] = rest
    return values


def column_or_number(text: str) -> str | float:
    """Return the number that a text is, or else the text, as the name of a column or a file."""
    try:
        return float(text)
    except ValueError:
        return text


def deviations(text: str, option: str) -> str | float | dict[str, str | float]:
    """Return a column or number, or several by name: `x=s_x,z=0.1`."""
    if "=" not in text:
        return column_or_number(text)
    by_name = pairs(text.split(","), option)
    return {name: column_or_number(each) for name, each in by_name.items()}


def sizes(text: str, option: str) -> tuple[int, ...]:
    """Return sizes such as `64,64`; no sizes for "none", "0" and "".

    Raises:
        SettingError: if one is not a whole number from 1 up.
    """
    pieces = [piece.strip() for piece in text.replace(";", ",").split(",")]
    if text.strip().lower() in ("", "none", "0"):
        return ()
    for piece in pieces:
        if not piece.isdecimal() or int(piece) < 1:
            raise ds.SettingError(
                f"{option}: {piece!r} is not a whole number of at least 1", hint=f"for example {option} 64,64"
            )
    return tuple(int(piece) for piece in pieces)


def batch(text: str) -> int | None:
    """Return the examples of a step; None for all of them.

    Raises:
        SettingError: if it is neither a whole number from 1 up nor "all".
    """
    count = devices(text, "--batch", example=32)
    return None if count == "all" else count


def devices(text: str, option: str, example: int = 4) -> int | Literal["all"]:
    """Return a whole number, or "all".

    Raises:
        SettingError: for anything else.
    """
    if text.strip().lower() == "all":
        return "all"
    if not text.strip().isdecimal() or int(text) < 1:
        raise ds.SettingError(
            f"{option} is a whole number of at least 1, or all; not {text!r}", hint=f"for example {option} {example}"
        )
    return int(text)


def weights(text: str, option: str) -> str | dict[str, float] | tuple[float, ...]:
    """Return the word, the numbers by label, or the numbers in order that a text stands for.

    Raises:
        SettingError: if a piece is no number.
    """
    if "=" in text:
        by_label = pairs(text.split(","), option)
        return {label: finite_number(number, f"{option}: {label}") for label, number in by_label.items()}
    if any(character.isdigit() for character in text):
        return tuple(finite_number(piece.strip(), option) for piece in text.replace(";", ",").split(","))
    return text.strip().lower()


def beginning(text: str) -> dict[str, Any]:
    """Return the choices that a text such as `steps=100,learning_rate=1` stands for; "none" is None, "true" is True.

    Raises:
        SettingError: if a piece is not `name=value`.
    """
    values = pairs(text.replace(";", ",").split(","), "--begin")
    return {name: _constant(word) for name, word in values.items()}


_CONSTANTS: dict[str, bool | None] = {"none": None, "true": True, "false": False}


def _constant(text: str) -> bool | int | float | str | None:
    """Return the constant or number that a text is, a whole one if it is, or else the text."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    return int(text) if text.isdecimal() else column_or_number(text)


def finite_number(text: str, what: str) -> float:
    """Return the number that a text is, or that an expression without names comes to."""
    try:
        value = float(text)
    except ValueError:
        try:
            value = ds.formula(text)({})
        except ds.DownslopeError:
            raise ds.PointError(f"{what} must be a number, not {text!r}") from None
    if not math.isfinite(value):
        raise ds.PointError(f"{what} must be a finite number, not {text!r}")
    return value
