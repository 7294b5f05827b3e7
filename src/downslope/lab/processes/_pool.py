"""The pool of worker processes, and the queue of jobs.

    ask ─▶ waiting ─▶ a worker ─▶ answered
              │           └─▶ killed: beyond its CPU seconds, hanging, or out of memory
              └─▶ superseded, busy, gone

A process is worth its compiled programs and seconds of imports. So a job that was superseded, or whose visitor has
left, goes on to its end, and only its reply is dropped: what it compiles is needed a moment later. A streamed job,
which may go on for minutes, is stopped at its next piece.

Everything here runs on the event loop, so that no state needs a lock; reports of workers come from their threads and
are handed over to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from downslope.lab._messages import (
    BUSY,
    CLOSING,
    LIMITS,
    LOST,
    NOT_STARTED,
    SUPERSEDED,
    Limits,
    Reply,
    UploadedFile,
    error_reply,
    packed_job,
)
from downslope.lab.processes._process import Usage, Worker

_log = logging.getLogger("downslope.lab")

_LEAST_WAIT = 0.1  # seconds from one look at a running job to the next
_IDLE_SHARE = 0.01  # of a core; what uses less stands still
_LEAST_PROGRESS = 0.03  # CPU seconds; the system counts them in hundredths


@dataclass(eq=False)
class _Job:
    """A queued or running request."""

    number: int
    visitor: str
    verb: str
    packed: Callable[[], bytes]
    queued: float
    replies: asyncio.Queue[Reply]
    timer: asyncio.TimerHandle
    worker: Worker | None = None
    settled: bool = False
    # What it had computed when nobody waited any more, for a stream; what is judged, and since when it has stood still.
    before: float = 0.0
    progress: float = 0.0
    moved: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """Visitor and verb: a newer job of a key supersedes the older."""
        return self.visitor, self.verb


class Workers:
    """The worker processes: some are started at once, more when jobs have to wait.

    Args:
        verbs: name → "module:function", each a function from a dict to a dict.
        streams: the same for verbs with streamed replies, each from a dict to an iterator of dicts.
        limits: the limits of time, memory and processes.
        warm: "module:function" that is called in each process before its first job.
        runs: the folder to search for saved runs; None where no verb reads them.
        scheduler: address of a Dask scheduler, for verbs over many runs; None for the process itself.
    """

    def __init__(
        self,
        verbs: Mapping[str, str],
        limits: Limits = LIMITS,
        *,
        streams: Mapping[str, str] | None = None,
        warm: str | None = None,
        runs: Path | None = None,
        scheduler: str | None = None,
    ) -> None:
        self.verbs, self.streams = dict(verbs), dict(streams or {})
        self._limits = limits
        self._runs = runs
        setup = {
            "verbs": self.verbs,
            "streams": self.streams,
            "warm": warm,
            "seconds": limits.seconds,
            "compiling": limits.compiling,
            "stream_seconds": limits.stream_seconds,
            "memory": limits.memory,
            "resident": limits.resident,
            "report": limits.report,
            "scheduler": scheduler,
        }
        self._setup = json.dumps(setup).encode()
        self._numbers = itertools.count()
        self._waiting: list[_Job] = []
        self._ended: list[Worker] = []
        self._look: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Before the event loop runs: imports in the process and in the server then go on at the same time. A second
        # process would compete with both; it follows when the first is ready.
        self._crew = [Worker(self._setup)]

    def open(self) -> None:
        """Start listening to the workers, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        for worker in self._crew:
            self._watch(worker)

    def close(self) -> None:
        """End all processes; jobs that still wait get a reply that says so."""
        for job in [*self._waiting, *(worker.job for worker in self._crew if worker.job is not None)]:
            self._settle(job, CLOSING)
        self._loop = None
        if self._look is not None:
            self._look.cancel()
        # All are killed before any is waited for, so that closing takes as long as the slowest and not their sum.
        gone = [*self._crew, *self._ended]
        self._crew, self._ended = [], []
        for worker in gone:
            worker.kill()
        for worker in gone:
            worker.join()

    async def ask(
        self, visitor: str, verb: str, body: bytes, table: UploadedFile | None = None
    ) -> AsyncGenerator[Reply]:
        """Yield the reply to a request, for a stream the pieces before it; a reply says why if there is no other.

        An older request of the same visitor for the same verb is answered at once with 409. Closing the generator
        before the last reply drops the job if it waits, and stops it if it is a stream.

        Args:
            visitor: the key that the page chose for this visit.
            verb: a name in `verbs` or `streams`.
            body: the request, a JSON object.
            table: the uploaded file that the request names.
        """
        if self._loop is None:
            yield CLOSING
            return
        # First superseded, then counted: a visitor who slides must not fill the queue with requests of their own.
        self._supersede((visitor, verb))
        if len(self._waiting) >= self._limits.waiting:
            yield BUSY
            return
        job = self._admit(visitor, verb, body, table)
        self._dispatch()
        try:
            reply = await job.replies.get()
            while reply.is_piece:
                yield reply
                reply = await job.replies.get()
            yield reply
        finally:
            self._let_go(job)

    def _admit(self, visitor: str, verb: str, body: bytes, table: UploadedFile | None) -> _Job:
        """Queue a job; it is answered with BUSY when it has waited too long."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        # Packed when it begins: the many jobs that wait would otherwise hold as many copies of a table.
        packed = functools.partial(packed_job, verb, body, table, self._runs, number=number)
        # The closure sees the job that the next line binds.
        timer = loop.call_later(self._limits.wait, lambda: self._settle(job, BUSY))
        job = _Job(number, visitor, verb, packed, loop.time(), asyncio.Queue(), timer)
        self._waiting.append(job)
        return job

    def _supersede(self, key: tuple[str, str]) -> None:
        """Answer the older jobs of a key; what runs goes on, see `_let_go`."""
        for job in [*self._waiting, *(worker.job for worker in self._crew if worker.job is not None)]:
            if job.key == key:
                self._settle(job, SUPERSEDED)

    def _settle(self, job: _Job, reply: Reply) -> None:
        """Answer a job, unless it has been answered."""
        if job in self._waiting:
            job.timer.cancel()
            self._waiting.remove(job)
        if not job.settled:
            job.settled = True
            job.replies.put_nowait(reply)

    def _let_go(self, job: _Job) -> None:
        """Drop the reply of a job whose visitor has left; the job goes on, a stream to its next piece."""
        if job in self._waiting:
            job.timer.cancel()
            self._waiting.remove(job)
        if job.worker is not None and job.verb in self.streams and self._loop is not None:
            job.worker.stop(job.number)
            job.timer.cancel()
            job.before, _ = job.worker.spent()
            job.moved = self._loop.time()
            self._judge(job)

    def _dispatch(self) -> None:
        """Give waiting jobs to idle workers; visitors who hold the fewest workers come first."""
        if self._loop is None:
            return
        self._replace_dead()
        # Fair between visitors first, then in order of arrival: many requests of one visitor delay only that visitor.
        for job in sorted(self._waiting, key=lambda job: (self._held(job.visitor), job.queued)):
            worker = self._worker_for(job)
            if worker is not None:
                self._begin(job, worker)
        if self._waiting:
            self._grow()
        if self._waiting and self._look is None:
            # A waiting job becomes starved by time alone, which no report announces.
            self._look = self._loop.call_later(self._limits.patience, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._dispatch()

    def _worker_for(self, job: _Job) -> Worker | None:
        """Return the worker for a job, or None if the job should wait.

        A worker that has compiled programs for the same visitor and verb is waited for, since compiling them again
        elsewhere takes longer than a short wait. A job that has waited longer than `patience` takes any idle worker.
        """
        if not self._may_begin(job):
            return None
        idle = [worker for worker in self._crew if worker.idle]
        at_home = [worker for worker in idle if job.key in worker.served]
        if not self._starved(job):
            if any(worker.job is not None and worker.job.key == job.key for worker in self._crew):
                return None  # the job that it superseded is about to end
            if not at_home and any(job.key in worker.compiled for worker in self._crew):
                return None  # its programs are in a worker that will soon be free
        return next(iter(at_home or idle), None)

    def _may_begin(self, job: _Job) -> bool:
        """Return whether its visitor may hold one more worker, and streams as well, if it is one."""
        if self._held(job.visitor) >= self._limits.jobs_per_visitor:
            return False
        # Trainings take minutes: one worker is left to those who wait for milliseconds.
        streaming = sum(worker.job is not None and worker.job.verb in self.streams for worker in self._crew)
        return job.verb not in self.streams or streaming < max(1, self._limits.workers - 1)

    def _begin(self, job: _Job, worker: Worker) -> None:
        assert self._loop is not None
        self._waiting.remove(job)
        job.timer.cancel()
        job.worker, worker.job = worker, job
        if job.key not in worker.served:
            worker.served.append(job.key)
        worker.send(job.packed())
        # From now on the timer bounds the computation and no longer the wait.
        if job.verb in self.streams:
            seconds = self._limits.stream_seconds
            job.timer = self._loop.call_later(seconds, self._overrun, job, f"takes longer than {seconds:g} seconds")
        else:
            job.moved = self._loop.time()
            job.timer = self._loop.call_later(min(self._limits.seconds, self._limits.stalled), self._judge, job)

    def _judge(self, job: _Job) -> None:
        """End a running job that has had its CPU seconds or hangs; look again later if neither."""
        if self._loop is None or job.worker is None:
            return
        limits, now = self._limits, self._loop.time()
        computed, compiled = job.worker.spent()
        # A worker that waits uses the CPU a little, for its reports.
        if computed + compiled - job.progress >= max(_LEAST_PROGRESS, _IDLE_SHARE * limits.stalled):
            job.progress, job.moved = computed + compiled, now
        left = limits.seconds - (computed - job.before)
        if left <= 0:
            self._overrun(job, f"takes longer than {limits.seconds:g} seconds of computing")
        elif compiled >= limits.compiling:
            self._overrun(job, f"takes longer than {limits.compiling:g} seconds to compile")
        elif now - job.moved >= limits.stalled:
            self._overrun(job, f"has made no progress for {limits.stalled:g} seconds")
        else:
            soon = max(_LEAST_WAIT, min(left, limits.stalled / 4))
            job.timer = self._loop.call_later(soon, self._judge, job)

    def _overrun(self, job: _Job, what: str) -> None:
        """End a job that exceeded its time."""
        hint = "Ask for fewer steps or a simpler formula; in Python there is no such limit."
        # Answered before the process is killed: the end of the process would otherwise be reported as a crash.
        self._settle(job, error_reply(503, "LimitError", f"This {what}, and was stopped.", hint=hint))
        if job.worker is not None:
            self._dismiss(job.worker)

    def _dismiss(self, worker: Worker) -> None:
        """End a process, and replace it if too few are left."""
        self._crew.remove(worker)
        self._ended.append(worker)
        if worker.job is not None:
            worker.job.timer.cancel()
            worker.job.worker = None
        worker.kill()
        self._top_up()
        self._dispatch()

    def _held(self, visitor: str) -> int:
        """Return how many workers compute for a visitor, superseded jobs included."""
        return sum(worker.job is not None and worker.job.visitor == visitor for worker in self._crew)

    def _starved(self, job: _Job) -> bool:
        assert self._loop is not None
        return self._loop.time() - job.queued >= self._limits.patience

    def _grow(self) -> None:
        """Start another process if a job has waited longer than `patience` and its visitor may hold one more."""
        may = [job for job in self._waiting if self._may_begin(job)]
        # A new process costs seconds of imports and hundreds of megabytes, so that a short wait is preferred.
        needed = not self._crew or any(self._starved(job) for job in may)
        if needed and len(self._crew) < self._limits.workers and all(worker.ready for worker in self._crew):
            self._start()

    def _top_up(self) -> None:
        """Start what is missing of the processes that are kept ready."""
        while len(self._crew) < min(self._limits.warm, self._limits.workers):
            self._start()

    def _start(self) -> None:
        worker = Worker(self._setup)
        self._crew.append(worker)
        self._watch(worker)

    def _watch(self, worker: Worker) -> None:
        """Listen to a worker; its reports are handed over to the event loop."""
        assert self._loop is not None
        loop = self._loop
        # A process may hang while it imports, as on a broken accelerator driver.
        loop.call_later(self._limits.start, self._lost_unless_ready, worker, 0.0)

        def report(worker: Worker, frame: bytes | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed, and with it all requests
                loop.call_soon_threadsafe(self._reported, worker, frame)

        worker.watch(report)

    def _reported(self, worker: Worker, frame: bytes | None) -> None:
        """Handle a report of a worker: that it is ready, a reply, or that it has ended."""
        # A report may arrive after its worker was dismissed; then only the end of the process matters.
        if worker not in self._crew:
            if frame is None and worker in self._ended:
                self._ended.remove(worker)
        elif frame is None:
            self._lost(worker)
        elif worker.job is None:
            worker.ready = True
            self._dispatch()
            self._top_up()
        elif (reply := Reply.unpacked(frame)).is_note:
            worker.note(Usage.unpacked(reply.body))
        else:
            self._answered(worker, worker.job, reply)

    def _answered(self, worker: Worker, job: _Job, reply: Reply) -> None:
        if reply.is_piece:
            if not job.settled:
                job.replies.put_nowait(reply)
            return
        job.timer.cancel()
        worker.job = None
        job.worker = None
        if worker.has_compiled and job.key not in worker.compiled:
            worker.compiled.append(job.key)
        self._settle(job, reply)
        # A process out of memory may not have freed all it took; of others, the memory that they keep only grows.
        if reply.status == 503 or worker.resident > self._limits.resident:
            self._dismiss(worker)
        else:
            self._dispatch()

    def _lost(self, worker: Worker) -> None:
        """Handle a process that ended by itself. One that could not even start is not restarted: it would loop."""
        self._crew.remove(worker)
        if worker.job is not None:
            worker.job.timer.cancel()
            worker.job.worker = None
            self._settle(worker.job, LOST)
        if worker.ready:
            self._top_up()
            self._dispatch()
            return
        _log.error("a process to compute could not be started")
        # With no process able to start, jobs would wait in vain; with another one ready, it will take them.
        if not any(other.ready for other in self._crew):
            for job in list(self._waiting):
                self._settle(job, NOT_STARTED)

    def _lost_unless_ready(self, worker: Worker, cpu_before: float) -> None:
        """End a process that is not ready and has not used the CPU since the last look."""
        if worker not in self._crew or worker.ready or self._loop is None:
            return
        cpu = worker.cpu or 0.0
        if cpu - cpu_before >= _IDLE_SHARE * self._limits.start:
            self._loop.call_later(self._limits.start, self._lost_unless_ready, worker, cpu)
            return
        worker.kill()
        self._lost(worker)

    def _replace_dead(self) -> None:
        """Replace idle workers whose processes have ended unnoticed."""
        for worker in [worker for worker in self._crew if worker.idle and not worker.alive]:
            self._crew.remove(worker)
            self._ended.append(worker)
            worker.kill()
            self._top_up()
