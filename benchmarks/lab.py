"""The lab in a browser: from slider to picture, from a new formula to its picture, races, crowds, hostile guests.

A move is a real key or a real motion of the mouse; its time runs from the event to the frame after the new path is in
the document. A formula never seen is typed at once; its time runs from the event to the frame after its landscape and
its path are in the document. In a crowd each visitor types a formula of its own at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from generated_formulas import generated
from playwright.sync_api import Browser, Page, sync_playwright
from timing import arguments, machine, publish, table

from downslope.lab.server._pages import PAGES

PICTURES = {
    "x² - 4x + 5": {"f": "f(x) = x² - 4x + 5", "at": "x=0", "rate": "0.1"},
    "x² + 2y²": {"f": "f(x, y) = x² + 2y²", "at": "x=4,y=3", "rate": "0.1"},
    "Rosenbrock, 1000 steps": {
        "f": "f(x, y) = (1 - x)² + 100(y - x²)²", "at": "x=-1.2,y=1", "rate": "0.001", "steps": "1000",
    },
}  # fmt: skip
MOVES = 100
PAUSE = 0.12  # seconds between two moves, so that each is drawn
AIM_MEDIAN, AIM_TENTH, AIM_FIRST, AIM_BYTES, AIM_ANSWER = 50, 100, 3.0, 250_000, 100
AIM_REQUESTS, AIM_FRAMES = 10, 30
FORMULAS, VISITORS, RACES = 30, 30, 9
AIM_FORMULA, AIM_RACE, AIM_CROWD = 100, 1.0, 10.0
PROMPT = 2.0  # seconds until the next formula is typed, so that what follows the picture has ended

# Notes when the last event came, and how long after it the frame with the new way was shown.
WATCH = """() => {
    let came = 0;
    window.took = [];
    for (const name of ["input", "pointermove"]) addEventListener(name, (event) => { came = event.timeStamp; }, true);
    new MutationObserver(() => {
        const began = came;
        requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - began)));
    }).observe(document.getElementById("way"), { attributeFilter: ["d"] });
}"""

# Notes when a formula was typed, and how long after it the frame was shown that has its landscape and its path.
WATCH_FORMULA = """() => {
    let came = null, drawn = {};
    const note = (what) => {
        if (came === null) return;
        drawn[what] = true;
        if (!drawn.land || !drawn.way) return;
        const began = came;
        [came, drawn] = [null, {}];
        requestAnimationFrame(() => setTimeout(() => { window.shown = performance.now() - began; }));
    };
    addEventListener("input", (event) => { [came, drawn, window.shown] = [event.timeStamp, {}, null]; }, true);
    new MutationObserver(() => note("way")).observe(document.getElementById("way"), { attributeFilter: ["d"] });
    new MutationObserver(() => note("land")).observe(document.querySelector("#picture .land"), { childList: true });
}"""

# Turns the surface at each frame, and returns the frames a second; each is painted before the next is asked for.
TURN = """() => new Promise((resolve) => {
    const view = document.getElementById("surface-view"), began = performance.now();
    let frames = 0;
    const next = (now) => {
        if (now - began > 2000) return resolve(1000 * frames / (now - began));
        frames += 1;
        view.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", cancelable: true }));
        requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
})"""


@contextmanager
def command(cache: str) -> Iterator[tuple[str, float]]:
    """Keep `downslope lab` open; yields its address and when it was started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(Path(sys.executable).with_name("downslope")), "lab", "--no-browser", "--no-token", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "XDG_CACHE_HOME": cache})
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"http://127.0.0.1:{port}/", began
    finally:
        process.terminate()
        process.wait()


def drawn(page: Page, address: str) -> None:
    """Open an address, and wait for the way."""
    page.goto(address)
    page.locator("#way[d^=M]").wait_for(state="attached")


def first_pictures(browser: Browser, cache: str, rounds: int) -> list[float]:
    """Return the seconds from the command to the way in the document."""
    seconds = []
    for _ in range(rounds + 1):
        page = browser.new_page()
        with command(cache) as (address, began):
            drawn(page, address)
            seconds.append(time.perf_counter() - began)
        page.close()
    return seconds[1:]  # the first one fills the cache


def moves(browser: Browser, address: str, state: dict[str, str]) -> dict[str, list[float]]:
    """Return the milliseconds of each move of the slider and of the start."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    drawn(page, f"{address}?{urlencode(state)}")
    page.wait_for_timeout(2500)  # rates and ground are asked for, and compiled
    slider = page.locator("#rate-slider")
    slider.focus()
    for key in ("ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(700)
    page.evaluate(WATCH)
    for number in range(MOVES):
        page.keyboard.press("ArrowLeft" if number % 50 < 25 else "ArrowRight")
        time.sleep(PAUSE)
    page.wait_for_timeout(500)
    slid = page.evaluate("() => window.took.splice(0)")
    at = page.locator(".ring").bounding_box()
    assert at is not None
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for number in range(MOVES):
        page.mouse.move(x + 2 * (number % 40 - 20), y + number % 30)
        time.sleep(PAUSE)
    page.mouse.up()
    page.wait_for_timeout(500)
    dragged = page.evaluate("() => window.took.splice(0)")
    page.close()
    return {"slide the rate": slid, "drag the start": dragged}


def formulas(browser: Browser, address: str) -> list[float]:
    """Return the milliseconds from each formula that was never seen to its picture."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    drawn(page, address)
    page.wait_for_timeout(5000)  # until the workers have loaded what they load in quiet
    page.evaluate(WATCH_FORMULA)
    took = []
    for text, _ in generated(FORMULAS + 1, seed=18):
        page.locator("#formula").fill(text)
        page.wait_for_function("() => window.shown !== null")
        took.append(page.evaluate("() => window.shown"))
        page.wait_for_timeout(1000 * PROMPT)
    page.close()
    return took[1:]  # the first one warms up the browser


