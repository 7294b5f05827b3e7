"""The pages, each assembled from its own part and the shell that all share, and the static files.

Starlette's StaticFiles serves files of a folder alone; assembled pages need the same tags and headers. Files are read
once, at the start, so that no path of a request ever reaches the disk. Their media types are fixed here: those of the
system may differ (on Windows they come from the registry), and with `nosniff` a script with a wrong type does not run.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

from downslope.lab._modules import joined

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_SLOT = re.compile(r"<!-- (name|title|about|style|pages|main|lists) -->")
_PART = re.compile(r"<!-- part (\w+)(?:: (.*?))? -->")
_WORD = re.compile(r"<!-- word (\d) -->")
_LANGUAGES = "<!-- languages -->"
_TEXTS = re.compile(r"learn/texts\.([a-z]{2,3})\.json")
_LINK = re.compile(r'(?<=["\'])static/([\w/.-]+)(?=["\'])')
_LEAST = 1000  # bytes from which compressing pays
_YEAR = 31_536_000  # seconds

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
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
        name: the name of its part, `pages/<name>.html`, and of the folder of its scripts.
        title: its title.
        about: a sentence on its use.
    """

    path: str
    name: str
    title: str
    about: str


PAGES = (
    Page(
        "/learn", "learn", "Learn", "A course in eight chapters: slopes, gradients, and how machines learn from them."
    ),
    Page("/", "descend", "Descend", "See a descent, drag it, understand it."),
    Page("/fit", "fit", "Fit", "Fit an equation to a table, and see it descend."),
    Page("/network", "network", "Network", "Train a network, see how it divides its data, and repair it."),
    Page("/runs", "runs", "Runs", "View saved runs, follow one live, compare them."),
)


def assembled(
    files: Mapping[str, bytes], lists: Callable[[str], Mapping[str, Any]] = lambda name: {}
) -> dict[str, bytes]:
    """Return the pages by address, with links that are relative to it.

    Links to static files hold the version of each, so that browsers may keep the files for good.

    Parts that several pages share are in `parts`, included by `<!-- part name -->`; `<!-- part name: first, second -->`
    fills `<!-- word 1 -->` and `<!-- word 2 -->` of the part.

    Args:
        files: the static files by their path; without `shell.html` there are no pages.
        lists: returns the lists that stand in a page, by its name.
    """
    if "shell.html" not in files:
        return {}
    shell = files["shell.html"].decode()
    texts = {page: files[f"pages/{page.name}.html"] for page in PAGES if f"pages/{page.name}.html" in files}
    whole = {page: _PART.sub(lambda match: _part(files, match), text.decode()) for page, text in texts.items()}
    languages = _languages(files)
    whole = {page: main.replace(_LANGUAGES, languages) for page, main in whole.items()}
    styles = {page: _style(page) if f"{page.name}.css" in files else "" for page in whole}
    filled = {page.path: _filled(shell, page, main, styles[page], lists(page.name)) for page, main in whole.items()}
    return {path: _LINK.sub(lambda match: _versioned(files, match), text).encode() for path, text in filled.items()}


def _versioned(files: Mapping[str, bytes], match: re.Match[str]) -> str:
    """Return the address of a static file; a small picture stands in the address itself, and takes no request."""
    name = match[1]
    if name.endswith(".svg") and name in files:
        return f"data:image/svg+xml;base64,{base64.b64encode(files[name]).decode()}"
    return f"static/{name}?v={version(files[name])}" if name in files else match[0]


def version(body: bytes) -> str:
    """Return a digest that identifies the version of a file."""
    return hashlib.sha256(body).hexdigest()[:20]


def hash_source(text: str) -> str:
    """Return the hash that permits a script or a style in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _part(files: Mapping[str, bytes], match: re.Match[str]) -> str:
    """Return the part that a page includes."""
    words = (match[2] or "").split(", ")
    return _WORD.sub(lambda word: words[int(word[1]) - 1], files[f"parts/{match[1]}.html"].decode().rstrip())


def _languages(files: Mapping[str, bytes]) -> str:
    """Return the choice of languages of the course: one for each file of its texts, by the name in it."""
    tags = [(match[1], path) for path in sorted(files) if (match := _TEXTS.fullmatch(path))]
    names = [(tag, html.escape(json.loads(files[path])["language"])) for tag, path in tags]
    return "".join(f'<option value="{tag}" lang="{tag}">{name}</option>' for tag, name in names)


def _style(page: Page) -> str:
    """Return the link to a style sheet of a page's own, `<name>.css`."""
    return f'<link rel="stylesheet" href="static/{page.name}.css">'


