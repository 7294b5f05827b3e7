"""The page "Runs" in a real browser: found, opened, compared, and one followed while it is written."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.browser import assert_usable, attribute, copied, emptied, opened, saved
from playwright.sync_api import Browser, Page, expect

import downslope as ds
from downslope.lab.server._serve import Running, running

SCRIPT = "<img src=x onerror=alert(1)>"
ENDLESS = (
    "import downslope as ds; ds.train(data='moons', hidden=(16,), steps=5_000_000, evaluate_every=200, "
    "save='live', progress=False)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("work")
    for name, rate in (("valley", 0.05), (SCRIPT, 0.09)):
        trace = ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 1}, learning_rate=rate, steps=60)
        ds.save(trace, root / name.replace("/", ""))
    ds.train(data="xor", hidden=(3, 3), steps=40, save=root / "nets" / "xor", progress=False)
    return root


@pytest.fixture(scope="module")
def runs_lab(folder: Path) -> Iterator[Running]:
    with running(port=0, runs=folder) as opened_lab:
        yield opened_lab


@pytest.fixture(scope="module")
def lasting_shelf(browser: Browser, runs_lab: Running) -> Iterator[Page]:
    """A tab on the lab that looks into the folder."""
    with opened(browser, runs_lab.url) as page:
        yield page


@pytest.fixture
def shelf(lasting_shelf: Page) -> Iterator[Page]:
    """The tab, empty."""
    with emptied(lasting_shelf) as page:
        yield page


def test_runs_are_listed_opened_and_compared(shelf: Page, tmp_path: Path) -> None:
    shelf.goto("/runs?run=valley")
    expect(shelf.locator("#runs-list li")).to_have_count(3)
    expect(shelf.locator("#way")).to_have_attribute("d", re.compile("^M"))
    expect(shelf.locator("#charts figure")).to_have_count(2)
    expect(shelf.locator("#verdict-sentence")).not_to_have_text("")
    expect(shelf.locator("#plan")).to_contain_text("gradient descent")
    assert copied(shelf, "Copy as command").startswith("downslope diagnose ")
    python = copied(shelf, "Copy as Python")
    told = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, check=True).stdout
    assert "f(x, y) = x² + 10y²" in told
    rows = list(csv.DictReader(Path(saved(shelf, "Save CSV")).read_text().splitlines()))
    assert (rows[0]["chart"], float(rows[0]["value"])) == ("value", 26)
    assert "gradient" not in Path(saved(shelf, "Save SVG")).read_text()

    shelf.get_by_role("button", name="nets/xor").click()
    expect(shelf.locator("#run-name")).to_have_text("nets/xor")
    expect(shelf.locator("#gradients .layer-dot")).to_have_count(3)
    expect(shelf.locator("#landscape-section")).to_be_hidden()

    shelf.get_by_label("Compare valley").check()
    expect(shelf.locator("#beside-section")).to_be_hidden()
    shelf.get_by_label(f"Compare {SCRIPT.replace('/', '')}").check()
    expect(shelf.locator("#beside-table")).to_contain_text("learning rate")
    lines = shelf.locator("#beside-charts .lane-line")
    expect(lines).to_have_count(4)
    assert attribute(lines.first, "d") != attribute(lines.nth(1), "d")
    expect(shelf).to_have_url(re.compile("beside="))
    shelf.reload()
    expect(shelf.locator("#beside-charts .lane-line")).to_have_count(4)
    expect(shelf.locator("#run-name")).to_have_text("nets/xor")
    shelf.get_by_role("button", name="Untick all").click()
    expect(shelf.locator("#beside-section")).to_be_hidden()


def test_a_run_is_followed_while_it_is_written(shelf: Page, folder: Path) -> None:
    training = subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=folder)
    try:
        shelf.goto("/runs?run=live")
        expect(shelf.locator("#run-state")).to_have_text("running")
        expect(shelf.locator("#charts .lane-line").first).to_have_attribute("d", re.compile("L"))
        steps = shelf.locator("#run-step").inner_text()
        curve = attribute(shelf.locator("#charts .lane-line").first, "d")
        expect(shelf.locator("#run-step")).not_to_have_text(steps)
        expect(shelf.locator("#charts .lane-line").first).not_to_have_attribute("d", curve)
        training.send_signal(signal.SIGINT)
        expect(shelf.locator("#run-state")).to_have_text("finished")
        expect(shelf.locator("#verdict")).to_contain_text("Stopped by the user", use_inner_text=False)
        expect(shelf.locator("#runs-list li[data-name=live] .run-state")).to_have_text("finished")
    finally:
        training.kill()
        training.wait()


def test_a_name_is_text_and_one_that_is_not_there_is_told(shelf: Page) -> None:
    name = SCRIPT.replace("/", "")
    shelf.goto("/runs")
    shelf.get_by_role("button", name=name).click()
    expect(shelf.locator("#run-name")).to_have_text(name)
    assert shelf.locator("main img").count() == 0
    shelf.goto("/runs?run=../../etc")
    expect(shelf.locator("#run-note")).to_contain_text("there is no run")


def test_an_empty_folder_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    with running(port=0, runs=tmp_path) as lab, opened(browser, lab.url) as tab:
        tab.goto("/runs")
        expect(tab.locator("#none")).to_be_visible()
        expect(tab.locator("#none-command")).to_contain_text("--save")


def test_the_keyboard_alone_is_enough(shelf: Page) -> None:
    shelf.goto("/runs?run=valley")
    expect(shelf.locator("#run-name")).to_have_text("valley")
    box = shelf.get_by_label("Compare nets/xor")
    box.focus()
    shelf.keyboard.press("Space")
    expect(box).to_be_checked()
    shelf.keyboard.press("Tab")
    shelf.keyboard.press("Enter")
    expect(shelf.locator("#run-name")).to_have_text("nets/xor")


def test_everyone_can_use_it_on_a_desk_and_on_a_phone(browser: Browser, runs_lab: Running) -> None:
    with opened(browser, runs_lab.url, fresh=True) as tab:
        tab.goto("/runs?run=nets/xor&beside=valley|nets/xor")
        expect(tab.locator("#welcome")).to_be_visible()
        assert tab.locator("#welcome p").inner_text().count(".") == 3
        expect(tab.locator("#beside-table tbody tr").first).to_be_visible()
        expect(tab.locator("#gradients .layer-dot").first).to_be_visible()
        assert_usable(tab)
