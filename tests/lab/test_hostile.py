"""Requests that mean no good: each is refused or bounded with a clear answer, and the server goes on answering."""

from __future__ import annotations

import resource
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from lab.visiting import cookie, cookie_line, visitor

from downslope.lab.server._serve import Running

MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def _still_answering(lab: Running) -> Iterator[None]:
    """After each of these tests the page is there; how soon is measured by `benchmarks/lab.py`."""
    yield
    assert httpx.get(lab.address.url, headers=cookie(lab)).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1",
        "http://127.0.0.1",
        "http://localhost:1",
        "http://127.0.0.1:{port}.evil",
    ],
)
def test_a_foreign_origin_is_refused(client: httpx.Client, lab: Running, origin: str) -> None:
    headers = {"Origin": origin.format(port=lab.address.port)}
    answer = client.post("/api/echo", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (403, "ForbiddenError")
    assert "access-control-allow-origin" not in answer.headers
    assert client.options("/api/echo", headers=headers).status_code == 403


def test_its_own_page_may_ask(client: httpx.Client, lab: Running) -> None:
    headers = {"Origin": lab.address.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/echo", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil", "127.0.0.2:1", "localhost.evil:{port}"]
)
def test_a_foreign_host_is_refused(client: httpx.Client, lab: Running, host: str) -> None:
    called = host.format(port=lab.address.port)
    for answer in (
        client.get("/", headers={"Host": called}),
        client.get("/static/style.css", headers={"Host": called}),
        client.post("/api/echo", json={}, headers={"Host": called, "Origin": f"http://{called}"}),
    ):
        assert answer.status_code == 403
        assert lab.address.url in answer.text
        assert str(lab.token) not in answer.text


def test_without_a_host_nothing_is_given(lab: Running) -> None:
    with socket.create_connection(("127.0.0.1", lab.address.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_page_asks_for_is_refused(client: httpx.Client, site: str) -> None:
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    frame = {**link, "Sec-Fetch-Dest": "iframe"}
    script = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers=frame).status_code == 403
    assert client.get("/static/js/page.js", headers=script).status_code == 403
    assert client.post("/api/echo", json={}, headers=link).status_code == 403


# Too much


def test_a_formula_of_a_megabyte_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/echo", json={"formula": "x+" * (MEGABYTE // 2)})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (413, "LimitError")
    assert "64 kB" in answer.json()["error"]["message"]


def test_what_just_fits_is_taken(client: httpx.Client) -> None:
    body = b'{"a":"' + b"x" * (64 * 1024 - 8) + b'"}'
    assert client.post("/api/echo", content=body).status_code == 200
    assert client.post("/api/echo", content=body[:-2] + b'x"}').status_code == 413


def test_an_upload_that_says_its_length_is_refused_before_it_comes(lab: Running) -> None:
    with socket.create_connection(("127.0.0.1", lab.address.port), timeout=30) as connection:
        head = f"POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1:{lab.address.port}\r\nX-Visitor: a\r\n{cookie_line(lab)}"
        connection.sendall((head + f"Content-Length: {500 * MEGABYTE}\r\n\r\n").encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # the server closes: it does not wait for more
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_an_upload_that_does_not_is_cut_off(client: httpx.Client) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(500 * 16):
            sent += MEGABYTE // 16
            yield b"x" * (MEGABYTE // 16)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = client.post("/api/echo", content=pieces())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"sent {sent / MEGABYTE:.1f} MB before the answer, server grew {grown:.1f} MB")
    assert answer.status_code == 413
    assert sent < 20 * MEGABYTE
    assert grown < 50


def test_an_upload_to_the_page_is_not_held(client: httpx.Client) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = client.request("GET", "/", content=(b"x" * MEGABYTE for _ in range(100)))
    assert answer.status_code == 200
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 50


def test_a_body_that_never_ends_is_given_up(lab: Running) -> None:
    with socket.create_connection(("127.0.0.1", lab.address.port), timeout=30) as connection:
        head = f"POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1:{lab.address.port}\r\nX-Visitor: a\r\n{cookie_line(lab)}"
        connection.sendall((head + "Content-Length: 100\r\n\r\n{").encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("one_visitor", [True, False])
def test_two_hundred_requests_at_once(lab: Running, one_visitor: bool) -> None:
    limits = httpx.Limits(max_connections=200)
    with visitor(lab, limits=limits) as client, ThreadPoolExecutor(200) as threads:

        def ask(number: int) -> int:
            visitor = "crowd" if one_visitor else f"crowd-{number}"
            return client.post("/api/echo", json={"n": number}, headers={"X-Visitor": visitor}).status_code

        answers = Counter(threads.map(ask, range(200)))
    print(dict(answers))
    assert sum(answers.values()) == 200
    assert set(answers) <= {200, 409, 503}
    assert answers[200] >= 1


# What is not what it should be


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a":' * 9000 + b"1" + b"}" * 9000,
        b"[" * 60_000,
        b'{"a": 1} {"b": 2}',
        b"formula=x",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_is_no_json_object_of_finite_numbers_is_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/api/echo", content=body)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "RequestError")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/%2e%2e%2fsecret.txt",
        "/static/js/../../secret.txt",
        "/static/..%5csecret.txt",
        "/static/%252e%252e%252fsecret.txt",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/style.css%00.txt",
        "/static/link.txt",
        "/static/",
        "/static/js",
        "/../secret.txt",
    ],
)
def test_nothing_outside_the_folder_is_served(lab: Running, path: str, page: Path) -> None:
    assert (page.parent / "secret.txt").exists()
    with socket.create_connection(("127.0.0.1", lab.address.port), timeout=30) as connection:  # a client would tidy up
        request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{lab.address.port}\r\n{cookie_line(lab)}Connection: close\r\n\r\n"
        )
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"a secret" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused(client: httpx.Client, method: str) -> None:
    for path in ("/", "/static/style.css", "/api/echo"):
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"]


def test_a_name_of_a_verb_is_only_looked_up(client: httpx.Client) -> None:
    for name in ("os:system", "lab.stand_ins:echo", "__class__", "echo%0aecho", "echo%2f..", "ECHO"):
        assert client.post(f"/api/{name}", json={}).status_code == 404, name


def test_text_comes_back_as_data(client: httpx.Client) -> None:
    text = "<script>alert(1)</script>\u2028\ud800"
    answer = client.post("/api/echo", content=b'{"a": "<script>alert(1)</script>\\u2028\\ud800"}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"got": {"a": text}}
