"""The door of the lab in a browser: who came without the token, and pages that outlive the lab."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab.browser import PHONE, WIDE, opened, overflow, violations
from playwright.sync_api import Browser, Request, ViewportSize, expect

from downslope.lab.server._serve import Running, running

# The pages ask these at once. Nothing is fitted here, so that nothing is compiled.
_TABLES = {name: f"downslope.lab.replies._examples:{name}" for name in ("columns", "samples")}
VERBS = {**_TABLES, "equation": "lab.stand_ins:misspelt", "fit_choices": "lab.stand_ins:misspelt"}


def opened_lab(port: int = 0):
    return running(port=port, verbs=VERBS, warm=None)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_the_token_everyone_can_read_what_to_do(browser: Browser, lab: Running, scheme: str) -> None:
    context = browser.new_context(base_url=lab.address.url, color_scheme=scheme)  # pyright: ignore[reportArgumentType] - one of two words
    page, complaints = context.new_page(), []
    page.on("console", lambda said: complaints.append(said.text) if "403" not in said.text else None)
    sizes: tuple[ViewportSize, ...] = (WIDE, PHONE, {"width": 320, "height": 600})
    for size in sizes:
        page.set_viewport_size(size)
        response = page.goto("/fit?f=y+=+a·x")
        assert response is not None
        assert response.status == 403
        expect(page.get_by_role("heading", name="Open the address that the command printed")).to_be_visible()
        assert (
            page.locator("main").evaluate("box => getComputedStyle(box).borderRadius") == "14px"
        )  # its style is let in
        assert overflow(page) <= 0
        assert violations(page) == []
    context.close()
    assert complaints == []


def test_the_printed_address_leaves_the_address_bar_and_the_history(browser: Browser) -> None:
    with opened_lab() as lab:
        context = browser.new_context()
        page = context.new_page()
        asked: list[dict[str, str]] = []
        page.on("request", lambda request: asked.append(request.headers))
        page.goto(f"{lab.url}&f=x²")
        expect(page.get_by_role("heading", name="downslope")).to_be_visible()
        assert str(lab.token) not in page.url
        assert page.evaluate("history.length") <= 2  # the blank page, and this one
        assert not any("referer" in headers for headers in asked[1:] if str(lab.token) in str(headers.get("referer")))
        assert page.evaluate("document.cookie") == ""  # no script reads it
        [cookie] = context.cookies()
        assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
        context.close()


@pytest.mark.parametrize(
    ("path", "ready", "loses", "lives"),
    [
        ("/", "#way[d^=M]", "#rate-field", "#examples-list button"),
        ("/fit", "#way[d^=M]", "#search", "#samples button"),
        ("/network", "#metrics tr", "#train", "#samples button"),
        ("/runs", "#none h2", "", "#none-command"),
    ],
)
def test_each_page_goes_on_after_the_lab_was_away(
    browser: Browser, tmp_path: Path, path: str, ready: str, loses: str, lives: str
) -> None:
    def real(port: int = 0) -> contextlib.AbstractContextManager[Running]:
        return running(port=port, token=False, runs=tmp_path)

    with real() as lab:
        context = browser.new_context(base_url=lab.address.url)
        page = context.new_page()
        page.goto(path + ("?hidden=3&steps=20&rate=0.01&trained=1" if path == "/network" else ""))
        expect(page.locator(ready).first).to_be_attached()
        port = lab.address.port
    lost = page.locator("#lost")
    if path == "/":
        page.locator(loses).fill("0.2")
    elif loses:
        page.locator(loses).click()
    expect(lost).to_contain_text("does not answer")
    with real(port):
        expect(lost).to_be_hidden()
        expect(page.locator(lives).first).to_be_attached()
        if path == "/":
            expect(page.locator("#python")).to_contain_text("learning_rate=0.2")
        if path == "/network":
            expect(page.locator("#train")).to_have_text("Train again")
            expect(page.locator("#train-note")).to_be_hidden()
        if path != "/runs":
            expect(page.locator("#main")).to_have_attribute("data-stale", "")
        context.close()


def test_a_page_goes_on_with_its_file_after_a_restart(browser: Browser, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("x,y\n1,2\n2,4\n3,7\n")
    with opened_lab() as lab:
        context = browser.new_context(base_url=lab.address.url)
        context.request.get(lab.url)
        page = context.new_page()
        page.goto("/fit")
        page.locator("#file").set_input_files(str(table))
        expect(page.locator("#data-name")).to_have_text("mine.csv")
    table.write_text("x,y\n0,0\n")  # the page has a copy
    page.locator("#formula").fill("y = a·x")
    expect(page.locator("#lost")).to_contain_text("does not answer")
    with opened_lab(lab.address.port) as lab:
        expect(page.locator("#lost")).to_contain_text("was restarted. Open the address")
        with (
            page.expect_request("**/api/table?name=mine.csv"),
            page.expect_response(lambda response: response.url.endswith("/api/columns") and response.ok),
        ):
            context.request.get(lab.url)  # as another tab does
        expect(page.locator("#lost")).to_be_hidden()
        expect(page.locator("#data-rows")).to_have_text("3 rows, 2 columns")
        expect(page.locator("#drop-note")).to_be_hidden()
        context.close()


def test_the_lab_through_another_port_of_this_machine(browser: Browser, real_lab: Running) -> None:
    """As by `ssh -L 9000:localhost:8765`: the browser sees another port, and every page and request goes through it."""
    with (
        forwarded(real_lab.address.port) as port,
        opened(browser, f"http://localhost:{port}/?token={real_lab.token}") as page,
    ):
        requested: list[str] = []
        finished: list[Request] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on("requestfinished", lambda request: finished.append(request))
        page.goto("/?f=x²&at=x=4&rate=0.1")
        expect(page.locator("#way")).to_have_attribute("d", re.compile("^M"))
        expect(page.locator("#runners input").first).to_be_attached()
        page.wait_for_load_state("networkidle")
        # A first visit, with all that its page asks by itself.
        sizes = [request.sizes() for request in finished if not request.url.startswith("data:")]
        assert len(sizes) <= 10
        assert sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes) <= 250_000
        page.get_by_role("link", name="Fit", exact=True).click()
        expect(page.locator("#samples button").first).to_be_visible()
        assert all(url.startswith((f"http://localhost:{port}/", "data:")) for url in requested)


@contextmanager
def forwarded(port: int) -> Iterator[int]:
    """Hand on what comes to another port; yields that port."""

    async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copied(reader, outward), copied(inward, writer))

    async def started() -> asyncio.Server:
        return await asyncio.start_server(taken, "127.0.0.1", 0)

    async def ended() -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.1)  # until what was closed is

    # In a thread: Playwright has the loop of this one.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(started(), loop).result(30)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(ended(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
