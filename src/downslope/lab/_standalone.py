"""A page of the lab as one self-contained text, for exported files and the frame of a notebook.

Style and scripts stand in the page, and the policy permits these alone, by their hashes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_STATIC = Path(__file__).parent / "static"
_LINKS = re.compile(r'<link rel="(?:icon|stylesheet)"[^>]*>\n?|<script\b[^>]*></script>\n?')


@functools.cache
def static_texts() -> dict[str, str]:
    """Return the static files, all of which are texts, by path."""
    paths = (path for path in sorted(_STATIC.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(_STATIC).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def styles(*sheets: str) -> str:
    """Return style sheets by name, those that are there, as one."""
    return "".join(static_texts().get(f"{sheet}.css", "") for sheet in sheets)


def bare_page(
    name: str,
    style: str,
    scripts: Sequence[str],
    *,
    links: str = "",
    lists: Callable[[str], Mapping[str, Any]] = lambda name: {},
) -> str:
    """Return a page as the lab sends it, with a policy and a style in place of the links to its files.

    Args:
        name: the name of the page.
        style: the style.
        scripts: the scripts that will stand in it.
        links: more elements of the head.
        lists: returns the lists that stand in a page, by its name.
    """
    from downslope.lab.server._pages import PAGES, assembled, hash_source

    path = next(page.path for page in PAGES if page.name == name)
    files = {path: content.encode() for path, content in static_texts().items()}
    text = assembled(files, lists)[path].decode()
    policy = (
        f"default-src 'none'; script-src {' '.join(map(hash_source, scripts))}; style-src {hash_source(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n{links}<style>{style}</style>\n'
    return _LINKS.sub("", text).replace("</head>", f"{head}</head>", 1)
