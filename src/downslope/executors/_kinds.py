"""The supported executors: those of `concurrent.futures`, Dask clients, and addresses of Dask schedulers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from downslope._errors import MissingExtraError, SettingError, described

_RETRIES = 3
_ANSWER = 30  # seconds in which a scheduler must answer
_UNKNOWN = 64  # workers of an executor that does not say how many it has
_FOR_EXAMPLE = 'for example executor=ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))'


@dataclass(frozen=True)
class WorkerPool:
    """The pool of workers that runs the units of a crew.

    Args:
        submit: begins a call, and returns its future.
        count: says how many units are done at a time; a cluster may grow.
        shares: whether the workers are threads of this process, so that nothing is packed.
        local: whether workers are processes of this machine, which can read its files.
        scatter: sends something to every worker, and returns what stands for it as an argument; None for none.
        close: releases what the crew itself began.
        threads: says how many threads each worker has, by its address; {} where units cannot be sent to one of them.
        submit_at: as `submit`, with the address of the worker before the call.
    """

    submit: Callable[..., Future[Any]]
    count: Callable[[], int]
    shares: bool = False
    local: bool = False
    scatter: Callable[[Any], Any] | None = None
    close: Callable[[], None] = lambda: None
    threads: Callable[[], Mapping[str, int]] = dict
    submit_at: Callable[..., Future[Any]] | None = None


def worker_pool_of(executor: Any, threads: int) -> WorkerPool:
    """Return the workers of an executor.

    Args:
        executor: the executor; None for threads of this process, which are begun here.
        threads: how many of them; with one, units are done by the caller's own.

    Raises:
        SettingError: for what is no executor, or would hang.
    """
    if executor is None:
        if threads <= 1:
            return WorkerPool(_at_once, lambda: 1, shares=True)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="downslope-unit")
        # What has begun ends: a thread cannot be stopped.
        return WorkerPool(pool.submit, lambda: threads, shares=True, close=lambda: pool.shutdown(cancel_futures=True))
    if isinstance(executor, str):
        return _connected(executor)
    if _is_client(executor):
        return _of_client(executor)
    check_executor(executor)
    most = getattr(executor, "_max_workers", None)
    count = most if isinstance(most, int) and most > 0 else _UNKNOWN
    return WorkerPool(
        executor.submit,
        lambda: count,
        shares=isinstance(executor, ThreadPoolExecutor),
        local=_context_of(executor) is not None,
    )


def check_executor(executor: Any) -> None:
    """Raise for what cannot run units.

    Raises:
        SettingError: for something without `submit`, and for workers in which JAX hangs or cannot be loaded.
    """
    if executor is None or isinstance(executor, str) or _is_client(executor):
        return
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise SettingError(
            f"an executor needs a submit method, like those of concurrent.futures, and {described(executor)} has none",
            hint=_FOR_EXAMPLE,
        )
    if type(executor).__name__ == "InterpreterPoolExecutor":
        raise SettingError("JAX cannot be loaded in a subinterpreter", hint=_FOR_EXAMPLE)
    context = _context_of(executor)
    if context is not None and context.get_start_method() == "fork":
        raise SettingError(
            "the workers of this executor are forked, and a forked child hangs once it computes with JAX, whose "
            "threads are not copied",
            hint=_FOR_EXAMPLE,
        )


def _context_of(executor: Any) -> Any:
    """Return the context that starts the processes of a pool; None for one that starts none."""
    for name in ("_mp_context", "_context"):  # of concurrent.futures and of loky, which say it nowhere else
        context = getattr(executor, name, None)
        if callable(getattr(context, "get_start_method", None)):
            return context
    return None


def _is_client(executor: Any) -> bool:
    """Tell whether it is a Dask Client, without loading Dask."""
    return type(executor).__module__.split(".")[0] == "distributed" and hasattr(executor, "scatter")


def _of_client(client: Any) -> WorkerPool:
    """Return the workers of a Dask cluster."""
    if client.asynchronous:
        raise SettingError("this Client is asynchronous", hint="Client(address), without asynchronous=True")
    # Not pure: by the digest of its arguments Dask would take a unit that was cancelled for the next one like it.
    pool = client.get_executor(pure=False, retries=_RETRIES)

    at: dict[str, Any] = {}

    def threads() -> Mapping[str, int]:
        # Those that take work: a worker that is short of memory pauses, and one that is retired takes no more.
        return client.sync(client.scheduler.ncores_running)

    def count() -> int:
        return sum(threads().values()) or _UNKNOWN

    def submit_at(worker: str, *call: Any) -> Future[Any]:
        if worker not in at:
            # Strictly there: where others were allowed as well, Dask would move units to one that builds all anew. The
            # crew hands them out again if the worker goes.
            at[worker] = client.get_executor(pure=False, retries=_RETRIES, workers=[worker], allow_other_workers=False)
        return at[worker].submit(*call)

    def scatter(content: Any) -> Any:
        # Without workers, as of a cluster that starts them when there is work, it would wait for them in vain.
        return client.scatter(content, broadcast=True, hash=False) if client.nthreads() else content

    return WorkerPool(pool.submit, count, scatter=scatter, threads=threads, submit_at=submit_at)


def _connected(address: str) -> WorkerPool:
    """Return the workers of the cluster whose scheduler has an address, with a connection of its own."""
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise MissingExtraError(
            "a scheduler's address needs Dask", hint='pip install "downslope[cluster]" installs it'
        ) from None
    try:
        client = Client(address, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"no Dask scheduler answers at {address!r}", hint="`dask scheduler` prints its address: tcp://host:8786"
        ) from error
    return replace(_of_client(client), close=client.close)


def _at_once(function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
    """Call a function here, and return its future, which is done."""
    future: Future[Any] = Future()
    future.set_result(function(*arguments))
    return future
