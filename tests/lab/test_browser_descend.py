"""The page "Descend" in a real browser: what a person types, drags, presses and reads."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lab.browser import assert_usable, attribute, copied, opened, saved, violations
from playwright.sync_api import Browser, Locator, Page, Route, expect
from waiting import until

import downslope as ds
from downslope.lab.replies._examples import EXAMPLES
from downslope.lab.server._serve import Running

# What people type, from the list that formulas must be read from.
TYPED = (
    "x² - 4x + 5",
    "-20p² + 200p - 300",
    "100 - 10×time",
    "h(x, y) = 100 - x² - 2y²",
    "√(x²+1)",
    "2sin(x)cos(3y)",
    "|x|",
    "e^(-x²/2)",
    "w×size",
    r"\frac{1}{2}x^2",
)
VALLEY = "/?f=f(x,y)=x²%2B2y²&at=x=4,y=3&rate=0.1&steps=20"
PARABOLA = "/?f=f(x)=x²&at=x=10&rate=0.1&steps=20"


# The ratio of a unit of x to a unit of y in the picture, from the two outer ticks of each axis.
UNITS = """() => {
    const texts = [...document.querySelectorAll("#picture .axes text:not(.axis-name)")];
    const unit = (anchor, side) => {
        const ticks = texts.filter((text) => text.getAttribute("text-anchor") === anchor)
            .map((text) => [Number(text.textContent.replace("−", "-")), Number(text.getAttribute(side))]);
        if (ticks.length < 2) return NaN; // not drawn yet
        const [first, last] = [ticks[0], ticks.at(-1)];
        return Math.abs((last[1] - first[1]) / (last[0] - first[0]));
    };
    return unit("middle", "x") / unit("end", "y");
}"""
IS_RING_FREE = """() => {
    const ring = document.querySelector(".ring");
    ring.scrollIntoView({ block: "center" });
    const box = ring.getBoundingClientRect();
    return ring.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
}"""


def arrive(tab: Page, address: str) -> None:
    """Open an address, and wait until its picture is drawn."""
    tab.goto(address)
    expect(way(tab)).to_have_attribute("d", re.compile("^M"))
    expect(tab.locator("#rate-text")).to_contain_text("α")


def way(tab: Page) -> Locator:
    return tab.locator("#way")


def verdict(tab: Page) -> Locator:
    return tab.locator("#verdict-sentence")


def slide(tab: Page, rate: float) -> None:
    """Slide the rate as close to a number as its slider goes."""
    place = tab.locator("#rate-slider").evaluate(
        """(slider, rate) => {
            let best = 0;
            for (let at = Number(slider.min); at <= Number(slider.max); at += 1) {
                slider.value = at;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                const now = Number(document.getElementById("rate-field").value);
                if (now <= rate) best = at;
            }
            return best;
        }""",
        rate,
    )
    tab.locator("#rate-slider").fill(str(place))


def test_what_people_type_is_read_drawn_and_judged(tab: Page) -> None:
    arrive(tab, VALLEY)
    field = tab.locator("#formula")
    for text in TYPED:
        before = verdict(tab).inner_text(), way(tab).get_attribute("d")
        field.fill(text)
        expect(tab.locator("#read-as")).not_to_have_text("")
        expect(tab).to_have_title(re.compile("Descend|downslope"))
        expect(way(tab)).not_to_have_attribute("d", before[1] or "")
        expect(way(tab)).to_have_attribute("d", re.compile("^M"))
        expect(verdict(tab)).not_to_have_text("")
        expect(tab.locator("#reading")).not_to_have_class(re.compile("wrong"))


def test_an_error_stands_under_its_place_and_the_picture_stays(tab: Page) -> None:
    arrive(tab, VALLEY)
    before = attribute(way(tab), "d")
    tab.locator("#formula").fill("f(x, y) = x² + 2z²")
    expect(tab.locator("#wrong-place mark")).to_have_text("z")
    expect(tab.locator("#formula")).to_have_attribute("aria-invalid", "true")
    assert attribute(way(tab), "d") == before
    tab.locator("#formula").fill("<script>alert(1)</script>")
    expect(tab.locator("#wrong-place")).to_contain_text("<script>")
    assert tab.locator("main script").count() == 0
    tab.go_back()
    expect(tab.locator("#formula")).to_have_value("f(x,y)=x²+2y²")


def test_dragging_the_start_changes_path_table_and_verdict(tab: Page) -> None:
    arrive(tab, "/?f=f(x)=x⁴-4x²%2Bx&at=x=2&rate=0.02&view=-2.5,2.5")
    first = tab.locator("#table tr[data-row]").first
    expect(first).to_contain_text("2")
    before, said = attribute(way(tab), "d"), verdict(tab).inner_text()
    ring, box = tab.locator(".ring"), tab.locator("#picture svg").bounding_box()
    at = ring.bounding_box()
    assert box
    assert at
    tab.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 200, steps=6)
    tab.mouse.up()
    expect(way(tab)).not_to_have_attribute("d", before)
    expect(tab.locator("#start-x")).to_have_value(re.compile("^−1"))
    expect(first).to_contain_text("−1.")
    expect(verdict(tab)).not_to_have_text(said)
    ring.focus()
    there = tab.locator("#start-x").input_value()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#start-x")).not_to_have_value(there)
    expect(ring).to_have_attribute("aria-label", re.compile("Start at x"))


def test_the_verdict_turns_where_the_rate_crosses_the_bound(tab: Page) -> None:
    arrive(tab, "/?f=f(x)=x²&at=x=10&rate=0.1&steps=60")
    expect(tab.locator("#rate-text")).to_contain_text("Stable up to α = 1")
    for rate, symptom in (
        (0.97, "still_descending"),
        (1.05, "rate_too_large"),
        (0.5, "converged"),
        (1.2, "rate_too_large"),
    ):
        slide(tab, rate)
        expect(tab.locator("#verdict")).to_have_attribute("data-symptom", symptom)
    expect(tab.locator("#verdict")).to_have_attribute("data-severity", "problem")
    tab.get_by_text("The numbers behind it").click()
    expect(tab.locator("#evidence-list table").first).to_be_visible()


def test_one_selected_step_drives_dot_row_and_arithmetic(tab: Page) -> None:
    arrive(tab, PARABOLA)
    step, lines = tab.locator("#arithmetic-step"), tab.locator("#arithmetic-lines")
    expect(lines).to_have_text("x = 10 − 0.1 × 20 = 8")
    first = attribute(tab.locator(".mark-dot"), "cx")
    tab.get_by_role("button", name="Step forward").click()
    expect(lines).to_have_text("x = 8 − 0.1 × 16 = 6.4")
    expect(tab.locator("#table tr[aria-current=step]")).to_contain_text("8")
    expect(tab.locator(".mark-dot")).not_to_have_attribute("cx", first)
    tab.locator("#table tr[data-row]").nth(3).click()
    expect(step).to_contain_text("3")
    tab.locator("#scrub").fill("5")
    expect(step).to_contain_text("5")
    tab.get_by_role("button", name="Play").click()
    expect(tab.locator("#count")).to_have_text("step 20 of 20")
    tab.get_by_role("button", name="Step back").click()
    expect(step).to_contain_text("19")


def test_a_reload_gives_the_same_picture(tab: Page) -> None:
    arrive(tab, VALLEY)
    tab.locator("#start-x").fill("-3")
    tab.locator("#scrub").fill("4")
    tab.get_by_role("button", name="Zoom out").click()
    tab.locator("#method").select_option("momentum")
    expect(tab.locator("#command")).to_contain_text("momentum")

    def shown() -> list[str]:
        expect(tab.locator(".mark-dot")).to_be_visible()
        expect(tab.locator("#rate-text")).to_contain_text("α")
        places = ("#table-box", "#verdict-sentence", "#arithmetic", "#python", "#count")
        paths = [attribute(way(tab), "d"), attribute(tab.locator(".mark-dot"), "cx")]
        return [tab.locator(place).inner_text() for place in places] + paths

    tab.wait_for_timeout(500)  # the address is written a moment later
    before, address = shown(), tab.url
    arrive(tab, address)
    assert until(lambda: shown() == before)


def test_what_is_copied_does_the_same(tab: Page, tmp_path: Path) -> None:
    arrive(tab, VALLEY)
    end = attribute(tab.locator("#picture svg desc"), "id")
    told = tab.locator(f"#{end}").text_content() or ""
    python, command = copied(tab, "Copy as Python"), copied(tab, "Copy as command")
    assert "steps=20" in python
    program = python + "print(*map(float, trace.end.values()))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    x, y = map(float, ran.splitlines()[-1].split())
    shown = dict(re.findall(r"(x|y) = (−?[\d.e−]+)", told.replace("−", "-")))
    assert (x, y) == pytest.approx((float(shown["x"].rstrip(".,")), float(shown["y"].rstrip(".,"))), rel=1e-9)
    script = Path(sys.executable).with_name("downslope")
    typed = command.replace("downslope", str(script), 1) + " --quiet"
    said = subprocess.run(["sh", "-c", typed], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    # A terminal writes 1e−10 where the page writes 10⁻¹⁰.
    assert " ".join(verdict(tab).inner_text().split()) in " ".join(said.split()).replace("1e−10", "10⁻¹⁰")
    assert copied(tab, "Copy link").startswith("http://127.0.0.1")


def test_the_derivation_is_revealed_step_by_step(tab: Page) -> None:
    arrive(tab, "/?f=f(x)=x³-2x&at=x=2")
    tab.locator("#derivation").scroll_into_view_if_needed()
    rules = tab.locator("#derivation li")
    expect(rules).not_to_have_count(0)
    whole = rules.count()
    expect(tab.locator("#derivation .derivative")).to_have_text("f′(x) = 3x² − 2")
    tab.get_by_label("one step at a time").check()
    expect(rules).to_have_count(0)
    expect(tab.locator("#derivation .derivative")).to_have_text("f′(x) = …")
    tab.get_by_role("button", name="Show the first step").click()
    expect(rules).to_have_count(1)
    for _ in range(whole - 1):
        tab.get_by_role("button", name="Show the next step").click()
    expect(tab.locator("#derivation .derivative")).to_have_text("f′(x) = 3x² − 2")


RACED = [name for name in ds.method_names() if ds.method(name).spec.in_races]


def test_a_race_of_methods_and_of_rates(tab: Page) -> None:
    arrive(tab, VALLEY)
    tab.get_by_role("button", name="Run the race").click()
    expect(tab.locator("#race-table tbody tr")).to_have_count(len(RACED))
    expect(tab.locator("#race-state")).to_contain_text("first")
    expect(tab.locator("#race-picture .lane")).to_have_count(len(RACED))
    assert "ds.compare(" in copied(tab, "Copy the race as Python")
    tab.get_by_role("button", name="Rates").click()
    expect(tab.locator("#race-result")).to_be_hidden()
    tab.get_by_role("button", name="Run gradient descent at several rates").click()
    expect(tab.locator("#race-table tbody th").first).to_contain_text("α = ")
    assert "ds.sweep(" in copied(tab, "Copy the race as Python")
    tab.reload()
    expect(tab.locator("#race-table tbody th").first).to_contain_text("α = ")


# A part of the surface's picture, as text.
DRAWN = """() => document.querySelector("#surface-view canvas").toDataURL()"""


def test_the_surface_turns_and_its_path_moves_with_the_contours(tab: Page) -> None:
    arrive(tab, VALLEY + "&theme=light")
    expect(tab.locator("#surface")).to_be_hidden()
    show = tab.get_by_role("button", name="Surface", exact=True)
    show.click()
    expect(show).to_have_attribute("aria-pressed", "true")
    canvas = tab.locator("#surface-view canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("Surface of f"))
    surface, play = tab.locator("#surface").bounding_box(), tab.locator("#play").bounding_box()
    assert surface
    assert play
    assert surface["y"] < play["y"]  # beside the contours, on a desk
    tab.wait_for_timeout(400)

    def changes(act: Callable[[], object]) -> None:
        before = tab.evaluate(DRAWN)
        act()
        tab.wait_for_function(f"before => ({DRAWN})() !== before", arg=before)

    changes(lambda: tab.get_by_role("button", name="Turn left").click())
    tab.locator("#surface-view").focus()
    changes(lambda: tab.keyboard.press("ArrowUp"))
    box = tab.locator("#surface-view").bounding_box()
    assert box
    tab.mouse.move(box["x"] + 150, box["y"] + 150)
    tab.mouse.down()
    changes(lambda: tab.mouse.move(box["x"] + 220, box["y"] + 170, steps=3))
    tab.mouse.up()
    expect(tab).to_have_url(re.compile(r"surface=-?\d+,\d+"))
    changes(lambda: tab.locator("#forward").click())
    changes(lambda: tab.locator("#start-x").fill("-3"))
    changes(lambda: tab.get_by_role("button", name="Dark").click())
    tab.locator("#formula").fill("f(x) = x²")
    expect(tab.locator("#surface")).to_be_hidden()
    expect(show).to_be_hidden()


def test_ranges_that_differ_much_are_said_and_can_be_drawn_equally(tab: Page) -> None:
    arrive(tab, "/?f=f(x,y)=x²/100%2B2y²&at=x=300,y=3&rate=0.4&steps=1000")
    expect(tab.locator("#scale-note")).to_contain_text("times as long as one of x")
    tab.get_by_role("button", name="Draw them equally long").click()
    tab.wait_for_function(f"() => Math.abs(({UNITS})() - 1) < 0.03")
    expect(tab.locator("#scale-note")).to_contain_text("equally long along both axes")
    expect(tab).to_have_url(re.compile("scale=equal"))  # it is written a moment later
    tab.reload()
    tab.wait_for_function(f"() => Math.abs(({UNITS})() - 1) < 0.03")
    tab.get_by_role("button", name="Fill the picture").click()
    expect(tab.locator("#scale-note")).to_contain_text("so angles are not true")


def test_what_belongs_to_an_earlier_question_is_pale_until_the_answer_is_there(tab: Page) -> None:
    arrive(tab, VALLEY)
    main = tab.locator("#main")
    expect(main).to_have_attribute("data-stale", "")
    held: list[Route] = []
    tab.route("**/api/descend", lambda route: held.append(route))
    tab.locator("#formula").fill("f(x, y) = x² + 3y²")
    expect(main).to_have_attribute("data-stale", "answer")
    expect(tab.locator("#verdict-mark")).to_be_hidden()
    assert violations(tab) == []
    for route in held:
        route.continue_()
    tab.unroute("**/api/descend")
    expect(main).to_have_attribute("data-stale", "")
    expect(tab.locator("#verdict-mark")).to_be_visible()
    expect(tab.locator("#python")).to_contain_text("3y²")
    tab.locator("#formula").fill("f(x, y) = x² + 3z²")  # refused
    expect(tab.locator("#wrong-place")).to_be_visible()
    expect(main).to_have_attribute("data-stale", "reading")
    tab.locator("#formula").fill("f(x, y) = x² + 3y²")
    expect(main).to_have_attribute("data-stale", "")


def test_a_busy_lab_is_asked_again_by_a_button(tab: Page) -> None:
    arrive(tab, VALLEY)
    busy = {"error": {"kind": "LimitError", "message": "The lab is busy.", "hint": "Try again in a few seconds."}}
    tab.route("**/api/descend", lambda route: route.fulfill(status=400, json=busy))
    tab.locator("#rate-field").fill("0.2")
    again = tab.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    tab.unroute("**/api/descend")
    again.click()
    expect(tab.locator("#python")).to_contain_text("learning_rate=0.2")
    expect(again).to_be_hidden()


def test_space_plays_at_a_pace_and_again_and_again(tab: Page) -> None:
    arrive(tab, PARABOLA)
    tab.locator("#pace").select_option("4×")
    tab.locator("#main").focus()
    tab.keyboard.press("Space")
    expect(tab.locator("#play")).to_have_attribute("aria-label", "Pause")
    tab.keyboard.press("Space")
    expect(tab.locator("#play")).to_have_attribute("aria-label", "Play")
    tab.locator("#loop").click()
    tab.locator("#scrub").fill("19")
    tab.locator("#main").focus()
    tab.keyboard.press("Space")
    expect(tab.locator("#count")).to_have_text("step 20 of 20")
    expect(tab.locator("#count")).to_have_text(re.compile(r"step [1-9] of 20"))
    tab.locator("#formula").focus()
    tab.keyboard.press("End")
    tab.keyboard.press("Space")  # is a letter here
    expect(tab.locator("#play")).to_have_attribute("aria-label", "Pause")


def test_picture_and_controls_fit_a_projector(tab: Page) -> None:
    arrive(tab, VALLEY)
    for width, height in ((1024, 768), (1280, 720)):
        tab.set_viewport_size({"width": width, "height": height})
        for part in ("#picture .frame", "#play", "#arithmetic", "#rate-slider", "#verdict-sentence"):
            assert comes_to_end_above(tab, part, height), (part, width)


def comes_to_end_above(tab: Page, part: str, height: int) -> bool:
    """Return whether a part fits above a height once the page has settled; of the verdict, its first line."""

    def end() -> float:
        box = tab.locator(part).bounding_box()
        assert box, part
        return box["y"] + (box["height"] if part != "#verdict-sentence" else 20)

    return until(lambda: end() <= height)


@pytest.mark.parametrize(
    ("path", "lists"),
    [
        ("/", ("#method option", "#examples-list button", "#runners input")),
        ("/fit", ("#samples button", "#loss-choice option", "#method option")),
        ("/network", ("#samples button", "#presets-list button", "#activation option", "#method option")),
    ],
)
def test_menus_are_full_though_the_lab_answers_nothing(tab: Page, path: str, lists: tuple[str, ...]) -> None:
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url.rsplit("/", 1)[-1])
        route.fulfill(status=400, json={"error": {"kind": "LimitError", "message": "busy"}})

    tab.route("**/api/*", refuse)
    tab.goto(path)
    for entries in lists:
        expect(tab.locator(entries).nth(1)).to_be_attached()
    tab.unroute("**/api/*")
    assert not {"methods", "examples", "samples", "fit_choices", "network_choices", "network_presets"} & set(asked)


def test_of_more_than_two_variables_two_are_shown(tab: Page) -> None:
    arrive(tab, "/?f=f(x,y,z)=x²%2B2y²%2B3z²&at=x=1,y=2,z=3")
    expect(tab.locator("#slice")).to_be_visible()
    before = attribute(way(tab), "d")
    tab.locator("#over-y").select_option("z")
    expect(way(tab)).not_to_have_attribute("d", before)
    expect(tab.locator("#picture .axis-name").last).to_have_text("z")


def test_examples_are_a_click_away(tab: Page) -> None:
    arrive(tab, VALLEY)
    buttons = tab.locator("#examples-list button")
    expect(buttons).to_have_count(len(EXAMPLES))
    for place in (1, 9, 13):  # a line, a curve and a valley; that all of them descend, the replies' tests say
        before = tab.locator("#python").inner_text()
        tab.locator("#examples summary").click()
        buttons.nth(place).click()
        expect(tab.locator("#python")).not_to_have_text(before)
        expect(way(tab)).to_have_attribute("d", re.compile("^M"))
        expect(tab.locator("#start-note")).to_be_hidden()
        expect(tab.locator("#picture-note")).to_be_hidden()
    # They are a path: from each, one goes on to the next.
    expect(tab.locator("#lesson-count")).to_have_text(f"14 of {len(EXAMPLES)}")
    tab.get_by_role("button", name="Next example").click()
    expect(tab.locator("#lesson-title")).to_have_text(f"{EXAMPLES[14].title}.")
    expect(tab.locator("#formula")).to_have_value(EXAMPLES[14].formula)
    tab.get_by_role("button", name="Previous").click()
    expect(tab.locator("#formula")).to_have_value(EXAMPLES[13].formula)
    tab.locator("#formula").fill("f(x) = x²")
    expect(tab.locator("#lesson")).to_be_hidden()


def test_pictures_and_steps_can_be_saved(tab: Page) -> None:
    arrive(tab, VALLEY)
    svg = Path(saved(tab, "Save SVG")).read_text(encoding="utf-8")
    assert len(ElementTree.fromstring(svg).findall(".//{http://www.w3.org/2000/svg}path")) > 10
    assert "color(" not in svg
    assert "color-mix" not in svg
    assert Path(saved(tab, "Save PNG")).read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(Path(saved(tab, "Save CSV")).read_text(encoding="utf-8").splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(21))
    assert float(rows[-1]["x"]) == pytest.approx(4 * 0.8**20)


def test_with_the_keyboard_alone(tab: Page) -> None:
    arrive(tab, VALLEY)
    tab.locator("#formula").focus()
    reached = []
    for _ in range(18):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("() => document.activeElement.id || document.activeElement.getAttribute('class')"))
    assert {"ring", "zoom-in", "play", "scrub", "start-x", "method", "rate-slider"} <= set(reached)
    before = attribute(way(tab), "d")
    tab.locator("#rate-slider").focus()
    tab.keyboard.press("ArrowRight")
    expect(way(tab)).not_to_have_attribute("d", before)
    tab.locator("#table-box").focus()
    tab.keyboard.press("ArrowDown")
    expect(tab.locator("#arithmetic-step")).to_contain_text("1")


def test_axe_finds_nothing_wide_or_on_a_phone(browser: Browser, real_lab: Running) -> None:
    with opened(browser, real_lab.url, fresh=True) as tab:
        arrive(tab, "/")
        tab.locator("#derivation").scroll_into_view_if_needed()
        expect(tab.locator("#derivation li")).not_to_have_count(0)
        tab.get_by_role("button", name="Run the race").click()
        expect(tab.locator("#race-table tbody tr")).to_have_count(len(RACED))
        assert_usable(tab)


def test_the_first_visit_is_told_in_three_sentences_what_to_do(browser: Browser, real_lab: Running) -> None:
    with opened(browser, real_lab.url, fresh=True) as tab:
        arrive(tab, "/")
        assert len(re.findall(r"[.!?](?:\s|$)", tab.locator("#welcome p").inner_text())) == 3
        tab.get_by_role("button", name="Got it").click()
        expect(tab.locator("#welcome")).to_be_hidden()
        tab.reload()
        expect(way(tab)).to_have_attribute("d", re.compile("^M"))
        expect(tab.locator("#welcome")).to_be_hidden()
        for path in ("/fit", "/network", "/runs"):  # whoever was greeted on one page knows how pages greet
            tab.goto(path)
            expect(tab.locator("#welcome")).to_be_hidden()


def test_the_ring_is_free_and_a_unit_is_as_long_along_both_axes(tab: Page) -> None:
    arrive(tab, VALLEY)
    for width in (1440, 1024, 390, 320):
        tab.set_viewport_size({"width": width, "height": 768})
        tab.wait_for_function(f"() => Math.abs(({UNITS})() - 1) < 0.03")
        assert tab.evaluate(IS_RING_FREE)
    # A box that was kept, as after a move of the start, suits a window of another shape as well.
    tab.locator("#start-x").fill("3.9")
    expect(tab).to_have_url(re.compile("view="))
    tab.set_viewport_size({"width": 1440, "height": 768})
    tab.reload()
    tab.wait_for_function(f"() => Math.abs(({UNITS})() - 1) < 0.03")


def test_colours_are_in_the_address(tab: Page) -> None:
    arrive(tab, VALLEY)
    tab.get_by_role("button", name="Dark").click()
    expect(tab.locator("html")).to_have_attribute("data-theme", "dark")
    expect(tab).to_have_url(re.compile("theme=dark"))
