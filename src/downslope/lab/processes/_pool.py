"""The pool of worker processes, and the jobs that wait for them.

    ask ─▶ waiting ─▶ a worker ─▶ answered
              │           └─▶ killed: out of time, or its visitor has left
              └─▶ superseded, busy, gone

Everything here runs on the event loop, so that no state needs a lock; reports of workers come from their threads and
are handed over to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from downslope.lab._limits import LIMITS, Limits
from downslope.lab._messages import (
    BUSY,
    CLOSING,
    LOST,
    NOT_STARTED,
    SUPERSEDED,
    Reply,
    UploadedFile,
    error_reply,
    packed_job,
)
from downslope.lab.processes._process import Worker

_log = logging.getLogger("downslope.lab")


@dataclass(eq=False)
class _Job:
    """A queued or running request."""

    visitor: str
    verb: str
    packed: bytes
    queued: float
    replies: asyncio.Queue[Reply]
    timer: asyncio.TimerHandle
    worker: Worker | None = None
    settled: bool = False

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
    """

    def __init__(
        self,
        verbs: Mapping[str, str],
        limits: Limits = LIMITS,
        *,
        streams: Mapping[str, str] | None = None,
        warm: str | None = "downslope.lab.processes._main:warm",
        runs: Path | None = None,
    ) -> None:
        self.verbs, self.streams = dict(verbs), dict(streams or {})
        self._limits = limits
        self._runs = runs
        setup = {
            "verbs": self.verbs,
            "streams": self.streams,
            "warm": warm,
            "seconds": limits.seconds,
            "stream_seconds": limits.stream_seconds,
            "memory": limits.memory,
        }
        self._setup = json.dumps(setup).encode()
        self._waiting: list[_Job] = []
        self._ended: list[Worker] = []
        self._look: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Before the event loop runs: imports in the processes and in the server then go on at the same time.
        self._crew = [Worker(self._setup) for _ in range(limits.warm)]

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
        before the last reply ends the job.

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
        job = self._admit(visitor, verb, packed_job(verb, body, table, self._runs))
        self._dispatch()
        try:
            reply = await job.replies.get()
            while reply.is_piece:
                yield reply
                reply = await job.replies.get()
            yield reply
        finally:
            self._let_go(job)

    def _admit(self, visitor: str, verb: str, packed: bytes) -> _Job:
        """Queue a job; it is answered with BUSY when it has waited too long."""
        loop = asyncio.get_running_loop()
        # The closure sees the job that the next line binds.
        timer = loop.call_later(self._limits.wait, lambda: self._settle(job, BUSY))
        job = _Job(visitor, verb, packed, loop.time(), asyncio.Queue(), timer)
        self._waiting.append(job)
        return job

    def _supersede(self, key: tuple[str, str]) -> None:
        """Answer the older jobs of a key; a running one may still end by itself, see `_let_go`."""
        for job in [*self._waiting, *(worker.job for worker in self._crew if worker.job is not None)]:
            if job.key == key:
                self._settle(job, SUPERSEDED)

    def _settle(self, job: _Job, reply: Reply) -> None:
        """Answer a job, unless it has been answered."""
        job.timer.cancel()
        if job in self._waiting:
            self._waiting.remove(job)
        if not job.settled:
            job.settled = True
            job.replies.put_nowait(reply)

    def _let_go(self, job: _Job) -> None:
        """Drop a job whose visitor has left; if it runs, its process is ended after a grace period.

        A killed process loses its compiled programs and seconds of imports; most jobs are nearly done and need no kill.
        """
        job.timer.cancel()
        if job in self._waiting:
            self._waiting.remove(job)
        if job.worker is not None and self._loop is not None:
            job.timer = self._loop.call_later(self._limits.grace, self._stop, job)

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

        A worker that has served the same visitor and verb holds their compiled programs; compiling them again elsewhere
        takes longer than a short wait. A job that has waited longer than `patience` takes any idle worker.
        """
        # A second endless job of a visitor still leaves workers for everybody else.
        if self._held(job.visitor) >= self._limits.jobs_per_visitor:
            return None
        idle = [worker for worker in self._crew if worker.idle]
        at_home = [worker for worker in idle if job.key in worker.served]
        if not self._starved(job):
            if any(worker.job is not None and worker.job.key == job.key for worker in self._crew):
                return None  # the job that it superseded is about to end
            if not at_home and any(job.key in worker.served for worker in self._crew):
                return None  # its programs are compiled in a worker that will soon be free
        return next(iter(at_home or idle), None)

    def _begin(self, job: _Job, worker: Worker) -> None:
        assert self._loop is not None
        self._waiting.remove(job)
        job.timer.cancel()
        seconds = self._limits.stream_seconds if job.verb in self.streams else self._limits.seconds
        # From now on the timer bounds the computation and no longer the wait.
        job.timer = self._loop.call_later(seconds, self._overrun, job, seconds)
        job.worker, worker.job = worker, job
        if job.key not in worker.served:
            worker.served.append(job.key)
        worker.send(job.packed)

    def _overrun(self, job: _Job, seconds: float) -> None:
        """End a job that exceeded its time."""
        message = f"This takes longer than {seconds:g} seconds, and was stopped."
        hint = "Ask for fewer steps or a simpler formula; in Python there is no such limit."
        # Answered before the process is killed: the end of the process would otherwise be reported as a crash.
        self._settle(job, error_reply(503, "LimitError", message, hint=hint))
        self._stop(job)

    def _stop(self, job: _Job) -> None:
        if job.worker is not None:
            self._dismiss(job.worker)

    def _dismiss(self, worker: Worker) -> None:
        """End a process, and replace it if too few are left."""
        self._crew.remove(worker)
        self._ended.append(worker)
        if worker.job is not None:
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
        may = [job for job in self._waiting if self._held(job.visitor) < self._limits.jobs_per_visitor]
        # A new process costs seconds of imports and hundreds of megabytes, so that a short wait is preferred.
        needed = not self._crew or any(self._starved(job) for job in may)
        if needed and len(self._crew) < self._limits.workers and all(worker.ready for worker in self._crew):
            self._start()

    def _top_up(self) -> None:
        while len(self._crew) < self._limits.warm:
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
        loop.call_later(self._limits.start, self._lost_unless_ready, worker)

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
        else:
            self._answered(worker, worker.job, Reply.unpacked(frame))

    def _answered(self, worker: Worker, job: _Job, reply: Reply) -> None:
        if reply.is_piece:
            if not job.settled:
                job.replies.put_nowait(reply)
            return
        worker.job = None
        job.worker = None
        self._settle(job, reply)
        if reply.status == 503:  # out of memory: it may not have freed all it took
            self._dismiss(worker)
        else:
            self._dispatch()

    def _lost(self, worker: Worker) -> None:
        """Handle a process that ended by itself. One that could not even start is not restarted: it would loop."""
        self._crew.remove(worker)
        if worker.job is not None:
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

    def _lost_unless_ready(self, worker: Worker) -> None:
        if worker in self._crew and not worker.ready:
            worker.kill()
            self._lost(worker)

    def _replace_dead(self) -> None:
        """Replace idle workers whose processes have ended unnoticed."""
        for worker in [worker for worker in self._crew if worker.idle and not worker.alive]:
            self._crew.remove(worker)
            self._ended.append(worker)
            worker.kill()
            self._top_up()
