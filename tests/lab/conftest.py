"""A lab with stand-in verbs, and the real one in a real browser; both really listening."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lab.browser import chromium, emptied, opened
from lab.stand_ins import STREAMS, VERBS
from lab.visiting import visitor
from playwright.sync_api import Browser, Page

from downslope.lab._messages import Limits
from downslope.lab.server._serve import Running, running

SHORT = Limits(arrival=1.5, seconds=0.5, stream_seconds=3, table=100_000, tables=150_000, stalled=2, wait=60)


@pytest.fixture(scope="module", autouse=True)
def _no_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients load no certificates, which takes longer than a request; the lab speaks plain HTTP."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("authorities")))
        yield


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page, and a secret beside it."""
    folder = tmp_path_factory.mktemp("lab") / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "shell.html").write_text("<!doctype html><title>A page</title><!-- main -->")
    (folder / "pages").mkdir()
    (folder / "pages" / "descend.html").write_text("<p>A part</p>")
    (folder / "style.css").write_text("body { margin: 0 }")
    (folder / "js" / "page.js").write_text("export const one = 1;")
    (folder.parent / "secret.txt").write_text("a secret")
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    return folder


@pytest.fixture(scope="module")
def lab(page: Path) -> Iterator[Running]:
    with running(port=0, limits=SHORT, verbs=VERBS, streams=STREAMS, warm=None, static=page) as opened:
        yield opened


@pytest.fixture
def client(lab: Running) -> Iterator[httpx.Client]:
    with visitor(lab, headers={"X-Visitor": "somebody"}) as opened:
        yield opened


@pytest.fixture(scope="session")
def real_lab() -> Iterator[Running]:
    """The lab as people open it."""
    with running(port=0) as opened_lab:
        yield opened_lab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; of one module, since it keeps an event loop running beside which no other can."""
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def lasting_tab(browser: Browser, real_lab: Running) -> Iterator[Page]:
    """A tab of somebody who has been here before."""
    with opened(browser, real_lab.url) as page:
        yield page


@pytest.fixture
def tab(lasting_tab: Page) -> Iterator[Page]:
    """The tab, empty. The pages keep nothing in the browser but that somebody has been here."""
    with emptied(lasting_tab) as page:
        yield page
