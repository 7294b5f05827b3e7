"""The lists that never change: methods, examples, samples, settings. A page is served with those that it shows.

So a menu can neither stay empty nor cost a request. They are kept as JSON beside this file, since to make them takes
some seconds and imports JAX; `tests/lab/lists.py` writes the file, and a test compares it with what the verbs reply.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "lists.json"
VERBS_OF_PAGES = {
    "descend": ("methods", "examples"),
    "fit": ("samples", "fit_choices"),
    "network": ("network_choices", "network_presets"),
}


@functools.cache
def _replies() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def lists_of(page: str) -> dict[str, Any]:
    """Return the lists that a page shows, by the verb that replies with them."""
    return {verb: _replies()[verb] for verb in VERBS_OF_PAGES.get(page, ())}
