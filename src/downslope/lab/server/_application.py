"""The routes: the page, its files, and the verbs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import math
import re
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from downslope.lab._limits import LIMITS, Limits
from downslope.lab._messages import Reply, Table, told
from downslope.lab._runs import RUNNING, Found, Runs, found_in, state_of
from downslope.lab.server._guard import TABLES, Guard, RefusedError, body_of, disconnected, json_response
from downslope.lab.server._pages import File, Files, assembled, read_files

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from downslope.lab.processes._pool import Workers
    from downslope.lab.server._serve import Address


# A run followed while it is written: server-sent events, from the server itself, so that no worker waits.


_GONE = "gone"
_LOOK = 0.4  # seconds from one look to the next
_STILL = 37  # looks without news after which a comment tells that the line is open


class Following:
    """`GET /api/follow?run=<name>&visitor=<who>`: an event when the run has changed, and `finished` at its end.

    Args:
        runs: where it is looked for.
        limits: how many may follow at once.
    """

    def __init__(self, runs: Runs, limits: Limits) -> None:
        self._runs = runs
        self._limits = limits
        self._followers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, for as long as the visitor stays and the run is not finished."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        name, visitor = (query.get(field, [""])[0] for field in ("run", "visitor"))
        run = await asyncio.to_thread(self._runs.named, name)
        if run is None:
            raise HTTPException(404)
        with self._place(visitor[:64]):
            await self._follow(run, receive, send)

    @contextlib.contextmanager
    def _place(self, visitor: str) -> Iterator[None]:
        """Take one of the places there are, for as long as the block runs."""
        if self._followers.total() >= self._limits.followers:
            raise RefusedError(503, "LimitError", "As many runs are followed already as the lab can.")
        if self._followers[visitor] >= self._limits.followers_per_visitor:
            raise RefusedError(429, "LimitError", "You follow as many runs already as you can.")
        self._followers[visitor] += 1
        try:
            yield
        finally:
            self._followers[visitor] -= 1

    async def _follow(self, run: Found, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = asyncio.ensure_future(disconnected(receive))
        mark, still = object(), 0
        try:
            while not left.done():
                now, state = await asyncio.to_thread(self._look, run)
                if now != mark or state != RUNNING:
                    mark, still = now, 0
                    await send(_event("changed" if state == RUNNING else "finished", {"state": state}))
                    if state != RUNNING:
                        break
                still += 1
                if still % _STILL == 0:
                    await send(_piece(b": still here\n\n"))
                await asyncio.wait((left,), timeout=_LOOK)
        finally:
            left.cancel()
        await send({"type": "http.response.body", "body": b""})

    def _look(self, run: Found) -> tuple[object, str]:
        """Return what is another one after each change of a run, and how it stands."""
        now = found_in(run.folder, self._runs.folder)
        return (None, _GONE) if now is None else (now.mark, state_of(now))


def _event(name: str, told: dict[str, str]) -> dict[str, object]:
    return _piece(f"event: {name}\ndata: {json.dumps(told)}\n\n".encode())


def _piece(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


# The files that visitors gave: kept in memory, and only for as long as there is room.


class Tables:
    """All of them, the longest unused making room for new ones.

    Args:
        room: how many bytes they may hold together.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[str, Table] = OrderedDict()

    def keep(self, table: Table) -> str:
        """Keep a table and return its key, which follows from what it holds and how it is called."""
        key = hashlib.sha256(table.name.encode() + b"\n" + table.data).hexdigest()[:24]
        self._kept[key] = table
        self._kept.move_to_end(key)
        while sum(len(one.data) for one in self._kept.values()) > self._room:
            self._kept.popitem(last=False)
        return key

    def get(self, key: str) -> Table | None:
        """Return the table of a key, or None if it is not there, or no more."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)


STATIC = Path(__file__).parents[1] / "static"

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

    files, tables = read_files(static), Tables(limits.tables)
    pages = {path: File(page, ".html") for path, page in assembled({name: files[name].body for name in files}).items()}
    app = Starlette(
        routes=[
            *(Route(path, Files({"": page}), methods=["GET"]) for path, page in pages.items()),
            Route("/static/{name:path}", Files(files), methods=["GET"]),
            Route(TABLES, _Uploads(tables, limits), methods=["POST"]),
            Route("/api/follow", Following(Runs(runs or Path(), limits.runs), limits), methods=["GET"]),
            Route("/api/{verb}", _Verbs(workers, tables, limits), methods=["POST"]),
        ],
        lifespan=lifespan,
        exception_handlers={RefusedError: _on_refusal, HTTPException: _on_http_error},
    )
    app.router.redirect_slashes = False
    return Guard(app, address, token=token, limits=limits)


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
        body = await body_of(receive, self._limits)
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
        body = await body_of(receive, self._limits)
        if body is None:
            return
        table = Table(name[-_LONGEST_NAME:], body)
        reply = told({"table": self._tables.keep(table), "name": table.name})
        await json_response(reply)(scope, receive, send)


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
