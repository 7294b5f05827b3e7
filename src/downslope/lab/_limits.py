"""All limits of the lab, with their reasons."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

_GIGABYTE = 1024**3
_MOST_WORKERS = 8  # a worker with its programs keeps two thirds of a gigabyte


def _cores() -> int:
    """Return how many processes compute: one a core, and two at least, so that a training leaves one to others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, min(cores, _MOST_WORKERS))


def _memory() -> int:
    """Return the bytes of data of one process: half of the machine's memory, from 2 to 4 GB."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system says
        return 4 * _GIGABYTE
    return max(2 * _GIGABYTE, min(4 * _GIGABYTE, whole // 2))


@dataclass(frozen=True)
class Limits:
    """What a request, a visitor and the whole server may use.

    Args:
        formula: characters of a formula.
        variables: variables of a formula.
        steps: steps of one descent.
        methods: methods in one race.
        table_rows: rows of a table.
        table_columns: columns of a table.
        network_layers: hidden layers of a network.
        network_units: units of one of them.
        network_steps: steps of a training; its visitor waits for them.
        network_rows: rows of a table to train on.
        runs: saved runs that are listed.
        compared: runs in a comparison; more lines cannot be told apart.
        followers: runs that all visitors together follow at once; each keeps a connection open.
        followers_per_visitor: the same for a single visitor.
        rows: rows of a path that are sent to the page; more are thinned.
        body: bytes of a request. The page sends a formula and a few numbers.
        drained: bytes of a body too large that are read and discarded before the refusal, so that a browser that is
            still sending sees it; of a longer body nothing more is read.
        arrival: seconds in which the whole head of a request must have come, and then its whole body.
        reading: seconds in which a visitor must have taken a reply that fills the buffers; longer ones get more.
        connections: connections open at the same time; fewer where the system allows fewer files.
        seconds: CPU seconds that a job may compute before its process is ended. Waiting and compiling do not count.
        compiling: CPU seconds that a job may compile besides.
        stalled: seconds in which a job must have used the CPU; one that hangs never reaches `seconds`.
        stream_seconds: seconds that a job with a streamed reply may take, such as a training; its visitor can end it.
        table: bytes of a file with a table.
        tables: bytes of all such files together, which are kept in memory.
        wait: seconds that a job may wait for a worker.
        waiting: jobs that may wait at the same time, of all visitors together.
        workers: processes that compute: as many as cores, since more would only delay each other. Trainings leave one
            of them to others.
        warm: processes that are kept ready without requests.
        jobs_per_visitor: workers that one visitor may hold.
        patience: seconds that a job waits for a worker before another process is started for it, and for the worker
            with its compiled programs before it goes to another worker.
        start: seconds in which a process that starts must have used the CPU.
        memory: bytes of data that one process may hold (`RLIMIT_DATA`, where the system knows it).
        resident: bytes that a process may keep after a reply. One that keeps more is replaced.
    """

    formula: int = 2_000
    variables: int = 8
    steps: int = 100_000
    methods: int = 8
    table_rows: int = 50_000
    table_columns: int = 100
    network_layers: int = 16
    network_units: int = 256
    network_steps: int = 20_000
    network_rows: int = 20_000
    runs: int = 200
    compared: int = 6
    followers: int = 32
    followers_per_visitor: int = 4
    rows: int = 400
    body: int = 64 * 1024
    drained: int = 2 * 1024 * 1024
    arrival: float = 8.0
    reading: float = 30.0
    connections: int = 400
    seconds: float = 10.0
    compiling: float = 60.0
    stalled: float = 60.0
    stream_seconds: float = 600.0
    table: int = 8 * 1024**2
    tables: int = 64 * 1024**2
    wait: float = 600.0
    waiting: int = 256
    workers: int = field(default_factory=_cores)
    warm: int = 1
    jobs_per_visitor: int = 2
    patience: float = 0.25
    start: float = 60.0
    memory: int = field(default_factory=_memory)
    resident: int = 3 * _GIGABYTE // 2


LIMITS = Limits()
