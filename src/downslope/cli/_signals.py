"""Ctrl-C, SIGTERM and SIGHUP: at any time, the command ends with a message and an exit code.

While modules load and after the output is written, nothing can be lost: the process ends at once. Between the two, the
signal is raised as `KeyboardInterrupt`, so that files are closed and locks released. Descents and trainings note
Ctrl-C and end at a whole step; SIGTERM and SIGHUP are handed to them as if they were Ctrl-C. A signal that is ignored,
as SIGHUP is under `nohup`, stays ignored.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any
else:
    # What `signal` wraps in enumerations. Importing those takes milliseconds in which Ctrl-C still prints a traceback.
    import _signal as signal

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_LEAST_WAIT = 0.05  # seconds before a signal that was swallowed is sent again


class Signals:
    """The signals that ask this process to stop; as a context, a command that runs."""

    def __init__(self) -> None:
        self._heeded = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
        self._source, self._sink = -1, -1

    def end_at_once(self) -> None:
        """Let signals end the process at once."""
        for number in self._heeded:
            signal.signal(number, _end)

    def __enter__(self) -> Signals:
        # The numbers of all signals come through a pipe, also of those that a descent notes and does not raise.
        self._source, self._sink = os.pipe()
        if hasattr(os, "set_blocking"):
            os.set_blocking(self._source, False)
            os.set_blocking(self._sink, False)
            signal.set_wakeup_fd(self._sink, warn_on_full_buffer=False)
        sys.unraisablehook = _raise_again
        for number in self._heeded:
            signal.signal(number, self._raise)
        return self

    def __exit__(self, *_: object) -> None:
        self.end_at_once()
        sys.unraisablehook = sys.__unraisablehook__
        signal.set_wakeup_fd(-1)

    @property
    def received(self) -> int | None:
        """The first signal that asked to stop since this was last read, or None."""
        try:
            numbers = os.read(self._source, 1 << 16)
        except OSError:  # none came, or there is no pipe
            return None
        return next((number for number in numbers if number in self._heeded), None)

    def forget(self) -> None:
        """Forget what was received; called where a signal is the usual way to end."""
        _ = self.received

    def _raise(self, number: int, frame: FrameType | None) -> None:
        """Hand a signal on as Ctrl-C."""
        noting: Any = signal.getsignal(signal.SIGINT)
        if callable(noting) and noting not in (self._raise, signal.default_int_handler):
            noting(signal.SIGINT, frame)
        elif _imports(frame):
            _end(number, frame)
        else:
            raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    """End the process without unwinding, which could print a traceback of whatever was being imported."""
    try:
        os.write(2, b"Stopped.\n")
    finally:
        os._exit(128 + number)


def _imports(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported: an exception in the middle of it crashes some that are written in C."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _raise_again(unraisable: Any) -> None:
    """Send Ctrl-C again where it was raised in a destructor or a callback, from which nothing is handed on."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import _thread
    import threading

    threading.Timer(_LEAST_WAIT, _thread.interrupt_main).start()
