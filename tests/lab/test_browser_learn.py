"""The page Learn in a browser: chapters walked as a pupil, by keyboard, as a teacher, and on a phone."""

from __future__ import annotations

import re

import pytest
from lab.browser import WIDE, attribute, opened, overflow, violations
from playwright.sync_api import Browser, Page, ViewportSize, expect
from waiting import until

from downslope.lab.server._serve import Running

pytestmark = pytest.mark.browser
PHONE: ViewportSize = {"width": 390, "height": 844}
PROJECTOR: ViewportSize = {"width": 1024, "height": 768}


# The paths of both panels lie within their pictures.
WHOLE = """[...document.querySelectorAll(".panel")].every((panel) =>
    panel.querySelector(".way-line").getBoundingClientRect().top
    > panel.querySelector("svg").getBoundingClientRect().top + 20)"""


def arrive(tab: Page, address: str) -> None:
    """Open a chapter, and wait until its figure has numbers."""
    tab.goto("about:blank")
    tab.goto(f"/learn{address}")
    expect(tab.locator(".figure-reading").first).to_contain_text(re.compile("[=→]"))


def answer(tab: Page, kind: str, words: str) -> None:
    """Check the answer on the figure, and expect what is said of it."""
    tab.get_by_role("button", name="Check", exact=True).press("Enter")
    expect(tab.locator("#answer")).to_have_attribute("data-kind", kind)
    expect(tab.locator("#answer")).to_contain_text(words)


