"""The main program of a worker process: it reads jobs from a pipe and writes replies, one job at a time.

All computation is in such processes, so that the server can end a job that does not end by itself. A worker never
outlives its server: a thread reads the pipe and sees it close. A job that holds the interpreter, in which no thread
gets a turn, is ended by the operating system.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import downslope as ds
from downslope._engine import keep_programs_on_disk, on_loading_jax
from downslope.lab._messages import (
    SCHEDULER,
    Reply,
    data_reply,
    error_reply,
    function_at,
    job_number,
    job_of,
    note,
    read_frame,
    stopped_job,
    write_frame,
)
from downslope.lab.processes._process import Meter, resident_bytes

# CPU seconds beyond the limit: the server ends a job first and says so; the alarm is for jobs without a server.
_ALARM_AFTER = 2.0

_QUIET = 2.0  # seconds without a job after which a worker imports what the first picture does without

# With fewer cores than jobs, the server and the browser come first.
_NICE = 5

_PR_SET_PDEATHSIG = 1

_log = logging.getLogger("downslope.lab")


def main() -> None:
    """Answer jobs from the standard input until it closes.

    The first frame is the setup: {"verbs": {name: "module:function"}, "streams": the same, "warm": "module:function" or
    null, "seconds": …, "compiling": …, "stream_seconds": …, "memory": …, "resident": …,
    "report": …, "scheduler": an address or null}. An empty frame goes back when
    the worker is ready.
    """
    source, sink = _pipes()
    _die_with_parent()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    setup = json.loads(read_frame(source) or b"{}")
    keep_programs_on_disk()
    if setup.get("scheduler"):
        os.environ[SCHEDULER] = setup["scheduler"]
    # Before any import: libraries that allocate at import are within the limit too.
    _bound_memory(setup["memory"])
    inbox = _Inbox()
    # A thread of its own reads the pipe, so that its end is noticed during a computation.
    threading.Thread(target=_receive, args=(source, inbox), daemon=True).start()
    outbox = _Outbox(sink, setup["resident"], setup["report"])
    _warm(setup["warm"])
    with contextlib.suppress(BrokenPipeError):  # the server has gone
        outbox.write(b"")
        threading.Thread(target=_prepare, args=({**setup["verbs"], **setup["streams"]}, outbox), daemon=True).start()
        while True:
            packed = inbox.jobs.get()
            name, request = job_of(packed)
            seconds = setup["stream_seconds" if name in setup["streams"] else "seconds"] + setup["compiling"]
            with _alarm(seconds + _ALARM_AFTER):
                outbox.begin()
                for reply in _replies(setup, name, request, inbox.stops(job_number(packed))):
                    outbox.send(reply)


class _Inbox:
    """The jobs that wait, and the number of the job that the server stopped last."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.stopped: int | None = None

    def stops(self, number: int) -> Callable[[], bool]:
        """Return a function that says whether the server has stopped a job."""
        return lambda: self.stopped == number


class _Outbox:
    """The pipe to the server, on which replies and reports of what a job has used take turns.

    Args:
        sink: the pipe.
        resident: bytes of memory above which the end of a reply is preceded by a report.
        interval: seconds from one report of what a job has used to the next.
    """

    def __init__(self, sink: BinaryIO, resident: int, interval: float) -> None:
        self._sink = sink
        self._resident, self._interval = resident, interval
        self._lock = threading.Lock()
        self._meter = Meter()
        on_loading_jax(self._meter.listen)
        self._running = threading.Event()
        self._ended = time.monotonic()
        threading.Thread(target=self._report, daemon=True).start()

    @property
    def seconds_idle(self) -> float:
        """The seconds since the last job ended, 0 while one runs."""
        return 0.0 if self._running.is_set() else time.monotonic() - self._ended

    def write(self, frame: bytes) -> None:
        """Write a frame."""
        with self._lock:
            write_frame(self._sink, frame)

    def begin(self) -> None:
        """Report now and then what is used, until the end of a reply."""
        self._meter.begin()
        self._running.set()

    def send(self, reply: Reply) -> None:
        """Write a reply or a piece of it."""
        with self._lock:
            if not reply.is_piece:
                # Within the lock: a report after the end of a reply would be taken for one of the next job.
                self._running.clear()
                self._ended = time.monotonic()
                usage = self._meter.usage(memory=resident_bytes())
                # So the server knows which worker has programs for a visitor, and which one keeps too much.
                if usage.compiled or (usage.memory or 0) > self._resident:
                    write_frame(self._sink, note(usage.packed()).packed())
            write_frame(self._sink, reply.packed())

    def _report(self) -> None:
        with contextlib.suppress(OSError):  # the server has gone, and this process is about to end
            while self._running.wait():
                time.sleep(self._interval)
                with self._lock:
                    if self._running.is_set():
                        write_frame(self._sink, note(self._meter.usage().packed()).packed())


