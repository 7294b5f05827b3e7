"""Files that Polars reads although they may be damaged: one error for whatever it raises, and no message of its own.

A damaged file can make Polars panic. That is a `BaseException`, which `except Exception` does not see, and Rust writes
where it happened on standard error before Python hears of it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

from downslope._errors import DownslopeError

_LONGEST = 200  # letters of what Polars says
_one_at_a_time = threading.RLock()  # standard error belongs to the process


@contextlib.contextmanager
def guarded(source: str, kind: type[DownslopeError], *, what: str = "a file that can be read") -> Iterator[None]:
    """A context in which Polars reads bytes that may be damaged.

    Args:
        source: the name of the file, for the error.
        kind: the error to raise.
        what: what the file is not, if it cannot be read.

    Raises:
        DownslopeError: of that kind, in place of whatever Polars raises.
    """
    from polars.exceptions import PanicException

    try:
        with _without_panics():
            yield
    except DownslopeError:
        raise
    except (Exception, PanicException) as error:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        if isinstance(error, PanicException):  # which says where in Polars it happened, and nothing of the file
            reason = "it is damaged"
        raise kind(f"{source} is not {what}: {reason[:_LONGEST]}") from None


@contextlib.contextmanager
def _without_panics() -> Iterator[None]:
    """A context in which messages of panics do not reach standard error; other messages come at its end."""
    with _one_at_a_time, contextlib.ExitStack() as stack:
        try:
            spool = stack.enter_context(tempfile.TemporaryFile())
            before = os.dup(2)
        except OSError:  # standard error is closed, or there is no room for a file
            yield
            return
        stack.callback(os.close, before)
        os.dup2(spool.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            _hand_on(spool)


def _hand_on(spool: IO[bytes]) -> None:
    """Write what other threads printed to standard error; what follows a panic is its trace."""
    spool.seek(0)
    text = spool.read()
    if b" panicked at " in text:
        text = text[: text.index(b"thread '")].rstrip(b"\n") if b"thread '" in text else b""
    with contextlib.suppress(OSError):
        os.write(2, text)
