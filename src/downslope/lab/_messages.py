"""Messages between the server and its processes: jobs, replies, and the frames in which a pipe carries them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PIECE = 206
_NOTE = 100
_LENGTH = struct.Struct(">I")  # a frame in a pipe: the length of its bytes, and the bytes


@dataclass(frozen=True)
class UploadedFile:
    """An uploaded file with a table.

    Args:
        name: its file name.
        data: its content.
    """

    name: str
    data: bytes


@dataclass(frozen=True)
class Reply:
    """The reply to a request, or a piece of it; from a worker or from the server itself.

    Args:
        status: the HTTP status; 206 for a piece with more to follow; 100 for a note to the server alone.
        body: JSON, as bytes.
    """

    status: int
    body: bytes

    @property
    def is_piece(self) -> bool:
        """Whether more follows."""
        return self.status == _PIECE

    @property
    def is_note(self) -> bool:
        """Whether it is a note of what the job has used, which no visitor sees."""
        return self.status == _NOTE

    @property
    def is_last(self) -> bool:
        """Whether the job ends with it."""
        return not (self.is_piece or self.is_note)

    def packed(self) -> bytes:
        """Return the reply as bytes for a pipe."""
        return b"%03d" % self.status + self.body

    @classmethod
    def unpacked(cls, packed: bytes) -> Reply:
        """Return the reply that `packed` wrote."""
        return cls(int(packed[:3]), packed[3:])


def data_reply(data: Any, *, is_piece: bool = False) -> Reply:
    """Return a reply of plain data, or a piece of a reply."""
    return Reply(_PIECE if is_piece else 200, json.dumps(data, allow_nan=False, separators=(",", ":")).encode())


def note(packed: bytes) -> Reply:
    """Return a note to the server."""
    return Reply(_NOTE, packed)


def error_reply(
    status: int,
    kind: str,
    message: str | None = None,
    *,
    hint: str | None = None,
    position: int | None = None,
    width: int = 1,
) -> Reply:
    """Return a reply with an error.

    Args:
        status: the HTTP status.
        kind: the name of the error, for the page.
        message: what came and what was needed, as a sentence.
        hint: what to type instead.
        position: index of the offending character in the formula, from 0.
        width: number of characters to underline.
    """
    details = {"kind": kind, "message": message, "hint": hint, "position": position, "width": width}
    return Reply(status, json.dumps({"error": details}).encode())


SUPERSEDED = error_reply(409, "superseded")
BUSY = error_reply(503, "LimitError", "The lab is busy with other computations.", hint="Try again in a few seconds.")
CLOSING = error_reply(503, "LimitError", "The lab is closing.")
LOST = error_reply(
    503,
    "LimitError",
    "The process that computed this ended, most likely for want of memory.",
    hint="Ask for fewer steps or variables; a new process is there already.",
)
NOT_STARTED = error_reply(
    503,
    "InternalError",
    "The lab could not start a process to compute this.",
    hint="The window in which the lab was started shows why.",
)


def packed_job(
    verb: str, body: bytes, table: UploadedFile | None, runs: Path | None = None, *, number: int = 0
) -> bytes:
    """Return a job as bytes for a pipe: a line of JSON, the request, and the file.

    Args:
        verb: the name of the verb.
        body: the request, a JSON object.
        table: the uploaded file that the request names.
        runs: the folder to search for saved runs.
        number: the number by which the job can be stopped.
    """
    head = {
        "number": number,
        "verb": verb,
        "length": len(body),
        "table": None if table is None else table.name,
        "runs": None if runs is None else str(runs.resolve()),
    }
    return json.dumps(head).encode() + b"\n" + body + (b"" if table is None else table.data)


def packed_stop(number: int) -> bytes:
    """Return the order to stop a job, as bytes for a pipe."""
    return json.dumps({"stop": number}).encode() + b"\n"


def stopped_job(packed: bytes) -> int | None:
    """Return the number of the job that an order stops; None for a job."""
    return _head(packed).get("stop")


def job_number(packed: bytes) -> int:
    """Return the number of a job."""
    return _head(packed)["number"]


def _head(packed: bytes) -> dict[str, Any]:
    return json.loads(packed.partition(b"\n")[0])


def job_of(packed: bytes) -> tuple[str, dict[str, Any]]:
    """Return the verb and the request of a job that `packed_job` wrote.

    The request holds the file as `table`, and the folder of runs as `runs`. A `runs` from the page is dropped: it could
    name any folder of this machine.
    """
    line, _, rest = packed.partition(b"\n")
    head = json.loads(line)
    request = json.loads(rest[: head["length"]])
    request.pop("runs", None)
    if head["runs"] is not None:
        request["runs"] = Path(head["runs"])
    if head["table"] is not None:
        request["table"] = UploadedFile(head["table"], rest[head["length"] :])
    return head["verb"], request


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Write a frame.

    Args:
        stream: the pipe to the other process.
        frame: the bytes.

    Raises:
        OSError: if the other process has ended.
    """
    stream.write(_LENGTH.pack(len(frame)) + frame)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Wait for a frame and return it, or None if the other process has ended.

    Args:
        stream: the pipe from the other process.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    frame = stream.read(length)
    return frame if len(frame) == length else None
