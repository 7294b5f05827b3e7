"""Standard output and error on real machines: encodings without α, full disks, closed streams.

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
    """The reader of the output has closed it, as `head` does after its last line."""


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
        """The treatment of letters that the encoding lacks: strict, as none are left."""
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

    def keep_to_itself(self) -> None:
        """Write to a descriptor of its own: what compiled libraries print to that of the system goes to the errors."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if self._stream is not None and self._stream.fileno() == 1:
                self._stream.flush()
                own = os.fdopen(os.dup(1), "w", encoding=self.encoding, errors=self._stream.errors)
                os.dup2(2, 1)
                self._stream = own

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
