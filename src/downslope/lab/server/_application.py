"""The routes of the lab: pages, their files, uploads, the verbs, and runs that are followed live."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from downslope.lab._messages import LIMITS, Limits, Reply, Tables, UploadedFile, data_reply
from downslope.lab._runs import RUNNING, Runs, SavedRun, run_in, state_of
from downslope.lab.replies import lists_of
from downslope.lab.server._guard import TABLES, Guard, RefusedError, ancestors_of, body_of, disconnected, json_response
from downslope.lab.server._pages import Door, File, Files, assembled, read_files, scripts, takes_gzip

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from downslope.lab.processes._pool import Workers
    from downslope.lab.server._guard import Admission
    from downslope.lab.server._serve import Address

STATIC = Path(__file__).parents[1] / "static"

_DOOR = "door.html"
_LONGEST_NAME = 100  # letters of the name of a file
_VISITOR = re.compile(r"[A-Za-z0-9_-]{1,64}")
_GONE = "gone"
_EVENTS = "text/event-stream"
_FORWARDED = ("x-forwarded", "x-proxy", "forwarded", "via")  # how headers of proxies begin
_POLL_SECONDS = 0.4  # from one look at a followed run to the next
_POLLS_TO_COMMENT = 37  # without news, after which a comment shows proxies that the connection is open


def application(
    address: Address,
    workers: Workers,
    *,
    entry: Admission,
    limits: Limits = LIMITS,
    static: Path = STATIC,
    runs: Path | None = None,
    crowded: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Return the lab as an ASGI application.

    Args:
        address: the address it listens on.
        workers: the processes that compute; opened and closed with the application.
        entry: who may enter.
        limits: the limits of a request.
        static: the folder of the page's files; read once, here.
        runs: the folder to search for saved runs; None for the working directory.
        crowded: whether more connections are open than may be.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        workers.open()
        yield
        workers.close()

    files, tables = read_files(static), Tables(limits.tables)
    files |= scripts(files)
    bodies = {name: files[name].body for name in files}
    pages = {path: File(page, ".html") for path, page in assembled(bodies, lists_of).items()}
    app = Starlette(
        routes=[
            *(Route(path, Files({"": page}), methods=["GET"]) for path, page in pages.items()),
            Route("/static/{name:path}", Files(files), methods=["GET"]),
            Route(TABLES, _Uploads(tables, limits), methods=["POST"]),
            Route("/api/alive", _alive, methods=["GET"]),
            Route("/api/follow", _Following(Runs(runs or Path(), limits.runs), limits), methods=["GET"]),
            Route("/api/{verb}", _Verbs(workers, tables, limits), methods=["POST"]),
        ],
        lifespan=lifespan,
        exception_handlers={RefusedError: _on_refusal, HTTPException: _on_http_error},
    )
    # A redirect would turn /static/ into another path, and every response is either a file, a reply or an error.
    app.router.redirect_slashes = False
    # A folder of other pages may lack this one, as it is the lab's and not theirs.
    page = files[_DOOR].body if _DOOR in files else (STATIC / _DOOR).read_bytes()
    door = Door(page, ancestors_of(address.frames))
    return Guard(app, address, entry, door, limits=limits, crowded=crowded)


async def _alive(_: Request) -> Response:
    """`GET /api/alive`: say that the lab is there, to a page that had lost it."""
    return Response(status_code=204)


class _Verbs:
    """`POST /api/<verb>`: check the request, let a worker answer it, and stop the worker when the visitor has left.

    Args:
        workers: the processes that compute.
        tables: the uploaded files that a request may name.
        limits: the time in which a body must arrive.
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
            raise _bad_request(
                "The header X-Visitor is missing.", "It is 1 to 64 letters and digits that the page chose."
            )
        body = await body_of(receive, self._limits)
        if body is None:
            return
        table = self._table(_checked(body))
        async with contextlib.aclosing(_until_gone(self._workers.ask(visitor, verb, body, table), receive)) as replies:
            if verb in self._workers.streams:
                await _stream(replies, scope, receive, send)
                return
            async for reply in replies:
                await json_response(reply, incoming=Headers(scope=scope))(scope, receive, send)

    def _table(self, request: dict[str, Any]) -> UploadedFile | None:
        """Return the file that a request names, None if it names none."""
        key = request.get("table")
        if key is None:
            return None
        table = self._tables.get(str(key))
        if table is None:
            message = "The lab does not have this file, or no longer has it."
            raise RefusedError(410, "TableGoneError", message, hint="Send the file again.")
        return table


