"""Files and folders that are either whole or not there, whenever the process or the machine stops."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
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


# Columns as Arrow IPC streams that can be appended to, and read while they are written.


_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + bytes(4)


def aligned(columns: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    """Return columns as arrays of so many rows; a single number stands for every row.

    Args:
        columns: arrays of shape (rows,) or (rows, width), or single numbers.
        rows: how many rows there are.

    Raises:
        ValueError: if a column has another number of rows.
    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.ndim and len(array) != rows:
            raise ValueError(f"{name} has {len(array)} rows where there are {rows}")
    return {name: array if array.ndim else np.broadcast_to(array, (rows,)) for name, array in arrays.items()}


def stream_bytes(columns: Columns) -> bytes:
    """Return columns as a whole stream; those of shape (rows, width) as fixed-size lists along their rows."""
    import polars

    # Arrow's reader knows no list of no entries; a column of width 0 says nothing anyway.
    table = {name: np.ascontiguousarray(column) for name, column in columns.items() if 0 not in column.shape[1:]}
    written = io.BytesIO()
    polars.DataFrame(table).write_ipc_stream(written)
    return written.getvalue()


def append_stream(file: Path, length: int, columns: Columns) -> int:
    """Write rows behind the first `length` bytes of a stream, down to the disk, and return its new length.

    Raises:
        TraceError: if the stream holds other columns, or some of other types.
    """
    whole = stream_bytes(columns)
    head = _head(whole)
    rows = whole[len(head) : -len(_END)]
    with file.open("r+b" if file.exists() else "w+b") as stream:
        if length and stream.read(len(head)) != head:
            hint = f"it was given {', '.join(f'{name} ({column.dtype})' for name, column in columns.items())}"
            raise TraceError(f"{file} holds other columns, or some of other types", hint=hint)
        piece = rows if length else head + rows
        stream.truncate(length)
        stream.seek(length)
        stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return length + len(piece)


def cut_stream(file: Path, length: int) -> None:
    """Cut off what stands behind the first `length` bytes, and the file with it where that is nothing."""
    if length == 0:
        file.unlink(missing_ok=True)
    elif file.stat().st_size > length:
        with file.open("r+b") as stream:
            stream.truncate(length)
            os.fsync(stream.fileno())


def read_stream(file: Path, length: int | None = None) -> dict[str, np.ndarray]:
    """Return the columns in the first `length` bytes of a stream, or in all of it.

    Raises:
        TraceError: if the stream is missing, shorter than that, or torn.
    """
    import polars

    if not file.is_file():
        raise TraceError(f"{file} is missing")
    with file.open("rb") as stream:
        told = stream.read() if length is None else stream.read(length)
    if length is not None and len(told) < length:
        raise TraceError(f"{file} is torn: {len(told)} of {length} bytes are there")
    try:
        frame = polars.read_ipc_stream(io.BytesIO(told + _END))
    except Exception as error:  # Polars raises kinds of its own for a torn stream
        raise TraceError(f"{file} is torn or no Arrow stream: {error}") from None
    return {name: frame[name].to_numpy() for name in frame.columns}


def _head(whole: bytes) -> bytes:
    """Return the first message of a stream, which tells the columns and has no body."""
    (size,) = struct.unpack_from("<i", whole, len(_CONTINUATION))
    if not (whole.startswith(_CONTINUATION) and whole.endswith(_END)):
        raise TraceError("this version of Polars writes Arrow streams that cannot be appended to")
    return whole[: len(_END) + size]
