"""Atomic replacement of run folders: the old one or the new one is there at any moment.

A folder is written beside its target, as `.NAME-xxxxxxxx.new`, and then exchanged with it, in one step where the system
can. Elsewhere the old one is first renamed to `.NAME-xxxxxxxx.old`; until the new one has its name, readers find the
old one there. What a killed writer leaves beside the target, the next writer removes, or renames back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from downslope._errors import TraceError
from downslope._text import printable
from downslope.trace._disk import sync_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock


_LONGEST = 180  # bytes of the target's name within another name; file systems allow 255 in all
_HEADER = "trace.json"
# What early versions left: `.NAME-xxxxxxxx` of `tempfile.mkdtemp`, and `.NAME-old-xxxxxxxx` with the old folder inside.
_RANDOM = re.compile(r"(?=.*[0-9_])(?=.*[a-z])[a-z0-9_]{8}")
_EARLY_FILES = re.compile(r"(steps|layers|parts|metrics)(-finished)?\.arrow|[a-z]+(-\w+)?\.(npz|json)|\..*\.new")


def real_path(folder: Path) -> Path:
    """Return the folder that a path leads to, absolute and without symbolic links.

    Raises:
        TraceError: for a loop of links, and for names that the system does not accept.
    """
    try:
        real = Path(os.path.realpath(folder))
        if real.is_symlink():  # what realpath leaves of a loop
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    except (OSError, ValueError) as error:
        raise TraceError(f"{brief(folder)} cannot be used: {getattr(error, 'strerror', None) or error}") from None
    return real


def refuse_other(target: Path) -> None:
    """Raise if a path exists and is neither an empty folder nor a trace.

    Raises:
        TraceError: if it does.
        OSError: if it cannot be looked into.
    """
    if target.exists() and not (target / _HEADER).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise TraceError(f"{target} exists and is not a trace", hint="choose a folder that does not exist yet")


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside its target and exchange the two; the old one is removed afterwards.

    Symbolic links are followed, and stay. The mode is that of a new folder, whatever the old one had.

    Args:
        target: the folder; its parents are created.
        write: writes the files into an empty folder.

    Raises:
        TraceError: for the working directory and the folders above it.
    """
    target = real_path(target)
    with contextlib.suppress(OSError):  # the working directory may be gone
        if Path.cwd().is_relative_to(target):
            # The shell that stands in it would go on in the old one, which is removed.
            raise TraceError(f"{target} is in use as working directory", hint="save into a folder inside: run")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(target, "new")
    beside.mkdir()  # and not mkdtemp, whose mode would keep other users out
    try:
        write(beside)
        _exchange(beside, target)
    finally:
        # The incomplete folder after a failure, else the old one.
        shutil.rmtree(beside, ignore_errors=True)


def moved_aside(target: Path) -> Path | None:
    """Return where the old folder is if a writer was killed after it moved that aside; None in all other cases.

    Args:
        target: a folder that does not exist.
    """
    if os.path.lexists(target):
        return None
    with contextlib.suppress(OSError):
        aside = [folder for kind, folder in _leftovers(target) if kind == "old" and (folder / _HEADER).is_file()]
        if aside:
            return max(aside, key=lambda folder: (folder / _HEADER).stat().st_mtime)
    return None


def clear_leftovers(target: Path) -> None:
    """Rename an old folder that was moved aside back, and remove what killed writers of a folder left beside it.

    Only for the holder of the lock: without it, these may belong to a living writer.
    """
    with contextlib.suppress(OSError):
        aside = moved_aside(target)
        if aside is not None:
            aside.rename(target)
        for _, folder in list(_leftovers(target)):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.name == target.name:  # the early layout: the old folder within one of a name of its own
                folder.parent.rmdir()


def brief(path: Path) -> str:
    """Return a path for a message, cut where it is very long."""
    text = str(path)
    return text if len(text) <= 120 else f"{text[:60]}…{text[-20:]}"


def identity(folder: Path) -> tuple[int, int] | None:
    """Return the identity of a folder, which differs from that of another of the same name; None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def beside_name(target: Path) -> str:
    """Return the target's name, with a digest for its end if it is so long that no other name could hold it."""
    if len(os.fsencode(target.name)) <= _LONGEST:
        return target.name
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return f"{target.name[: _LONGEST // 4]}~{digest}"  # a character has at most four bytes


