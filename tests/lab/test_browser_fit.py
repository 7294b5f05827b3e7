"""The page "Fit" in a real browser: files given, equations typed, steps walked, results taken away."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lab.browser import assert_usable, attribute, copied, opened, saved, violations
from playwright.sync_api import Browser, Page, Route, expect

from downslope.lab.server._serve import Running

COFFEE = "/fit?sample=coffee.csv&f=temperature+%3D+a+%2B+b·e^(-k·minutes)&start=a=60,b=20,k=0.2"
MEASURED = "length,time\n0.2,0.897\n0.4,1.268\n0.6,1.554\n0.8,1.794\n1.0,2.006\n"
PENDULUM = "time = c·√(length)"


def arrive(tab: Page, address: str) -> None:
    """Open an address, and wait until all of its pictures are drawn."""
    tab.goto(address)
    expect(tab.locator("#way")).to_have_attribute("d", re.compile("^M"))
    expect(tab.locator("#method option").nth(1)).to_be_attached()


def give(tab: Page, name: str, text: str) -> None:
    """Choose a file from the disk."""
    tab.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})
    expect(tab.locator("#data-name")).to_have_text(name)


def parameters(tab: Page) -> dict[str, str]:
    """Return what was found, as it is shown."""
    rows = [row.split("\t") for row in tab.locator("#parameters tbody tr").all_inner_texts()]
    return {row[0]: row[1] for row in rows}


def test_the_data_are_drawn_before_there_is_a_fit(tab: Page) -> None:
    arrive(tab, COFFEE)
    held: list[Route] = []
    tab.route("**/api/fit", lambda route: held.append(route))
    give(tab, "pendulum.csv", MEASURED)
    expect(tab.locator("#main")).to_have_attribute("data-stale", "data")
    expect(tab.locator("#picture .axis-name").first).to_have_text("length")
    assert attribute(tab.locator("#picture .data-dots").first, "d").count("M") == 5
    assert attribute(tab.locator("#curve"), "d") == ""
    assert violations(tab) == []
    for route in held:
        route.continue_()
    tab.unroute("**/api/fit")
    expect(tab.locator("#main")).to_have_attribute("data-stale", "")
    expect(tab.locator("#curve")).to_have_attribute("d", re.compile("^M"))
    # A link with a key is of use as long as the browser keeps the file, also to a lab that never saw it.
    expect(tab).to_have_url(re.compile("table="))
    tab.reload()
    expect(tab.locator("#equation")).to_contain_text("time =")


def test_a_file_is_given_and_fitted(tab: Page, tmp_path: Path) -> None:
    arrive(tab, COFFEE)
    give(tab, "pendulum.csv", MEASURED)
    expect(tab.locator("#formula")).to_have_value("time = a·length + b")
    expect(tab.locator("#data-rows")).to_have_text("5 rows, 2 columns")
    tab.get_by_text("First rows").click()
    expect(tab.locator("#preview tbody tr").first).to_have_text("0.20.897")
    tab.locator("#formula").fill(PENDULUM)
    expect(tab.locator("#equation")).to_have_text("time = 2.0058√(length)")
    assert parameters(tab)["c"] == "2.00581"

    python, command = copied(tab, "Copy as Python"), copied(tab, "Copy as command")
    (tmp_path / "pendulum.csv").write_text(MEASURED)
    told = [
        subprocess.run(
            line, cwd=tmp_path, capture_output=True, text=True, check=True, shell=isinstance(line, str)
        ).stdout
        for line in ([sys.executable, "-c", python], f"{Path(sys.executable).parent}/{command}")
    ]
    assert all("2.0058" in text for text in told)
    rows = list(csv.DictReader(Path(saved(tab, "Save CSV")).read_text().splitlines()))
    assert list(rows[0]) == ["length", "time", "predicted", "residual"]
    assert float(rows[4]["predicted"]) == pytest.approx(2.0058, abs=1e-4)

    before = tab.locator("#curve").get_attribute("d")
    tab.reload()
    expect(tab.locator("#curve")).to_have_attribute("d", before or "")
    expect(tab.locator("#data-name")).to_have_text("pendulum.csv")


def test_curve_residuals_equation_and_way_move_with_the_step(tab: Page) -> None:
    arrive(tab, COFFEE)
    last = int(tab.locator("#count b").inner_text())
    expect(tab.locator("#count")).to_have_text(f"step {last} of {last}")
    places = ("#curve", "#left-over", "#residuals .stems", "#landscape .way-walked")
    seen = []
    for button in ("#back", "#forward"):
        shown = [attribute(tab.locator(place), "d") for place in places]
        seen.append([*shown, tab.locator("#equation").inner_text()])
        for _ in range(last):
            tab.locator(button).click()
        expect(tab.locator(button)).to_be_disabled()
    assert all(first != then for first, then in zip(*seen, strict=True))
    assert seen[1][-1] == "temperature = 60 + 20e^(−0.2·minutes)"
    tab.locator("#table-box").focus()
    tab.keyboard.press("Home")
    tab.locator("#table tbody tr[data-row]").nth(3).click()
    expect(tab.locator("#count")).to_have_text(f"step 3 of {last}")
    tab.locator("#play").click()
    expect(tab.locator("#count")).to_have_text(f"step {last} of {last}")


def test_a_shape_a_loss_a_method_and_what_is_held_change_the_fit(tab: Page) -> None:
    arrive(tab, COFFEE)
    tab.get_by_label("Hold a").check()
    expect(tab.locator("#equation")).to_have_text(re.compile("^temperature = 60 "))
    expect(tab.locator("#slice")).to_be_hidden()
    tab.get_by_role("button", name="Search for a start").click()
    expect(tab.locator("#equation")).to_have_text(re.compile(r"^temperature = 21\.5"))
    expect(tab.locator("#start-lead")).to_have_text("A start is searched for.")

    tab.locator("#over-x").select_option("k")
    expect(tab.locator("#landscape .axis-name").first).to_have_text("k")
    tab.get_by_label("Loss", exact=True).select_option("cauchy")
    expect(tab.locator("#goodness")).to_contain_text("cauchy, scale")
    tab.get_by_label("Loss", exact=True).select_option("linear")
    tab.get_by_label("Method").select_option("adam")
    tab.get_by_label("Learning rate").fill("0.01")
    tab.get_by_role("textbox", name="Steps").fill("70")
    expect(tab.locator("#count")).to_have_text("step 70 of 70")
    assert "method='adam', steps=70, learning_rate=0.01" in copied(tab, "Copy as Python")

    tab.get_by_text("Shapes").click()
    tab.get_by_role("button", name="a parabola").click()
    expect(tab.locator("#read-as")).to_have_text("temperature = a·minutes² + b·minutes + c")


def test_several_columns_are_drawn_as_measured_against_predicted(tab: Page) -> None:
    arrive(tab, COFFEE)
    give(tab, "plane.csv", "u,v,w\n0,0,1\n1,0,3.1\n0,1,4\n1,1,5.9\n2,1,8.2\n")
    tab.locator("#formula").fill("w = a + b·u + c·v")
    expect(tab.locator("#picture .axis-name").first).to_have_text("w, predicted")
    expect(tab.locator("#picture .key")).to_contain_text("measured = predicted")


def test_what_is_wrong_is_said_beside_its_cause(tab: Page) -> None:
    arrive(tab, COFFEE)
    tab.locator("#formula").fill("temperature = a + b·e^(-k·minuts)")
    expect(tab.locator("#reading")).to_contain_text("did you mean minutes?")
    expect(tab.locator("#wrong-place mark")).to_have_text("minuts")
    give(tab, "good.csv", MEASURED)
    tab.locator("#file").set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n3\n"})
    expect(tab.locator("#drop-note")).to_contain_text("bad.csv")
    tab.goto("/fit?table=0123456789abcdef01234567&name=lost.csv&f=y+%3D+a·x")
    expect(tab.locator("#drop-note")).to_contain_text("“lost.csv” any more")


def test_a_link_to_a_file_that_is_gone_says_so_by_its_name(tab: Page) -> None:
    tab.goto("/fit?table=0123456789abcdef01234567&name=old%20table.csv&f=y+%3D+a+x")
    note = tab.locator("#drop-note")
    expect(note).to_contain_text("The lab does not have “old table.csv” any more")
    expect(note).to_contain_text("Open the file again, or choose another table.")
    expect(tab.locator("#how-read")).to_be_hidden()
    tab.locator("[data-sample='coffee.csv']").click()
    expect(note).to_be_hidden()
    expect(tab.locator("#formula")).to_have_value("temperature = a·minutes + b")
    tab.goto("/fit?sample=none.csv")
    expect(note).to_contain_text("No table 'none.csv' ships with the lab. There are coffee.csv, houses.csv.")
    tab.goto("/fit?sample=coffee.csv&f=temperature+%3D+a+minutes&loss=own")
    expect(tab.locator("#start-note")).to_contain_text("there is no loss 'own'")
    expect(tab.locator("#loss-choice")).to_have_value("own")


def test_names_from_a_file_are_text(tab: Page) -> None:
    arrive(tab, COFFEE)
    script = "<img src=x onerror=document.title='hacked'>"
    give(tab, f"{script}.csv", f'"{script}",y\n1,2\n2,4.1\n3,6\n')
    expect(tab.locator("#preview thead th").first).to_have_text(script)
    expect(tab.locator("#shapes-none")).to_be_attached()
    assert tab.locator("main img").count() == 0
    assert tab.title() != "hacked"


def test_the_keyboard_alone_is_enough(tab: Page) -> None:
    arrive(tab, COFFEE)
    tab.locator("#choose").focus()
    expect(tab.locator("#choose")).to_be_focused()
    for _ in range(2):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    expect(tab.locator("#data-name")).to_have_text("houses.csv")
    expect(tab.locator("#formula")).to_have_value("price = a·size + b")
    tab.locator("#scrub").focus()
    tab.keyboard.press("Home")
    expect(tab.locator("#count b")).to_have_text("0")
    tab.locator("#table-box").focus()
    tab.keyboard.press("End")
    expect(tab.locator("#forward")).to_be_disabled()


def test_everyone_can_use_it_on_a_desk_and_on_a_phone(browser: Browser, real_lab: Running) -> None:
    with opened(browser, real_lab.url, fresh=True) as tab:
        arrive(tab, COFFEE)
        expect(tab.locator("#welcome")).to_be_visible()
        assert tab.locator("#welcome p").inner_text().count(".") == 3
        tab.get_by_text("Shapes").click()
        assert_usable(tab)


def test_how_a_file_was_read_is_shown_and_changed_with_the_keyboard(tab: Page) -> None:
    arrive(tab, COFFEE)
    expect(tab.locator("#how-read")).to_be_hidden()
    give(tab, "cup.csv", "Cooling\nt;T\n0,5;80,25\n1,5;62\n2,5;50\n3,5;42\n")
    expect(tab.locator("#read-line")).to_have_text(
        "Read with semicolons between the cells, decimal comma, names in line 2."
    )
    summary = tab.get_by_text("Read it otherwise")
    summary.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Between the cells").locator("option").first).to_have_text("automatic: semicolons")
    expect(tab.locator("#read-sheet")).to_be_hidden()
    expect(tab.get_by_role("button", name="As the file suggests")).to_be_disabled()
    tab.keyboard.press("Tab")
    expect(tab.get_by_label("Between the cells")).to_be_focused()
    tab.get_by_label("Line with the names").fill("none")
    expect(tab.locator("#formula")).to_have_value("column_2 = a·column_1 + b")
    tab.get_by_label("Decimal mark").select_option("point")
    expect(tab.locator("#drop-note")).to_be_visible()  # 80,25 is no number then
    expect(tab.locator("#how-read")).to_be_visible()
    expect(tab).to_have_url(re.compile("reading=names=none,decimal=point"))
    tab.get_by_role("button", name="As the file suggests").click()
    expect(tab.locator("#formula")).to_have_value("T = a·t + b")
    expect(tab.locator("#drop-note")).to_be_hidden()
    tab.get_by_label("Between the cells").select_option("semicolon")
    expect(tab.locator("#python")).to_contain_text("table={'separator': 'semicolon'}")
    assert violations(tab) == []
    tab.locator("#samples button").first.click()
    expect(tab.locator("#how-read")).to_be_hidden()
    expect(tab).to_have_url(re.compile("^(?!.*reading)"))


def test_the_parameters_with_their_errors_fit_a_phone(tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    arrive(tab, COFFEE)
    region = tab.get_by_role("region", name="Parameters", exact=True)
    expect(region.locator("tbody tr")).to_have_count(3)
    assert region.evaluate("box => box.scrollWidth - box.clientWidth") <= 0


def test_columns_of_a_table_with_hundreds_of_them_are_chosen(tab: Page) -> None:
    arrive(tab, COFFEE)
    names = [f"c{place}" for place in range(403)]
    rows = [",".join(str((place + 1) * row**2 + 1) for place in range(403)) for row in range(5)]
    give(tab, "wide.csv", "\n".join([",".join(names), *rows]))
    expect(tab.locator("#data-rows")).to_have_text("5 rows, 403 columns")
    tab.get_by_text("First rows").click()
    expect(tab.locator("#preview thead th").last).to_have_text("and 383 more columns")
    tab.get_by_text("Shapes", exact=True).click()
    tab.locator("#column-x").select_option("c99")
    line = tab.get_by_role("button", name="a line")
    expect(line).to_contain_text("c99")
    line.click()
    expect(tab.locator("#formula")).to_have_value("c402 = a·c99 + b")
    expect(tab.locator("#equation")).to_contain_text("c402 = 4.03c99")
