"""The wire format of protocol buffers, as far as logs need it: fields by number, one after the other.

Reference: protobuf.dev, "Encoding". Neither TensorBoard nor W&B is imported to read what they wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


def fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and content of each field: a whole number, or the bytes of anything else.

    Raises:
        ValueError: for bytes that are no message.

    >>> [(field, bytes(content)) for field, content in fields(bytes([0x0A, 2, 104, 105]))]
    [(1, b'hi')]
    """
    view = memoryview(message)
    at, end = 0, len(view)
    while at < end:
        key, at = _varint(view, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            whole, at = _varint(view, at)
            yield number, whole
            continue
        if kind == _BYTES:
            size, at = _varint(view, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"no wire type {kind}")
        if number == 0 or at + size > end:
            raise ValueError("a field beyond the end of its message")
        yield number, view[at : at + size]
        at += size


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return a whole number of seven bits a byte, and where the next field begins."""
    whole = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("a whole number without an end")
        byte = view[at]
        at += 1
        whole |= (byte & 0x7F) << shift
        if byte < 0x80:
            return whole, at
        shift += 7


def as_float(content: int | memoryview) -> float:
    """Return the content of a float or a double."""
    if isinstance(content, int):
        return float(content)
    return float(struct.unpack("<f" if len(content) == 4 else "<d", content)[0])


def as_text(content: int | memoryview) -> str:
    """Return the content of a text."""
    return "" if isinstance(content, int) else bytes(content).decode("utf-8", "replace")


def as_signed(content: int | memoryview) -> int:
    """Return a whole number of 64 bits that may be negative."""
    if not isinstance(content, int):
        raise ValueError("no whole number")
    return content - (1 << 64) if content >= 1 << 63 else content
