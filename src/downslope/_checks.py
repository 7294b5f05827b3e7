"""What is asked of an argument in more than one place, checked at the door."""

from __future__ import annotations

import numbers
from typing import Any

from downslope._errors import SettingError


def whole(name: str, number: Any, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, NumPy's as well, as Python's own.

    Args:
        name: what the message calls it: the argument's name.
        number: what was given.
        least: the smallest that makes sense.
        most: the largest that does; None for no bound.

    Raises:
        SettingError: for anything else; truth values are no numbers here.

    >>> whole("steps", 100, least=0)
    100
    """
    found = int(number) if isinstance(number, numbers.Integral) and not isinstance(number, bool) else None
    if found is None or found < least or (most is not None and found > most):
        span = f"from {least} up" if most is None else f"from {least} to {most}"
        raise SettingError(f"{name} must be a whole number {span}, not {number!r}")
    return found