def _beside(target: Path, kind: str) -> Path:
    """Return an unused name beside a target."""
    return target.with_name(f".{beside_name(target)}-{secrets.token_hex(4)}.{kind}")


def _leftovers(target: Path) -> Iterator[tuple[str, Path]]:
    """Yield the folders that killed writers left beside a target: whether an incomplete new or the old one, and where.

    A name alone is no proof with the names of early versions, `.NAME-xxxxxxxx`, which a user may choose as well. There
    the mode, the letters and the files must be those of `mkdtemp` and of a trace.
    """
    name = re.escape(beside_name(target))
    ours, early = re.compile(rf"\.{name}-[0-9a-f]{{8}}\.(new|old)"), re.compile(rf"\.{name}-(old-)?([a-z0-9_]{{8}})")
    with os.scandir(target.parent) as entries:
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for folder in folders:
        path = target.parent / folder
        if match := ours.fullmatch(folder):
            yield match[1], path
        elif (match := early.fullmatch(folder)) and path.stat().st_mode & 0o777 == 0o700:
            inside = os.listdir(path)
            if match[1] and inside == [target.name]:
                yield "old", path / target.name
            elif not inside or (not match[1] and _is_early(match[2], inside)):
                yield "new", path


def _is_early(letters: str, files: list[str]) -> bool:
    """Return whether a folder beside a target is an early version's, by the end of its name and its files."""
    return _RANDOM.fullmatch(letters) is not None and all(map(_EARLY_FILES.fullmatch, files))


def _exchange(beside: Path, target: Path) -> None:
    """Give a complete folder the target's name; an old folder takes the other name."""
    sync_folder(beside)
    if not target.exists():
        beside.rename(target)
    elif not _exchanged(beside, target):
        old = _beside(target, "old")
        target.rename(old)  # from here to the next line readers find the old folder by `moved_aside`
        try:
            beside.rename(target)
        except BaseException:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder, and some folders cannot be read
        sync_folder(target.parent)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two names in one step; return whether the system and its file system can."""
    call = _renameat2()
    return (
        call is not None and call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0
    )


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """Return Linux's system call that can exchange two names, from the C library; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call


# One writer a run: a lock that ends with its process, however that ends.


_SUFFIX = ".downslope-lock"
_ATTEMPTS, _PAUSE = 10, 0.005  # to lock a file that its writer may remove in between; seconds
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
        for _ in range(_ATTEMPTS):
            try:
                lock.acquire()
                break
            except Timeout:
                if file.exists():
                    hint = "wait until it ends, or save into another folder"
                    raise TraceError(f"{named} is being written by {_writer(file)}", hint=hint) from None
                time.sleep(_PAUSE)  # its writer has just ended and removed it
        else:  # as in /proc, where no file can be made
            hint = "save into another folder"
            raise TraceError(f"{named} cannot be written: {file.parent} takes no new files", hint=hint)
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


def is_written(folder: Path) -> bool | None:
    """Return whether a process writes a run, by its lock; None where that is not known.

    It is not where there is no lock, since the file system may have none, and for a writer on another machine.
    """
    target = real_path(folder)
    for file in (target.with_name(f".{beside_name(target)}{_SUFFIX}"), target / _SUFFIX):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            process, host, _ = _held_by(file)
            return _is_alive(process) and _is_held(file) if host == socket.gethostname() else None
    return None


def _is_alive(process: int) -> bool:
    """Tell whether a process of this machine is there."""
    if sys.platform == "win32":  # where os.kill ends it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return process > 0


def _is_held(file: Path) -> bool:
    """Tell whether a lock is held by the living process that its file names, whose number may be another's by now."""
    if sys.platform == "win32":
        return True
    import fcntl

    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _held_by(file: Path) -> tuple[int, str, str]:
    """Return who holds a lock: process, machine, since when."""
    with file.open("rb") as opened:
        opened.seek(_LOCKED_BYTES)
        who = json.loads(opened.read(1000))
    # Someone else may write it.
    host, since = (printable(str(who[name])[:100]) for name in ("host", "since"))
    return int(who["process"]), host, since


def _writer(file: Path) -> str:
    """Return who holds a lock, in words."""
    for wait in (0.0, 0.01, 0.1):  # the writer may not have written it yet
        time.sleep(wait)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            process, host, since = _held_by(file)
            ours = process == os.getpid() and host == socket.gethostname()
            return f"this process ({process}) since {since}" if ours else f"process {process} on {host} since {since}"
    return "another writer"  # which ended since, or is about to say who it is
