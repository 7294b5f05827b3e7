"""The exceptions that users can meet, raised when arguments are checked.

    DownslopeError
    ├── FormulaError      text that cannot be read as a formula; shows a caret under the position
    ├── UnitError         units that are unknown or do not fit together
    ├── DataError         a table that cannot be used; names the row and column
    ├── PointError        a point whose names or shapes do not match the objective's
    ├── ObjectiveError    something that is not a differentiable scalar of a point
    ├── SettingError      a method, rate, schedule or budget that makes no sense
    ├── TraceError        a saved trace that is missing, torn beyond repair or of another version
    ├── ExecutorError     an executor that lost a worker and cannot replace it; holds what had ended
    └── MissingExtraError an optional part that is not installed; names the extra

Each message says what came, what was needed, the usual cause and what to type instead. A descent that goes wrong is no
error: it is an `Outcome`.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class DownslopeError(Exception):
    """Bad input, described in a sentence, with what to type instead.

    Args:
        message: what was passed and what was needed.
        hint: what to type instead, or the usual cause; shown on a line of its own.
    """

    __module__ = "downslope"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class FormulaError(DownslopeError):
    """Text that cannot be read as a formula.

    Args:
        message: what came and what was expected.
        text: the formula as it was typed.
        position: index of the offending character in `text`, from 0; None if the whole text is meant.
        width: number of characters to underline.
        hint: what to type instead.
    """

    __module__ = "downslope"

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        position: int | None = None,
        width: int = 1,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.text = text
        self.position = position
        self.width = width

    def __str__(self) -> str:
        lines = [self.message]
        if self.text is not None and self.position is not None:
            lines += _excerpt(self.text, self.position, self.width)
        if self.hint is not None:
            lines.append(self.hint)
        return "\n".join(lines)


class UnitError(DownslopeError):
    """Units that are unknown or do not fit together."""

    __module__ = "downslope"


class DataError(DownslopeError):
    """A table that cannot be used."""

    __module__ = "downslope"


class PointError(DownslopeError):
    """A point whose names or shapes do not match those of the objective."""

    __module__ = "downslope"


class ObjectiveError(DownslopeError):
    """An objective that is not a differentiable scalar function of a point."""

    __module__ = "downslope"


class SettingError(DownslopeError):
    """An invalid setting: a method, rate, schedule or budget."""

    __module__ = "downslope"


class TraceError(DownslopeError):
    """A saved trace that is missing, damaged beyond repair or of another version."""

    __module__ = "downslope"


class ExecutorError(DownslopeError):
    """An executor that cannot continue.

    Args:
        message: what happened.
        hint: what to do instead.
        gathered: the finished results, by the number of their unit or, for some verbs, as a partial result.
    """

    __module__ = "downslope"

    def __init__(self, message: str, *, hint: str | None = None, gathered: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.gathered = gathered


class MissingExtraError(DownslopeError):
    """An optional dependency that is not installed."""

    __module__ = "downslope"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None if none is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown_variable(read_as: str, name: object, known: Sequence[str]) -> PointError:
    """Return the error for a name that is none of a formula's variables; it names them, and the nearest one."""
    close = nearest(str(name), known)
    return PointError(
        f"{read_as} has no variable {name!r}; it has {', '.join(known) or 'none'}",
        hint=f"did you mean {close}?" if close else None,
    )


def described(value: object) -> str:
    """Return a wrong value in words, for a message: a short value as it is typed, else its type.

    >>> described(3), described([]), described("x" * 100)
    ('3', '[]', 'a str')
    """
    if value is None or isinstance(value, str | int | float | list | tuple | dict):
        text = repr(value)
        if len(text) <= 40:
            return text
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def _excerpt(text: str, position: int, width: int, reach: int = 60) -> list[str]:
    """Return the line around `position` and a line with carets under it, cut to a terminal's width."""
    left = max(0, position - reach)
    right = min(len(text), position + width + reach)
    head = "…" if left > 0 else ""
    tail = "…" if right < len(text) else ""
    shown = head + text[left:right].replace("\n", " ").replace("\t", " ") + tail
    return ["    " + shown, "    " + " " * (len(head) + position - left) + "^" * max(1, width)]


# Checks of arguments that several functions share.


_LARGEST = 2**62  # of whole numbers, which compiled programs hold in 64 bits


def whole(name: str, number: Any, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, NumPy's as well, as Python's own.

    Args:
        name: what the message calls it: the argument's name.
        number: the argument.
        least: the smallest that makes sense.
        most: the largest that does; None for the largest that a program holds.

    Raises:
        SettingError: for anything else; truth values are no numbers here.

    >>> whole("steps", 100, least=0)
    100
    """
    # NumPy's durations count as integral.
    kind = getattr(getattr(number, "dtype", None), "kind", "i")
    is_whole = isinstance(number, numbers.Integral) and not isinstance(number, bool) and kind != "m"
    value = int(number) if is_whole else None
    if value is None or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise SettingError(f"{name} must be a whole number {span}, not {described(number)}")
    if value > _LARGEST:
        raise SettingError(f"{name} is too large: {value}")
    return value


def mapping(name: str, value: Any, example: str) -> Mapping[str, Any] | None:
    """Return a mapping by name, or None.

    Raises:
        SettingError: for anything else.
    """
    if value is not None and not isinstance(value, Mapping):
        raise SettingError(
            f"{name} must be a mapping of names, not {described(value)}", hint=f"for example {name}={example}"
        )
    return value


def in_a_line(error: BaseException) -> str:
    r"""Return the kind of an error and the first line of its message.

    >>> in_a_line(ValueError("too long\nby far"))
    'ValueError: too long'
    """
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
