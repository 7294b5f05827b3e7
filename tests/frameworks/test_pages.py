"""The snippets of the documents that need PyTorch or another framework, each section of a page by itself."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from needing import needs
from snippets import PAGES, Block, blocks, run_blocks

needs("torch", "lightning.pytorch", "transformers", "keras", "tensorboardX")
SECTIONS = {
    f"{page.stem}, {heading}": (page, list(section))
    for page in PAGES
    for heading, section in groupby(blocks(page, frameworks=True), lambda block: block.heading)
}


@pytest.mark.parametrize("page, section", SECTIONS.values(), ids=SECTIONS)
def test_every_snippet_runs(
    page: Path,
    section: list[Block],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    run_blocks(page, section, capsys)
