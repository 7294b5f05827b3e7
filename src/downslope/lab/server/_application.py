"""The routes: the page, its files, and the verbs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from downslope.lab._limits import LIMITS, Limits
from downslope.lab._reply import Reply, told
from downslope.lab._runs import Runs
from downslope.lab._tables import Table, Tables
from downslope.lab.server._following import Following
from downslope.lab.server._guard import TABLES, Guard, RefusedError, disconnected, json_response
from downslope.lab.server._pages import assembled

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from downslope.lab.processes._pool import Workers
    from downslope.lab.server._address import Address

STATIC = Path(__file__).parents[1] / "static"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_LONGEST_NAME = 100  # letters of the name of a file
_VISITOR = re.compile(r"[A-Za-z0-9_-]{1,64}")

_log = logging.getLogger("downslope.lab")


def application(
    address: Address,
    workers: Workers,
    *,
    token: str | None = None,
    limits: Limits = LIMITS,
    static: Path = STATIC,
    runs: Path | None = None,
) -> ASGIApp:
    """Return the lab as an ASGI application.

    Args:
        address: where it listens.
        workers: what answers the verbs; opened and closed with the application.
        token: what one must know to use it; None if nothing.
        limits: what a request may take.
        static: the folder of the page; read once, here.
        runs: the folder in which runs are looked for; None for that of the process.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        workers.open()
        yield
        workers.close()

    files, tables = _read(static), Tables(limits.tables)
    pages = {path: _File(page, ".html") for path, page in assembled({name: files[name].body for name in files}).items()}
    app = Starlette(
        routes=[
            *(Route(path, _Files({"": page}), methods=["GET"]) for path, page in pages.items()),
            Route("/static/{name:path}", _Files(files), methods=["GET"]),
            Route(TABLES, _Uploads(tables, limits), methods=["POST"]),
            Route("/api/follow", Following(Runs(runs or Path(), limits.runs), limits), methods=["GET"]),
            Route("/api/{verb}", _Verbs(workers, tables, limits), methods=["POST"]),
        ],
        lifespan=lifespan,
        exception_handlers={RefusedError: _on_refusal, HTTPException: _on_http_error},
    )
    app.router.redirect_slashes = False
    return Guard(app, address, token=token, limits=limits)