def _filled(shell: str, page: Page, main: str, style: str, lists: Mapping[str, Any]) -> str:
    parts = {"name": page.name, "title": page.title, "about": page.about, "style": style, "main": main}
    parts |= {"pages": _links(page), "lists": _data_block("lists", lists) if lists else ""}
    return _SLOT.sub(lambda match: parts[match[1]], shell)


def _data_block(name: str, data: Any) -> str:
    """Return data as an element of a page that no browser runs, so that no policy has to permit it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _links(here: Page) -> str:
    current = ' aria-current="page"'
    return "".join(
        f'<a href="{page.path[1:] or "./"}"{current if page is here else ""}>{page.title}</a>' for page in PAGES
    )


def scripts(files: Mapping[str, File]) -> dict[str, File]:
    """Return the script of each page, all its modules in a single file, by its path."""
    sources = {path: file.body.decode() for path, file in files.items() if path.endswith(".js")}
    mains = {page.name: f"js/{page.name}/main.js" for page in PAGES}
    return {
        f"{name}.js": File(joined(sources, main).encode(), ".js") for name, main in mains.items() if main in sources
    }


class File:
    """A file as it is sent.

    Args:
        body: its content.
        suffix: the suffix of its name, with the dot.
    """

    def __init__(self, body: bytes, suffix: str) -> None:
        self.body = body
        self.media_type = _MEDIA_TYPES.get(suffix, "application/octet-stream")
        self.version = version(body)

    @cached_property
    def compressed(self) -> bytes | None:
        """The content compressed by gzip, made once; None where that saves nothing."""
        if len(self.body) < _LEAST:
            return None
        packed = gzip.compress(self.body, 9, mtime=0)
        return packed if len(packed) < len(self.body) else None


def read_files(folder: Path) -> dict[str, File]:
    """Return all files of a folder by their path in it; links are left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): File(path.read_bytes(), path.suffix) for path in paths}


class Door:
    """The page of those who came without the token.

    Its style stands within it, as nothing else of the lab is sent to them, and is permitted by its hash.

    Args:
        page: the page.
        ancestors: the origins that may show it in a frame, as the policy names them.
    """

    def __init__(self, page: bytes, ancestors: str) -> None:
        self._page = page
        style = page.partition(b"<style>")[2].partition(b"</style>")[0].decode()
        self._policy = (
            f"default-src 'none'; style-src {hash_source(style)}; img-src data:; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {ancestors}"
        )

    def response(self) -> Response:
        """Return the response."""
        headers = {"content-security-policy": self._policy}
        return Response(self._page, 403, headers, media_type=_MEDIA_TYPES[".html"])


class Files:
    """An ASGI endpoint that sends files.

    Args:
        files: the files by path.
    """

    def __init__(self, files: Mapping[str, File]) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file, or 304 where the browser has it already."""
        file = self._files.get(scope["path_params"].get("name", ""))
        if file is None:
            raise HTTPException(404)
        incoming = Headers(scope=scope)
        wanted = parse_qs(scope["query_string"].decode("latin-1")).get("v")
        keep = f"private, max-age={_YEAR}, immutable" if wanted == [file.version] else "no-cache"
        packed = file.compressed if takes_gzip(incoming) else None
        # Other bytes, another tag.
        tag = f'"{file.version}"' if packed is None else f'"{file.version}-gzip"'
        headers = {"etag": tag, "cache-control": keep, "vary": "accept-encoding"}
        if tag in incoming.get("if-none-match", ""):
            response = Response(None, 304, headers)
        elif packed is None:
            response = Response(file.body, 200, headers, media_type=file.media_type)
        else:
            response = Response(packed, 200, {**headers, "content-encoding": "gzip"}, media_type=file.media_type)
        await response(scope, receive, send)


def takes_gzip(headers: Headers) -> bool:
    """Return whether a visitor reads what gzip has compressed."""
    codings = [coding.replace(" ", "") for coding in headers.get("accept-encoding", "").lower().split(",")]
    return any(coding.partition(";")[0] == "gzip" and not coding.endswith(";q=0") for coding in codings)
