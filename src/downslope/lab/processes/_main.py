"""The main program of a worker process: it reads jobs from a pipe and writes replies, one job at a time.

All computation is in such processes, so that the server can end a job that does not end by itself. A worker never
outlives its server: a thread reads the pipe and sees it close, and an alarm of the operating system ends a job that
holds the interpreter, in which no thread gets a turn.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import downslope as ds
from downslope._engine import keep_programs_on_disk
from downslope.lab._messages import Reply, data_reply, error_reply, job_of, read_frame, write_frame

# Seconds beyond the limit: the server ends a job first and tells the visitor; the alarm is for jobs without a server.
_ALARM_AFTER = 2.0

# With fewer cores than jobs, the server and the browser come first.
_NICE = 5

_log = logging.getLogger("downslope.lab")


def main() -> None:
    """Answer jobs from the standard input until it closes.

    The first frame is the setup: {"verbs": {name: "module:function"}, "streams": the same, "warm": "module:function" or
    null, "seconds": …, "stream_seconds": …, "memory": …}. An empty frame goes back when the worker is ready.
    """
    source, sink = _pipes()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    setup = json.loads(read_frame(source) or b"{}")
    keep_programs_on_disk()
    # Before any import: libraries that allocate at import are within the limit too.
    _bound_memory(setup["memory"])
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # A thread of its own reads the pipe, so that its end is noticed during a computation.
    threading.Thread(target=_receive, args=(source, jobs), daemon=True).start()
    _prepare({**setup["verbs"], **setup["streams"]}, setup["warm"])
    with contextlib.suppress(BrokenPipeError):  # the server has gone
        write_frame(sink, b"")
        while True:
            name, request = job_of(jobs.get())
            with _alarm(setup["stream_seconds" if name in setup["streams"] else "seconds"] + _ALARM_AFTER):
                for reply in _replies(setup, name, request):
                    write_frame(sink, reply.packed())


def _replies(setup: Mapping[str, Any], name: str, request: dict[str, Any]) -> Iterator[Reply]:
    if name in setup["streams"]:
        yield from stream(setup["streams"][name], request)
    else:
        yield answer(setup["verbs"][name], request)


def answer(path: str, request: dict[str, Any]) -> Reply:
    """Return the reply of a verb to a request; an error becomes a reply too.

    Args:
        path: "module:function", a function from a dict to a dict.
        request: the request of the page.
    """
    try:
        return data_reply(_function(path)(request))
    except Exception as failure:
        return _refusal(failure, path)


def stream(path: str, request: dict[str, Any]) -> Iterator[Reply]:
    """Yield the reply of a verb piece by piece; the last is empty or an error.

    Args:
        path: "module:function", a function from a dict to an iterator of dicts.
        request: the request of the page.
    """
    try:
        for piece in _function(path)(request):
            yield data_reply(piece, is_piece=True)
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


def warm() -> None:
    """Load what the first picture needs, so that it does not wait for imports."""
    from downslope._engine import jax

    ds.formula("f(x) = x²")
    jax().devices()
    for verb in ("descend", "diagnose"):  # a public name is imported when it is first read
        getattr(ds, verb)


def _out_of_memory() -> Reply:
    """Return the reply that also tells the server to replace this process."""
    return error_reply(
        503,
        "LimitError",
        "This needs more memory than one computation may take here.",
        hint="Ask for fewer steps or variables; in Python there is no such limit.",
    )


def _function(path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function at "module:function"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _prepare(verbs: Mapping[str, str], warming: str | None) -> None:
    """Import all verbs; one that cannot be imported is reported when it is requested."""
    for path in (*verbs.values(), *([] if warming is None else [warming])):
        try:
            function = _function(path)
            if path == warming:
                function()  # pyright: ignore[reportCallIssue] - it takes nothing
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


def _receive(source: BinaryIO, jobs: queue.SimpleQueue[bytes]) -> None:
    """Queue the jobs that arrive; end this process at once, whatever it computes, when the pipe closes."""
    while (frame := read_frame(source)) is not None:
        jobs.put(frame)
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


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer; a signal of the system does it, since Python may be blocked."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
