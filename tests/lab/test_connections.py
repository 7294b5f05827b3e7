"""Connections: half-sent requests and unread replies end, too many are refused, and long replies are left alone."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lab.stand_ins import STREAMS, VERBS
from lab.visiting import cookie_line, visitor

from downslope.lab._messages import Limits
from downslope.lab.server import _connections
from downslope.lab.server._serve import Running, running

LARGE = 24 * 2**20
LIMITS = Limits(arrival=0.8, reading=0.8, connections=12, seconds=20)


@pytest.fixture(scope="module")
def lab(page: Path) -> Iterator[Running]:
    (page / "large.txt").write_bytes(b"x" * LARGE)
    with running(port=0, limits=LIMITS, verbs=VERBS, streams=STREAMS, warm=None, static=page) as opened:
        yield opened


@contextlib.contextmanager
def connected(lab: Running, count: int = 1) -> Iterator[list[socket.socket]]:
    """Keep connections open."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", lab.address.port)
        yield [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(count)]


def is_closed(connection: socket.socket, within: float = 10) -> bool:
    """Return whether the other side closes a connection, which sends nothing more."""
    connection.settimeout(within)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def head(lab: Running, path: str = "/", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{lab.address.port}\r\n{cookie_line(lab)}{more}\r\n".encode()


HALF = {
    "nothing": b"",
    "a letter": b"G",
    "a line": b"GET / HTTP/1.1\r\n",
    "a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a header": b"GET / HTTP/1.1\r\nHo",
}


@pytest.mark.parametrize("sent", HALF.values(), ids=HALF)
def test_half_a_head_is_closed_in_time(lab: Running, sent: bytes) -> None:
    with connected(lab) as [connection]:
        began = time.monotonic()
        connection.sendall(sent)
        assert is_closed(connection)
        assert time.monotonic() - began > LIMITS.arrival / 2


def drip(connection: socket.socket, bytes_sent: bytes) -> float:
    """Send bytes one by one and slowly until the other side closes; return how long that took."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for letter in bytes_sent:
            connection.sendall(bytes([letter]))
            time.sleep(0.1)
            assert time.monotonic() - began < 10
    return time.monotonic() - began


def test_a_head_that_comes_letter_by_letter_is_closed_as_well(lab: Running) -> None:
    with connected(lab) as [connection]:
        assert drip(connection, head(lab)) < 5


def test_the_second_head_of_a_connection_is_closed_as_well(lab: Running) -> None:
    with connected(lab) as [connection]:
        connection.sendall(head(lab))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        time.sleep(1)  # idle for longer than a head may take
        assert drip(connection, head(lab)) < 5


def test_a_body_that_nobody_reads_is_closed_as_well(lab: Running) -> None:
    for more in ("Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"):
        with connected(lab) as [connection]:
            connection.sendall(head(lab, more=more))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            assert drip(connection, b"1" * 900) < 5


@pytest.mark.parametrize("more", ["", "Connection: close\r\n"])
def test_a_reply_that_is_not_read_is_given_up(lab: Running, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    monkeypatch.setattr(_connections, "_SLOWEST", LARGE)  # bytes a second that a visitor must read of it
    with connected(lab) as [connection]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head(lab, "/static/large.txt", more))
        time.sleep(LIMITS.reading + 2)
        came = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(2**20):
                came += len(piece)
        assert came < LARGE


def test_an_unread_stream_frees_its_worker(lab: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connections, "_SLOWEST", LARGE)
    body = json.dumps({"size": 2**20})
    post = f"POST /api/flood HTTP/1.1\r\nHost: 127.0.0.1:{lab.address.port}\r\nX-Visitor: slow\r\n{cookie_line(lab)}"
    with connected(lab) as [connection]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"{post}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert connection.recv(100)
        with visitor(lab, headers={"X-Visitor": "other"}) as client:
            began = time.monotonic()
            while client.post("/api/flooding", json={}).json()["now"]:
                assert time.monotonic() - began < 15
                time.sleep(0.1)


def test_a_long_computation_and_a_long_stream_are_left_alone(lab: Running) -> None:
    with visitor(lab, headers={"X-Visitor": "patient"}) as client:
        long = LIMITS.arrival + 0.5
        assert client.post("/api/asleep", json={"seconds": long}).status_code == 200
        lines = client.post("/api/counting", json={"to": 4, "pause": long / 3}).text.splitlines()
        assert len(lines) == 5
        assert client.get("/static/large.txt").status_code == 200


def test_too_many_connections_close_the_oldest_idle_ones(lab: Running) -> None:
    with visitor(lab, headers={"X-Visitor": "busy"}) as client:
        busy = threading.Thread(target=lambda: results.append(client.post("/api/asleep", json={"seconds": 1})))
        results: list[httpx.Response] = []
        busy.start()
        time.sleep(0.2)
        with connected(lab, 2 * LIMITS.connections) as idle:
            assert [is_closed(connection, 5) for connection in idle[:4]] == [True] * 4
            with visitor(lab) as other:  # there is room for who asks
                assert other.get("/").status_code == 200
        busy.join()
        assert results[0].status_code == 200  # who is answered is not idle


def test_too_many_that_are_busy_refuse_new_ones_at_once(lab: Running) -> None:
    request = json.dumps({"until": "/no/such/file", "seconds": 1})
    post = f"POST /api/asleep HTTP/1.1\r\nHost: 127.0.0.1:{lab.address.port}\r\n{cookie_line(lab)}"

    def begin(connection: socket.socket, number: int) -> None:
        line = f"X-Visitor: v{number}\r\nContent-Length: {len(request)}\r\n\r\n{request}"
        connection.sendall(f"{post}{line}".encode())

    with connected(lab, LIMITS.connections) as busy, contextlib.ExitStack() as further:
        for number, connection in enumerate(busy):
            begin(connection, number)
        # One whose request the server has not read yet is idle, and gives way to a new one, which then is busy.
        for number in range(LIMITS.connections):
            [late] = further.enter_context(connected(lab))
            late.settimeout(0.3)
            begin(late, LIMITS.connections + number)
            with contextlib.suppress(TimeoutError):
                answer = b"".join(iter(lambda late=late: late.recv(65536), b""))  # head and body come in pieces
                break
        else:
            pytest.fail("every new connection was let in")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"cannot open more connections" in answer
    time.sleep(0.3)
    with visitor(lab) as client:
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("files", "most", "backlog"), [(256, 160, 32), (1024, 400, 128), (64, 8, 8), (10**6, 400, 128)]
)
def test_the_bound_leaves_files_to_the_rest(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int, backlog: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert _connections._bounds(400) == (most, backlog)


SCRIPT = """
import sys, time
from pathlib import Path
from lab.stand_ins import VERBS
from downslope.lab._messages import Limits
from downslope.lab.server._serve import running
with running(port=0, limits=Limits(arrival=20), verbs=VERBS, warm=None, static=Path(sys.argv[1])) as lab:
    print(lab.url, flush=True)
    lab.wait()
"""


def test_with_few_files_the_lab_stays_open_to_others(page: Path) -> None:
    """As with the 256 files of macOS, and more connections than files, each with half a head."""
    command = f"ulimit -n 128; exec {sys.executable} -c '{SCRIPT}' {page}"
    environment = {"PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2] / 'src'}", "PATH": "/usr/bin"}
    pipe = subprocess.PIPE
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=pipe, stderr=pipe, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            port = int(url.split(":")[2].split("/")[0])
            with contextlib.ExitStack() as stack:
                for _ in range(150):
                    with contextlib.suppress(OSError):
                        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                        connection.sendall(b"GET / HTTP/1.1\r\nHo")
                assert httpx.get(url, timeout=10, follow_redirects=True).status_code == 200
        finally:
            server.kill()
            _, errors = server.communicate()
    assert errors == ""
