"""Build README.md for a package index, where relative links and pictures lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)")


class CustomMetadataHook(MetadataHookInterface):
    """Set the field `readme` from README.md."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the text of README.md with absolute addresses to the metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, metadata["urls"]["Source"])}


def absolute(text: str, source: str) -> str:
    """Return Markdown whose relative links lead to the repository.

    Args:
        text: Markdown with links relative to the repository's root.
        source: the repository's address.
    """

    def address(link: re.Match[str]) -> str:
        target = link["target"]
        if "://" in target:
            return link[0]
        kind = "raw" if link["picture"] else "blob"
        return f"{link['picture']}[{link['text']}]({source}/{kind}/main/{target}{link['anchor'] or ''})"

    return _LINK.sub(address, text)
