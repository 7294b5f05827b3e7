"""All limits of the lab, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass


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
        seconds: how long a job may compute before its process is ended, and how long a body may take to arrive.
        stream_seconds: how long a job with a streamed reply may compute, such as a training; its visitor can end it.
        table: bytes of a file with a table.
        tables: bytes of all such files together, which are kept in memory.
        wait: seconds that a job may wait for a worker.
        waiting: jobs that may wait at the same time, of all visitors together.
        workers: processes that compute. More than cores, so that an endless job leaves room for others.
        warm: processes that are kept ready without requests.
        jobs_per_visitor: workers that one visitor may hold; less than `workers`.
        patience: seconds that a job waits for a worker before another process is started for it, and for the worker
            with its compiled programs before it goes to another worker.
        grace: seconds that a job continues after its visitor has left: ending its process costs two seconds of imports
            later, which a job that is about to end should not.
        start: seconds that a process may take to be ready.
        memory: bytes of data that one process may hold (`RLIMIT_DATA`, where the system knows it).
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
    seconds: float = 10.0
    stream_seconds: float = 600.0
    table: int = 8 * 1024**2
    tables: int = 64 * 1024**2
    wait: float = 30.0
    waiting: int = 64
    workers: int = 4
    warm: int = 1
    jobs_per_visitor: int = 2
    patience: float = 0.25
    grace: float = 1.0
    start: float = 60.0
    memory: int = 4 * 1024**3


LIMITS = Limits()