def races(browser: Browser, address: str) -> list[float]:
    """Return the seconds from the click to the result of the default race, each from another start."""
    page, took = browser.new_page(viewport={"width": 1280, "height": 900}), []
    for number in range(RACES):
        state = {**PICTURES["x² + 2y²"], "at": f"x=4,y={3 - 0.1 * number:g}"}
        drawn(page, f"{address}?{urlencode(state)}")
        page.locator("#runners input").first.wait_for()  # the race is mounted once the methods are known
        page.wait_for_timeout(1000 * PROMPT)
        began = time.perf_counter()
        page.locator("#race-run").click()
        page.locator("#race-table tbody tr").first.wait_for()
        took.append(time.perf_counter() - began)
    page.close()
    return took


def crowd(address: str) -> tuple[list[float], list[float]]:
    """Return the seconds until each of many visitors has the picture of a formula of its own, and all that follows."""

    async def visit(name: str, formula: str) -> tuple[float, float]:
        async with httpx.AsyncClient(base_url=address, headers={"X-Visitor": name}, timeout=60) as web:

            async def asked(verb: str, **fields: object) -> dict[str, Any]:
                reply = await web.post(f"api/{verb}", json={"formula": formula, **fields})
                reply.raise_for_status()
                return reply.json()

            began = time.perf_counter()
            request = {"method": "gradient descent", "steps": 100, "rate": None}
            request["start"] = (await asked("read"))["start"]
            await asked("descend", **request, grid=True)
            seen = time.perf_counter() - began
            await asyncio.gather(asked("steps", **request), asked("rates", **request))
            return seen, time.perf_counter() - began

    async def all_visit() -> list[tuple[float, float]]:
        texts = [text for text, _ in generated(VISITORS, seed=30)]
        return await asyncio.gather(*(visit(f"pupil-{number}", text) for number, text in enumerate(texts)))

    seen, served = zip(*asyncio.run(all_visit()), strict=True)
    return list(seen), list(served)


def first_visits(browser: Browser, address: str) -> dict[str, dict[str, float]]:
    """Return the requests and bytes of a first visit to each page, and of a reload, with all that it asks by itself."""
    visits = {}
    for page_of_lab in PAGES:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        with transfers(page) as sent:
            page.goto(address.rstrip("/") + page_of_lab.path)
            if page_of_lab.name == "network":  # it trains by itself
                page.get_by_text("Train again", exact=True).wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1000 * PROMPT)
        with transfers(page) as again:
            page.reload()
            page.wait_for_load_state("networkidle")
        visits[page_of_lab.title] = {"requests": len(sent), "bytes": sum(sent.values()), "again": sum(again.values())}
        context.close()
    return visits


@contextmanager
def transfers(page: Page) -> Iterator[dict[str, float]]:
    """Collect the bytes of each request as they are sent, with their heads, while the block runs."""
    urls, sizes = {}, {}
    session = page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSent", lambda event: urls.__setitem__(event["requestId"], event["request"]["url"]))

    def finished(event: dict[str, Any]) -> None:
        if urls.get(event["requestId"], "").startswith("http"):
            sizes[event["requestId"]] = event["encodedDataLength"]

    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    yield sizes
    session.detach()


def turns(browser: Browser, address: str) -> list[float]:
    """Return the frames a second of surfaces that are turned: an arrow key a frame, for two seconds each."""
    page, rates = browser.new_page(viewport={"width": 1280, "height": 900}), []
    for state in (PICTURES["x² + 2y²"], PICTURES["Rosenbrock, 1000 steps"]):
        drawn(page, f"{address}?{urlencode(state)}")
        page.locator("#surface-show").click()
        page.locator("#surface-view canvas").wait_for()
        page.wait_for_timeout(1000 * PROMPT)
        rates.append(page.evaluate(TURN))
    page.close()
    return rates


