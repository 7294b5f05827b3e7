"""Visitors of a lab on a busy machine, and connections that send half a request: `benchmarks/reliability.py lab`.

Each visitor asks what the page Descend asks for a new formula, all at the same time, while every core is kept busy and
no program is in the cache.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

_VERBS = ("read", "descend", "rates", "grid")
_HALF = 300  # connections with half a head
_PATIENCE = 600.0  # seconds


def lab(visitors: int) -> None:
    """Print how many visitors were served, how long that took, with what, and when half a head is closed."""
    with tempfile.TemporaryDirectory(prefix="downslope-lab-") as cache, _opened(cache) as (process, address):
        cookies = httpx.get(address).cookies
        base = address.partition("?")[0]
        with _busy(os.cpu_count() or 1), ThreadPoolExecutor(visitors) as threads:
            begun = time.perf_counter()
            replies = list(threads.map(lambda number: _visit(base, cookies, number), range(visitors)))
            seconds = time.perf_counter() - begun
        served = sum(all(status == 200 for status in statuses) for statuses in replies)
        print(f"{served} of {visitors} visitors with a new formula each served in {seconds:.1f} s on busy cores")
        print("statuses:", dict(Counter(status for statuses in replies for status in statuses)))
        workers = _children(process.pid)
        sizes = ", ".join(f"{_resident(worker) / 2**20:.0f}" for worker in workers)
        print(f"{len(workers)} processes that compute, with {sizes} MB")
        first, last = _half_sent(base, cookies)
        print(f"{_HALF} with half a head: the page came after {first:.2f} s, the last of them ended after {last:.1f} s")


@contextlib.contextmanager
def _opened(cache: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Keep a lab open; yields its process and the address that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-m", "downslope", "lab", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**environment, "XDG_CACHE_HOME": cache}
    ) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address is not None
            yield process, address.group()
        finally:
            process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep so many cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _visit(base: str, cookies: httpx.Cookies, number: int) -> list[int]:
    """Ask what the page asks for a formula that nobody has asked for before; return the statuses."""
    request = {"formula": f"f(x, y) = x² + {number + 2}·y² + sin({number + 1}x)", "start": {"x": 1, "y": 1}}
    request |= {"rate": 0.01, "method": "gradient descent", "steps": 100}
    headers = {"X-Visitor": f"visitor-{number}"}
    with httpx.Client(base_url=base, cookies=cookies, headers=headers, timeout=_PATIENCE) as client:
        return [client.post(f"api/{verb}", json=request).status_code for verb in _VERBS]


def _half_sent(base: str, cookies: httpx.Cookies) -> tuple[float, float]:
    """Return the seconds of a page while others hold half a head, and those until the last of them was closed."""
    host, port = httpx.URL(base).host, httpx.URL(base).port
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection((host, port))) for _ in range(_HALF)]
        for connection in held:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        opened = time.perf_counter()
        httpx.get(base, cookies=cookies, timeout=_PATIENCE).raise_for_status()
        first = time.perf_counter() - opened
        for connection in held:
            connection.settimeout(_PATIENCE)
            with contextlib.suppress(OSError):
                connection.recv(1)
    return first, time.perf_counter() - begun


def _children(process: int) -> list[int]:
    """Return the processes that a process has started, on Linux."""
    listed = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in listed for child in path.read_text().split()]


def _resident(process: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
