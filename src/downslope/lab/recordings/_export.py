"""`export`: write a page of the lab with recorded replies as one file, for a folder, a slide or a learning platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import downslope as ds
from downslope._errors import described
from downslope._files import refuse_unwritable, written
from downslope.lab.server._serve import require_extra

MOST = 1_000_000  # bytes of a file with the page Descend, and of each chapter of one with the course


def export(
    file: str | Path,
    formula: str | None = None,
    *,
    start: Mapping[str, float] | None = None,
    learning_rate: float | None = None,
    method: str = "gradient descent",
    steps: int = 100,
    chapter: str | int | None = None,
    language: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> Path:
    """Write the course, or the page Descend of a formula, as one HTML file that needs neither the lab nor the network.

    The course holds the reply to every position of its figures; "try your own function" needs the lab. The page
    Descend holds the positions of the learning rate's slider, the steps of each descent, and a lattice of starts at a
    few rates. What was not recorded is disabled on the page. A chapter, and the page Descend, take at most 1 MB.

    Args:
        file: the file to write; its name must end in .html.
        formula: the formula of the page Descend; None for the course.
        start: the first start, by variable; one that suits the formula if None.
        learning_rate: the first rate; one that suits start and method if None.
        method: the method.
        steps: the largest number of steps.
        chapter: the number or the id of the only chapter to write; None for all.
        language: the only language of the course, such as "de"; None for all, of which the browser's is shown.
        progress: called with what is recorded next, in words.

    Returns:
        The file's path.

    Raises:
        SettingError: if the file's name does not end in .html, it cannot be written, there is no such chapter or
            language, or a setting is out of range.
        FormulaError: if the formula cannot be read.
        MissingExtraError: if the extra `lab` is not installed.
    """
    target = _file_of(file)
    require_extra()
    if formula is None:
        pieces = exporting({"page": "learn", "chapter": chapter, "language": language})
    elif chapter is not None or language is not None:
        raise ds.SettingError(
            "a chapter and a language are of the course", hint="leave out the formula, or both of them"
        )
    else:
        request = {"formula": formula, "start": start and dict(start), "rate": learning_rate}
        pieces = exporting({"page": "descend", **request, "method": method, "steps": steps})
    for piece in pieces:
        if isinstance(piece, bytes):
            with written(target) as partial:
                partial.write_bytes(piece)
        elif progress is not None:
            progress(piece)
    return target


def exporting(request: Mapping[str, Any]) -> Iterator[str | bytes]:
    """Yield in words what is recorded next, and at last the file.

    Args:
        request: `page`, and for "descend" the formula, start, rate, method, steps and over, as the page sends them; for
            "learn" the chapter and the language, or None for all.
    """
    fields = dict(request)
    if fields.pop("page", None) == "learn":
        from downslope.lab.recordings._course import course_file

        yield from course_file(fields.get("chapter"), fields.get("language"))
        return
    from downslope.lab.recordings._descend import descend_file

    yield from descend_file(fields, MOST)


def _file_of(file: str | Path) -> Path:
    """Return the path of a page, checked."""
    if not isinstance(file, str | Path):
        raise ds.SettingError(f"a page is written to a file, not {described(file)}", hint='"lesson.html"')
    target = Path(file)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ds.SettingError(f"a page is an HTML file; {target.name!r} does not end in .html")
    refuse_unwritable(target)
    return target