def guests(address: str) -> dict[str, list[float]]:
    """Return the milliseconds of light requests after each hostile one."""
    deeds: dict[str, Callable[[httpx.Client], object]] = {
        "nothing": lambda _: None,
        "a formula of 1 MB": lambda web: web.post("api/read", json={"formula": "x+" * 500_000}),
        "9^9^9^9": lambda web: web.post("api/read", json={"formula": "f(x) = x + 9^9^9^9"}),
        "(x+y) eighty times": lambda web: web.post("api/derive", json={"formula": "(x+y)" * 80}),
        "200 requests at once": at_once,
        "an upload of 500 MB": lambda web: web.post("api/table", content=(bytes(1 << 20) for _ in range(500))),
        "a path outside": lambda web: web.get("static/..%2f..%2f..%2fetc%2fpasswd"),
    }
    took = {}
    with httpx.Client(base_url=address, headers={"X-Visitor": "guest"}, timeout=60) as web:
        for name, deed in deeds.items():
            with contextlib.suppress(httpx.HTTPError):  # cut off, as it should be
                deed(web)
            took[name] = [answered(web) for _ in range(30)]
    return took


def at_once(web: httpx.Client) -> None:
    """Ask two hundred times at the same time."""
    with ThreadPoolExecutor(50) as crowd:
        list(crowd.map(lambda number: web.post("api/read", json={"formula": f"x + {number}"}), range(200)))


def answered(web: httpx.Client) -> float:
    """Return the milliseconds until a formula is read for another visitor."""
    began = time.perf_counter()
    web.post("api/read", json={"formula": "f(x) = x²"}, headers={"X-Visitor": "another"}).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def tenth(row: list[float]) -> float:
    """Return the 90th percentile."""
    return statistics.quantiles(row, n=10)[-1]


def three(row: list[float], form: str) -> tuple[str, str, str]:
    """Return the median, the 90th percentile and the longest as text."""
    return form.format(statistics.median(row)), form.format(tenth(row)), form.format(max(row))


def wait_until_open(address: str) -> None:
    """Wait until a formula is read."""
    with httpx.Client(base_url=address, headers={"X-Visitor": "first"}, timeout=60) as web:
        web.post("api/read", json={"formula": "f(x) = x²"}).raise_for_status()


def main() -> None:
    """Measure everything and print it beside what was aimed at."""
    given = arguments((__doc__ or "").splitlines()[0], rounds=5).parse_args()
    place = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if place is None:
        raise SystemExit("this needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=["--no-sandbox"])
        first = first_pictures(browser, cache, given.rounds)
        with command(cache) as (address, _):
            seen = formulas(browser, address)
            raced = races(browser, address)
            took = {name: moves(browser, address, state) for name, state in PICTURES.items()}
            visits, frames = first_visits(browser, address), turns(browser, address)
            after = guests(address)
        browser.close()
    with tempfile.TemporaryDirectory() as cache, command(cache) as (address, _):
        wait_until_open(address)
        pictures, served = crowd(address)
    rows = [
        (f"{what}, {name}", f"{len(row)}", f"{statistics.median(row):.0f}", f"{tenth(row):.0f}")
        for name, rows in took.items()
        for what, row in rows.items()
    ]
    loads = [
        (name, f"{row['requests']:.0f}", f"{row['bytes'] / 1000:.0f}", f"{row['again'] / 1000:.0f}")
        for name, row in visits.items()
    ]
    news = [
        (f"a formula never seen → its picture, ms, {len(seen)} formulas", *three(seen, "{:.0f}"), f"{AIM_FORMULA}"),
        ("the default race, s", *three(raced, "{:.2f}"), f"{AIM_RACE:g}"),
        (f"{VISITORS} visitors, a formula each at once → picture, s", *three(pictures, "{:.1f}"), f"{AIM_CROWD:g}"),
        ("the same → picture, table and rates, s", *three(served, "{:.1f}"), f"{AIM_CROWD:g}"),
    ]
    text = "\n\n".join(
        [
            f"{machine()}; Chromium on the same cores.",
            table(("what", "median", "90th percentile", "longest", "aim"), news),
            f"Moves, with the aims of {AIM_MEDIAN} ms in the median and {AIM_TENTH} ms at the 90th percentile:",
            table(("move", "drawn", "median, ms", "90th percentile, ms"), rows),
            f"From the command to the first picture, with a warm cache: {statistics.median(first):.2f} s, median of "
            f"{len(first)} ({min(first):.2f} to {max(first):.2f}; aim {AIM_FIRST:g} s). A surface turns at "
            f"{min(frames):.0f} frames a second or more (aim {AIM_FRAMES}).",
            f"A first visit, with its replies (aims {AIM_REQUESTS} and {AIM_BYTES / 1000:.0f}), and a reload:",
            table(("page", "requests", "kB", "kB of a reload"), loads),
            f"How long a light request of another visitor takes right after a hostile guest (aim {AIM_ANSWER} ms):",
            table(
                ("after", "median, ms", "longest of 30, ms"),
                [(name, f"{statistics.median(row):.0f}", f"{max(row):.0f}") for name, row in after.items()],
            ),
        ]
    )
    results = {"first": first, "formulas": seen, "races": raced, "crowd": {"pictures": pictures, "all": served}}
    publish(given, "lab", text, {**results, "moves": took, "visits": visits, "frames": frames, "guests": after})


if __name__ == "__main__":
    main()
