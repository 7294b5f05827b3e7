"""Every snippet of the documents runs, and what stands under it is what comes out.

A `python` block is run as it stands, one page's blocks after each other; with `>>>` it is a doctest. A `console` block
is a dialogue: lines that begin with `$ ` are typed, the lines under them are printed, `…` standing for anything.
"""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from downslope.cli._main import run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = ("make ", "git ", "pip ", "python ", "cd ")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A block of code on a page: its language, its text, and the line it begins at."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(m.group(1), m.group(2), text[: m.start()].count("\n") + 2) for m in _BLOCK.finditer(text)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the article's table in it."""
    shutil.copy(ROOT / "src" / "downslope" / "examples" / "houses.csv", tmp_path / "houses.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("optimised")
def test_every_snippet_runs(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "snippet"}
    for block in blocks(page):
        if block.language == "python":
            run_python(block, names, f"{page.name}:{block.line}")
        elif block.language == "console":
            run_console(block, f"{page.name}:{block.line}", capsys)


def run_python(block: Block, names: dict[str, object], where: str) -> None:
    if ">>>" not in block.text:
        exec(compile(block.text, where, "exec"), names)  # noqa: S102 - the documents are our own
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, where, where, 0)
    for example in test.examples:
        example.want = example.want.replace("…", "...")
        example.exc_msg = example.exc_msg and example.exc_msg.replace("…", "...")
    report: list[str] = []
    doctest.DocTestRunner(optionflags=_FLAGS, verbose=False).run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not report, "".join(report)


def run_console(block: Block, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    for dialogue in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = dialogue.partition("\n")
        if command.startswith(NOT_RUN):
            continue
        words = shlex.split(command)
        assert words[0] == "downslope", f"{where}: {command} is not run by the tests"
        capsys.readouterr()
        run(words[1:])
        printed = capsys.readouterr()
        found = printed.out + printed.err
        assert matches(expected, found), f"{where}: $ {command}\n--- expected\n{expected}\n--- printed\n{found}"


def matches(expected: str, found: str) -> bool:
    """Tell whether what was printed is what the page shows; no text at all means any output."""
    if not expected.strip():
        return True
    lines = [line.rstrip() for line in expected.strip().splitlines()]
    parts = [".*" if part == "…" else re.escape(part) for part in re.split("(…)", "\n".join(lines))]
    printed = "\n".join(line.rstrip() for line in found.strip().splitlines())
    return re.fullmatch("".join(parts), printed, re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_a_page_that_shows_something_else_fails() -> None:
    assert matches("a\n…\nd", "a\nb\nc\nd")
    assert not matches("a\nc", "a\nb")
    assert not matches("a …", "b c")
