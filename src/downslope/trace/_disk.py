"""Files and folders that are either whole or not there, whenever the process or the machine stops."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns

_NAMES, _TYPES = "names", "types"


def refuse_other(target: Path) -> None:
    """Raise where a place holds something else than a trace.

    Raises:
        TraceError: if it does.
    """
    if target.exists() and not (target / "trace.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise TraceError(f"{target} is there and is no trace", hint="choose a folder that does not exist yet")


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside its place and put it there; what was there is removed only afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        write(beside)
        _put_in_place(beside, target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def replace_file(target: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file beside its place, down to the disk, and put it there in one move."""
    beside = target.with_name(f".{target.name}.new")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, target)
    sync_folder(target.parent)


def write_json(target: Path, told: Mapping[str, Any]) -> None:
    """Write what JSON knows, whole or not at all."""
    text = json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
    replace_file(target, lambda file: file.write(text.encode()))


def write_arrays(target: Path, arrays: Columns) -> None:
    """Write arrays by name, whole or not at all, of any type that has no pointers: bfloat16 as well.

    Raises:
        TypeError: for an array of Python objects.
    """
    whole = [np.asarray(array) for array in arrays.values()]
    for name, array in zip(arrays, whole, strict=True):
        if array.dtype.hasobject:
            raise TypeError(f"{name} is an array of Python objects, which cannot be kept")
    # Names may hold a slash, which an archive would take for a folder; so each array goes by its place.
    entries: dict[str, Any] = {str(place): _native(array) for place, array in enumerate(whole)}
    entries[_NAMES] = np.array(list(arrays), dtype=str)
    entries[_TYPES] = np.array([str(array.dtype) for array in whole], dtype=str)
    replace_file(target, lambda file: np.savez(file, **entries))


def read_arrays(source: Path) -> dict[str, np.ndarray]:
    """Return the arrays that `write_arrays` was given.

    Raises:
        TraceError: if the file is missing or damaged.
    """
    import zipfile

    import ml_dtypes  # noqa: F401  (NumPy knows bfloat16 by name only once this is loaded)

    if not source.is_file():
        raise TraceError(f"{source} is missing")
    try:
        with np.load(source, allow_pickle=False) as archive:
            names, types = archive[_NAMES].tolist(), archive[_TYPES].tolist()
            whole = [archive[str(place)].view(np.dtype(kind)) for place, kind in enumerate(types)]
        return dict(zip(names, whole, strict=True))
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise TraceError(f"{source} is damaged: {type(error).__name__} {error}") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _native(array: np.ndarray) -> np.ndarray:
    """Return the array, or its bytes as whole numbers where NumPy's file format does not know the type."""
    return array.view(f"u{array.itemsize}") if np.dtype(array.dtype.str) != array.dtype else array


def _put_in_place(beside: Path, target: Path) -> None:
    """Move a finished folder to its place; what was there is removed only afterwards."""
    if not target.exists():
        beside.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    target.rename(old / target.name)
    beside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
