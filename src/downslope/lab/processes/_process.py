"""A worker process as the server sees it, and the thread that talks to it.

It is a plain subprocess and not one of `multiprocessing`: that would run the caller's script again in the child, and so
fail in every script without a guard against it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from downslope.lab._messages import Reply, packed_stop, read_frame, write_frame

# What a worker has used: CPU seconds, those of compiling among them, and memory.


_COMPILING = "/jax/core/compile/"  # how JAX's events of tracing, lowering and compiling begin
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class Usage:
    """The resources that a job has used so far, as its worker reports them.

    Args:
        cpu: CPU seconds of the process since the job began.
        compiled: those of them that were spent on compiling.
        compiling: whether it compiles now.
        memory: resident bytes of the process after the job; None before its end, and where they are not known.
    """

    cpu: float = 0.0
    compiled: float = 0.0
    compiling: bool = False
    memory: int | None = None

    def packed(self) -> bytes:
        """Return the report as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, packed: bytes) -> Usage:
        """Return the report that `packed` wrote."""
        return cls(**json.loads(packed))


def cpu_seconds(process: int) -> float | None:
    """Return the CPU seconds of another process, or None where the system does not say."""
    fields = _status(process)
    # User and system time are the 14th and the 15th field.
    return (int(fields[11]) + int(fields[12])) / _TICK if len(fields) > 12 else None


def is_ending(process: int) -> bool:
    """Return whether a process was ended, though its other threads are still there; False where that is not said."""
    return _status(process)[:1] in ([b"Z"], [b"X"])


def _status(process: int) -> list[bytes]:
    """Return the system's status of a process, from the third field on; empty if it has none."""
    try:
        # The second field, its name, stands in brackets and may hold anything.
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def resident_bytes() -> int | None:
    """Return the resident memory of this process, or None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


class Meter:
    """Measures what the job of this process uses; compiling is known from the events of JAX."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0  # events nest: a function that is traced calls others
        self._since = 0.0
        self._compiled = 0.0
        self._began = 0.0

    def listen(self) -> None:
        """Count what JAX compiles from now on."""
        import jax.monitoring

        jax.monitoring.register_scalar_listener(self._on_begin)
        jax.monitoring.register_event_duration_secs_listener(self._on_end)

    def begin(self) -> None:
        """Begin with a new job."""
        with self._lock:
            self._began = self._since = time.process_time()
            self._compiled = 0.0

    def usage(self, *, memory: int | None = None) -> Usage:
        """Return what the job has used so far."""
        with self._lock:
            now = time.process_time()
            compiled = self._compiled + (now - self._since if self._depth else 0.0)
            return Usage(now - self._began, compiled, self._depth > 0, memory)

    def _on_begin(self, event: str, value: float, **_: Any) -> None:
        if event.startswith(_COMPILING):
            with self._lock:
                if self._depth == 0:
                    self._since = time.process_time()
                self._depth += 1

    def _on_end(self, event: str, duration_secs: float, **_: Any) -> None:
        if event.startswith(_COMPILING):
            with self._lock:
                self._depth = max(0, self._depth - 1)
                if self._depth == 0:
                    self._compiled += time.process_time() - self._since


_COMMAND = "from downslope.lab.processes._main import main; main()"


class Worker:
    """A process that answers one job at a time.

    Args:
        setup: the first frame that it reads; see `_main.main`.
    """

    def __init__(self, setup: bytes) -> None:
        self.ready = False
        self.job: Any = None
        # The keys of the last jobs, and of those that it has compiled programs for.
        self.served: deque[object] = deque(maxlen=32)
        self.compiled: deque[object] = deque(maxlen=32)
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
        # Of a process that was killed, nothing can be collected until the last of its threads is gone.
        return self._process.poll() is None and not is_ending(self._process.pid)

    @property
    def cpu(self) -> float | None:
        """The CPU seconds of the process, or None where the system does not say."""
        return cpu_seconds(self._process.pid)

    @property
    def has_compiled(self) -> bool:
        """Whether its last job compiled anything."""
        return self._usage.compiled > 0

    @property
    def resident(self) -> int:
        """The bytes that it kept after its last reply, as far as it reported them; otherwise 0."""
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
        """Record the usage of the job, as the process reported it."""
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