def _replies(
    setup: Mapping[str, Any], name: str, request: dict[str, Any], stopped: Callable[[], bool]
) -> Iterator[Reply]:
    if name in setup["streams"]:
        yield from stream(setup["streams"][name], request, stopped)
    else:
        yield answer(setup["verbs"][name], request)


def answer(path: str, request: dict[str, Any]) -> Reply:
    """Return the reply of a verb to a request; an error becomes a reply too.

    Args:
        path: "module:function", a function from a dict to a dict.
        request: the request of the page.
    """
    try:
        return data_reply(function_at(path)(request))
    except Exception as failure:
        return _refusal(failure, path)


def stream(path: str, request: dict[str, Any], stopped: Callable[[], bool] = lambda: False) -> Iterator[Reply]:
    """Yield the reply of a verb piece by piece; the last is empty or an error.

    Args:
        path: "module:function", a function from a dict to a generator of dicts.
        request: the request of the page.
        stopped: whether nobody waits for the rest; the generator is then closed, and its programs are kept.
    """
    try:
        with contextlib.closing(function_at(path)(request)) as pieces:
            for piece in pieces:
                yield data_reply(piece, is_piece=True)
                if stopped():
                    break
        yield data_reply({})
    except Exception as failure:
        yield _refusal(failure, path)


def _refusal(failure: Exception, path: str) -> Reply:
    """Return the reply for an exception: in words where a person can act on it, otherwise an internal error."""
    if isinstance(failure, ds.DownslopeError):
        return error_reply(
            400,
            type(failure).__name__,
            failure.message,
            hint=failure.hint,
            position=getattr(failure, "position", None),
            width=getattr(failure, "width", 1),
        )
    if isinstance(failure, RecursionError):
        return error_reply(
            400, "LimitError", "This is nested too deeply to be read.", hint="Write it with fewer brackets or powers."
        )
    if isinstance(failure, MemoryError) or "RESOURCE_EXHAUSTED" in str(failure):  # XLA's MemoryError
        return _out_of_memory()
    _log.error("%s could not answer", path, exc_info=failure)
    return error_reply(
        500,
        "InternalError",
        "Something went wrong here that is not your fault.",
        hint="The window in which the lab was started shows what; please report it.",
    )


def _out_of_memory() -> Reply:
    """Return the reply that also tells the server to replace this process."""
    return error_reply(
        503,
        "LimitError",
        "This needs more memory than one computation may take here, and was stopped.",
        hint="Ask for fewer steps or variables; in Python there is no such limit.",
    )


def _warm(path: str | None) -> None:
    """Call the function at "module:function"."""
    try:
        if path is not None:
            function_at(path)()  # pyright: ignore[reportCallIssue] - it takes nothing
    except Exception as failure:
        _log.warning("%s could not be prepared: %s", path, failure)
    # What is loaded now stays: the garbage collector need not walk it again while someone waits for a picture.
    gc.collect()
    gc.freeze()


def _prepare(verbs: Mapping[str, str], outbox: _Outbox) -> None:
    """Import all verbs when it is quiet; one that cannot be imported is reported when it is requested.

    Some load JAX, which takes longer than the first pictures do, and would make them wait.
    """
    while outbox.seconds_idle < _QUIET:
        time.sleep(_QUIET / 4)
    for path in verbs.values():
        try:
            function_at(path)
        except Exception as failure:
            _log.warning("%s could not be prepared: %s", path, failure)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes from and to the server, and redirect what a computation prints to the log."""
    # Duplicates, because 0 and 1 are replaced: a print in a verb would otherwise corrupt the replies.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


def _receive(source: BinaryIO, inbox: _Inbox) -> None:
    """Take the jobs that arrive; end this process at once, whatever it computes, when the pipe closes."""
    while (frame := read_frame(source)) is not None:
        stopped = stopped_job(frame)
        if stopped is None:
            inbox.jobs.put(frame)
        else:
            inbox.stopped = stopped
    # Not sys.exit, which would only end this thread and leave the computation running.
    os._exit(0)


def _bound_memory(limit: int) -> None:
    """Limit the data of this process to `limit` bytes, where the system can enforce it.

    Data and not the address space: libraries for accelerators reserve far more addresses than they ever use.
    """
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        bound = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def _die_with_parent() -> None:
    """Let the system end this process with its server, where it can: a job that holds the interpreter sees no pipe."""
    if sys.platform == "linux":
        parent = os.getppid()
        with contextlib.suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended just before
            os._exit(0)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """End this process if the block takes more CPU seconds; the system does it, since Python may be blocked."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds * (os.cpu_count() or 1))  # those of all threads together
    yield
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, 0)
