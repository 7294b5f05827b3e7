"""Exported pages in a real browser with the network off, beside the lab; a frame; and the buttons that save."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from lab.browser import assert_usable, attribute, heard
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

import downslope as ds
from downslope.lab.recordings import _descend
from downslope.lab.server._serve import running

FORMULA, START, RATE, STEPS = "f(x, y) = x² + 2y²", {"x": 4.0, "y": 3.0}, 0.1, 20
VALLEY = "/?f=f(x, y) = x² %2B 2y²&at=x=4,y=3&rate=0.1&steps=20&surface=-60,30"
DESK: ViewportSize = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with exported pages: a valley with few starts, and a chapter of the course."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_descend, "_MOST_ACROSS", {1: 4, 2: 2})
        ds.lab.export(folder / "valley.html", FORMULA, start=START, learning_rate=RATE, steps=STEPS)
    ds.lab.export(folder / "chapter.html", chapter=1)
    return folder


@contextmanager
def offline(browser: Browser, file: Path) -> Iterator[Page]:
    """Open a file with the network off, and fail on whatever the page requests or complains of."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce", offline=True)
    page = context.new_page()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    with heard(page):
        page.goto(file.as_uri())
        yield page
    assert [url for url in requested if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def drawn(page: Page) -> str:
    """Return the path that a page draws, once it is there."""
    way = page.locator("#way")
    expect(way).to_have_attribute("d", re.compile("^M"))
    return attribute(way, "d")


def texts(page: Page) -> list[str]:
    """Return what a page says of its descent."""
    parts = ("#verdict-sentence", "#arithmetic-lines", "#table", "#count", "#rate-text", "#python", "#command")
    return [page.locator(part).inner_text() for part in parts]


def agree(page: Page, tab: Page, read: Callable[[Page], object]) -> None:
    """Hold that two pages show the same, as soon as both have drawn what was asked of them last."""
    limit = time.monotonic() + 20
    while read(page) != read(tab) and time.monotonic() < limit:
        page.wait_for_timeout(50)
    assert read(page) == read(tab)


def field(page: Page, name: str) -> str:
    return page.locator(name).input_value()


def ring_of(page: Page) -> Locator:
    return page.locator("#picture .ring")


def test_the_file_shows_what_the_lab_shows_at_each_recorded_rate_step_and_start(
    browser: Browser, folder: Path, tab: Page
) -> None:
    tab.goto(VALLEY)
    first = drawn(tab)
    expect(tab.locator("#rate-text")).to_contain_text("α")
    with offline(browser, folder / "valley.html") as page:
        assert drawn(page) == first
        expect(page.locator("#rate-text")).to_contain_text("α")
        expect(page.locator("#recorded")).to_contain_text("Recorded with downslope")
        agree(page, tab, texts)

        # The slider goes from one recorded rate to the next, and the lab draws the same there.
        for key, times in (("ArrowRight", 4), ("ArrowLeft", 9)):
            before = drawn(page)
            for _ in range(times):
                page.locator("#rate-slider").press(key)
            expect(page.locator("#way")).not_to_have_attribute("d", before)
            tab.locator("#rate-field").fill(field(page, "#rate-field"))
            agree(page, tab, drawn)
            agree(page, tab, lambda each: each.locator("#table").inner_text())
            agree(page, tab, lambda each: texts(each)[:3])

        # Steps: one by one, and by the slider below the picture.
        page.get_by_role("button", name="Step forward").click()
        tab.get_by_role("button", name="Step forward").click()
        agree(page, tab, lambda each: texts(each)[1])
        page.locator("#scrub").fill("7")
        tab.locator("#scrub").fill("7")
        agree(page, tab, lambda each: texts(each)[1])
        agree(page, tab, lambda each: attribute(each.locator(".mark-dot"), "cx"))

        # The ring jumps to the recorded start that is nearest, by the pointer and by arrow keys.
        before = drawn(page)
        box = ring_of(page).bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] - 200, box["y"] + 60, steps=5)
        page.mouse.up()
        expect(page.locator("#way")).not_to_have_attribute("d", before)
        ring_of(page).focus()
        page.keyboard.press("ArrowDown")
        for name in ("x", "y"):
            tab.locator(f"#start-{name}").fill(field(page, f"#start-{name}"))
        tab.locator("#rate-field").fill(field(page, "#rate-field"))
        agree(page, tab, drawn)


