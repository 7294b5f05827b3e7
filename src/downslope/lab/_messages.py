"""Limits of the lab, and messages between the server and its processes: jobs, replies, and their frames in a pipe."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_PIECE = 206
_NOTE = 100
SCHEDULER = "DOWNSLOPE_LAB_SCHEDULER"  # of the environment of a process: where verbs over many runs are spread
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


class Tables:
    """Uploaded files, in memory; the least recently used give way to new ones.

    Args:
        capacity: the bytes that they may hold together.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_key: OrderedDict[str, UploadedFile] = OrderedDict()

    def keep(self, table: UploadedFile) -> str:
        """Keep a table and return its key, a hash of its name and content: equal files share one."""
        key = hashlib.sha256(table.name.encode() + b"\n" + table.data).hexdigest()[:24]
        self._by_key[key] = table
        self._by_key.move_to_end(key)
        while sum(len(kept.data) for kept in self._by_key.values()) > self._capacity:
            self._by_key.popitem(last=False)
        return key

    def get(self, key: str) -> UploadedFile | None:
        """Return the table of a key, or None if it is not kept, or no longer."""
        if key in self._by_key:
            self._by_key.move_to_end(key)
        return self._by_key.get(key)


def function_at(path: str) -> Callable[..., Any]:
    """Return the function at "module:function", as verbs are named."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


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
        """Whether the message reports the usage of the job, which no visitor sees."""
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


def scheduler() -> str | None:
    """Return the address of the scheduler that the lab was opened with, for `executor=`."""
    return os.environ.get(SCHEDULER)


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
    "The process that computed this ended, most likely for lack of memory.",
    hint="Ask for fewer steps or variables; a new process has already started.",
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


# All limits of the lab, with their reasons.


_GIGABYTE = 1024**3
_MOST_WORKERS = 8  # a worker with its programs keeps two thirds of a gigabyte


def _cores() -> int:
    """Return how many processes compute: one a core, and two at least, so that a training leaves one to others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, min(cores, _MOST_WORKERS))


def _memory() -> int:
    """Return the bytes of data of one process: half of the machine's memory, from 2 to 4 GB."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system says
        return 4 * _GIGABYTE
    return max(2 * _GIGABYTE, min(4 * _GIGABYTE, whole // 2))


@dataclass(frozen=True)
class Limits:
    """The limits of a request, a visitor and the whole server.

    Args:
        formula: characters of a formula.
        variables: variables of a formula.
        steps: steps of one descent.
        methods: methods in one race.
        table_rows: rows of a table; of a longer one a sample.
        table_columns: columns of a table; to read a thousand takes about half of `seconds`.
        preview_columns: columns whose first rows are sent to the page; nobody reads more of them there.
        network_layers: hidden layers of a network.
        network_units: units of one of them.
        network_steps: steps of a training; its visitor waits for them.
        network_rows: rows of a table to train on; of a longer one a sample.
        runs: saved runs that are listed.
        compared: runs in a comparison; more lines cannot be told apart.
        followers: runs that all visitors together follow at once; each keeps a connection open.
        followers_per_visitor: the same for a single visitor.
        rows: rows of a path that are sent to the page; more are thinned.
        body: bytes of a request. The page sends a formula and a few numbers.
        drained: bytes of a body too large that are read and discarded before the refusal, so that a browser that is
            still sending sees it; of a longer body nothing more is read.
        arrival: seconds in which the whole head of a request must have come, and then its whole body.
        reading: seconds in which a visitor must have taken a reply that fills the buffers; longer ones get more.
        connections: connections open at the same time; fewer where the system allows fewer files.
        seconds: CPU seconds that a job may compute before its process is ended. Waiting and compiling do not count.
        compiling: CPU seconds that a job may compile besides: more than any formula of this length takes, so that only
            what hangs in it is ended.
        stalled: seconds in which a job must have used the CPU; one that hangs never reaches `seconds`.
        stream_seconds: seconds that a job with a streamed reply may take, such as a training; its visitor can end it.
        table: bytes of a file with a table.
        tables: bytes of all such files together, which are kept in memory.
        wait: seconds that a job may wait for a worker.
        waiting: jobs that may wait at the same time, of all visitors together.
        workers: processes that compute: as many as cores, since more would only delay each other. Trainings leave one
            of them to others.
        warm: processes that are kept ready without requests: two, so that a picture does not wait for a longer job.
        jobs_per_visitor: workers that one visitor may hold.
        patience: seconds that a job waits for a worker before another process is started for it, and for the worker
            with its compiled programs before it goes to another worker.
        start: seconds in which a process that starts must have used the CPU.
        report: seconds from one report of what a job has used to the next; until the first, none of it counts as
            compiling.
        memory: bytes of data that one process may hold (`RLIMIT_DATA`, where the system knows it).
        resident: bytes that a process may keep after a reply. One that keeps more is replaced.
    """

    formula: int = 2_000
    variables: int = 8
    steps: int = 100_000
    methods: int = 8
    table_rows: int = 50_000
    table_columns: int = 1_000
    preview_columns: int = 20
    network_layers: int = 16
    network_units: int = 256
    network_steps: int = 20_000
    network_rows: int = 20_000
    runs: int = 200
    compared: int = 6
    followers: int = 32
    followers_per_visitor: int = 4
    rows: int = 400
    body: int = 64 * 1024
    drained: int = 2 * 1024 * 1024
    arrival: float = 8.0
    reading: float = 30.0
    connections: int = 400
    seconds: float = 10.0
    compiling: float = 300.0
    stalled: float = 60.0
    stream_seconds: float = 600.0
    table: int = 8 * 1024**2
    tables: int = 64 * 1024**2
    wait: float = 600.0
    waiting: int = 256
    workers: int = field(default_factory=_cores)
    warm: int = 2
    jobs_per_visitor: int = 2
    patience: float = 0.25
    start: float = 60.0
    report: float = 0.5
    memory: int = field(default_factory=_memory)
    resident: int = 3 * _GIGABYTE // 2


LIMITS = Limits()