class _Uploads:
    """`POST /api/table?name=houses.csv`: keep a file in memory, and return the key by which requests name it.

    Args:
        tables: the files that are kept.
        limits: the time in which a file must arrive.
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
        table = UploadedFile(name[-_LONGEST_NAME:], body)
        reply = data_reply({"table": self._tables.keep(table), "name": table.name})
        await json_response(reply)(scope, receive, send)


class _Following:
    """`GET /api/follow?run=<name>&visitor=<key>`: an event at each change of a run, and `finished` at its end.

    These are server-sent events of the server itself: a worker that waited for a run would compute nothing for hours.

    Args:
        runs: the folder of saved runs.
        limits: how many connections may follow runs.
    """

    def __init__(self, runs: Runs, limits: Limits) -> None:
        self._runs = runs
        self._limits = limits
        self._followers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, until the visitor leaves or the run is finished."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        name, visitor = (query.get(field, [""])[0] for field in ("run", "visitor"))
        run = await asyncio.to_thread(self._runs.named, name)
        if run is None:
            raise HTTPException(404)
        with self._counted(visitor[:64]):
            await self._follow(run, receive, send)

    @contextlib.contextmanager
    def _counted(self, visitor: str) -> Iterator[None]:
        """Count a follower while the block runs, or refuse one too many."""
        if self._followers.total() >= self._limits.followers:
            raise RefusedError(503, "LimitError", "The lab already follows as many runs as it can.")
        if self._followers[visitor] >= self._limits.followers_per_visitor:
            raise RefusedError(429, "LimitError", "You already follow as many runs as one visitor can.")
        self._followers[visitor] += 1
        try:
            yield
        finally:
            self._followers[visitor] -= 1

    async def _follow(self, run: SavedRun, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", _EVENTS.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = asyncio.ensure_future(disconnected(receive))
        last_mark, quiet = object(), 0
        try:
            while not left.done():
                mark, state = await asyncio.to_thread(self._look, run)
                if mark != last_mark or state != RUNNING:
                    last_mark, quiet = mark, 0
                    await send(_event("changed" if state == RUNNING else "finished", {"state": state}))
                    if state != RUNNING:
                        break
                quiet += 1
                if quiet % _POLLS_TO_COMMENT == 0:
                    await send(_body_part(b": still here\n\n"))
                await asyncio.wait((left,), timeout=_POLL_SECONDS)
        finally:
            left.cancel()
        await send({"type": "http.response.body", "body": b""})

    def _look(self, run: SavedRun) -> tuple[object, str]:
        """Return a mark that differs after each change of a run, and its state."""
        now = run_in(run.folder, self._runs.folder)
        return (None, _GONE) if now is None else (now.mark, state_of(now))


def _event(name: str, data: dict[str, str]) -> dict[str, object]:
    return _body_part(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())


def _body_part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _stream(replies: AsyncIterator[Reply], scope: Scope, receive: Receive, send: Send) -> None:
    """Send a line of JSON, or an event, for each piece; a refusal before the first is a response of its own."""
    first = await anext(replies, None)
    if first is None:
        return
    if not first.is_piece:
        await json_response(first)(scope, receive, send)
        return
    # Proxies such as jupyter-server-proxy hold back what is not events until its end.
    as_events = Headers(scope=scope).get("accept") == _EVENTS
    before, after = (b"data: ", b"\n\n") if as_events else (b"", b"\n")
    headers = [(b"content-type", _EVENTS.encode() if as_events else b"application/x-ndjson")]
    packer = _packer(Headers(scope=scope))
    if packer is not None:
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    reply: Reply | None = first
    while reply is not None:
        part = before + reply.body + after
        await send(_body_part(part if packer is None else packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)))
        reply = await anext(replies, None)
    await send({"type": "http.response.body", "body": b"" if packer is None else packer.flush()})


def _packer(incoming: Headers) -> zlib._Compress | None:
    """Return the compressor of a stream, flushed after each piece; None if the visitor cannot read it.

    Nor behind a proxy: jupyter-server-proxy takes the header of the encoding off streams, and leaves the encoding.
    """
    if not takes_gzip(incoming) or any(name.startswith(_FORWARDED) for name in incoming):
        return None
    return zlib.compressobj(6, zlib.DEFLATED, 31)  # a training takes far longer than level 6; 31: with the head of gzip


async def _until_gone(replies: AsyncGenerator[Reply], receive: Receive) -> AsyncGenerator[Reply]:
    """Yield the replies until the visitor leaves; closing the generator then ends the job."""
    # Two tasks race: the next reply, and the disconnect, which ASGI reports only through `receive`.
    left = asyncio.ensure_future(disconnected(receive))
    try:
        async with contextlib.aclosing(replies):
            while True:
                upcoming = asyncio.ensure_future(anext(replies, None))
                try:
                    await asyncio.wait((upcoming, left), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    # Also where this is cancelled itself, as at the end of the server: a generator that waits for its
                    # next reply cannot be closed.
                    if not upcoming.done():
                        upcoming.cancel()
                        await asyncio.wait((upcoming,))
                if upcoming.cancelled() or (reply := upcoming.result()) is None:
                    return
                yield reply
    finally:
        left.cancel()


def _checked(body: bytes) -> dict[str, Any]:
    """Return a request as a dict.

    Raises:
        RefusedError: for anything but a JSON object of finite numbers.
    """
    try:
        request = json.loads(
            body.decode("utf-8"), parse_constant=_not_a_number, parse_float=_finite, parse_int=_finite_integer
        )
    except RecursionError:
        raise _bad_request("The request is nested too deeply.") from None
    except (ValueError, OverflowError) as error:
        raise _bad_request(f"The request is not JSON as it is needed here: {error}"[:200]) from None
    if not isinstance(request, dict):
        raise _bad_request("The request is JSON, but not an object.", 'Send something like {"formula": "x²"}.')
    return request


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_a_number(text[:20])


def _finite_integer(text: str) -> int:
    value = int(text)
    float(value)  # an integer beyond the range of a float raises OverflowError
    return value


def _bad_request(message: str, hint: str | None = None) -> RefusedError:
    return RefusedError(400, "RequestError", message, hint=hint)


async def _on_refusal(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, RefusedError)
    return refusal.response(request.scope["path"])


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer a path or a method that no route knows."""
    assert isinstance(error, HTTPException)
    message = "There is nothing here." if error.status_code == 404 else f"{error.detail}."
    response = RefusedError(error.status_code, "RequestError", message).response(request.scope["path"])
    response.headers.update(error.headers or {})
    return response
