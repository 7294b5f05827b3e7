"""Draw the pictures in docs/images anew: those of commands and snippets by running their pages, the lab's in Chromium.

python website/images.py             all of them
python website/images.py fit.md lab  those of some pages
python website/images.py learn       those of the chapters of the course
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT / "src"))

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Pictures whose pages show neither a command nor a snippet that writes them to a file of this name.
COMMANDS = (
    'downslope draw "f(x, y) = x² + 2y²" --start x=4,y=3 -a 0.1 --steps 20 --plot valley.png',
    'downslope draw "f(x, y) = x² + 10y²" --start x=3,y=1 -a 0.09 --steps 60 --plot narrow.png',
)


def draw(page: Path) -> None:
    """Run the blocks of a page in an empty folder, and keep the pictures of docs/images that they write."""
    from downslope.cli._main import run

    names: dict[str, object] = {"__name__": "page"}
    for language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python" and ">>>" in text:
            for example in doctest.DocTestParser().get_examples(text):
                exec(compile(example.source, page.name, "single"), names)  # noqa: S102 - our own pages
        elif language == "python":
            exec(compile(text, page.name, "exec"), names)  # noqa: S102 - our own pages
        elif language == "console":
            for line in re.findall(r"^\$ (downslope .*)", text, re.MULTILINE):
                run(shlex.split(line)[1:])


def kept(folder: Path) -> None:
    """Copy the pictures that docs/images knows from a folder."""
    for file in sorted(folder.iterdir()):
        if (IMAGES / file.name).exists():
            shutil.copy(file, IMAGES / file.name)
            print(file.name, file=sys.stderr)


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """Work in an empty folder with the article's table; keep the pictures that are written there."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "src" / "downslope" / "examples" / "houses.csv", folder)
        os.chdir(folder)
        try:
            yield folder
            kept(folder)
        finally:
            os.chdir(before)


@dataclass(frozen=True)
class Shot:
    """One picture of the lab.

    Args:
        name: its file.
        address: the state of the page.
        scheme: "light" or "dark".
        act: what is done before, given the page.
        height: of the window.
    """

    name: str
    address: str
    scheme: Literal["light", "dark"]
    act: Callable[[Page], object]
    height: int = 1000


def _drawn(page: Page) -> None:
    page.locator("#way[d^=M]").wait_for(state="attached")
    page.wait_for_timeout(1500)


def _at_step(step: int) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        _drawn(page)
        page.locator("#scrub").fill(str(step))
        page.locator("#scrub").blur()
        page.wait_for_timeout(300)

    return act


def _raced(page: Page) -> None:
    _drawn(page)
    page.get_by_role("button", name="Run the race").click()
    page.locator("#race-state", has_text="first").wait_for()
    # The legend of a race is read from its table; the heading stays in sight.
    page.locator("#race-table tbody tr").last.scroll_into_view_if_needed()
    page.locator("h2", has_text="Race").evaluate("heading => heading.scrollIntoView()")
    page.wait_for_timeout(500)


def _trained(page: Page) -> None:
    page.locator("#train", has_text="Train again").wait_for()
    page.wait_for_timeout(1500)


def _trained_by_layer(page: Page) -> None:
    _trained(page)
    page.evaluate("window.scrollTo(0, 360)")
    page.wait_for_timeout(300)


def _taken_apart(page: Page) -> None:
    _trained(page)
    page.locator("#graph-section").scroll_into_view_if_needed()
    page.locator(".units image").first.wait_for()
    for _ in range(2):
        page.locator("#stage-forward").click()
    page.locator("#graph-section h2").evaluate("heading => heading.scrollIntoView()")
    page.wait_for_timeout(500)


def _compared(page: Page) -> None:
    page.get_by_label("Compare deep/plain").check()
    page.get_by_label("Compare deep/normalised").check()
    page.wait_for_timeout(2000)


