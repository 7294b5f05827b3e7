"""`export`: write a page of the lab with recorded replies as one file, for a folder, a slide or a learning platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import downslope as ds
from downslope._errors import described
from downslope._files import refuse_unwritable, written
from downslope.lab.recordings._packing import Recording, page_file

MOST = 1_000_000  # bytes of a file
_BASE64 = 4 / 3


def export(
    file: str | Path,
    formula: str | None = None,
    *,
    start: dict[str, float] | None = None,
    learning_rate: float | None = None,
    method: str = "gradient descent",
    steps: int = 100,
) -> Path:
    """Write the page Descend as one HTML file that works without the lab and without the network.

    The file holds the replies to the positions of the learning rate's slider, the steps of each descent, and a lattice
    of starts at a few rates. What was not recorded is disabled on the page. It has less than 1 MB.

    Args:
        file: where to, its name ending in .html.
        formula: the formula; `f(x, y) = x² + 2y²` if None.
        start: the first start, by variable; one that suits the formula if None.
        learning_rate: the first rate; one that suits start and method if None.
        method: how to descend.
        steps: the largest number of steps.

    Returns:
        The file's path.

    Raises:
        SettingError: if the file's name does not end in .html, it cannot be written, or a setting is out of range.
        FormulaError: if the formula cannot be read.
        MissingExtraError: if the extra `lab` is not installed.
    """
    target = _file_of(file)
    _require_lab()
    request = {
        "formula": _FIRST if formula is None else formula,
        "start": start if start is not None or formula is not None else _FIRST_START,
        "rate": learning_rate,
        "method": method,
        "steps": steps,
    }
    content = b""
    for piece in exporting(request):
        content = piece if isinstance(piece, bytes) else content
    with written(target) as partial:
        partial.write_bytes(content)
    return target


_FIRST, _FIRST_START = "f(x, y) = x² + 2y²", {"x": 4.0, "y": 3.0}


def exporting(request: dict[str, Any]) -> Iterator[str | bytes]:
    """Yield in words what is recorded next, and at last the file with the page Descend.

    Args:
        request: formula, start, rate, method, steps and over, as the page sends them.
    """
    from downslope.lab.recordings._descend import recorded

    recording = Recording({})
    empty = len(_descend_file(recording))
    for piece in recorded(request, int((MOST - empty) / _BASE64)):
        if isinstance(piece, str):
            yield piece
        else:
            recording = piece
    yield _descend_file(recording)


def _descend_file(recording: Recording) -> bytes:
    return page_file("descend", recording, note=_note(recording.about), entry="descend/recorded.js")


def _note(about: dict[str, Any]) -> str:
    """Say what was recorded."""
    if not about:
        return ""
    rates, starts, few = len(about["rates"]), len(about["starts"]), len(about["few"])
    kept = ["the steps of each descent"]
    if starts > 1:
        at = f" at {few} learning rate{'s' if few > 1 else ''} each" if few else ""
        kept.insert(0, f"{starts} starts{at}")
    if rates:
        kept.insert(0, f"{rates} learning rates")
    listed = f"{', '.join(kept[:-1])} and {kept[-1]}" if len(kept) > 1 else kept[0]
    return (
        f"Recorded with downslope {ds.__version__}: {listed}. Slider and start move among them. Formula, method and number of "
        "steps are fixed; other ones, races and the surface need “downslope lab”."
    )


def _file_of(file: str | Path) -> Path:
    """Return where a page is written."""
    if not isinstance(file, str | Path):
        raise ds.SettingError(f"a page is written to a file, not {described(file)}", hint='"lesson.html"')
    target = Path(file)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ds.SettingError(f"a page is an HTML file; {target.name!r} does not end in .html")
    refuse_unwritable(target)
    return target


def _require_lab() -> None:
    """Raise if the extra `lab` is missing, whose pages are exported."""
    from downslope.lab.server._serve import require_extra

    require_extra()
