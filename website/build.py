"""Build the site: gather the pages in build/website, the generated ones included, and let Zensical build them strictly.

docs/*.md ─────────────┐
CHANGELOG, CONTRIBUTING┤
reference.py ──────────┼─▶ build/website ─▶ zensical build --strict ─▶ site/
gallery.py, tables.py ─┤
exported lessons ──────┘

python website/build.py           all of it
python website/build.py --pages   only build/website
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "website"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "website")]


def gather() -> None:
    """Write every page of the site to build/website."""
    import gallery
    import modules
    import reference
    import tables

    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    for source, target in (
        ("CHANGELOG.md", "changelog.md"),
        ("CONTRIBUTING.md", "contributing.md"),
        ("CODE_OF_CONDUCT.md", "code-of-conduct.md"),
    ):
        (PAGES / target).write_text(at_home((ROOT / source).read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copy(ROOT / "website" / "style.css", PAGES / "style.css")
    for path, text in {**reference.pages(), "modules.md": modules.page()}.items():
        (PAGES / path).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / path).write_text(text, encoding="utf-8")
    for path in PAGES.glob("*.md"):
        path.write_text(tables.filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    (PAGES / "gallery.md").write_text(gallery.page(PAGES / "gallery"), encoding="utf-8")
    export_lessons(PAGES / "lessons")


def export_lessons(folder: Path) -> None:
    """Write the course and each of its chapters as files that work offline."""
    import downslope as ds
    from downslope.lab._lessons import lessons

    for chapter in (None, *(lesson["id"] for lesson in lessons())):
        ds.lab.export(folder / f"{chapter or 'course'}.html", chapter=chapter)


def at_home(text: str) -> str:
    """Return a page of the repository's root with its links as they are from the site's root."""
    text = re.sub(r"\]\(docs/", "](", text)
    text = text.replace("](CHANGELOG.md", "](changelog.md")
    return text.replace("](CODE_OF_CONDUCT.md", "](code-of-conduct.md")


def main() -> int:
    """Build what was typed."""
    gather()
    if "--pages" in sys.argv[1:]:
        return 0
    paths = os.pathsep.join([str(ROOT / "website"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, text=True, stdout=subprocess.PIPE)
    print(done.stdout, end="")
    # Zensical passes on what the reader of docstrings complains of, but does not count it.
    complaints = [line for line in done.stdout.splitlines() if line.startswith("griffe:")]
    if complaints:
        print(f"{len(complaints)} faults in docstrings")
    return done.returncode or bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