def _running(page: Page) -> None:
    page.locator("#run-name", has_text="live").wait_for()
    page.locator("#charts figure").first.wait_for()
    page.wait_for_timeout(3000)


def _counted(page: Page) -> None:
    page.locator(".figure-reading", has_text="=").first.wait_for()
    page.wait_for_timeout(1500)


def _checked(page: Page) -> None:
    _counted(page)
    page.get_by_role("button", name="Check", exact=True).click()
    page.locator("#answer p").wait_for()
    page.wait_for_timeout(500)


NETWORK = "/network?hidden=6,4&rate=0.02&steps=600&trained=1"
COFFEE = "/fit?sample=coffee.csv&f=temperature+%3D+a+%2B+b·e^(-k·minutes)&start=a=60,b=20,k=0.2"
SHOTS = (
    Shot("learn-slope-light.png", "/learn#chapter=slope&at=x=2,h=2", "light", _counted, 860),
    Shot("learn-partial-light.png", "/learn#chapter=partial&at=T=160,t=8", "light", _counted, 860),
    Shot("learn-compass-dark.png", "/learn#chapter=compass&at=x=3,y=1,turn=43", "dark", _checked, 860),
    Shot("learn-descent-light.png", "/learn#chapter=descent&at=x=0,rate=0.1,step=4", "light", _counted, 860),
    Shot(
        "lab-descend-light.png",
        "/?f=f(x,y)=x²%2B2y²&at=x=4,y=3&rate=0.1&steps=100&surface=-60,30",
        "light",
        _at_step(3),
    ),
    Shot("lab-race-dark.png", "/?f=f(x,y)=(1-x)²%2B100(y-x²)²&at=x=-1.2,y=1&rate=0.001&steps=100", "dark", _raced),
    Shot("lab-fit-light.png", COFFEE, "light", _drawn),
    Shot("lab-fit-dark.png", COFFEE, "dark", _at_step(2)),
    Shot("lab-network-light.png", f"{NETWORK}&surface=-60,30", "light", _trained),
    Shot("lab-units-light.png", NETWORK, "light", _taken_apart, 820),
    Shot(
        "lab-network-dark.png",
        "/network?hidden=8,8,8,8,8,8,8,8,8,8,8,8&activation=sigmoid&rate=0.001&steps=600&trained=1",
        "dark",
        _trained_by_layer,
        1180,
    ),
    Shot("lab-runs-light.png", "/runs?run=deep/plain", "light", _compared),
    Shot("lab-runs-dark.png", "/runs?run=live", "dark", _running),
)
# Each chapter of the course: its state, and the function and stage that are chosen before.
CHAPTERS: dict[str, tuple[str, int | None, int | None]] = {
    "slope": ("chapter=slope&at=x=2,h=2", None, None),
    "partial": ("chapter=partial&at=T=160,t=8", None, None),
    "compass": ("chapter=compass&at=x=3,y=1,turn=43", None, None),
    "descent": ("chapter=descent&at=x=0,rate=0.1,step=4", None, None),
    "data": ("chapter=data&at=step=2", None, None),
    "rate": ("chapter=rate&at=rate=0.2,step=1", None, None),
    "chain": ("chapter=chain&at=x=182,guess=90", None, None),
    "units": ("chapter=chain", 1, 5),
    "pitfalls": ("chapter=pitfalls", None, None),
    "vanishing": ("chapter=pitfalls", 2, None),
}
_SIZES: dict[str, ViewportSize] = {"desk": {"width": 1024, "height": 768}, "phone": {"width": 390, "height": 844}}
_COLOURS = 128  # of a picture of a chapter: there are forty of them
_PATIENCE = 300_000  # milliseconds: a training may share its processor with others
_ENDLESS = (
    "import downslope as ds; ds.train(data='moons', hidden=(32, 32), steps=5_000_000, evaluate_every=200, "
    "save='live', progress=False)"
)