def test_what_was_not_recorded_is_disabled_and_said(browser: Browser, folder: Path) -> None:
    with offline(browser, folder / "valley.html") as page:
        drawn(page)
        expect(page.locator("#method")).to_be_disabled()
        for name in ("#formula", "#steps", "#rate-field", "#start-x"):
            expect(page.locator(name)).not_to_be_editable()
            expect(page.locator(name)).to_have_attribute("aria-describedby", "recorded")
        for name in ("#race-run", "#examples", "#export-csv", "#save-page", "#pages", "#welcome"):
            expect(page.locator(name)).not_to_be_visible()
        page.goto(f"{(folder / 'valley.html').as_uri()}?f=x³&rate=0.1234&at=x=3.9,y=0.1&method=adam")
        drawn(page)
        assert field(page, "#formula") == FORMULA
        assert field(page, "#rate-field") != "0.1234"
        assert field(page, "#start-x") == "4"
        assert_usable(page)


def test_a_chapter_is_a_lesson_without_the_lab(browser: Browser, folder: Path) -> None:
    assert (folder / "chapter.html").stat().st_size < 1_000_000
    with offline(browser, folder / "chapter.html") as page:
        expect(page.locator("#lesson-title")).to_have_text("Slope")
        expect(page.locator("#own-formula")).to_be_disabled()
        expect(page.locator("#recorded")).to_contain_text("Recorded")
        before = page.locator("#figure").inner_html()
        page.locator("#forward").click()
        assert page.locator("#figure").inner_html() != before
        page.locator("#figure input[type=range]").first.press("ArrowRight")
        expect(page.locator("#figure-note")).not_to_be_visible()
        page.locator("#check").click()
        expect(page.locator("#answer")).not_to_be_empty()
        page.locator("#language").select_option("de")
        expect(page.locator("#recorded")).to_contain_text("Aufgezeichnet")
        assert_usable(page)


def test_the_buttons_save_a_moving_picture_and_the_page(tab: Page, browser: Browser, tmp_path: Path) -> None:
    tab.goto("/?f=f(x)=x²&at=x=3&rate=0.3&steps=3")
    drawn(tab)
    for name, kind in (("#save-gif", "GIF"), ("#save-apng", "PNG")):
        with tab.expect_download() as download:
            tab.locator(name).click()
        with Image.open(download.value.path()) as picture:
            assert picture.format == kind
            assert getattr(picture, "n_frames", 1) == 4
        expect(tab.locator("#saving-state")).to_be_empty()
    with tab.expect_download() as download:
        tab.locator("#save-page").click()
    file = tmp_path / "descend.html"
    download.value.save_as(file)
    with offline(browser, file) as page:
        assert field(page, "#formula") == "f(x)=x²"
        assert field(page, "#rate-field") == "0.3"
        drawn(page)


class _School(BaseHTTPRequestHandler):
    """A page that shows a lab in a frame."""

    url = ""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(f'<!doctype html><iframe src="{self.url}" width="1000" height="900"></iframe>'.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def test_a_named_origin_shows_the_lab_in_a_frame_and_another_does_not(browser: Browser) -> None:
    server = HTTPServer(("127.0.0.1", 0), _School)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    try:
        with running(port=0, embed=[f"http://localhost:{port}"]) as lab:
            _School.url = lab.url  # on 127.0.0.1, so that for the browser the two are different sites
            page = browser.new_context(viewport=DESK).new_page()
            page.goto(f"http://localhost:{port}/")
            inside = page.frame_locator("iframe")
            expect(inside.locator("#way")).to_have_attribute("d", re.compile("^M"))
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_timeout(500)
            assert page.frames[1].locator("#way").count() == 0
            page.context.close()
    finally:
        server.shutdown()
        server.server_close()
