"""The pages: which there are, and each put together from its own part and what all have around it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PLACE = re.compile(r"<!-- (name|title|about|pages|main) -->")
_PART = re.compile(r"<!-- part (\w+)(?:: (.*?))? -->")
_WORD = re.compile(r"<!-- word (\d) -->")


_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Page:
    """A page of the lab.

    Args:
        path: its address.
        name: of its part, `pages/<name>.html`, and of the folder of its scripts.
        title: what people call it.
        about: what one does there, in a sentence.
    """

    path: str
    name: str
    title: str
    about: str


PAGES = (
    Page("/", "descend", "Descend", "See a descent, drag it, understand it."),
    Page("/fit", "fit", "Fit", "Fit an equation to a table, and see it descend."),
    Page("/network", "network", "Network", "Train a network, see what it makes of its data, and mend it."),
    Page("/runs", "runs", "Runs", "Look at saved runs, follow one that goes on, compare them."),
)


def assembled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the pages by address.

    What several pages share lies in `parts`, and stands in a page as `<!-- part name -->`, or with words of its
    own as `<!-- part name: first, second -->`, which go to where the part has `<!-- word 1 -->` and so on.

    Args:
        files: the files of the page by their place; a folder without `shell.html` has no pages.
    """
    if "shell.html" not in files:
        return {}
    shell = files["shell.html"].decode()
    texts = {page: files[f"pages/{page.name}.html"] for page in PAGES if f"pages/{page.name}.html" in files}
    whole = {page: _PART.sub(lambda found: _part(files, found), text.decode()) for page, text in texts.items()}
    return {page.path: _filled(shell, page, main).encode() for page, main in whole.items()}


def _part(files: Mapping[str, bytes], found: re.Match[str]) -> str:
    """Return the part that a page asks for."""
    words = (found[2] or "").split(", ")
    return _WORD.sub(lambda word: words[int(word[1]) - 1], files[f"parts/{found[1]}.html"].decode().rstrip())


def _filled(shell: str, page: Page, main: str) -> str:
    parts = {"name": page.name, "title": page.title, "about": page.about, "main": main, "pages": _links(page)}
    return _PLACE.sub(lambda found: parts[found[1]], shell)


def _links(here: Page) -> str:
    current = ' aria-current="page"'
    return "".join(f'<a href="{page.path}"{current if page is here else ""}>{page.title}</a>' for page in PAGES)


class File:
    """A file of the page, as it is sent.

    Args:
        body: what it holds.
        suffix: of its name, with the dot.
    """

    def __init__(self, body: bytes, suffix: str) -> None:
        self.body = body
        self.media_type = _MEDIA_TYPES.get(suffix, "application/octet-stream")
        self.tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def read_files(folder: Path) -> dict[str, File]:
    """Return all files of a folder by their place in it; so nothing outside can ever be asked for."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): File(path.read_bytes(), path.suffix) for path in found}


class Files:
    """The files of the page.

    Args:
        files: by name.
    """

    def __init__(self, files: Mapping[str, File]) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file, or say that the browser has it already."""
        file = self._files.get(scope["path_params"].get("name", ""))
        if file is None:
            raise HTTPException(404)
        headers = {"etag": file.tag, "cache-control": "no-cache"}
        if file.tag in Headers(scope=scope).get("if-none-match", ""):
            response = Response(None, 304, headers)
        else:
            response = Response(file.body, 200, headers, media_type=file.media_type)
        await response(scope, receive, send)
