"""A worker process as the server sees it, and the thread that talks to it.

It is a plain subprocess and not one of `multiprocessing`: that would run the caller's script again in the child, and so
fail in every script without a guard against it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from downslope.lab._messages import Reply, packed_stop, read_frame, write_frame
from downslope.lab.processes._usage import Usage, cpu_seconds

_COMMAND = "from downslope.lab.processes._main import main; main()"


class Worker:
    """A process that answers one job at a time.

    Args:
        setup: the first frame that it reads; see `_main.main`.
    """

    def __init__(self, setup: bytes) -> None:
        self.ready = False
        self.job: Any = None
        self.served: deque[object] = deque(maxlen=32)
        self._usage = Usage()
        self._reported = self._cpu_before = 0.0
        self._writing = threading.Lock()
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            # A group of its own, since the terminal sends Ctrl-C to the whole foreground group.
            process_group=0,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # `watch` notices a process that ended at once
            write_frame(self._process.stdin, setup)

    @property
    def idle(self) -> bool:
        """Whether it is ready and has no job."""
        return self.ready and self.job is None

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    @property
    def cpu(self) -> float | None:
        """The CPU seconds of the process, or None where the system does not say."""
        return cpu_seconds(self._process.pid)

    @property
    def resident(self) -> int:
        """The bytes that it kept after its last reply, if those are too many; otherwise 0."""
        return self._usage.memory or 0

    def watch(self, report: Callable[[Worker, bytes | None], None]) -> None:
        """Start the thread that listens.

        Args:
            report: called on that thread with the empty frame when the worker is ready, with each reply or piece of a
                reply, and with None when the process has ended.
        """
        self._thread = threading.Thread(target=self._talk, args=(report,), daemon=True, name="downslope-worker")
        self._thread.start()

    def send(self, frame: bytes) -> None:
        """Give the process a job; return at once."""
        self._cpu_before = self.cpu or 0.0
        self.note(Usage())
        self._frames.put(frame)

    def stop(self, number: int) -> None:
        """Stop the streamed job of this number at its next piece; the process and its programs stay."""
        with contextlib.suppress(OSError):  # it has ended, which `watch` reports
            self._write(packed_stop(number))

    def note(self, usage: Usage) -> None:
        """Note what the job has used, as the process reported it."""
        self._usage, self._reported = usage, time.monotonic()

    def spent(self) -> tuple[float, float]:
        """Return the CPU seconds that the job has computed, and those that it has compiled."""
        usage, cpu = self._usage, self.cpu
        # A job that holds the interpreter reports nothing, but it computes.
        passed = time.monotonic() - self._reported if cpu is None else cpu - self._cpu_before - usage.cpu
        passed = max(0.0, passed)
        computed, compiled = usage.cpu - usage.compiled, usage.compiled
        return (computed, compiled + passed) if usage.compiling else (computed + passed, compiled)

    def kill(self) -> None:
        """End the process, whatever it computes."""
        self._process.kill()
        # Wakes the thread, which may be waiting for the next job.
        self._frames.put(None)

    def join(self) -> None:
        """Wait until the killed process is gone."""
        if self._thread is None:
            self._end()
        else:
            self._thread.join(timeout=5)

    def _talk(self, report: Callable[[Worker, bytes | None], None]) -> None:
        source = self._process.stdout
        assert source is not None
        with contextlib.suppress(OSError):  # it ended while a job was written
            while (answer := read_frame(source)) is not None:
                report(self, answer)
                # More frames follow before the worker reads its next job. An empty frame says that it is ready.
                if answer and not Reply.unpacked(answer).is_last:
                    continue
                if (frame := self._frames.get()) is None:
                    break
                self._write(frame)
        self._end()
        report(self, None)

    def _write(self, frame: bytes) -> None:
        assert self._process.stdin is not None
        with self._writing:
            write_frame(self._process.stdin, frame)

    def _end(self) -> None:
        """Reap the process and close its pipes."""
        self._process.kill()
        # Without waiting, a killed process would remain as a zombie until the server ends.
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # unwritten bytes are lost
                pipe.close()  # pyright: ignore[reportOptionalMemberAccess] - both are pipes
