"""Byte strings through a pipe: the length in four bytes, then the bytes."""

from __future__ import annotations

import struct
from typing import IO

_LENGTH = struct.Struct(">I")


def write(stream: IO[bytes], frame: bytes) -> None:
    """Send one byte string.

    Args:
        stream: the pipe to the other process.
        frame: what it is to read.

    Raises:
        OSError: if the other process has ended.
    """
    stream.write(_LENGTH.pack(len(frame)) + frame)
    stream.flush()


def read(stream: IO[bytes]) -> bytes | None:
    """Wait for one byte string and return it, or None if the other process has ended.

    Args:
        stream: the pipe from the other process.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    frame = stream.read(length)
    return frame if len(frame) == length else None
