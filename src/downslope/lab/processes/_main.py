"""What runs inside a worker: a verb and JSON come in, a reply goes out, one at a time.

Everything that computes is in such a process, so that the server can end what does not end by itself. A worker never
outlives its server: a thread reads the pipe and sees it close, and an alarm of the operating system ends a job that
holds the interpreter so that no thread gets a turn.
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

from downslope._errors import DownslopeError
from downslope.lab._messages import Reply, error, job_of, read_frame, told, write_frame

# The server ends a job first and tells the visitor; the alarm is for jobs whose server is gone.
_ALARM_AFTER = 2.0

# Where there are fewer cores than jobs, the server and the browser come first.
_NICE = 5

_log = logging.getLogger("downslope.lab")


def main() -> None:
    """Answer jobs from the standard input until it closes.

    The first frame says how: {"verbs": {name: "module:function"}, "streams": the same, "warm": "module:function" or
    null, "seconds": …, "stream_seconds": …, "memory": …}. An empty frame goes back when the worker is ready.
    """
    source, sink = _pipes()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    setup = json.loads(read_frame(source) or b"{}")
    _bound_memory(setup["memory"])
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
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


def answer(place: str, request: dict[str, Any]) -> Reply:
    """Return what a verb makes of a request, or what went wrong, in words.

    Args:
        place: "module:function", a function from a dict to a dict.
        request: what came from the page.
    """
    try:
        return told(_function(place)(request))
    except Exception as wrong:
        return _refusal(wrong, place)


def stream(place: str, request: dict[str, Any]) -> Iterator[Reply]:
    """Yield what a verb makes of a request, piece by piece; the last reply ends it, and may say what went wrong.

    Args:
        place: "module:function", a function from a dict to an iterator of dicts.
        request: what came from the page.
    """
    try:
        for piece in _function(place)(request):
            yield told(piece, is_piece=True)
        yield told({})
    except Exception as wrong:
        yield _refusal(wrong, place)


def _refusal(wrong: Exception, place: str) -> Reply:
    """Return what went wrong, in words."""
    if isinstance(wrong, DownslopeError):
        return error(
            400,
            type(wrong).__name__,
            wrong.message,
            hint=wrong.hint,
            position=getattr(wrong, "position", None),
            width=getattr(wrong, "width", 1),
        )
    if isinstance(wrong, RecursionError):
        return error(
            400, "LimitError", "This is nested too deeply to be read.", hint="Write it with fewer brackets or powers."
        )
    if isinstance(wrong, MemoryError) or "RESOURCE_EXHAUSTED" in str(wrong):  # what XLA says for MemoryError
        return _out_of_memory()
    _log.error("%s could not answer", place, exc_info=wrong)
    return error(
        500,
        "InternalError",
        "Something went wrong here that is not your fault.",
        hint="The window in which the lab was started shows what; please report it.",
    )


def warm() -> None:
    """Load what the first picture needs, so that it does not wait for imports."""
    import downslope as ds
    from downslope._engine import jax

    ds.formula("f(x) = x²")
    jax().devices()
    for folder in ("descent", "diagnosis"):
        importlib.import_module(f"downslope.{folder}")


def _out_of_memory() -> Reply:
    """Return the reply that also tells the server to replace this process."""
    return error(
        503,
        "LimitError",
        "This needs more memory than one computation may take here.",
        hint="Ask for fewer steps or variables; in Python there is no such limit.",
    )


def _function(place: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function at "module:function"."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _prepare(verbs: Mapping[str, str], warming: str | None) -> None:
    """Import everything that will be asked for; what cannot be imported is told when it is asked for."""
    for place in (*verbs.values(), *([] if warming is None else [warming])):
        try:
            function = _function(place)
            if place == warming:
                function()  # pyright: ignore[reportCallIssue] - it takes nothing
        except Exception as failed:
            _log.warning("%s could not be prepared: %s", place, failed)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes from and to the server; what a computation prints goes to the log instead."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


def _receive(source: BinaryIO, jobs: queue.SimpleQueue[bytes]) -> None:
    """Hand on what comes in, and end this process at once, whatever it is at, when nothing can come any more."""
    while (frame := read_frame(source)) is not None:
        jobs.put(frame)
    os._exit(0)


def _bound_memory(limit: int) -> None:
    """Let this process hold no more data than `limit` bytes, where the system can hold it to that.

    Data, and not the address space: libraries for accelerators reserve far more addresses than they ever use.
    """
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        bound = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer; the system does it, not Python, which may be held up."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
