"""Pieces of work in processes of their own, each with limits: a piece that dies or hangs is lost alone.

`concurrent.futures.ProcessPoolExecutor` waits for ever in three cases that benchmarks meet: a worker that is replaced
after so many tasks (python/cpython#115634), a task that never ends, and a compiled program that crashes its process
while the pool hands out the next task. A process for each piece has none of these, and what a piece compiled is gone
with it. Processes are forked where that is safe, so that libraries are imported once.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

_CLOCK_FACTOR = 4  # of the processor's seconds: a machine that others use as well is that much slower
_GRACE = 5  # seconds between the signal that ends a process and the one that it cannot catch
_TICK = 0.2


@dataclass(frozen=True)
class Lost:
    """What stands in place of a result where there is none.

    Args:
        reason: an error that the work raised, or how its process ended, as a sentence.
    """

    reason: str


class _Running(NamedTuple):
    index: int
    process: Any
    answers: Any
    began: float


def results(
    work: Callable[..., Any],
    pieces: Sequence[tuple[Any, ...]],
    *,
    workers: int = 2,
    seconds: float = 3600.0,
    imports: Sequence[str] = (),
) -> Iterator[tuple[int, Any]]:
    """Yield the index and the result of each piece, as they are done; a `Lost` for one that has no result.

    Args:
        work: a function of a module.
        pieces: its arguments, a tuple for each piece.
        workers: the number of processes at a time.
        seconds: the processor's time that a piece may take; four times as many of the clock's.
        imports: modules that the work needs, which forked processes share.
    """
    _import_once(imports)
    context = multiprocessing.get_context("fork" if _can_fork() else "spawn")
    waiting, running = list(enumerate(pieces)), []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index, piece = waiting.pop(0)
                running.append(_begun(context, work, index, piece, seconds))
            connection.wait([one.answers for one in running] + [one.process.sentinel for one in running], _TICK)
            for one in list(running):
                is_late = time.monotonic() - one.began > _CLOCK_FACTOR * seconds
                if not is_late and one.process.is_alive() and not one.answers.poll(0):
                    continue
                running.remove(one)
                yield one.index, _result(one, seconds, is_late=is_late)
    finally:
        for one in running:
            _ended(one.process)


@functools.cache
def single_thread() -> None:
    """Let processes that begin from now on compute in one thread each and share what they compile."""
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Children leave by `os._exit`, so that the folder is removed once, when this process ends.
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder.name)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _import_once(modules: Sequence[str]) -> None:
    """Import modules in this process, where processes will be forked from it."""
    if _can_fork():
        for module in modules:
            importlib.import_module(module)


def _can_fork() -> bool:
    """Tell whether this process may be forked: JAX has threads as soon as it has computed anything."""
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return False
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is None or not bridge.backends_are_initialized()


def _begun(context: Any, work: Callable[..., Any], index: int, piece: tuple[Any, ...], seconds: float) -> _Running:
    """Begin a piece in a process of its own."""
    answers, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, piece, sender, seconds), daemon=True)
    process.start()
    sender.close()
    return _Running(index, process, answers, time.monotonic())


def _child(work: Callable[..., Any], piece: tuple[Any, ...], sender: Any, seconds: float) -> None:
    """Do a piece and send its result, within a limit of the processor's time."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + _GRACE))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its children
    try:
        answer: Any = work(*piece)
    except Exception as error:  # an error of one piece must not take the others with it
        where = traceback.extract_tb(error.__traceback__)[-1]
        answer = Lost(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
    try:
        sender.send(answer)
    except Exception as error:
        sender.send(Lost(f"the result cannot be sent: {type(error).__name__}: {error}"))
    sender.close()


def _result(one: _Running, seconds: float, *, is_late: bool) -> Any:
    """Return what a process has sent; a `Lost` if it ended without, or is late."""
    try:
        if one.answers.poll(0):
            answer = one.answers.recv()
            one.process.join(_GRACE)  # what it does after its answer is of no interest
            return answer
    except (EOFError, OSError):
        pass
    finally:
        one.answers.close()
        is_alive = _ended(one.process)
    code = one.process.exitcode
    if is_late and is_alive:
        return Lost(f"ended after {_CLOCK_FACTOR * seconds:.0f} seconds of the clock")
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and not is_alive):
        return Lost(f"its process was ended, for more than {seconds:.0f} seconds of the processor or for its memory")
    if code is not None and code < 0:
        return Lost(f"its process died of {signal.Signals(-code).name}")
    return Lost(f"its process ended with {code} and sent nothing")


def _ended(process: Any) -> bool:
    """End a process if it is alive; return whether it was."""
    process.join(_TICK)
    is_alive = process.is_alive()
    if is_alive:
        process.kill()
    process.join(_GRACE)
    return is_alive
