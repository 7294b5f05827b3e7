"""Atomic writing of result files, and reading of files by Polars that may be damaged."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from downslope._errors import DownslopeError, SettingError


@contextlib.contextmanager
def written(file: Path, kind: type[DownslopeError] = SettingError) -> Iterator[Path]:
    """A context in which a file is written; its folder is made, and the old file or the new one is there at any moment.

    Args:
        file: the file.
        kind: the error to raise.

    Yields:
        The file to write: one beside it, which takes its name at the end; or itself, if it is a device or a pipe, or
        if its folder cannot be written.

    Raises:
        DownslopeError: of that kind, naming the file, for whatever the system refuses.
    """
    beside = None
    try:
        target = Path(os.path.realpath(file))  # a link stays
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(target)
        yield beside or file
        if beside is not None:
            if target.exists():
                shutil.copymode(target, beside)
            os.replace(beside, target)
    except BaseException as error:
        if beside is not None:
            with contextlib.suppress(OSError, ValueError):
                beside.unlink(missing_ok=True)
        if isinstance(error, OSError | UnicodeError):
            raise kind(f"{file} cannot be written: {reason(error)}") from None
        raise


def _beside(target: Path) -> Path | None:
    """Return an unused name beside a file, with its suffix, by which writers know the format; None for no regular file.

    None as well where the file may be written and its folder may not, and where neither may, which the writer refuses.
    """
    if target.exists() and not (target.is_file() and os.access(target, os.W_OK) and os.access(target.parent, os.W_OK)):
        return None
    stem = target.stem if len(os.fsencode(target.name)) <= _LONGEST_NAME else target.stem[: _LONGEST_NAME // 8]
    return target.with_name(f".{stem}-{secrets.token_hex(4)}.partial{target.suffix}")


_LONGEST_NAME = 230  # bytes, so that the name beside it has at most the 255 that file systems allow


def refuse_unwritable(file: Path, kind: type[DownslopeError] = SettingError) -> None:
    """Raise if a file can certainly not be written, before the work whose result it is to hold.

    Raises:
        DownslopeError: of that kind, for a folder, a name that is too long, and a parent that is a file or read-only.
    """
    try:
        if file.is_dir():
            raise kind(f"{file} is a folder", hint="name a file in it")
        parent = next(folder for folder in file.absolute().parents if os.path.lexists(folder))
    except (OSError, ValueError) as error:
        raise kind(f"{file} cannot be written: {reason(error)}") from None
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise kind(f"{file} cannot be written: {parent} is not a writable folder")


def reason(error: Exception) -> str:
    """Return the reason of the operating system, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# Files that Polars reads although they may be damaged: one error for whatever it raises, and no message of its own.


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
