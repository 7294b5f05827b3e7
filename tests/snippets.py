"""The snippets of the documents, and how they are run.

A `python` block is run as it stands, one page's blocks after each other; with `>>>` it is a doctest. A `console` block
is a dialogue: lines that begin with `$ ` are typed, the lines under them are printed, `…` standing for anything.

A block that imports a framework is run by `make test-frameworks`, and so are all of `docs/watch.md`.
"""

from __future__ import annotations

import doctest
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from downslope.cli._main import run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = ("make ", "git ", "pip ", "python ", "cd ")
PAGES_OF_FRAMEWORKS = ("watch.md",)
_FRAMEWORK = re.compile(r"^\W*(?:import|from) (?:torch|lightning|transformers|keras|wandb|mlflow|tensorboardX)\b", re.M)
_BLOCK = re.compile(r"^#+ ([^\n]*)$|^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A block of code on a page: its language, its text, the line it begins at, and the heading above it."""

    language: str
    text: str
    line: int
    heading: str

    @property
    def needs_frameworks(self) -> bool:
        return self.language == "python" and _FRAMEWORK.search(self.text) is not None


def blocks(page: Path, *, frameworks: bool) -> list[Block]:
    """Return the blocks of a page that need frameworks, or the others."""
    text, heading, read = page.read_text(encoding="utf-8"), "", []
    for m in _BLOCK.finditer(text):
        if m.group(2) is None:
            heading = m.group(1)
        else:
            read.append(Block(m.group(2), m.group(3), text[: m.start()].count("\n") + 2, heading))
    return [block for block in read if (page.name in PAGES_OF_FRAMEWORKS or block.needs_frameworks) == frameworks]


def run_blocks(page: Path, parts: list[Block], capsys: pytest.CaptureFixture[str]) -> None:
    """Run blocks one after another, with the names of those before."""
    names: dict[str, object] = {"__name__": "snippet"}
    for block in parts:
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
