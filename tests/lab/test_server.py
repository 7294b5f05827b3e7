"""The server: what it serves, to whom, under which headers, and how it begins and ends."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from lab.stand_ins import VERBS
from lab.visiting import cookie

import downslope as ds
from downslope.lab.server import _guard as _entry
from downslope.lab.server._serve import Address, Running, bind, running

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def test_the_page_and_its_files(client: httpx.Client) -> None:
    page = client.get("/?f=x²&at=x=4")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "A page" in page.text
    script = client.get("/static/js/page.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.head("/static/style.css").headers["content-length"] == "18"


def test_a_browser_asks_again_and_is_told_that_nothing_changed(client: httpx.Client) -> None:
    assert client.get("/static/style.css?v=another").headers["cache-control"] == "no-cache"
    first = client.get("/static/style.css")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/static/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/style.css", headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/style.css", "/nowhere", "/api/echo", "/api/nowhere"])
def test_every_answer_has_the_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] in ("no-cache", "no-store")
    assert "server" not in headers


def test_a_verb_answers(client: httpx.Client) -> None:
    answer = client.post("/api/echo", json={"formula": "x² + π", "start": {"x": 1.5}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"got": {"formula": "x² + π", "start": {"x": 1.5}}}


def test_an_error_is_told_with_its_place(client: httpx.Client) -> None:
    answer = client.post("/api/misspelt", json={})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "kind": "FormulaError",
        "message": "Here is a letter too many.",
        "hint": "Take it out.",
        "position": 1,
        "width": 1,
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/api/nowhere", 404), ("GET", "/nowhere", 404), ("GET", "/api/echo", 405), ("DELETE", "/api/echo", 405)],
)
def test_what_is_not_there(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    if path.startswith("/api/"):
        assert answer.json()["error"]["kind"] == "RequestError"


def test_a_request_without_a_visitor_is_refused(lab: Running) -> None:
    for headers in ({}, {"X-Visitor": ""}, {"X-Visitor": "a b"}, {"X-Visitor": "a" * 65}):
        answer = httpx.post(lab.address.url + "api/echo", json={}, headers={**headers, **cookie(lab)})
        assert answer.status_code == 400, headers
        assert "X-Visitor" in answer.json()["error"]["message"]


# Whom it listens to


def test_a_taken_port_is_told_when_it_was_asked_for() -> None:
    taken, address = bind("127.0.0.1", 0)
    with taken, pytest.raises(ds.SettingError, match=r"Port \d+ is taken"):
        bind("127.0.0.1", address.port)
    with pytest.raises(ds.SettingError, match="not an address of this machine"):
        bind("192.0.2.7", 0)
    with pytest.raises(ds.SettingError, match="not an address of this machine"):
        bind("no such name", 0)
    with pytest.raises(ds.SettingError, match="empty"):
        bind("", 0)


def test_another_port_is_taken_when_none_was_asked_for() -> None:
    first, one = bind("127.0.0.1", None)
    second, other = bind("127.0.0.1", None)
    with first, second:
        assert one.port != other.port


@pytest.mark.parametrize(
    ("host", "called", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8765", True),
        ("127.0.0.1", "LocalHost:8765", True),
        ("127.0.0.1", "[::1]:8765", True),
        ("127.0.0.1", "127.0.0.1:8766", True),  # a tunnel from another port of this machine
        ("board.school", "[::1]:9000", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1:", False),
        ("127.0.0.1", "192.168.1.2:8765", False),
        ("127.0.0.1", "evil.example:8765", False),
        ("127.0.0.1", "localhost.evil.example:8765", False),
        ("127.0.0.1", "127.0.0.1:8765:8765", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", ":8765", False),
        ("127.0.0.1", "localhost:٨٧٦٥", False),
        ("board.school", "board.school:8765", True),
        ("board.school", "board.school:8766", False),
        ("board.school", "other.school:8765", False),
        ("0.0.0.0", "192.168.1.2:8765", True),
        ("0.0.0.0", f"{socket.gethostname()}:8765", True),
        ("0.0.0.0", "evil.example:8765", False),
        ("::", "[2001:db8::7]:8765", True),
    ],
)
def test_names_it_may_be_called_by(host: str, called: str, allowed: bool) -> None:
    assert Address(host, 8765).allows(called) is allowed


def test_which_addresses_are_beyond_this_machine() -> None:
    assert all(Address(host, 1).loopback for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"))
    assert not any(Address(host, 1).loopback for host in ("0.0.0.0", "::", "192.168.1.2", "board.school"))
    assert Address("::1", 8765).url == "http://[::1]:8765/"
    assert "0.0.0.0" not in Address("0.0.0.0", 8765).url


@pytest.fixture(scope="module")
def shared(page: Path) -> Iterator[Running]:
    with running(host="0.0.0.0", port=0, verbs=VERBS, warm=None, static=page) as opened:
        yield opened


def test_beyond_this_machine_a_token_is_required(shared: Running) -> None:
    assert shared.token is not None
    assert len(shared.token) >= 32
    assert shared.url.endswith(f"?token={shared.token}")
    with httpx.Client(base_url=f"http://127.0.0.1:{shared.address.port}", headers={"X-Visitor": "a"}) as client:
        for path in ("/", "/static/style.css", "/?token=guessed", "/?token=", f"/?tokens={shared.token}"):
            answer = client.get(path)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), path
            assert shared.token not in answer.text
        assert client.post("/api/echo", json={}).status_code == 403
        assert client.post(f"/api/echo?token={shared.token}", json={}).status_code == 403

        welcome = client.get(f"/?f=x%C2%B2&token={shared.token}&rate=0.1")
        assert (welcome.status_code, welcome.headers["location"]) == (303, "./?f=x%C2%B2&rate=0.1")
        cookie = welcome.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/").status_code == 200
        assert client.post("/api/echo", json={}).status_code == 200
        client.cookies.clear()
        assert client.get("/", headers={"Cookie": f"downslope-{shared.address.port}=guessed"}).status_code == 403


def test_a_link_with_a_token_leads_nowhere_else(shared: Running) -> None:
    base = f"http://127.0.0.1:{shared.address.port}"
    for path in ("//evil.example/", "/%5Cevil.example/", "/%2F/evil.example"):
        answer = httpx.get(f"{base}{path}?token={shared.token}")
        assert re.fullmatch(r"\./[^/\\]*", answer.headers["location"]), path


def test_a_link_from_another_site_gets_past_its_strict_cookie(shared: Running) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    address = f'http://127.0.0.1:{shared.address.port}/?f="><script>&token={shared.token}'
    answer = httpx.get(address, headers=followed)
    assert answer.status_code == 200
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert answer.text.startswith('<meta http-equiv="refresh" content="0;url=./?f=')
    assert "<script>" not in answer.text


def test_a_token_that_cannot_be_typed_is_refused(page: Path) -> None:
    with pytest.raises(ds.SettingError, match="token"), running(port=0, verbs=VERBS, token="a b", static=page):
        pass


@pytest.mark.parametrize("path", ["/", "/fit", "/runs?run=a", "/nowhere"])
def test_without_the_token_a_page_says_where_the_address_is(lab: Running, path: str) -> None:
    answer = httpx.get(lab.address.url.rstrip("/") + path)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "Open the address that the command printed" in answer.text
    assert "restarted" in answer.text
    assert "A page" not in answer.text
    assert str(lab.token) not in answer.text
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/static/style.css"), ("GET", "/api/alive"), ("GET", "/api/follow"), ("POST", "/api/echo"),
     ("POST", "/api/table"), ("POST", "/"), ("HEAD", "/"), ("OPTIONS", "/api/echo")],
)  # fmt: skip
def test_without_the_token_nothing_is_answered_or_computed(lab: Running, method: str, path: str) -> None:
    url = lab.address.url.rstrip("/") + path
    name, token = lab.entry.cookie, str(lab.token)
    cookies = (None, f"{name}=", f"{name}=guessed", f"downslope-1={token}", f"{name}={token[:-1]}")
    for wrong in cookies:
        headers = {"X-Visitor": "a"} if wrong is None else {"X-Visitor": "a", "Cookie": wrong}
        answer = httpx.request(method, url, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert str(lab.token) not in answer.text
        if path.startswith("/api/") and method != "HEAD":
            assert answer.json()["error"]["kind"] == "TokenError"


def test_the_token_leaves_the_address_of_who_has_the_cookie_as_well(lab: Running, client: httpx.Client) -> None:
    for query in (f"token={lab.token}&f=x", "f=x&token=of-an-earlier-start", f"f=x&code={lab.entry.new_code()}"):
        answer = client.get(f"/?{query}")
        assert (answer.status_code, answer.headers["location"]) == (303, "./?f=x")
    assert client.get("/?f=x&tokens=1").status_code == 200


def test_a_code_opens_once_and_for_a_while(lab: Running) -> None:
    code = lab.entry.new_code()
    assert httpx.get(f"{lab.address.url}?code={code}x").status_code == 403
    assert [httpx.get(f"{lab.address.url}?code={code}").status_code for _ in range(2)] == [303, 403]
    late = lab.entry.new_code()
    lab.entry._codes[late] -= 60
    assert httpx.get(f"{lab.address.url}?code={late}").status_code == 403


def test_a_code_is_for_the_user_who_opened_the_lab(lab: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.getuid()
    for user, status in ((me + 1, 403), (me, 303)):
        monkeypatch.setattr(_entry.os, "getuid", lambda user=user: user)
        monkeypatch.setattr(_entry, "_ROOT", me if user == me else -1)
        assert httpx.get(f"{lab.address.url}?code={lab.entry.new_code()}").status_code == status


def test_two_labs_on_a_machine_keep_their_cookies_apart(lab: Running, page: Path) -> None:
    with running(port=0, verbs=VERBS, warm=None, static=page) as other, httpx.Client() as browser:
        for one in (lab, other):  # a browser sends the cookies of all ports to each
            browser.get(one.url)
        assert [browser.get(one.address.url).status_code for one in (lab, other)] == [200, 200]


def test_without_a_token_if_one_is_not_wanted(page: Path) -> None:
    with running(port=0, verbs=VERBS, warm=None, token=False, static=page) as opened:
        assert "?" not in opened.url
        assert opened.url_once() == opened.url
        assert httpx.get(opened.url).status_code == 200
        headers = {"X-Visitor": "a", "Origin": opened.url.rstrip("/")}
        assert httpx.post(opened.url + "api/echo", json={}, headers=headers).status_code == 200
        assert (
            httpx.post(opened.url + "api/echo", json={}, headers={**headers, "Origin": "http://a"}).status_code == 403
        )
    with (
        pytest.raises(ds.SettingError, match="Other machines reach"),
        running(host="0.0.0.0", port=0, verbs=VERBS, token=False, static=page),
    ):
        pass


def test_a_token_asked_for_holds_on_this_machine_too(page: Path) -> None:
    with running(port=0, verbs=VERBS, warm=None, token="class-7b", static=page) as opened:
        assert httpx.get(opened.address.url).status_code == 403
        assert httpx.get(opened.url).status_code == 303


# How it begins and ends


@contextmanager
def served(script: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a script that serves, and yield it with the address that it prints."""
    command = [sys.executable, "-c", script, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            address = re.search(r"http://\S+", line)
            assert address is not None, (line, child.stderr.read() if child.stderr else "")
            yield child, address.group()
        finally:
            child.kill()


SERVE = "import downslope as ds; ds.lab.serve(port=0, open_browser=False)"


def test_the_line_the_page_and_a_calm_end() -> None:
    with served(SERVE) as (child, address):
        assert httpx.get(address, timeout=60, follow_redirects=True).status_code == 200
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to everything that was started
        rest, told = child.communicate(timeout=30)
        assert (child.returncode, rest, told) == (0, "", "")


def test_ctrl_c_ends_it_before_anything_was_asked() -> None:
    with served(SERVE) as (child, _):
        os.killpg(child.pid, signal.SIGINT)
        _, told = child.communicate(timeout=30)
        assert (child.returncode, told) == (0, "")


def test_ctrl_c_ends_the_server_before_what_it_needs() -> None:
    script = """
import threading
import downslope as ds
from downslope.lab.processes import _pool

class Reporting(_pool.Workers):
    def close(self):
        print(threading.current_thread().name, flush=True)
        super().close()

_pool.Workers = Reporting
ds.lab.serve(port=0, open_browser=False)
"""
    with served(script) as (child, address):
        assert httpx.get(address, timeout=60, follow_redirects=True).status_code == 200
        child.send_signal(signal.SIGINT)
        closed, _ = child.communicate(timeout=60)
        assert closed.split() == ["downslope-lab", "MainThread"]


def test_the_browser_is_opened_without_the_token_among_the_processes(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part\nmv {tmp_path}/opened.part {tmp_path}/opened\n')
    browser.chmod(0o755)
    script = f"import os; os.environ['BROWSER'] = {str(browser)!r}\nimport downslope as ds\nds.lab.serve(port=0)"
    with served(script) as (child, address):
        wait_for(lambda: (tmp_path / "opened").exists())
        url = (tmp_path / "opened").read_text().strip()
        token = address.partition("?token=")[2]
        assert len(token) >= 32
        assert token not in url
        processes = [path for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.stat().st_uid == os.getuid()]
        lines = [line for path in processes if (line := content(path)) and b"downslope.lab" in line]
        assert lines
        assert not any(token.encode() in line for line in lines)
        assert not any(token.encode() in content(Path(path.parent, "environ")) for path in processes)
        first = httpx.get(url, timeout=60)
        assert (first.status_code, first.headers["location"]) == (303, "./")
        assert httpx.get(url.partition("?")[0], cookies=first.cookies).status_code == 200
        assert httpx.get(url).status_code == 403  # it opens once
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 0


def wait_for(true: Callable[[], bool], within: float = 60) -> None:
    """Wait for something, with a limit that only a failure reaches."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def content(path: Path) -> bytes:
    """Return what a file of the system says of a process, nothing of one that has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_serving_computes_nothing_in_the_server(tmp_path: Path) -> None:
    script = (
        "import sys, httpx\nfrom pathlib import Path\nimport downslope.lab\n"
        "early = [name for name in ('starlette', 'uvicorn', 'jax', 'sympy') if name in sys.modules]\n"
        "from downslope.lab.server._serve import running\n"
        "verbs = {'echo': 'lab.stand_ins:echo'}\n"
        f"with running(port=0, token=False, verbs=verbs, static=Path({str(tmp_path)!r})) as lab:\n"
        "    answer = httpx.post(lab.address.url + 'api/echo', json={}, headers={'X-Visitor': 'a'}, timeout=60)\n"
        "    late = [name for name in ('jax', 'sympy', 'numpy', 'downslope.descent') if name in sys.modules]\n"
        "import json; print(json.dumps([early, answer.status_code, late]))"
    )
    folders = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert json.loads(done.stdout) == [[], 200, []], done.stderr


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ds.MissingExtraError, match=rf"{missing}(.|\n)*downslope\[lab\]"):
        ds.lab.serve(port=0, open_browser=False)
