"""The crew: it submits units of work to an executor, and yields each result once, as units end."""

from __future__ import annotations

import functools
import itertools
import math
import os
import queue
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import Any

from downslope._errors import ExecutorError, in_a_line
from downslope.executors._kinds import WorkerPool, worker_pool_of
from downslope.executors._placing import AHEAD, BuildRecords, PendingUnit, Waiting
from downslope.executors._units import Ended, Failed, Lacking, Packer, PartAddress, Unit, UnitCall, done, perform

_ATTEMPTS = 4  # of a unit whose worker ends; then it is the unit that ends them
_COUNT_EVERY = 1.0  # seconds between two looks at which workers are there


class Crew:
    """Workers that do units of work.

    Results do not depend on the workers: a unit computes the same wherever it is done, and each counts once, by its
    number. A unit whose worker died is handed out again. Use it in a `with` statement, which releases what it began.

    Args:
        executor: where the work is done; see `ExecutorChoices`.
        threads: without an executor, how many threads of this process do it, or what says so when the first unit
            comes; with one, the caller's own.

    Raises:
        SettingError: for what is no executor, or would hang.
        MissingExtraError: for the address of a scheduler without Dask.
    """

    def __init__(self, executor: Any = None, *, threads: int | Callable[[], int] = 1) -> None:
        self._executor, self._threads = executor, threads
        if executor is not None:
            _ = self._workers  # what is no executor is refused here
        self._packer = Packer()
        self._count, self._counted_at = 1, -math.inf
        self._threads_of: Mapping[str, int] = {}  # by the address of a worker, where units can be sent to it
        self._builds = BuildRecords()
        self._addresses: dict[str, Any] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        # Units that were begun before they were needed; the futures of those that have not ended.
        self._ahead: dict[Unit, tuple[Future[Any], PendingUnit]] = {}
        self._unended: dict[Future[Any], PendingUnit] = {}

    @functools.cached_property
    def _workers(self) -> WorkerPool:
        threads = self._threads if isinstance(self._threads, int) or self._executor is not None else self._threads()
        return worker_pool_of(self._executor, threads if isinstance(threads, int) else 1)

    def _look_at_workers(self) -> None:
        """Count the workers from time to time: a cluster grows and shrinks."""
        if time.monotonic() >= self._counted_at + _COUNT_EVERY:
            self._threads_of = self._workers.threads()
            self._count = sum(self._threads_of.values()) or self._workers.count()
            self._counted_at = time.monotonic()

    @property
    def unneeded(self) -> int:
        """How many units were begun ahead and have not been needed since."""
        return len(self._ahead)

    @property
    def in_this_process(self) -> bool:
        """Whether the units are done by threads of this process."""
        return self._workers.shares

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._unended:
            future.cancel()
        if "_workers" in self.__dict__:
            self._workers.close()
        if self._folder is not None:
            self._folder.cleanup()

    def results(self, units: Iterable[Unit], counted: Callable[[int, Any], None] | None = None) -> list[Any]:
        """Return the result of each unit, in their order.

        Args:
            units: the units.
            counted: called with the number and the result of each as it ends.

        Raises:
            ExecutorError: as `each`.
        """
        ended = {}
        for number, result in self.each(units):
            ended[number] = result
            if counted is not None:
                counted(number, result)
        return [ended[number] for number in sorted(ended)]

    def each(self, units: Iterable[Unit], likely: Iterable[Unit] = ()) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of each unit, as they end; what has not begun is cancelled at an early end.

        Args:
            units: the units, which may be without end: as many are taken as the workers have room for.
            likely: units that may be needed later, the likeliest first. Once all others have been handed out, each
                worker of an executor that is idle begins one, at most as many as there are workers. They are not waited
                for, and a later call that is given the same object takes its result. Those that no call takes are
                counted in `unneeded`.

        Raises:
            ExecutorError: where the executor cannot go on; what has ended was yielded, and is in its `gathered`.
            Exception: what a unit raised.
        """
        arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        running: dict[Future[Any], PendingUnit] = {}
        pieces = (PendingUnit(*entry) for entry in enumerate(units))
        if self._ahead:
            pieces = iter([piece for piece in pieces if not self._taken(piece, running)])
        begun = {**running, **self._unended}
        waiting = Waiting(pieces, self._builds, [piece.worker for piece in begun.values()])
        for future in begun:
            future.add_done_callback(arrived.put)
        guesses: Iterator[Unit] = iter(())
        if self._executor is not None:
            self._look_at_workers()
            guesses = itertools.islice((unit for unit in likely if unit not in self._ahead), self._count)
        gathered: dict[int, Any] = {}
        broken: BaseException | None = None
        try:
            while True:
                while broken is None and (piece := self._next(waiting, len(running))) is not None:
                    try:
                        future = self._submitted(piece)
                    except Exception as error:  # of a pool that is broken or shut down, or a connection that is lost
                        broken = error
                        waiting.put_back(piece)
                        break
                    running[future] = piece
                    future.add_done_callback(arrived.put)
                if not running:
                    break
                if broken is None and not len(waiting):
                    self._begin_ahead(guesses, waiting, len(running), arrived)
                for piece, answer in self._arrivals(arrived, running, waiting):
                    waiting.leave(piece)
                    if isinstance(answer, Ended):
                        gathered[piece.number] = answer.result
                        self._builds.ended(piece, answer.seconds)
                        yield piece.number, answer.result
                    elif isinstance(answer, Failed):
                        raise answer.error
                    elif isinstance(answer, BrokenExecutor):
                        broken = answer
                        waiting.put_back(piece)
                    else:
                        waiting.put_back(_again(piece, answer, gathered))
        finally:
            for future in running:
                future.cancel()
        if broken is not None:
            raise _broken(broken, gathered, len(waiting) + sum(1 for _ in itertools.islice(waiting.rest(), _COUNTED)))

    def _next(self, waiting: Waiting, under_way: int) -> PendingUnit | None:
        """Return the next unit to submit; None if there is none, or the workers have enough."""
        self._look_at_workers()
        if self._threads_of:
            return waiting.at(self._threads_of)
        room = self._count * AHEAD if self._count > 1 else 1
        return waiting.any() if under_way + len(self._unended) < room else None

    def _taken(self, piece: PendingUnit, running: dict[Future[Any], PendingUnit]) -> bool:
        """Tell whether a unit was begun ahead; from now on it is one of those that run."""
        if piece.unit not in self._ahead:
            return False
        future, begun = self._ahead.pop(piece.unit)
        self._unended.pop(future, None)
        running[future] = piece._replace(worker=begun.worker)
        return True

    def _begin_ahead(
        self, guesses: Iterator[Unit], waiting: Waiting, under_way: int, arrived: queue.SimpleQueue[Future[Any]]
    ) -> None:
        """Let each idle worker begin a unit that may be needed later."""
        while under_way + len(self._unended) < self._count:
            worker = waiting.idle(self._threads_of)
            if (self._threads_of and not worker) or (unit := next(guesses, None)) is None:
                return
            piece = PendingUnit(-1, unit, worker=worker)
            try:
                future = self._submitted(piece)
            except Exception:  # the units that are waited for tell what is wrong with the executor
                return
            waiting.take(worker)
            self._ahead[unit], self._unended[future] = (future, piece), piece
            future.add_done_callback(arrived.put)

    def _submitted(self, piece: PendingUnit) -> Future[Any]:
        """Submit a unit."""
        if piece.worker:
            assert self._workers.submit_at is not None
            return self._workers.submit_at(piece.worker, *self._call(piece))
        return self._workers.submit(*self._call(piece))

    def _arrivals(
        self, arrived: queue.SimpleQueue[Future[Any]], running: dict[Future[Any], PendingUnit], waiting: Waiting
    ) -> list[tuple[PendingUnit, Any]]:
        """Wait for a unit, and return it with what it came to; and those that are lost with their worker.

        Of units that were begun ahead, only note that they have ended.
        """
        ended: list[tuple[PendingUnit, Any]] = []
        try:
            future = arrived.get(timeout=_COUNT_EVERY if self._threads_of else None)
            if future in running:
                ended.append((running.pop(future), _answer(future)))
            elif future in self._unended:
                waiting.leave(self._unended[future])
                self._end_ahead(future)
        except queue.Empty:
            pass
        self._look_at_workers()
        # What was sent to a worker that is gone would wait there for ever. Only its first unit can have ended it.
        seen: set[str] = set()
        for future, piece in list(running.items()):
            if piece.worker and piece.worker not in self._threads_of:
                del running[future]
                future.cancel()
                first = piece.worker not in seen
                ended.append((piece, ConnectionError(f"{piece.worker} is gone") if first else _Unbegun()))
                seen.add(piece.worker)
        for future, piece in list(self._unended.items()):
            if piece.worker and piece.worker not in self._threads_of:
                future.cancel()
                self._end_ahead(future)
        return ended

    def _end_ahead(self, future: Future[Any]) -> None:
        """Note that a unit that was begun ahead has ended; one without a result is begun again where it is needed."""
        piece = self._unended.pop(future)
        if not isinstance(_answer_now(future), Ended):
            del self._ahead[piece.unit]

    def _call(self, piece: PendingUnit) -> tuple[Any, ...]:
        """Return the call that does a unit: a function and its arguments."""
        unit = piece.unit
        if self._workers.shares:
            return done, unit.function, unit.subject, unit.arguments
        call, arguments = self._packer.call(unit), self._packer.packed(unit.arguments)
        parts = dict.fromkeys((*call.parts, *arguments.parts))
        addresses = [self._address(digest, inline=piece.inline) for digest in parts]
        return perform, UnitCall(call, arguments, os.getpid()), *addresses

    def _address(self, digest: str, *, inline: bool) -> Any:
        """Return where workers get a part: with the unit, from a file, or from where Dask has scattered it."""
        content = self._packer.contents[digest]
        if inline:
            return PartAddress(digest, content)
        if digest not in self._addresses:
            if self._workers.scatter is not None:
                self._addresses[digest] = self._workers.scatter(PartAddress(digest, content))
            elif self._workers.local:
                self._folder = self._folder or tempfile.TemporaryDirectory(prefix="downslope-")
                file = Path(self._folder.name) / digest
                file.write_bytes(content)
                self._addresses[digest] = PartAddress(digest, None, str(file))
            else:  # a worker that lacks it says so
                self._addresses[digest] = PartAddress(digest, None)
        return self._addresses[digest]


_COUNTED = 1_000_000  # units that did not begin are counted up to here


class _Unbegun:
    """Stands for what a unit came to that waited at a worker that ended."""


def _again(piece: PendingUnit, answer: Any, gathered: Mapping[int, Any]) -> PendingUnit:
    """Return a unit to be handed out again.

    Args:
        piece: the unit.
        answer: why it was not done.
        gathered: what has ended.

    Raises:
        ExecutorError: if it has ended one worker after another.
    """
    if isinstance(answer, Lacking | _Unbegun):
        return piece._replace(inline=True)
    if piece.attempts + 1 < _ATTEMPTS:
        return piece._replace(attempts=piece.attempts + 1, inline=True)
    raise ExecutorError(
        f"unit {piece.number + 1} killed its worker {_ATTEMPTS} times: {in_a_line(answer)}",
        hint="it may need more memory than a worker has",
        gathered=gathered,
    ) from answer


def _answer(future: Future[Any]) -> Any:
    """Return what a future came to: the worker's answer, or what kept it from one."""
    try:
        error = future.exception()  # not raised: Ctrl-C in a worker is not Ctrl-C here
    except CancelledError as cancelled:
        return cancelled
    return future.result() if error is None else error


def _answer_now(future: Future[Any]) -> Any:
    """Return what a future came to; None for one that has not ended."""
    return _answer(future) if future.done() else None


def _broken(error: BaseException, gathered: dict[int, Any], lost: int) -> ExecutorError:
    """Return the error for an executor that takes no more work."""
    if isinstance(error, BrokenExecutor):
        what = "a worker of the executor ended, and the executor cannot replace it"
    else:
        what = f"the executor takes no more work: {in_a_line(error)}"
    return ExecutorError(
        f"{what}; {len(gathered)} of {len(gathered) + lost} units had ended",
        hint="a Dask Client replaces workers and hands their units out again",
        gathered=gathered,
    )
