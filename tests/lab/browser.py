"""A real browser on a real lab: what the tests of every page share."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, ViewportSize, expect, sync_playwright

WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Drawing by a graphics card that is emulated takes more time than drawing without one.
_NO_GPU = ("--disable-gpu", "--disable-gpu-rasterization", "--disable-gpu-compositing")
# What says so in its message was asked for: the test typed something wrong.
_REFUSED = re.compile(r"status of (400|409|410|413)")

expect.set_options(timeout=60_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Keep a browser open; where there is none, CI fails and a developer's machine skips."""
    place = next(filter(None, map(shutil.which, _NAMES)), None)
    if place is None:
        reason = "these tests need Chromium: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=place, args=["--no-sandbox", *_NO_GPU])
        yield launched
        launched.close()


@contextmanager
def opened(browser: Browser, url: str, **choices: object) -> Iterator[Page]:
    """Open a page as somebody who has been here before, and fail on whatever the browser complains of.

    Args:
        browser: the browser.
        url: the address that the lab prints.
        choices: `fresh=True` for a first visit; the rest goes to the browser, such as `color_scheme`.
    """
    fresh = choices.pop("fresh", False)
    context = browser.new_context(base_url=url, **{"viewport": WIDE, "reduced_motion": "reduce", **choices})
    context.request.get(url)  # the cookie that the printed address gives
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not fresh:
        greeted = "localStorage.setItem('downslope.greeted', 'yes')"
        context.add_init_script(f"if (location.protocol !== 'about:') {greeted}")  # a blank page stores nothing
    page = context.new_page()
    with heard(page):
        try:
            yield page
        finally:
            context.close()


@contextmanager
def heard(page: Page) -> Iterator[None]:
    """Fail on whatever the browser complains of meanwhile."""
    complaints: list[str] = []

    def failed(error: Error) -> None:
        complaints.append(str(error))

    def wrote(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            complaints.append(said.text)

    page.on("pageerror", failed)
    page.on("console", wrote)
    yield
    page.remove_listener("pageerror", failed)
    page.remove_listener("console", wrote)
    assert [said for said in complaints if not _REFUSED.search(said)] == []


@contextmanager
def emptied(page: Page) -> Iterator[Page]:
    """Lend a page to one test, as wide as any, and leave it blank; to open another takes half a second."""
    page.set_viewport_size(WIDE)
    with heard(page):
        yield page
        page.goto("about:blank")


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with a page, as it is now."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']][:4]}" for one in found]


def overflow(page: Page) -> int:
    """Return how many pixels a page is wider than its window."""
    return page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")


def assert_usable(page: Page) -> None:
    """Hold that axe finds nothing, in light and in dark, on a desk and on a phone, whose window the page fits into."""
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        page.wait_for_timeout(100)
        assert size is WIDE or overflow(page) <= 0
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], scheme


def copied(page: Page, button: str) -> str:
    """Press a button that copies, and return what it copied."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("button", name="Copied").first).to_be_visible()
    return page.evaluate("() => navigator.clipboard.readText()")


def saved(page: Page, button: str) -> str:
    """Press a button that saves a file, and return where it is."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return str(download.value.path())


def attribute(place: Locator, name: str) -> str:
    """Return an attribute that is there."""
    value = place.get_attribute(name)
    assert value is not None
    return value
