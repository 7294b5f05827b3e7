"""Read the files of a run without trusting them: JSON, arrays by name, and streams.

A run may come from someone else, or from a disk that flips bits. Every file is opened inside its folder, its checksum
is compared before its content is used, and every length that it declares is compared with the bytes that are there.
Whatever is wrong is a `TraceError`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from downslope._errors import TraceError
from downslope._text import printable
from downslope.trace._arrow import StoredColumns, StreamFormatError, read_columns
from downslope.trace._checksum import (
    Extent,
    has_tail_seal,
    has_text_seal,
    intact,
    is_tail_sealed,
    is_text_sealed,
)

NAMES, TYPES = "names", "types"  # the entries of a file of arrays that describe the others
LARGEST_JSON = 2**26  # bytes

_CONTROL = re.compile(r"[^ -\[\]-~\n\u00a0-\u2027\u202f-\u2065\u2070-\ud7ff\ue000-\U0010ffff]")
_ASCII, _PLAIN = bytes(range(0x80)), bytes([*b"\n", *range(0x20, 0x5C), *range(0x5D, 0x7F)])
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
# Of a text with each digit as 0. What is beyond 64 bits, or infinite, has one of them.
_LARGE_NUMBERS = (b"0" * 19, b"e000", b"e+000")
_LARGEST_INTEGER = 2**64
_NUMERIC = frozenset("biufc")


@contextlib.contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Open a regular file that lies in its folder, also where its name is a link.

    Raises:
        TraceError: for anything else, and if it cannot be read.
    """
    try:
        if file.is_symlink() and Path(os.path.realpath(file.parent)) not in Path(os.path.realpath(file)).parents:
            raise TraceError(f"{file} is a link that leads out of its folder")
        # A pipe would wait for its writer, even to be opened.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise TraceError(f"{file} is not a regular file")
            yield stream
    except FileNotFoundError:
        raise TraceError(f"{file} is missing") from None
    except (OSError, ValueError) as error:
        raise TraceError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None


class Document(NamedTuple):
    """A JSON object from a file.

    Args:
        fields: its entries, without characters that control a terminal.
        sealed: whether its checksum was right; False where it has none.
    """

    fields: dict[str, Any]
    sealed: bool


