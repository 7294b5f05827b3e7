"""Every snippet of the documents runs, and what stands under it is what comes out: `tests/snippets.py` says how."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest
from snippets import PAGES, ROOT, blocks, matches, run_blocks

import downslope

GENERATED = ("reference/", "gallery.md", "contributing.md", "changelog.md", "modules.md")  # by website/build.py
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the article's table in it."""
    shutil.copy(ROOT / "src" / "downslope" / "examples" / "houses.csv", tmp_path / "houses.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.mark.documents
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_runs(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks(page, blocks(page, frameworks=False), capsys)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith(GENERATED):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_every_public_name_and_picture_has_its_place_on_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make docs` fails for a missing name; here it shows without building the site."""
    monkeypatch.syspath_prepend(str(ROOT / "website"))
    import gallery
    import reference

    reference.check()
    gallery.check()
    monkeypatch.setattr(downslope, "__all__", [*downslope.__all__, "ascend"])
    with pytest.raises(reference.IncompleteReferenceError, match="not in any group: ascend"):
        reference.check()


def test_every_table_is_generated_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "website"))
    import tables

    shown = set(re.findall(r"<!-- table: ([\w ]+) -->", "".join(page.read_text(encoding="utf-8") for page in PAGES)))
    assert shown == tables.TABLES.keys()
    for name, make in tables.TABLES.items():
        lines = make().splitlines()
        columns = {len(re.findall(r"(?<!\\)\|", re.sub("`[^`]*`", "", line))) for line in lines}
        assert len(lines) > 5, name
        assert len(columns) == 1, name
    assert all(f"`{name}`" in tables.TABLES["methods"]() for name in downslope.method_names())
    with pytest.raises(KeyError):
        tables.filled("<!-- table: nothing -->")


def test_every_page_is_in_the_navigation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "website"))
    import reference

    navigation = set(re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    generated = {f"reference/{group.page}.md" for group in reference.GROUPS}
    assert {page.name for page in PAGES[1:]} | generated <= navigation


def test_the_site_leads_to_the_addresses_of_the_project() -> None:
    files = [tomllib.loads((ROOT / name).read_text(encoding="utf-8")) for name in ("pyproject.toml", "zensical.toml")]
    addresses, site = files[0]["project"]["urls"], files[1]["project"]
    assert site["site_url"] == addresses["Documentation"]
    assert site["repo_url"] == addresses["Source"]
    assert addresses["Source"].endswith(f"/{site['repo_name']}")


def test_formulas_become_mathml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "website"))
    import markdown
    import mathematics

    def html(text: str) -> str:
        return markdown.markdown(text, extensions=[mathematics.makeExtension()])

    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html("the square $x^2$")
    assert 'display="block"' in html(r"$$\frac{a}{b}$$")
    assert html("`$x$` costs $5 and $6") == "<p><code>$x$</code> costs $5 and $6</p>"


def test_docstrings_are_written_out_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "website"))
    import docstrings

    text = "Add.\n\nArgs:\n    a, b: numbers,\n        real.\n\n>>> 1\n1\n\n>>> 2\n2"
    assert docstrings.rewritten(text) == (
        "Add.\n\nArgs:\n    a: numbers,\n        real.\n    b: numbers,\n        real.\n\n"
        "```pycon\n>>> 1\n1\n```\n\n```pycon\n>>> 2\n2\n```"
    )


def test_a_page_that_shows_something_else_fails() -> None:
    assert matches("a\n…\nd", "a\nb\nc\nd")
    assert not matches("a\nc", "a\nb")
    assert not matches("a …", "b c")
