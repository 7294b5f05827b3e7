"""Make `lists.json`, the lists that the lab's pages are served with; run it after a change of methods or examples."""

from __future__ import annotations

import json
from typing import Any

from downslope.lab._messages import function_at
from downslope.lab.replies import LISTS, LISTS_OF_PAGES, VERBS


def made() -> dict[str, Any]:
    """Return the reply of each verb whose reply is always the same."""
    return {verb: function_at(VERBS[verb])({}) for verbs in LISTS_OF_PAGES.values() for verb in verbs}


def as_text(replies: dict[str, Any]) -> str:
    """Return replies as the content of the file."""
    return json.dumps(replies, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    LISTS.write_text(as_text(made()), encoding="utf-8")