def _runs(folder: Path) -> None:
    """Save the runs that the page Runs shows."""
    import downslope as ds

    deep: dict[str, Any] = {"hidden": (8,) * 8, "activation": "sigmoid", "steps": 1200, "progress": False}
    ds.train("circles", save=folder / "deep" / "plain", **deep)
    ds.train("circles", normalisation="batch", save=folder / "deep" / "normalised", **deep)
    for name, momentum in (("descent", 0.0), ("momentum", 0.9)):
        trace = ds.descend(
            "x² + 10y²", {"x": 4, "y": 1}, method="momentum", momentum=momentum, learning_rate=0.05, steps=80
        )
        ds.save(trace, folder / "valley" / name)


def lab() -> None:
    """Take the pictures of the lab in Chromium."""
    from playwright.sync_api import sync_playwright

    from downslope.lab.server._serve import running

    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name) / "experiments"
        _runs(folder)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        with running(port=0, token=False, runs=folder) as opened:
            for shot in SHOTS:
                with _live(folder) if "run=live" in shot.address else contextlib.nullcontext():
                    _take(browser, opened.url, shot)
        browser.close()


@contextlib.contextmanager
def _live(folder: Path) -> Iterator[None]:
    """Keep a run in progress in a folder."""
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS], cwd=folder)
    try:
        while not (folder / "live").is_dir():
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def _take(browser: Browser, url: str, shot: Shot) -> None:
    """Take one picture, as somebody sees it who has been here before."""
    context = browser.new_context(
        base_url=url,
        color_scheme=shot.scheme,
        reduced_motion="reduce",
        viewport={"width": 1280, "height": shot.height},
    )
    context.add_init_script("localStorage.setItem('downslope.greeted', 'yes')")
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    page.goto(shot.address)
    shot.act(page)
    page.screenshot(path=IMAGES / shot.name)
    print(shot.name, file=sys.stderr)
    context.close()


def chapters() -> None:
    """Take the pictures of the course in Chromium: each chapter on a desk and on a phone, light and dark."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    from downslope.lab.server._serve import running

    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, running(port=0, token=False) as opened:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for size, viewport in _SIZES.items():
            context = browser.new_context(base_url=opened.url, reduced_motion="reduce", viewport=viewport)
            context.set_default_timeout(_PATIENCE)
            page = context.new_page()
            for name, (state, function, stage) in CHAPTERS.items():
                _open_chapter(page, state, function, stage)
                if size == "phone":
                    page.locator("#stage").evaluate(
                        "stage => scrollTo(0, stage.getBoundingClientRect().top + scrollY - 8)"
                    )
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    page.wait_for_timeout(300)
                    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                    file = IMAGES / f"learn-{name}-{size}-{scheme}.png"
                    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
                    print(file.name, file=sys.stderr)
            context.close()
        browser.close()


def _open_chapter(page: Page, state: str, function: int | None, stage: int | None) -> None:
    """Open a chapter of the course, and wait until its figure is drawn."""
    page.goto("about:blank")
    page.goto(f"/learn#{state}")
    page.locator("#figure :is(.curve, .band, .dial-needle line)").first.wait_for(state="attached")
    if function is not None:
        page.locator("#functions button").nth(function).click()
        page.locator("#figure :is(.learn-edge, .gradient-dot)").first.wait_for(state="attached")
    if stage is not None:
        page.locator("#scrub").fill(str(stage))
    page.wait_for_timeout(1200)


def main() -> None:
    """Draw what was named, or everything."""
    pages = sys.argv[1:]
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        written = [
            name for name in re.findall(r"images/([\w-]+\.\w+)", text) if name in text.replace(f"images/{name}", "")
        ]
        if page.name in pages or (not pages and written):
            with empty_folder():
                draw(page)
    if not pages:
        from downslope.cli._main import run

        with empty_folder():
            for command in COMMANDS:
                run(shlex.split(command)[1:])
    if not pages or "lab" in pages:
        lab()
    if not pages or "learn" in pages:
        chapters()


if __name__ == "__main__":
    main()
