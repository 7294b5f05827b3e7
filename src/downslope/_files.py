"""Write a file of a result: pictures, reports, tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from downslope._errors import DownslopeError, SettingError


@contextlib.contextmanager
def written(file: Path, kind: type[DownslopeError] = SettingError) -> Iterator[Path]:
    """A context in which a file is written; its folder is made, and nothing half-written stays.

    Args:
        file: the file.
        kind: the error to raise.

    Raises:
        DownslopeError: of that kind, naming the file, for whatever the system refuses.
    """
    existed = os.path.lexists(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield file
    except BaseException as error:
        if not existed:
            with contextlib.suppress(OSError, ValueError):
                file.unlink(missing_ok=True)
        if isinstance(error, OSError | UnicodeError):
            raise kind(f"{file} cannot be written: {reason(error)}") from None
        raise


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
        raise kind(f"{file} cannot be written: {parent} is no folder that can be written to")


def reason(error: Exception) -> str:
    """Return why the system refused, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