def hold_usable(tab: Page) -> None:
    """Hold that axe finds nothing in either theme."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        assert violations(tab) == [], scheme


def test_a_pupil_answers_four_chapters_by_keyboard(tab: Page) -> None:
    arrive(tab, "#chapter=slope")
    answer(tab, "wrong", "the slope is 120")
    point = tab.get_by_role("slider", name=re.compile("Point at"))
    for _ in range(3):
        point.press("ArrowRight", delay=10)
    expect(tab.locator(".figure-reading")).to_contain_text("3.5")
    for _ in range(3):
        point.press("ArrowRight")
    answer(tab, "right", "P′(5) = 0")
    hold_usable(tab)
    tab.get_by_role("button", name="Next: Partial derivatives").press("Enter")
    expect(tab.get_by_role("heading", level=2, name="Partial derivatives")).to_be_focused()

    expect(tab.locator(".figure-reading")).to_contain_text("= −0.4")
    answer(tab, "wrong", "Less heat")
    cookie = tab.get_by_role("application", name=re.compile("^Point at"))
    cookie.press("Shift+ArrowLeft")
    cookie.press("ArrowRight")
    expect(tab.locator(".figure-reading")).to_contain_text("∂Quality/∂T = 0")
    answer(tab, "wrong", "longer in the oven")
    for _ in range(4):
        cookie.press("ArrowUp")
    answer(tab, "right", "275")
    hold_usable(tab)
    tab.get_by_role("button", name=re.compile("^Next")).press("Enter")

    expect(tab.locator(".figure-reading")).to_contain_text("= −6")
    answer(tab, "wrong", "That way is down")
    needle = tab.get_by_role("slider", name=re.compile("Needle along"))
    for _ in range(6):
        needle.press("Shift+ArrowLeft")
    expect(needle).to_have_accessible_name(re.compile("along 150°"))
    answer(tab, "wrong", "there is a steeper one")
    for _ in range(13):
        needle.press("ArrowUp")
    answer(tab, "right", "right angle")
    # The gradient, and the right angle between it and the line of equal height, are right on the screen.
    arrow, level = (
        tab.locator(f"#figure {each}").evaluate("each => each.getBoundingClientRect().toJSON()")
        for each in (".gradient .arrow-line", ".level-line")
    )
    assert arrow["width"] / arrow["height"] == pytest.approx(6 / 4, rel=0.1)
    assert level["width"] / level["height"] == pytest.approx(4 / 6, rel=0.1)
    hold_usable(tab)
    tab.get_by_role("button", name=re.compile("^Next")).press("Enter")

    answer(tab, "wrong", "Put the marker first")
    marker = tab.get_by_role("slider", name=re.compile("arker"))
    marker.press("Shift+ArrowLeft")
    answer(tab, "wrong", "uphill")
    for _ in range(3):
        marker.press("Shift+ArrowRight")
    marker.press("Enter")  # on the figure it checks as well
    expect(tab.locator("#answer")).to_contain_text("0 − 0.1 × (−4) = 0.4")
    expect(tab.locator(".figure-reading")).to_contain_text("x = 0 − 0.1 × (−4) = 0.4")
    expect(tab.locator("#chapters .done")).to_have_count(4)
    expect(tab).to_have_url(re.compile("done=slope,partial,compass,descent"))  # written a moment later
    hold_usable(tab)


def test_the_surface_turns_and_its_cuts_move_with_the_point(tab: Page) -> None:
    arrive(tab, "#chapter=partial")
    surface = tab.locator(".solid canvas")
    drawn = "canvas => canvas.toDataURL()"
    expect(surface).to_have_accessible_name(re.compile("^Quality as a surface.*T = 170, t = 6.*∂Quality/∂t = 4"))
    tab.wait_for_timeout(300)
    before = surface.evaluate(drawn)
    tab.get_by_role("slider", name="t", exact=True).press("ArrowRight")
    expect(surface).to_have_accessible_name(re.compile("t = 7.*∂Quality/∂t = 3"))
    tab.wait_for_timeout(300)
    moved = surface.evaluate(drawn)
    assert moved != before
    tab.locator(".surface-view").press("ArrowLeft")
    tab.get_by_role("button", name="From above").click()
    expect(tab).to_have_url(re.compile("around:-65,above:40|around=-65,above=40"))
    assert until(lambda: surface.evaluate(drawn) != moved)
    tab.get_by_role("button", name="Dark", exact=True).click()
    tab.wait_for_timeout(300)
    dark = surface.evaluate(drawn)
    tab.get_by_role("button", name="Light", exact=True).click()
    tab.wait_for_timeout(300)
    assert until(lambda: surface.evaluate(drawn) != dark)
    field = tab.get_by_role("textbox", name="Formula")
    field.fill("x² - y²")
    field.press("Enter")
    expect(surface).to_have_accessible_name(re.compile("^f as a surface"))
    arrive(tab, "#chapter=compass")
    field.fill("u·v")
    field.press("Enter")
    expect(tab.get_by_role("application", name=re.compile("^Point at u = "))).to_be_visible()


def test_labels_of_heights_give_way_to_what_moves(tab: Page) -> None:
    arrive(tab, "#chapter=compass")
    point = tab.get_by_role("application", name=re.compile("^Point at"))
    hidden = set()
    for key in (
        "ArrowRight",
        "ArrowDown",
        "ArrowDown",
        "ArrowLeft",
        "ArrowLeft",
        "ArrowDown",
        "ArrowDown",
        "ArrowRight",
    ):
        point.press(key)
        tab.wait_for_timeout(100)
        hidden.add(tab.locator("#figure .height[hidden]").count())
        covered = tab.evaluate(
            """() => {
              const line = document.querySelector("#figure .needle .arrow-line");
              const points = d3.range(0, line.getTotalLength(), 3).map((at) => line.getPointAtLength(at));
              const shown = [...document.querySelectorAll("#figure .height:not([hidden])")];
              return shown.map((each) => each.getBBox()).filter(({ x, y, width, height }) =>
                points.some((at) => at.x > x && at.x < x + width && at.y > y && at.y < y + height)).length;
            }"""
        )
        assert covered == 0
    assert max(hidden) > 0  # the test has seen some


def test_secants_play_and_other_functions_are_shown(tab: Page) -> None:
    arrive(tab, "#chapter=slope&at=x=2,h=2")
    reading = tab.locator(".figure-reading")
    expect(reading).to_contain_text("(120 − 20) / 1 = 100")
    tab.locator("#scrub").fill("8")
    expect(reading).to_contain_text("P′(2) = 120")
    tab.get_by_role("button", name="Battery").click()
    expect(reading).to_contain_text("Battery′(2) = −10")
    answer(tab, "wrong", "The question is about")
    field = tab.get_by_role("textbox", name="Formula")
    field.fill("x + y")
    field.press("Enter")
    expect(tab.locator("#own-trouble")).to_contain_text("one variable, not of 2")
    field.fill("1/x")
    field.press("Enter")
    expect(reading).to_contain_text("f′(4) = −0.0625")
    expect(tab.locator("#own-trouble")).to_be_hidden()
    tab.get_by_role("button", name="Back to the lesson’s function").click()
    expect(reading).to_contain_text("P′(2) = 120")
    assert attribute(tab.locator("#count"), "for") == "scrub"


def test_a_teacher_shows_it_large_by_keys_with_notes_that_stay(tab: Page) -> None:
    tab.set_viewport_size(PROJECTOR)
    arrive(tab, "#chapter=descent")
    stage = tab.locator("#stage").bounding_box()
    assert stage
    assert stage["y"] + stage["height"] <= PROJECTOR["height"]
    tab.evaluate("document.documentElement.requestFullscreen = undefined")  # a window without a screen has none
    tab.get_by_role("button", name="Teach", exact=True).click()
    expect(tab.locator(".pages")).to_be_hidden()
    tab.locator("#lesson-title").focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    expect(tab.locator(".figure-reading")).to_contain_text("= 0.976")
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator(".figure-reading")).to_contain_text("= 0.72")
    tab.get_by_label("Pace").select_option("4×")
    tab.locator("#lesson-title").focus()
    tab.keyboard.press(" ")
    expect(tab.get_by_role("button", name="Pause")).to_be_visible()
    expect(tab.locator("#count")).to_have_text(re.compile("step ([4-9]|1\\d)"))
    tab.keyboard.press(" ")
    expect(tab.get_by_role("button", name="Play")).to_be_visible()
    tab.get_by_role("button", name="Pin a note").click()
    tab.get_by_role("textbox", name="Note").fill("shorter and shorter")
    tab.get_by_role("button", name=re.compile("^Move the note")).press("ArrowLeft")
    assert violations(tab) == []
    tab.locator("#lesson-title").focus()
    tab.keyboard.press("Shift+ArrowLeft")
    expect(tab.get_by_role("heading", level=2, name="The gradient as a compass")).to_be_visible()
    expect(tab.locator(".note")).to_have_count(0)
    tab.keyboard.press("Shift+ArrowRight")
    expect(tab.get_by_role("textbox", name="Note")).to_have_value("shorter and shorter")
    tab.wait_for_timeout(200)
    tab.reload()
    expect(tab.get_by_role("textbox", name="Note")).to_have_value("shorter and shorter")
    expect(tab.locator("html")).to_have_class(re.compile("teaching"))
    tab.get_by_role("button", name="End teaching").click()
    expect(tab.locator(".pages")).to_be_visible()


def test_a_german_phone(browser: Browser, real_lab: Running) -> None:
    choices = {"viewport": PHONE, "locale": "de-AT", "has_touch": True, "is_mobile": True}
    with opened(browser, real_lab.url, **choices) as tab:
        for chapter in ("descent", "compass", "partial", "slope"):
            arrive(tab, f"#chapter={chapter}&at=x=0,rate=0.3")
            assert overflow(tab) <= 0, chapter
        expect(tab.locator("html")).to_have_attribute("lang", "de")
        assert violations(tab) == []
        arrive(tab, "#chapter=descent")
        tab.locator("#figure svg").tap(position={"x": 150, "y": 100})
        tab.get_by_role("button", name="Prüfen").tap()
        expect(tab.locator("#answer")).to_contain_text("Zu weit. Die Steigung ist −4 und α = 0,1")
        tab.get_by_label("Sprache").select_option("en")
        expect(tab.get_by_role("heading", level=2, name="Descent")).to_be_visible()
        assert "lang=en" in tab.url or tab.wait_for_url("**lang=en**") is None
        tab.set_viewport_size(WIDE)


def test_the_german_pitfalls_fit_a_projector(tab: Page) -> None:
    arrived = "#chapter=pitfalls&lang=de"
    tab.goto("about:blank")
    tab.set_viewport_size({"width": 1280, "height": 720})
    tab.goto(f"/learn{arrived}")
    choices = tab.locator("#functions button")
    expect(choices).to_have_count(4)
    for choice in choices.all():
        choice.click()
        expect(choice).to_have_attribute("aria-pressed", "true")
        expect(tab.locator(".figure-busy")).to_be_empty()
        expect(tab.locator(".figure-finding .finding").first).to_be_visible()
        for width, height in ((1280, 720), (1024, 768)):
            tab.set_viewport_size({"width": width, "height": height})
            end = "([height]) => document.getElementById('stage').getBoundingClientRect().bottom + scrollY <= height"
            tab.wait_for_function(end, arg=[height])
            if "Sattel" in choice.inner_text():
                tab.wait_for_function(f"() => {WHOLE}")


def test_the_values_of_dials_stay_in_one_line(tab: Page) -> None:
    tab.set_viewport_size(PROJECTOR)
    arrive(tab, "#chapter=chain&lang=de")
    expect(tab.locator(".dial-value").last).to_have_text("Q = 100 Punkte")
    heights = tab.locator(".dial-value").evaluate_all("all => all.map((value) => value.getBoundingClientRect().height)")
    assert max(heights) == min(heights)


def test_a_pupil_answers_the_chapters_on_learning_by_keyboard(tab: Page) -> None:
    arrive(tab, "#chapter=data")
    reading = tab.locator(".figure-reading")
    expect(reading).to_contain_text("loss = 46667, w = 0 − 0.00001 × (−46666.7) = 0.4667")
    answer(tab, "wrong", "a steeper line fits better")
    line = tab.get_by_role("application", name=re.compile("^The line"))
    for _ in range(4):
        line.press("Shift+ArrowRight")
    answer(tab, "right", "w = 2, b = 0: the loss is 0")
    tab.get_by_role("slider", name=re.compile("^Lift the line")).press("Shift+ArrowUp")
    answer(tab, "wrong", "a flatter line fits better")
    expect(line).to_have_accessible_name(re.compile("b = 25"))
    weight = tab.get_by_role("slider", name="Weight")
    for _ in range(2):
        weight.press("ArrowLeft")
    answer(tab, "wrong", "the floor of the valley")
    tab.locator("#scrub").fill("20")
    expect(reading).to_contain_text("loss = 1.1295")
    answer(tab, "right", "meets all three houses")
    hold_usable(tab)
    tab.get_by_role("button", name="Next: The learning rate").press("Enter")

    expect(reading).to_contain_text("x: 10 → 8 → 6.4 → 5.12 → 4.096 → 3.277 → …")
    answer(tab, "wrong", "stops short of the bottom: it takes 31 steps")
    tab.get_by_role("button", name="too large").press("Enter")
    expect(reading).to_contain_text("x: 10 → −10 → 10 → −10")
    expect(tab.locator(".figure-finding")).to_contain_text("exactly the largest stable rate")
    answer(tab, "wrong", "never arrives")
    tab.get_by_role("button", name="too small").press("Enter")
    expect(reading).to_contain_text("10 → 9.98 → 9.96")
    answer(tab, "wrong", "still at x = 8.186")
    rate = tab.get_by_role("slider", name="α")
    for _ in range(13):
        rate.press("ArrowRight")
    answer(tab, "wrong", "leaps over the bottom")
    for _ in range(2):
        rate.press("ArrowLeft")
    answer(tab, "right", "α = 0.5")
    hold_usable(tab)
    tab.get_by_role("button", name="Next: The chain rule").press("Enter")

    answer(tab, "wrong", "Move the second needle first")
    needle = tab.get_by_role("slider", name="Your needle")
    for _ in range(3):
        needle.press("ArrowRight")
    answer(tab, "wrong", "the rates would be added")
    for _ in range(7):
        needle.press("ArrowRight")
    answer(tab, "wrong", "the direction is not")
    for _ in range(20):
        needle.press("ArrowLeft")
    answer(tab, "right", "18 minutes and 90 points")
    expect(tab.locator(".dial-value").last).to_have_text("Q = 90 points")
    hold_usable(tab)
    tab.get_by_role("button", name="Next: What goes wrong").press("Enter")

    expect(tab.locator(".panel-result").first).to_have_text("x = 1.35: f = −2.619")
    expect(tab.locator(".panel").first).to_contain_text("other starts of 16 ended lower")
    expect(tab.locator(".panel-result").last).to_have_text("x = −1.47: f = −5.444")
    answer(tab, "wrong", "Elsewhere it is −5.444")
    start = tab.get_by_role("slider", name=re.compile("^Start at"))
    start.press("ArrowLeft")
    answer(tab, "wrong", "From x = 1.75")
    for _ in range(2):
        start.press("Shift+ArrowLeft")
    answer(tab, "right", "That was the last chapter")
    expect(tab.locator("#chapters .done")).to_have_count(4)
    hold_usable(tab)


def test_other_functions_of_the_chapters_on_learning(tab: Page) -> None:
    tab.set_viewport_size(PHONE)
    arrive(tab, "#chapter=chain&lang=de")
    tab.get_by_role("button", name="Ein Netz").click()
    reading, scrub = tab.locator(".figure-reading"), tab.locator("#scrub")
    expect(reading).to_contain_text("x₁ = 1")
    for stage, text in (
        (1, "σ(1) = 0,731"),
        (3, "L = (2 − 1,27)² = 0,534"),
        (6, "∂L/∂w₁ = −1,46 × 0,197 × 1 = −0,287"),
        (7, "0,529"),
    ):
        scrub.fill(str(stage))
        expect(reading).to_contain_text(text)
    expect(tab.locator(".figure-caption")).to_contain_text("fällt von 0,534 auf 0,24")
    assert overflow(tab) <= 0
    field = tab.get_by_role("textbox")
    field.fill("y = sin(u); u = x²")
    field.press("Enter")
    expect(reading).to_contain_text("dy/dx = dy/du · du/dx")

    arrive(tab, "#chapter=data&at=w=1,b=50")
    expect(reading).to_contain_text("loss = ")
    tab.get_by_role("textbox").fill("1 3; 2 5; 4 9")
    tab.get_by_role("textbox").press("Enter")
    expect(reading).to_contain_text("loss = 38.33")
    tab.get_by_role("textbox").fill("1 3; x")
    tab.get_by_role("textbox").press("Enter")
    expect(tab.locator("#own-trouble")).to_contain_text("is not a point")

    arrive(tab, "#chapter=rate&at=rate=1.05")
    expect(tab.locator(".figure-finding")).to_contain_text("above the largest stable rate 1")
    tab.get_by_role("textbox").fill("x² + 10y²")
    tab.get_by_role("textbox").press("Enter")
    expect(tab.locator(".stable-name")).to_have_text("stable up to 0.1")

    tab.goto("about:blank")
    tab.goto("/learn#chapter=pitfalls")
    tab.get_by_role("button", name="Saddle").click()
    expect(tab.locator(".panel").first).to_contain_text("this is a saddle: the curvature is −2 along y")
    expect(tab.locator(".panel-result").last).to_have_text("x = 0, y = 0.707: f = −0.25")
    across, up = (
        tab.locator(".panel .way-line").last.evaluate("(line, side) => line.getBoundingClientRect()[side]", side)
        for side in ("width", "height")
    )
    assert across / up == pytest.approx(1 / 0.6971, rel=0.03)  # one unit is as long along both axes
    for name, ill, end in (
        ("Vanishing", "per layer towards the input", "50 %"),
        ("Exploding", "First weights|grows", r"[56]\d"),
    ):
        tab.get_by_role("button", name=name).click()
        expect(tab.locator(".panel").first).to_contain_text(re.compile(ill, re.IGNORECASE))
        expect(tab.locator(".panel-result").first).to_contain_text(re.compile(f"at the end {end}"))
        expect(tab.locator(".panel-result").last).to_contain_text("at the end 100 %")
        expect(tab.locator(".panel").last).to_contain_text("does what the data allow")
    scrub.fill("10")
    expect(tab.locator("#count")).to_have_text("step 100")
    assert overflow(tab) <= 0
    assert violations(tab) == []
