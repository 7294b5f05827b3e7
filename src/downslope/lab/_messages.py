"""What comes back for a request: a status and JSON, made in a worker or by the server itself."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PIECE = 206


@dataclass(frozen=True)
class Table:
    """A file with a table.

    Args:
        name: what the visitor calls it.
        data: what it holds.
    """

    name: str
    data: bytes


@dataclass(frozen=True)
class Reply:
    """The answer to a request, or a piece of it.

    Args:
        status: the HTTP status; 206 for a piece that others follow.
        body: JSON, as bytes.
    """

    status: int
    body: bytes

    @property
    def is_piece(self) -> bool:
        """Whether more follows."""
        return self.status == _PIECE

    def packed(self) -> bytes:
        """Return the reply as one piece, to be sent through a pipe."""
        return b"%03d" % self.status + self.body

    @classmethod
    def unpacked(cls, packed: bytes) -> Reply:
        """Return the reply that `packed` gave."""
        return cls(int(packed[:3]), packed[3:])


def told(thing: Any, *, is_piece: bool = False) -> Reply:
    """Return a reply that tells plain data, or a piece of one."""
    return Reply(_PIECE if is_piece else 200, json.dumps(thing, allow_nan=False, separators=(",", ":")).encode())


def error(
    status: int,
    kind: str,
    message: str | None = None,
    *,
    hint: str | None = None,
    position: int | None = None,
    width: int = 1,
) -> Reply:
    """Return a reply that says what went wrong.

    Args:
        status: the HTTP status.
        kind: the name of the error, for the page.
        message: what came and what was needed, for a person.
        hint: what to type instead.
        position: index of the offending character in the formula, from 0.
        width: number of characters to underline.
    """
    what = {"kind": kind, "message": message, "hint": hint, "position": position, "width": width}
    return Reply(status, json.dumps({"error": what}).encode())


SUPERSEDED = error(409, "superseded")
BUSY = error(503, "LimitError", "The lab is busy with other computations.", hint="Try again in a few seconds.")
CLOSING = error(503, "LimitError", "The lab is closing.")
LOST = error(
    503,
    "LimitError",
    "The process that computed this ended, most likely for want of memory.",
    hint="Ask for fewer steps or variables; a new process is there already.",
)
NOT_STARTED = error(
    503,
    "InternalError",
    "The lab could not start a process to compute this.",
    hint="The window in which the lab was started shows why.",
)


def packed_job(verb: str, body: bytes, table: Table | None, runs: Path | None = None) -> bytes:
    """Return a job as one piece, to be sent through a pipe.

    Args:
        verb: its name.
        body: the request, a JSON object.
        table: the file that goes with it.
        runs: the folder in which runs are looked for.
    """
    head = {
        "verb": verb,
        "length": len(body),
        "table": None if table is None else table.name,
        "runs": None if runs is None else str(runs.resolve()),
    }
    return json.dumps(head).encode() + b"\n" + body + (b"" if table is None else table.data)


def job_of(packed: bytes) -> tuple[str, dict[str, Any]]:
    """Return the verb and the request of a job that `packed_job` gave.

    A file stands in the request as `table`, and the folder of the runs as `runs`, whatever came under that name.
    """
    line, _, rest = packed.partition(b"\n")
    head = json.loads(line)
    request = json.loads(rest[: head["length"]])
    request.pop("runs", None)
    if head["runs"] is not None:
        request["runs"] = Path(head["runs"])
    if head["table"] is not None:
        request["table"] = Table(head["table"], rest[head["length"] :])
    return head["verb"], request


# Byte strings through a pipe: the length in four bytes, then the bytes.


_LENGTH = struct.Struct(">I")


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Send one byte string.

    Args:
        stream: the pipe to the other process.
        frame: what it is to read.

    Raises:
        OSError: if the other process has ended.
    """
    stream.write(_LENGTH.pack(len(frame)) + frame)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
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
