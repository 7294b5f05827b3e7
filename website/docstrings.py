"""Griffe extension: what our docstrings write more briefly than its parser reads.

- An example stands at the end without a heading; it becomes a block of code.
- `low, high: the ends` describes two parameters; each gets a line of its own.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!\s*$).*\n?)*)+", re.MULTILINE)
_TOGETHER = re.compile(r"^(?P<indent> {4})(?P<names>\w+(?:, \w+)+):(?P<text> .*(?:\n {5,}.*)*)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrite each docstring as it is loaded."""

    def on_object(self, *, obj: griffe.Object, loader: Any, **kwargs: Any) -> None:
        """Rewrite the docstring of a module, a class or a function."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """Return a docstring with fenced examples and a line for each parameter."""
    apart = _TOGETHER.sub(
        lambda m: "\n".join(f"{m['indent']}{name}:{m['text']}" for name in m["names"].split(", ")), text
    )
    return _EXAMPLE.sub(lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", apart).rstrip()
