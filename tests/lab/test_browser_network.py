"""The page "Network" in a real browser: trained live, scrubbed, taken apart, mended, taken away."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lab.browser import assert_usable, attribute, copied, opened, saved, violations
from playwright.sync_api import Browser, Page, expect

from downslope.lab.server._serve import Running

SMALL = "/network?hidden=4&rate=0.01&steps=120&trained=1"


def arrive(tab: Page, address: str) -> None:
    """Open an address that trains, and wait until it has ended."""
    tab.goto(address)
    ended(tab)


def ended(tab: Page) -> None:
    expect(tab.locator("#metrics tr").first).to_be_attached()
    expect(tab.locator("#train")).to_have_text("Train again")


def regions(tab: Page) -> str:
    return attribute(tab.locator("#picture .regions image"), "href")


def test_a_network_is_trained_live_and_walked_through(tab: Page) -> None:
    tab.goto(SMALL)
    expect(tab.locator("#train")).to_have_text("Stop")
    expect(tab.locator("#picture .data-dots")).to_have_count(2)
    ended(tab)
    expect(tab.locator("#count")).to_have_text("step 120 of 120")
    places = ("#losses .of-training", "#scores .of-validation")
    assert all(attribute(tab.locator(place).first, "d").count("L") > 5 for place in places)
    expect(tab.locator("#gradients .layer-dot")).to_have_count(2)
    sentence = tab.locator("#verdict-sentence").inner_text()

    last = regions(tab), tab.locator("#gradients .layer-dot").first.get_attribute("cy")
    tab.locator("#scrub").fill("1")
    expect(tab.locator("#count")).to_have_text("step 10 of 120")
    assert regions(tab) != last[0]
    assert tab.locator("#gradients .layer-dot").first.get_attribute("cy") != last[1]
    tab.locator("#forward").click()
    expect(tab.locator("#count")).to_have_text("step 20 of 120")

    expect(tab).to_have_url(re.compile("step=20"))
    tab.reload()
    ended(tab)
    expect(tab.locator("#count")).to_have_text("step 20 of 120")
    tab.locator("#scrub").fill(tab.locator("#scrub").get_attribute("max") or "")
    assert regions(tab) == last[0]
    expect(tab.locator("#verdict-sentence")).to_have_text(sentence)


def test_what_is_taken_away_trains_to_the_same_numbers(tab: Page, tmp_path: Path) -> None:
    arrive(tab, SMALL)
    shown = dict(row.split("\t") for row in tab.locator("#metrics tr").all_inner_texts())
    python = copied(tab, "Copy as Python")
    program = f"{python}\nimport json\nprint(json.dumps(training.metrics))"
    told = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    metrics = json.loads(told.stdout.splitlines()[-1])
    assert float(shown["Validation loss"]) == pytest.approx(metrics["validation_loss"], rel=1e-5)
    command = "downslope train circles --activation tanh --hidden 4 --learning-rate 0.01 --steps 120"
    assert copied(tab, "Copy as command") == command
    assert Path(saved(tab, "Save CSV")).read_text().startswith("step,training_loss")
    svg = Path(saved(tab, "Save SVG")).read_text()
    assert "data:image/png" in svg
    assert "held back" in svg


def test_classes_are_weighed(tab: Page) -> None:
    arrive(tab, SMALL)
    tab.get_by_label("Class weights").fill("inner=5,outer=1")
    tab.locator("#train").click()
    expect(tab.locator("#train")).to_have_text("Train again")
    expect(tab).to_have_url(re.compile("class_weights=inner=5,outer=1"))
    assert "--class-weights inner=5.0,outer=1.0" in copied(tab, "Copy as command").replace("5 ", "5.0 ")
    assert tab.locator("#class-weights-list option").evaluate_all("all => all.map(({value}) => value)") == ["balanced"]
    tab.get_by_label("Class weights").fill("heavy=much")
    expect(tab.get_by_label("Class weights")).to_have_attribute("aria-invalid", "true")
    arrive(tab, "/network?sample=diabetes&hidden=4&rate=0.01&steps=20&trained=1")
    expect(tab.get_by_label("Class weights")).to_be_hidden()


def test_a_training_is_stopped_and_settings_that_changed_are_told(tab: Page) -> None:
    tab.goto("/network?hidden=8,8&rate=0.01&steps=20000&trained=1")
    expect(tab.locator("#count")).to_contain_text("of 20000")
    tab.locator("#train").click()
    expect(tab.locator("#train")).to_have_text("Train again")
    tab.get_by_label("Units of the hidden layers").fill("3")
    expect(tab.locator("#changed")).to_be_visible()
    tab.get_by_label("Steps", exact=True).fill("40")
    tab.keyboard.press("Enter")
    ended(tab)
    expect(tab.locator("#read-as")).to_contain_text("2 → 3 → 1")
    expect(tab.locator("#changed")).to_be_hidden()
    tab.get_by_label("Activation", exact=True).select_option("sigmoid")
    tab.get_by_label("Units of the hidden layers").fill("300")
    tab.locator("#train").click()
    expect(tab.locator("#train-note")).to_contain_text("up to 256 units")


def test_a_small_network_is_taken_apart_forward_and_back(tab: Page) -> None:
    arrive(tab, SMALL + "&sample=xor")
    tab.locator("#graph-section").scroll_into_view_if_needed()
    expect(tab.locator("#graph-stage")).to_have_text("The example, scaled")
    expect(tab.locator("#stage-count")).to_have_text("1 of 6")
    expect(tab.locator(".units .unit:not(.unlit)")).to_have_count(2)
    tab.locator("#stage-forward").click()
    expect(tab.locator("#graph-text")).to_contain_text("tanh(z₁) =")
    weight = tab.locator(".units .edge-value").first.text_content()
    for _ in range(4):
        tab.locator("#stage-forward").click()
    expect(tab.locator("#graph-stage")).to_have_text("Back through layer 1")
    expect(tab.locator("#graph-text")).to_contain_text("∂L/∂w")
    assert tab.locator(".units .edge-value").first.text_content() != weight
    before = tab.locator("#graph-text").inner_text()
    tab.locator("#example").fill("7")
    expect(tab.locator("#graph-text")).not_to_have_text(before)


def test_units_show_what_they_have_learned_and_the_output_is_a_surface(tab: Page) -> None:
    arrive(tab, SMALL + "&surface=-60,30")
    tab.locator("#graph-section").scroll_into_view_if_needed()
    pictures = tab.locator(".units image")
    expect(pictures).to_have_count(5)
    expect(tab.locator("#units-note")).to_contain_text("over x and y after 120 steps")
    last = attribute(pictures.first, "href")
    tab.locator("#scrub").fill("1")
    expect(tab.locator("#units-note")).to_contain_text("after 10 steps")
    expect(pictures.first).not_to_have_attribute("href", last)
    canvas = tab.locator("#surface-view canvas")
    expect(canvas).to_have_attribute("aria-label", "The probability of P(outer) over x and y after 10 steps.")
    tab.get_by_role("button", name="Surface", exact=True).click()
    expect(tab.locator("#surface")).to_be_hidden()
    expect(tab.locator("#devices-field")).to_be_hidden()  # a machine with a single device has no choice


def test_predictions_fill_the_picture_before_and_after_its_surface_is_closed(tab: Page) -> None:
    arrive(tab, SMALL + "&surface=-60,30")
    hold_filled(tab)
    shape = tab.locator("#picture .area").evaluate("area => area.getBoundingClientRect().width")
    tab.get_by_role("button", name="Surface", exact=True).click()
    tab.wait_for_function(
        "shape => document.querySelector('#picture .area').getBoundingClientRect().width > 1.1 * shape", arg=shape
    )
    hold_filled(tab)
    tab.set_viewport_size({"width": 700, "height": 600})  # a shape that nobody has foreseen
    tab.wait_for_timeout(200)
    hold_filled(tab)


def hold_filled(tab: Page) -> None:
    """Hold that the regions reach all sides of the plot."""
    box = "each => (({ x, y, width, height }) => ({ x, y, width, height }))(each.getBBox())"
    area, image = (tab.locator(f"#picture {each}").evaluate(box) for each in (".area", ".regions image"))
    assert image["x"] <= area["x"] + 1
    assert image["y"] <= area["y"] + 1
    assert image["x"] + image["width"] >= area["x"] + area["width"] - 1
    assert image["y"] + image["height"] >= area["y"] + area["height"] - 1


def test_the_rate_is_changed_and_the_weights_are_kept(tab: Page) -> None:
    arrive(tab, SMALL)
    tab.get_by_label("Learning rate").fill("0.1")
    expect(tab.locator("#main")).to_have_attribute("data-stale", "answer")
    tab.get_by_role("button", name="Go on").click()
    expect(tab.locator("#count")).to_have_text("step 240 of 240")
    ended(tab)
    expect(tab).to_have_url(re.compile("earlier=120=0.01"))
    expect(tab.locator("#main")).to_have_attribute("data-stale", "")
    assert "training = ds.train(training.model" in copied(tab, "Copy as Python")
    expect(tab.locator("#losses .rate-change")).to_have_count(1)
    before = regions(tab)
    tab.reload()
    ended(tab)
    expect(tab.locator("#count")).to_have_text("step 240 of 240")
    assert regions(tab) == before


def test_settings_that_cannot_be_trained_say_so_at_once(tab: Page) -> None:
    arrive(tab, SMALL)
    for label, text, words in (("Dropout", "1.5", "below 1"), ("Learning rate", "-1", "above 0")):
        tab.get_by_label(label, exact=True).fill(text)
        expect(tab.locator("#train-note")).to_contain_text(words)
        expect(tab.locator("#verdict-mark")).to_be_hidden()
        tab.get_by_label(label, exact=True).fill("0.01")
        expect(tab.locator("#train-note")).to_be_hidden()


def test_a_failure_is_diagnosed_and_the_remedy_that_helped_is_taken_over(tab: Page) -> None:
    arrive(tab, "/network?hidden=64&method=gradient+descent&rate=0.0001&steps=300&trained=1")
    expect(tab.locator("#verdict")).to_have_attribute("data-symptom", "rate_too_small")
    tab.locator("#prescribe").click()
    expect(tab.locator("#prescribe-state")).to_contain_text("of at most")
    expect(tab.locator("#trials .winner").first).to_be_visible()
    expect(tab.locator("#trials .winner .effect").first).to_have_attribute("aria-label", re.compile(r"effect \+0\.\d+"))
    assert violations(tab) == []
    tab.get_by_role("button", name="Use the best").click()
    ended(tab)
    expect(tab.locator("#verdict")).to_have_attribute("data-severity", "good")


def test_a_file_is_given_its_target_chosen_and_its_names_are_text(tab: Page) -> None:
    arrive(tab, SMALL)
    script = "<b onmouseover=alert(1)>"
    rows = "".join(f"{place},{(place * 7) % 11},{script if place > 20 else 'low'}\n" for place in range(40))
    tab.locator("#file").set_input_files(
        {"name": f"{script}.csv", "mimeType": "text/csv", "buffer": f"u,v,kind\n{rows}".encode()}
    )
    expect(tab.locator("#data-name")).to_have_text(f"{script}.csv")
    expect(tab.locator("#target")).to_have_value("kind")
    expect(tab.locator("#picture .key")).to_contain_text("<b onmouseove")
    assert tab.locator("main b[onmouseover]").count() == 0
    ended(tab)
    tab.locator("#target").select_option("v")
    expect(tab.locator("#picture .axis-name").first).to_have_text("v, predicted")


def test_everyone_can_use_it_on_a_desk_and_on_a_phone(browser: Browser, real_lab: Running) -> None:
    with opened(browser, real_lab.url, fresh=True) as tab:
        arrive(tab, SMALL)
        expect(tab.locator("#welcome")).to_be_visible()
        assert tab.locator("#welcome p").inner_text().count(".") == 3
        tab.locator("#graph-section").scroll_into_view_if_needed()
        expect(tab.locator(".units .unit").first).to_be_visible()
        tab.locator("#presets summary").focus()
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("button", name="Vanishing gradients")).to_be_visible()
        assert violations(tab) == []
        tab.keyboard.press("Escape")
        assert_usable(tab)
