"""Markdown extension: `$…$` and `$$…$$` become MathML, which browsers draw without a script or a font of ours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert_to_element
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

_INLINE = r"(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\w$])"
_DISPLAYED = r"(?<![\\$])\$\$(.+?)\$\$"


class _Formula(InlineProcessor):
    """Convert the LaTeX of one formula."""

    def __init__(self, pattern: str, display: str) -> None:
        super().__init__(pattern)
        self.display = display

    def handleMatch(  # type: ignore[override] # noqa: N802 - Markdown's name
        self, m: re.Match[str], data: str
    ) -> tuple[ElementTree.Element, int, int]:
        """Return the formula as an element, and the span that it replaces."""
        return convert_to_element(m.group(1).strip(), display=self.display), m.start(0), m.end(0)


class Mathematics(Extension):
    """The two kinds of formulas."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Markdown's name
        """Register the patterns, after code (190) and before escapes (180)."""
        md.inlinePatterns.register(_Formula(f"(?s){_DISPLAYED}", "block"), "displayed-formula", 186)
        md.inlinePatterns.register(_Formula(_INLINE, "inline"), "inline-formula", 185)


def makeExtension(**settings: object) -> Mathematics:  # noqa: N802 - Markdown's name
    """Return the extension."""
    return Mathematics(**settings)
