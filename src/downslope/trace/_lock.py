"""One writer a run: a lock that ends with its process, however that ends.

The lock is on the file `.NAME.downslope-lock` beside the folder, since the folder itself is replaced as a whole; where
the parent cannot be written to, it is inside. The file says who writes. It is removed when the writing ends; what a
killed writer leaves is unlocked, and the next writer takes it. Readers need no lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from downslope._errors import TraceError
from downslope.trace._folders import beside_name, clear_leftovers, real_path

if TYPE_CHECKING:
    from filelock import BaseFileLock

_SUFFIX = ".downslope-lock"
_LOCKED_BYTES = 1  # at the beginning of the file: on Windows no other process can read them
# What network and other file systems answer that have no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EIO}
_NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def writing(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Be the only writer of a run within a `with` block, and begin without leftovers of killed writers.

    Args:
        folder: the folder of the run; its parents are created.

    Yields:
        The folder, without symbolic links.

    Raises:
        TraceError: at once if the run is being written, naming the process; or if the folder cannot be written.

    Warns:
        RuntimeWarning: if the file system has no locks.
    """
    target = real_path(Path(folder))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquired(target, Path(folder))
    except OSError as error:
        raise TraceError(f"{folder} cannot be written: {error.strerror or error}") from None
    holder = os.getpid()
    try:
        if lock is not None:
            clear_leftovers(target)
        yield target
    finally:
        # A forked child inherits this block, and must not end the lock of its parent.
        if lock is not None and os.getpid() == holder:
            _release(lock)


def _acquired(target: Path, named: Path) -> BaseFileLock | None:
    """Return the held lock of a folder; None if the file system has none."""
    beside, inside = target.with_name(f".{beside_name(target)}{_SUFFIX}"), target / _SUFFIX
    try:
        return _locked(beside, named)
    except OSError as error:
        if error.errno in _NOT_PERMITTED and not beside.exists() and os.access(target, os.W_OK):
            return _locked(inside, named)
        if error.errno in _NOT_PERMITTED and beside.exists():
            hint = f"if no process writes it, remove {beside}"
            raise TraceError(f"{named} cannot be locked: {beside.name} belongs to another user", hint=hint) from None
        raise


def _locked(file: Path, named: Path) -> BaseFileLock | None:
    """Return the held lock on a file, which then says who writes."""
    from filelock import FileLock, Timeout

    # Not one lock a thread: whichever thread ends the block releases it.
    lock = FileLock(file, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        hint = "wait until it ends, or save into another folder"
        raise TraceError(f"{named} is being written by {_writer(file)}", hint=hint) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return _without_locks(file, named, error.strerror or str(error))
    with contextlib.suppress(OSError), file.open("wb") as written:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        who = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since})
        written.write(b" " * _LOCKED_BYTES + who.encode())
    return lock


def _without_locks(file: Path, named: Path, reason: str) -> None:
    """Warn that nothing prevents a second writer."""
    with contextlib.suppress(OSError):
        file.unlink()
    warnings.warn(
        f"the file system of {named} has no locks ({reason}): do not write this run from two processes at a time",
        RuntimeWarning,
        stacklevel=2,
    )


def _release(lock: BaseFileLock) -> None:
    """Remove the file of a held lock, then release it."""
    # In this order: a process that opened the file before sees that it was removed, and creates another.
    with contextlib.suppress(OSError):
        os.unlink(lock.lock_file)
    with contextlib.suppress(OSError):
        lock.release()


def _writer(file: Path) -> str:
    """Return who holds a lock, in words."""
    try:
        with file.open("rb") as opened:
            opened.seek(_LOCKED_BYTES)
            who = json.loads(opened.read(1000))
        process, host, since = int(who["process"]), _printable(who["host"]), _printable(who["since"])
    except (OSError, ValueError, KeyError, TypeError):  # the writer has not written it yet
        return "another process"
    ours = process == os.getpid() and host == socket.gethostname()
    return f"this process ({process}) since {since}" if ours else f"process {process} on {host} since {since}"


def _printable(text: object) -> str:
    """Return a text of a file, which someone else may have written, without control characters."""
    return "".join(letter for letter in str(text)[:100] if letter.isprintable())
