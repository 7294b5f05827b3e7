"""What comes back for a request: a status and JSON, made in a worker or by the server itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_PIECE = 206


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
