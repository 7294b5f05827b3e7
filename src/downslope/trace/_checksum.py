"""Checksums, XXH3 of 64 bits: of streams that grow, and seals, the checksums that other files carry in themselves.

A stream has a checksum for each of some of its beginnings, not only for the whole, so that after damage the rows before
it are still known to be right. All of them are taken from one running checksum: nothing is read again.

A seal covers every byte of its file, its own label included. A file of this format without a seal is damaged: no
flipped bit makes it pass as one of an earlier format, which had none.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import xxhash

DIGITS = 16  # hexadecimal, of a checksum

_MOST_PREFIXES = 32
_PIECE = 2**20  # bytes that are read at a time
_TEXT_SEAL = b'{\n "checksum": "%s",'
_TAIL_SEAL = b"downslope XXH3 "


@dataclass(frozen=True)
class Prefix:
    """The beginning of a stream and its checksum.

    Args:
        length: bytes.
        checksum: of these bytes; None in runs of formats without checksums.
    """

    length: int
    checksum: str | None


@dataclass(frozen=True)
class Extent:
    """The valid beginning of a stream.

    Args:
        whole: all of it.
        earlier: some shorter beginnings that end with a row, by ascending length.
    """

    whole: Prefix = Prefix(0, None)
    earlier: tuple[Prefix, ...] = ()

    @property
    def length(self) -> int:
        """The bytes that count."""
        return self.whole.length

    @property
    def prefixes(self) -> tuple[Prefix, ...]:
        """The beginnings with a checksum, the whole among them, by ascending length."""
        return tuple(prefix for prefix in (*self.earlier, self.whole) if prefix.checksum is not None)

    def until(self, whole: Prefix) -> Extent:
        """Return the extent of a shorter beginning."""
        return Extent(whole, tuple(prefix for prefix in self.earlier if prefix.length < whole.length))


class RunningChecksum:
    """The checksum of a stream that is being written.

    Args:
        extent: what was written so far.
        state: the hash over it; None for an empty stream.
    """

    def __init__(self, extent: Extent | None = None, state: xxhash.xxh3_64 | None = None) -> None:
        self.extent = extent or Extent()
        self._state = _hash() if state is None else state

    def after(self, piece: bytes) -> RunningChecksum:
        """Return the checksum after further bytes; this one stays as it is, for a write that fails."""
        state = self._state.copy()
        state.update(piece)
        before = self.extent
        earlier = (*before.earlier, before.whole) if before.length else ()
        return RunningChecksum(Extent(Prefix(before.length + len(piece), state.hexdigest()), _few(earlier)), state)

    @classmethod
    def of_file(cls, file: BinaryIO, extent: Extent) -> RunningChecksum:
        """Return the checksum of a stream that exists, read once up to its extent."""
        state = _hash()
        for piece in _pieces(file, 0, extent.length):
            state.update(piece)
        return cls(Extent(Prefix(extent.length, state.hexdigest()), extent.earlier), state)


def _few(prefixes: tuple[Prefix, ...]) -> tuple[Prefix, ...]:
    """Return prefixes without the one that is closest to its neighbours, if there are too many."""
    if len(prefixes) <= _MOST_PREFIXES:
        return prefixes
    lengths = [0, *(prefix.length for prefix in prefixes)]
    # Dropped this way, those that are left stay spread evenly however long the stream grows.
    closest = min(range(1, len(prefixes)), key=lambda index: lengths[index + 1] - lengths[index - 1])
    return (*prefixes[: closest - 1], *prefixes[closest:])


def intact(file: BinaryIO, extent: Extent) -> Prefix:
    """Return the longest beginning of a stream whose checksum is right; an empty one if none is."""
    if extent.whole.checksum is None:
        return extent.whole
    state, longest, size = _hash(), Prefix(0, None), file.seek(0, 2)
    if extent.length <= _PIECE:
        file.seek(0)
        file = io.BytesIO(file.read(extent.length))  # instead of a system call for each of many short beginnings
    for prefix in extent.prefixes:
        begun = longest.length
        for piece in _pieces(file, begun, prefix.length):
            state.update(piece)
        # A header that says more than there is may have the checksum of what there is.
        if prefix.length > size or state.hexdigest() != prefix.checksum:
            return longest
        longest = prefix
    return longest


def spread(rows: int, least: int) -> Iterator[slice]:
    """Yield slices of rows to write one after another, so that the checksums of a stream are spread over it.

    Args:
        rows: the number of rows.
        least: the rows of a slice at least.
    """
    size = max(least, -(-rows // _MOST_PREFIXES))
    for first in range(0, max(rows, 1), size):
        yield slice(first, min(first + size, rows))


def sealed_text(text: bytes) -> bytes:
    """Return a JSON object as text that begins with the checksum of all that follows it."""
    rest = text[1:]  # without the brace
    return _TEXT_SEAL % checksum_of(rest).encode() + rest


def has_text_seal(text: bytes) -> bool:
    """Return whether a text begins with the label of a seal."""
    return text.startswith(_TEXT_SEAL.partition(b"%s")[0])


def is_text_sealed(text: bytes) -> bool:
    """Return whether a text carries a seal, and the right one."""
    size = len(_TEXT_SEAL) - 2 + DIGITS
    return text[:size] == _TEXT_SEAL % checksum_of(text[size:]).encode()


def checksum_of(content: bytes) -> str:
    """Return the checksum of some bytes."""
    state = _hash()
    state.update(content)
    return state.hexdigest()


class SealingFile:
    """A file that is written from beginning to end and sealed.

    It can neither seek nor tell, so that an archive is written in order and the checksum is taken on the way.

    Args:
        file: the file.
    """

    BLANK = _TAIL_SEAL + b"0" * DIGITS  # what must be written last; `seal` puts the checksum in place of the zeros

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._state = file, _hash()

    def write(self, piece: Any) -> int:
        """Write some bytes."""
        self._state.update(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        """Do nothing: who opened the file flushes it."""

    def seal(self) -> None:
        """Put the checksum in place."""
        self._file.seek(-DIGITS, 2)
        self._file.write(self._state.hexdigest().encode())


def has_tail_seal(file: BinaryIO) -> bool:
    """Return whether a file ends with the label of a seal."""
    return _tail(file).startswith(_TAIL_SEAL)


def is_tail_sealed(file: BinaryIO) -> bool:
    """Return whether a file carries a seal, and the right one."""
    tail = _tail(file)
    end = file.seek(0, 2) - DIGITS
    state = _hash()
    for piece in _pieces(file, 0, max(end, 0)):
        state.update(piece)
    state.update(b"0" * DIGITS)
    return tail == _TAIL_SEAL + state.hexdigest().encode()


def _tail(file: BinaryIO) -> bytes:
    """Return the bytes at the end of a file where a seal is."""
    file.seek(max(file.seek(0, 2) - len(SealingFile.BLANK), 0))
    return file.read(len(SealingFile.BLANK))


def _pieces(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of a file from a position to another, or to its end, in pieces."""
    file.seek(first)
    while first < last and (piece := file.read(min(_PIECE, last - first))):
        yield piece
        first += len(piece)


def _hash() -> xxhash.xxh3_64:
    """Return the hash of nothing."""
    import xxhash

    return xxhash.xxh3_64()
