"""What a worker has used: CPU seconds, those of compiling among them, and memory.

Seconds on the clock say nothing on a busy machine, where a second of computing may take ten. So a job is judged by the
CPU seconds of its process. Linux tells them to the server, also of a job that holds the interpreter; elsewhere the
worker reports them itself.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_COMPILING = "/jax/core/compile/"  # how JAX's events of tracing, lowering and compiling begin
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class Usage:
    """What a job has used so far, as its worker reports it.

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
    try:
        # The name of the process stands in brackets and may hold anything; user and system time are 14th and 15th.
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK
    except (OSError, IndexError, ValueError):
        return None


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