class _File:
    """A file of the page, as it is sent.

    Args:
        body: what it holds.
        suffix: of its name, with the dot.
    """

    def __init__(self, body: bytes, suffix: str) -> None:
        self.body = body
        self.media_type = _MEDIA_TYPES.get(suffix, "application/octet-stream")
        self.tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def _read(folder: Path) -> dict[str, _File]:
    """Return all files of a folder by their place in it; so nothing outside can ever be asked for."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): _File(path.read_bytes(), path.suffix) for path in found}


class _Files:
    """The files of the page.

    Args:
        files: by name.
    """

    def __init__(self, files: Mapping[str, _File]) -> None:
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


class _Verbs:
    """`POST /api/<verb>`: checks what came, lets a worker answer, and stops it when the visitor has gone.

    Args:
        workers: what answers.
        tables: the files that a request may name.
        limits: in what time a body must have come.
    """

    def __init__(self, workers: Workers, tables: Tables, limits: Limits) -> None:
        self._workers = workers
        self._tables = tables
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        verb = scope["path_params"]["verb"]
        if verb not in self._workers.verbs and verb not in self._workers.streams:
            raise HTTPException(404)
        visitor = Headers(scope=scope).get("x-visitor", "")
        if _VISITOR.fullmatch(visitor) is None:
            raise _bad("The header X-Visitor is missing.", "It is 1 to 64 letters and digits that the page chose.")
        body = await _body(receive, self._limits)
        if body is None:
            return
        table = self._table(_checked(body))
        async with contextlib.aclosing(_until_gone(self._workers.ask(visitor, verb, body, table), receive)) as replies:
            if verb in self._workers.streams:
                await _stream(replies, scope, receive, send)
                return
            async for reply in replies:
                await json_response(reply)(scope, receive, send)

    def _table(self, request: dict[str, Any]) -> Table | None:
        """Return the file that a request names, if it names one."""
        key = request.get("table")
        if key is None:
            return None
        table = self._tables.get(str(key))
        if table is None:
            message = "The lab does not have this file, or no more."
            raise RefusedError(410, "TableGoneError", message, hint="Give it the file again.")
        return table


class _Uploads:
    """`POST /api/table?name=houses.csv`: keeps a file in memory, and says by what key a request can name it.

    Args:
        tables: where it is kept.
        limits: in what time it must have come.
    """

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        name = "".join(letter for letter in query.get("name", ["table.csv"])[0] if letter.isprintable())
        body = await _body(receive, self._limits)
        if body is None:
            return
        table = Table(name[-_LONGEST_NAME:], body)
        reply = told({"table": self._tables.keep(table), "name": table.name})
        await json_response(reply)(scope, receive, send)


async def _body(receive: Receive, limits: Limits) -> bytes | None:
    """Return the whole body, or None if the visitor left before it had come."""
    pieces = []
    try:
        async with asyncio.timeout(limits.seconds):
            while (message := await receive())["type"] == "http.request":
                pieces.append(message.get("body", b""))
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        raise RefusedError(408, "LimitError", "The request did not come to an end in time.") from None
    return None


async def _stream(replies: AsyncIterator[Reply], scope: Scope, receive: Receive, send: Send) -> None:
    """Send a line of JSON for each piece; what is refused before the first is a response of its own."""
    first = await anext(replies, None)
    if first is None:
        return
    if not first.is_piece:
        await json_response(first)(scope, receive, send)
        return
    headers = [(b"content-type", b"application/x-ndjson")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    reply: Reply | None = first
    while reply is not None:
        await send({"type": "http.response.body", "body": reply.body + b"\n", "more_body": True})
        reply = await anext(replies, None)
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(replies: AsyncGenerator[Reply], receive: Receive) -> AsyncGenerator[Reply]:
    """Yield the replies for as long as the visitor is there; then nobody asks any more."""
    left = asyncio.ensure_future(disconnected(receive))
    try:
        async with contextlib.aclosing(replies):
            while True:
                following = asyncio.ensure_future(anext(replies, None))
                await asyncio.wait((following, left), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await following
                    return
                if (reply := following.result()) is None:
                    return
                yield reply
    finally:
        left.cancel()


def _checked(body: bytes) -> dict[str, Any]:
    """Return a request, or refuse what is not a JSON object of finite numbers.

    Raises:
        RefusedError: saying what it is instead.
    """
    try:
        request = json.loads(
            body.decode("utf-8"), parse_constant=_not_a_number, parse_float=_finite, parse_int=_finite_integer
        )
    except RecursionError:
        raise _bad("The request is nested too deeply.") from None
    except (ValueError, OverflowError) as wrong:
        raise _bad(f"The request is not JSON as it is needed here: {wrong}"[:200]) from None
    if not isinstance(request, dict):
        raise _bad("The request is JSON, but no object.", 'Send something like {"formula": "x²"}.')
    return request


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_a_number(text[:20])


def _finite_integer(text: str) -> int:
    value = int(text)
    float(value)  # beyond what a computation can take it raises
    return value


def _bad(message: str, hint: str | None = None) -> RefusedError:
    return RefusedError(400, "RequestError", message, hint=hint)


async def _on_refusal(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, RefusedError)
    return refusal.response(request.scope["path"])


async def _on_http_error(request: Request, wrong: Exception) -> Response:
    """Answer what the routes do not know: another path, another method."""
    assert isinstance(wrong, HTTPException)
    message = "There is nothing here." if wrong.status_code == 404 else f"{wrong.detail}."
    response = RefusedError(wrong.status_code, "RequestError", message).response(request.scope["path"])
    response.headers.update(wrong.headers or {})
    return response