def read_json(file: Path) -> Document:
    """Read a JSON object.

    Raises:
        TraceError: if it is missing or damaged, or larger or deeper than any that is written.
    """
    with opened(file) as stream:
        if os.fstat(stream.fileno()).st_size > LARGEST_JSON:
            raise TraceError(f"{file} is larger than any that this library writes")
        text = stream.read(LARGEST_JSON)
    sealed = is_text_sealed(text)
    if has_text_seal(text) and not sealed:
        raise TraceError(f"{file} is damaged: its checksum is wrong")
    try:
        fields = _decoder(text).decode(text.decode())
        if not isinstance(fields, dict):
            raise ValueError("it holds no mapping")
        # Text without an escape or a control character, as nearly all is, holds none in any string.
        return Document(_clean_mapping(fields) if _has_control(text) else fields, sealed)
    except RecursionError:
        raise TraceError(f"{file} is damaged: it is nested too deeply") from None
    except ValueError as error:
        raise TraceError(f"{file} is damaged: {printable(str(error))}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, or raise if it has an entry twice."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("an entry occurs twice")
    return mapping


def _integer(text: str) -> int:
    """Return a whole number that fits into 64 bits."""
    number = int(text) if len(text) < 25 else _LARGEST_INTEGER + 1
    if abs(number) > _LARGEST_INTEGER:
        raise ValueError(f"a whole number has {len(text)} digits")
    return number


def _finite(text: str) -> float:
    """Return a finite number; those that are not are written by name."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _has_control(content: bytes) -> bool:
    """Tell whether a JSON text has a control character or an escape."""
    # Most of a text is ASCII, which is searched ten times as fast as a pattern is.
    others = content.translate(None, _PLAIN)
    return others.translate(None, _ASCII) != others or _CONTROL.search(others.decode()) is not None


def _decoder(content: bytes) -> json.JSONDecoder:
    """Return what decodes a JSON text: with a check of each number where one may be too large."""
    shape = content.translate(_SHAPE)
    return _CHECKING if any(number in shape for number in _LARGE_NUMBERS) else _PLAIN_NUMBERS


_CHECKING = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_int=_integer, parse_float=_finite, parse_constant=_finite
)
_PLAIN_NUMBERS = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_finite)


def _clean(value: Any) -> Any:
    """Return a JSON value without control characters in its texts."""
    if isinstance(value, str):
        return printable(value, breaks=True)
    if isinstance(value, dict):
        return _clean_mapping(value)
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    return value


def _clean_mapping(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object without control characters in its names and texts."""
    return _distinct([(printable(name, breaks=True), _clean(entry)) for name, entry in fields.items()])


def read_arrays(source: Path, sealed: bool = True) -> dict[str, np.ndarray]:
    """Read the arrays of a file of `write_arrays`.

    Args:
        source: the file.
        sealed: whether a file without a checksum is damaged; it is not in runs of formats without checksums.

    Raises:
        TraceError: if the file is missing or damaged.
    """
    import ml_dtypes  # noqa: F401  (NumPy knows bfloat16 by name only once this is loaded)

    with opened(source) as file:
        if (sealed or has_tail_seal(file)) and not is_tail_sealed(file):
            raise TraceError(f"{source} is damaged: its checksum is wrong")
        try:
            members = _members(file)
            names = [printable(name, breaks=True) for name in members.pop(NAMES).tolist()]
            types = members.pop(TYPES).tolist()
            whole = [_typed(members.pop(str(index)), kind) for index, kind in enumerate(types)]
            arrays = dict(zip(names, whole, strict=True))
        except Exception as error:  # `zipfile` and NumPy's reader of headers raise a dozen kinds for nonsense
            raise TraceError(f"{source} is damaged: {type(error).__name__} {printable(str(error))}") from None
    if members or len(arrays) < len(names):
        raise TraceError(f"{source} is damaged: its names do not match its arrays")
    return arrays


def _members(file: BinaryIO) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by the name of their member."""
    size = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        # A member that is stored as it is takes its own size in the file, so that none can unfold into more than that.
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise ValueError("an array is compressed or encrypted")
        if any(entry.file_size != entry.compress_size for entry in entries):
            raise ValueError("an array declares another size than it has")
        if sum(entry.file_size for entry in entries) > size or len({entry.filename for entry in entries}) < len(
            entries
        ):
            raise ValueError("arrays overlap")
        return {entry.filename.removesuffix(".npy"): _member(archive, entry) for entry in entries}


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Return an array of an archive, allocated only once its header agrees with its size."""
    with archive.open(entry) as member:
        shape, _, dtype = _READ_HEADER[np.lib.format.read_magic(member)](member)
        if dtype.kind not in _NUMERIC | {"U"} or math.prod(shape) * dtype.itemsize != entry.file_size - member.tell():
            raise ValueError("the header of an array contradicts its size")
    with archive.open(entry) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _typed(array: np.ndarray, kind: str) -> np.ndarray:
    """Return an array as the type that it had; the types of accelerators are stored as whole numbers."""
    dtype = np.dtype(kind)
    if dtype.itemsize != array.dtype.itemsize or dtype.type is np.void or dtype.kind not in _NUMERIC | {"V"}:
        raise TypeError(f"an array of {array.dtype} cannot be one of another type")
    return array.view(dtype)


class Rows(NamedTuple):
    """The columns of a stream.

    Args:
        columns: by name.
        damage: what is wrong with the rows after these; None if these are all.
    """

    columns: Mapping[str, np.ndarray]
    damage: str | None = None


def read_rows_until_damage(file: Path, extent: Extent, most: float = math.inf) -> Rows:
    """Read the rows of a stream: all that count, or those before the first damage.

    Args:
        file: the stream.
        extent: how much of it counts.
        most: bytes; the columns of an intact stream beyond stay on disk, and are read when they are used.

    Raises:
        TraceError: if the stream is missing, or is no stream in spite of a right checksum.
    """
    with opened(file) as stream:
        size, sound = os.fstat(stream.fileno()).st_size, intact(stream, extent)
        if extent.whole.checksum is None and size < extent.length:
            return Rows({}, damage_of(file, size, extent))
        try:
            if most < sound.length == extent.length:
                stored = StoredColumns(stream, sound.length)
                if all(printable(name, breaks=True) == name for name in stored):
                    return Rows(stored)
            columns = read_columns(stream, sound.length) if sound.length else {}
        except (StreamFormatError, UnicodeDecodeError, struct.error) as error:
            raise TraceError(f"{file} is torn or not an Arrow stream: {printable(str(error))}") from None
    clean = {printable(name, breaks=True): column for name, column in columns.items()}
    if len(clean) < len(columns):
        raise TraceError(f"{file} is damaged: two columns have one name")
    if sound.length == extent.length:
        return Rows(clean)
    return Rows(clean, damage_of(file, size, extent))


def damage_of(file: Path, size: int, extent: Extent) -> str:
    """Return the sentence for a stream that is not what its checksum says."""
    if size < extent.length:
        return f"{file} is torn: only {size} of {extent.length} bytes are there"
    return f"{file} is damaged"
