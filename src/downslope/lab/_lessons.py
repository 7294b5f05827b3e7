"""The course of the lab: its lessons, its texts, and every request that its figures make on the lessons' own functions.

`static/learn/lessons.json` has what does not depend on the language, `texts.<language>.json` the words by the same ids.
A lesson's `asks` list its requests: `{"verb": …, "request": {…}, "vary": {"start.x": […], "rate": […]}}` stands for the
request with every combination of the values of `vary`; a name with a dot varies an entry of a field. The page's sliders
step through these values alone, so that a recording of all replies answers whatever a lesson without the lab can need.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "static" / "learn"


def lessons() -> list[dict[str, Any]]:
    """Return the chapters in their order."""
    return json.loads((FOLDER / "lessons.json").read_text(encoding="utf-8"))["chapters"]


def texts() -> dict[str, dict[str, Any]]:
    """Return the texts by the tag of their language."""
    paths = sorted(FOLDER.glob("texts.*.json"))
    return {path.name.split(".")[1]: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def requests_of(asks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each verb and request that a list of asks stands for, in the order of the page's `requestsOf`."""
    for ask in asks:
        vary = ask.get("vary", {})
        for values in itertools.product(*vary.values()):
            request = json.loads(json.dumps(ask["request"]))
            for path, value in zip(vary, values, strict=True):
                _set(request, path.split("."), value)
            yield ask["verb"], request


def _set(fields: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set an entry of nested fields."""
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = value
