"""The lab from where people sit: through tunnels and proxies, below a path of theirs, in few and small files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lab.lists import as_text, made
from lab.stand_ins import VERBS
from lab.visiting import visitor

import downslope as ds
from downslope.lab.replies import LISTS, lists_of
from downslope.lab.server._pages import PAGES, File, assembled, read_files, scripts
from downslope.lab.server._serve import Running, checked_base, checked_host, checked_origin, running

STATIC = Path(ds.lab.__file__ or "").parent / "static"
HUB = "https://hub.example.org"
BASE = "/user/ada/proxy/8765/"


@pytest.fixture(scope="module")
def behind(page: Path) -> Iterator[Running]:
    """A lab below a path of a proxy, which visitors call by three names."""
    names = {"allow_hosts": ["Box.local", "[::7]:9000"], "allow_origins": [HUB, "http://hub.example.org:8443"]}
    with running(port=0, verbs=VERBS, warm=None, static=page, base_url=BASE, **names) as opened:
        yield opened


def test_names_and_origins_that_are_allowed_and_those_like_them(behind: Running) -> None:
    """Each: the Host, the Origin, and whether a request that carries both is answered."""
    port = behind.address.port
    cases = [
        ("hub.example.org", HUB, 200),
        ("hub.example.org:8443", "http://hub.example.org:8443", 200),
        ("box.local", "http://box.local", 200),
        ("box.local:81", "http://box.local:81", 200),
        ("[::7]:9000", "http://[::7]:9000", 200),
        (f"localhost:{port + 1}", f"http://localhost:{port + 1}", 200),
        (f"127.0.0.1:{port}", HUB, 200),  # a proxy that puts its own name for the lab
        ("hub.example.org", "http://hub.example.org", 200),  # without encryption, still of one origin
        ("[::7]:9001", "http://[::7]:9001", 403),
        ("hub.example.org:8444", "http://hub.example.org:8444", 403),
        ("sub.hub.example.org", HUB, 403),
        ("hub.example.org.evil", HUB, 403),
        ("hub.example.org", "https://hub.example.org.evil", 403),
        ("hub.example.org", "https://hub.example.org:8443", 403),
        ("hub.example.org", "null", 403),
        (f"localhost:{port + 1}", f"http://localhost:{port}", 403),
        (f"localhost:{port}", f"http://127.0.0.1:{port}", 403),
    ]
    with httpx.Client(base_url=visitor_url(behind)) as client:
        token = {"Cookie": f"{behind.entry.cookie}={behind.token}", "X-Visitor": "a"}
        for host, origin, status in cases:
            answer = client.post("/api/echo", json={}, headers={**token, "Host": host, "Origin": origin})
            assert answer.status_code == status, (host, origin)


def visitor_url(lab: Running) -> str:
    return f"http://127.0.0.1:{lab.address.port}"


def test_pages_stand_below_the_base_and_without_it(behind: Running) -> None:
    local = visitor_url(behind)
    assert behind.url == f"{HUB}{BASE}?token={behind.token}"
    assert behind.url_once().startswith(f"{local}{BASE}?code=")
    for path in (f"{BASE}?f=x&token={behind.token}", f"/?f=x&token={behind.token}"):
        welcome = httpx.get(local + path)
        assert (welcome.status_code, welcome.headers["location"]) == (303, "./?f=x")
        assert f"path={BASE};" in welcome.headers["set-cookie"].lower()
    cookies = {behind.entry.cookie: str(behind.token)}
    for path in (BASE, "/", f"{BASE}static/style.css", "/static/style.css"):
        assert httpx.get(local + path, cookies=cookies).status_code == 200, path
    assert httpx.get(local + "/user/eve/proxy/8765/", cookies=cookies).status_code == 404
    answer = httpx.post(f"{local}{BASE}api/echo", json={}, headers={"X-Visitor": "a"}, cookies=cookies)
    assert answer.json() == {"got": {}}


def test_the_cookie_is_for_the_folder_of_the_page_and_encrypted_where_the_page_is(
    behind: Running, lab: Running
) -> None:
    plain = httpx.get(lab.url).headers["set-cookie"].lower()
    assert "path" not in plain  # what a browser sees may lie below a path that the lab does not know
    assert "secure" not in plain
    there = httpx.get(f"{visitor_url(behind)}/?token={behind.token}", headers={"Host": "hub.example.org"})
    assert "secure" in there.headers["set-cookie"].lower()


def test_links_of_the_pages_are_relative_and_name_the_version_of_each_file() -> None:
    files = read_files(STATIC)
    files |= scripts(files)
    pages = assembled({name: file.body for name, file in files.items()})
    assert set(pages) == {page.path for page in PAGES}
    for page in PAGES:
        text = pages[page.path].decode()
        assert 'href="/' not in text
        assert 'src="/' not in text
        assert f'src="static/{page.name}.js?v={files[f"{page.name}.js"].version}"' in text
        assert f'href="static/style.css?v={files["style.css"].version}"' in text


def test_pages_hold_the_lists_that_their_verbs_reply_with() -> None:
    assert LISTS.read_text(encoding="utf-8") == as_text(made()), "run tests/lab/lists.py"
    pages = assembled({name: file.body for name, file in read_files(STATIC).items()}, lists_of)
    for page in PAGES:
        block = re.search(r'<script type="application/json" id="lists">(.*?)</script>', pages[page.path].decode())
        assert (json.loads(block[1]) if block else {}) == lists_of(page.name)


def test_a_list_cannot_end_its_element() -> None:
    files = {name: file.body for name, file in read_files(STATIC).items()}
    text = assembled(files, lambda name: {"evil": "</script><script>alert(1)</script>"})["/"].decode()
    assert "alert(1)</script>" not in text.replace("\\u003c/script>", "")
    assert "<script>alert" not in text


def test_files_are_compressed_once_and_kept_for_good_by_their_version() -> None:
    file = File(b"a word " * 1000, ".js")
    assert file.compressed is file.compressed
    assert gzip.decompress(file.compressed or b"") == file.body
    assert File(b"a word", ".js").compressed is None


def test_what_is_compressed_and_who_reads_it(tmp_path: Path) -> None:
    (tmp_path / "long.js").write_text("a word " * 1000)
    version = File((tmp_path / "long.js").read_bytes(), ".js").version
    with running(port=0, verbs=VERBS, warm=None, static=tmp_path) as lab, visitor(lab) as client:
        address = f"/static/long.js?v={version}"
        for accepted, coding in (("gzip, br", "gzip"), ("br", None), ("gzip;q=0", None), ("GZIP;q=0.5", "gzip")):
            answer = client.get(address, headers={"Accept-Encoding": accepted})
            assert answer.headers.get("content-encoding") == coding, accepted
            assert answer.text == "a word " * 1000
            assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
            again = client.get(address, headers={"Accept-Encoding": accepted, "If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304
        request = {"text": "x" * 9000}
        for accepted, coding in (("gzip", "gzip"), ("identity", None)):
            headers = {"Accept-Encoding": accepted, "X-Visitor": "a"}
            reply = client.post("/api/echo", json=request, headers=headers)
            assert (reply.headers.get("content-encoding"), reply.json()) == (coding, {"got": request})
        short = client.post("/api/echo", json={}, headers={"Accept-Encoding": "gzip", "X-Visitor": "a"})
        assert "content-encoding" not in short.headers


def test_bases_names_and_origins_are_read_as_people_write_them() -> None:
    assert [checked_base(text) for text in ("/", "/a", "/user/ada/", "/proxy/localhost:8765")] == [
        "/", "/a/", "/user/ada/", "/proxy/localhost:8765/",
    ]  # fmt: skip
    assert [checked_host(text) for text in ("Hub.Example", "hub:81", "[::1]:81", "[::1]")] == [
        "hub.example", "hub:81", "[::1]:81", "::1",
    ]  # fmt: skip
    assert [checked_origin(text) for text in ("HTTPS://Hub.org:443/", "http://a:80", "https://a:80")] == [
        "https://hub.org", "http://a", "https://a:80",
    ]  # fmt: skip
    for text in ("user/ada", "/a b", "https://a/", "/a//b", "/a/../b?"):
        with pytest.raises(ds.SettingError, match="no path"):
            checked_base(text)
    for text in ("", "https://a", "a/b", "*.a", "a:b"):
        with pytest.raises(ds.SettingError, match="not a host name"):
            checked_host(text)
    for text in ("", "a.org", "https://a.org/path", "https://*.org", "ftp://a", "null", "https://u@a"):
        with pytest.raises(ds.SettingError, match="no origin"):
            checked_origin(text)
