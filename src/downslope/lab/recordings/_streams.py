"""Streams of the pages that produce files: a page with its recording, and the descent as an animation."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import downslope as ds
from downslope.lab.recordings._export import exporting
from downslope.lab.replies._descent import descent_of
from downslope.lab.replies._request import PageRequest, RequestError

_TYPES = {"gif": "image/gif", "apng": "image/apng"}


def page(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield in words what is recorded, and at last the page Descend or a part of the course as one file."""
    for piece in exporting(fields):
        yield {"doing": piece} if isinstance(piece, str) else _file(_name(fields), "text/html", piece)


def _name(fields: dict[str, Any]) -> str:
    """Return the name of the file with a page."""
    if fields.get("page") != "learn":
        return "descend.html"
    chapter = fields.get("chapter")
    return "course.html" if chapter is None else f"{chapter}.html"


def animation(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the walk of a descent as a moving picture, over the part of the objective that the page shows."""
    request = PageRequest(fields)
    kind = request.text("kind")
    if kind not in _TYPES:
        raise RequestError("A moving picture is a gif or an apng.")
    plan, trace = descent_of(fields)
    box = request.box("box", request.over(plan.objective))
    with tempfile.TemporaryDirectory() as folder:
        file = ds.draw.animate(plan.objective, trace, Path(folder) / f"descent.{kind}", bounds=box)
        yield _file(file.name, _TYPES[kind], file.read_bytes())


def _file(name: str, kind: str, content: bytes) -> dict[str, Any]:
    """Return a file as a piece of a reply."""
    return {"name": name, "type": kind, "content": base64.b64encode(content).decode()}
