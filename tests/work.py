"""Work counted in function calls: a bound that holds on a slow machine as on a fast one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class TooMuchWorkError(AssertionError):
    """A function called more functions than it may."""


def calls_of(function: Callable[[], Any], at_most: int) -> int:
    """Return how many functions, Python's and C's, a call of a function calls on this thread.

    Args:
        function: what to call.
        at_most: the bound; the first call beyond it ends the function, so a blow-up fails at once.

    Raises:
        TooMuchWorkError: beyond the bound.
    """
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")
        if count > at_most:
            sys.setprofile(None)
            raise TooMuchWorkError(f"more than {at_most} function calls")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count
