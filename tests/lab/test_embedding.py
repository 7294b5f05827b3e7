"""`--embed`: the pages that may show the lab in a frame, and the cookie that it has there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lab.stand_ins import VERBS

import downslope as ds
from downslope.lab.server._serve import Running, running

SCHOOL = "https://moodle.example.org"
FRAME = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}


@pytest.fixture(scope="module")
def embedded(page: Path) -> Iterator[Running]:
    """A lab that a school may show in a frame."""
    with running(port=0, verbs=VERBS, warm=None, static=page, embed=[f"{SCHOOL}:443/"]) as opened:
        yield opened


def ancestors(response: httpx.Response) -> str:
    return response.headers["content-security-policy"].partition("frame-ancestors ")[2]


def test_only_these_origins_may_frame_the_pages_and_only_where_they_are_named(embedded: Running, lab: Running) -> None:
    for path in ("", "static/style.css", "nothing"):
        assert ancestors(httpx.get(embedded.address.url + path)) == SCHOOL
        assert ancestors(httpx.get(lab.address.url + path)) == "'none'"


def test_a_frame_gets_in_with_a_cookie_of_its_own(embedded: Running) -> None:
    welcome = httpx.get(embedded.url, headers=FRAME)
    assert welcome.status_code == 200
    assert "refresh" in welcome.text
    cookie = welcome.headers["set-cookie"]
    for word in ("Secure", "SameSite=none", "Partitioned", "HttpOnly"):
        assert word in cookie
    name, _, value = cookie.partition(";")[0].partition("=")
    inside = httpx.get(embedded.address.url, headers={**FRAME, "cookie": f"{name}={value}"})
    assert inside.status_code == 200
    assert "<p>A part</p>" in inside.text


def test_a_tab_of_its_own_keeps_the_strict_cookie(embedded: Running) -> None:
    cookie = httpx.get(embedded.url).headers["set-cookie"]
    assert "SameSite=strict" in cookie
    assert "Partitioned" not in cookie


def test_a_frame_of_another_page_is_refused_without_embedding(lab: Running) -> None:
    assert httpx.get(lab.url, headers=FRAME).status_code == 403


def test_a_framing_page_may_not_ask_the_lab_itself(embedded: Running) -> None:
    cookie = {"cookie": f"{embedded.entry.cookie}={embedded.token}", "x-visitor": "somebody"}
    for foreign in ({"origin": SCHOOL}, {"sec-fetch-site": "cross-site"}, FRAME):
        reply = httpx.post(f"{embedded.address.url}api/echo", json={}, headers={**cookie, **foreign})
        assert reply.status_code == 403
    assert httpx.get(f"{embedded.address.url}api/alive", headers={**cookie, **FRAME}).status_code == 403


@pytest.mark.parametrize("origin", ["*", "'none'", "moodle.example.org", "https://*.example.org", "https://a; b"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ds.SettingError, match="is no origin"), running(port=0, embed=[origin]):
        pass
