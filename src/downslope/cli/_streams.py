"""Standard output and error on machines as they are: encodings without α, full disks, closed streams.

`print` writes into an `Output` while a command runs. It spells what the encoding lacks, shows control characters of
other people's texts as codes, so that a run or a table cannot steer the terminal, and turns a failed write into one
error.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from downslope._errors import SettingError
from downslope._files import reason
from downslope.cli._spelling import spelled

# Control characters but for line feed and tab, and the marks that reverse the direction of the text after them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class ReaderGone(Exception):  # noqa: N818 - no error, but the usual end of `downslope … | head`
    """What reads the output has ended, as `head` does when it has its lines."""


def visible(text: str) -> str:
    r"""Return a text with codes in place of control characters, as JSON writes them.

    >>> visible("red \x1b[31m")
    'red \\u001b[31m'
    """
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Output(io.TextIOBase):
    """A stream of text that can always be written to.

    It has no `buffer`: Typer would write UTF-8 into that where the encoding is ASCII.

    Args:
        stream: the stream behind it; None for one that is closed, whose text is dropped.
        reports: whether a failed write is raised; not for standard error, where nothing is left to report it on.
        filters: whether control characters are shown as codes; not where a progress bar moves the cursor.
    """

    def __init__(self, stream: TextIO | None, *, reports: bool, filters: bool) -> None:
        self._stream = stream
        self._reports = reports
        self._filters = filters
        self._failure: Exception | None = None  # raised again at each call, as Typer ignores it where it tries streams

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  # a property there as well
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What happens to letters that the encoding lacks: none are left."""
        return "strict"

    def writable(self) -> bool:
        """Tell that text can be written."""
        return True

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def write(self, text: str) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  # the name differs
        """Write a text, spelled so that it can be printed."""
        shown = spelled(visible(text) if self._filters else text, self.encoding)
        # What is left are halves of surrogate pairs, from file names that are no text.
        self._attempt("write", shown.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Write what is waiting."""
        self._attempt("flush")

    def close(self) -> None:
        """Do nothing: the stream belongs to the interpreter."""

    def _attempt(self, name: str, *arguments: Any) -> None:
        """Call a method of the stream.

        Raises:
            ReaderGone: if the reader of a pipe has ended.
            SettingError: if the output cannot be written.
        """
        if self._stream is not None and self._failure is None:
            try:
                getattr(self._stream, name)(*arguments)
            except BrokenPipeError:
                self._fail(ReaderGone())
            except (OSError, ValueError) as error:  # a closed file is a ValueError
                self._fail(SettingError(f"the output cannot be written: {reason(error)}"))
        if self._failure is not None and self._reports:
            raise self._failure

    def _fail(self, failure: Exception) -> None:
        """Write nothing more, and send what the stream still holds nowhere: the interpreter would try it again."""
        self._failure = failure
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def printable() -> Iterator[None]:
    """A context in which `sys.stdout` and `sys.stderr` can be written to, whatever they are."""
    before = sys.stdout, sys.stderr
    sys.stdout = Output(sys.stdout, reports=True, filters=True)
    sys.stderr = Output(sys.stderr, reports=False, filters=False)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def reserve_descriptors() -> None:
    """Open the null device where standard input, output or error is closed.

    Otherwise the next file to be opened would get its number, and what a library prints would end up in that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
            os.set_inheritable(opened, True)


def read_arguments(words: list[str]) -> list[str]:
    """Return arguments as text, where the locale is another than that of the terminal.

    In the locale C without UTF-8, Python takes each byte beyond ASCII for half a surrogate pair. Terminals send UTF-8.

    Raises:
        SettingError: for bytes that are no text in UTF-8 either.
    """
    return [word if word.isascii() else _as_text(word) for word in words]


def _as_text(word: str) -> str:
    """Return an argument whose bytes were not decoded as text; the name of a file that exists stays as it is."""
    if not any("\udc80" <= character <= "\udcff" for character in word) or os.path.lexists(word):
        return word
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        raise SettingError(
            f"the argument {word!r} is not text in UTF-8", hint="formulas may be typed in ASCII: x^2, sqrt(x), alpha"
        ) from None


# Ctrl-C, SIGTERM and SIGHUP: from its first import to its last, the command ends with a word and a code.


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
        """Let signals end the process where it stands."""
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
