"""Access control: visitors, hosts, origins, tokens, the size of bodies, and the headers of every response.

A foreign page that is open in the same browser can send requests to this machine. So a request must call the lab by
a name of its own (a foreign name that points here is DNS rebinding) and come from its own page. Other users of the
machine reach it as well, so that a request must also carry the token, see `Admission`.
"""

from __future__ import annotations

import asyncio
import gzip
import hmac
import html
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from downslope.lab._messages import LIMITS, Limits, Reply, error_reply
from downslope.lab.server._pages import Door, takes_gzip

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from downslope.lab.server._serve import Address


# Who may enter the lab: a token in the address, a cookie in its place, and a code for the browser that is opened.


_CODE_SECONDS = 60.0  # a browser that has to start first needs some
_PARAMETERS = ("token", "code")
_ESTABLISHED = "01"  # the state of a socket in the tables of Linux
_ROOT = 0


class Admission:
    """The token of a lab, and the ways to show that one has it.

    Args:
        port: the port of the lab. It is part of the cookie's name, since all ports of a host share their cookies.
        token: the token; None where everyone may enter.
    """

    def __init__(self, port: int, token: str | None) -> None:
        self.cookie = f"downslope-{port}"
        self.token = token
        self._codes: dict[str, float] = {}

    def new_code(self) -> str:
        """Return a code that stands for the token once."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = time.monotonic() + _CODE_SECONDS
        return code

    def knows(self, headers: Headers) -> bool:
        """Return whether a request may enter: it carries the cookie, or none is needed."""
        if self.token is None:
            return True
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(name == self.cookie and self._is_token(value) for name, _, value in pairs)

    def opens(self, scope: Scope) -> bool:
        """Return whether the address of a request holds the token or a code that is still good."""
        values = parse_qs(scope["query_string"].decode("latin-1"))
        if any(self._is_token(text) for text in values.get("token", [])):
            return True
        return any(self._use(code, scope) for code in values.get("code", []))

    def _is_token(self, text: str) -> bool:
        # In constant time: the duration of a comparison would tell how many letters of a guess are right.
        return self.token is not None and hmac.compare_digest(text.encode(), self.token.encode())

    def _use(self, code: str, scope: Scope) -> bool:
        """Use up a code, if it is one."""
        good = [known for known in self._codes if hmac.compare_digest(known.encode(), code.encode())]
        end = max((self._codes.pop(known) for known in good), default=0.0)
        return time.monotonic() < end and _same_user(scope) is not False


def has_parameter(query: str) -> bool:
    """Return whether a query holds a token or a code."""
    return without_parameters(query) != query


def without_parameters(query: str) -> str:
    """Return a query without its token and code, the rest as it was."""
    return "&".join(part for part in query.split("&") if part.partition("=")[0] not in _PARAMETERS)


def _same_user(scope: Scope) -> bool | None:
    """Return whether a connection from this machine belongs to the user of this process; None if nobody knows.

    Linux lists the sockets of all users with their owners.
    """
    client, server = scope.get("client"), scope.get("server")
    if not client or not server:
        return None
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            local, remote, state, owner = fields[1], fields[2], fields[3], int(fields[7])
            ports = tuple(int(end.rpartition(":")[2], 16) for end in (local, remote))
            if ports == (client[1], server[1]) and state == _ESTABLISHED:
                return owner in (os.getuid(), _ROOT)  # a browser outside of a virtual machine comes by its system
    return None


_log = logging.getLogger("downslope.lab")

TABLES = "/api/table"
CROWDED = "CrowdedError"
_FRAMES = ("iframe", "frame")
_LONG = 4096  # bytes of a reply from which it is compressed
_POLICY = "content-security-policy"
HEADERS = {
    _POLICY: "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def ancestors_of(frames: Sequence[str]) -> str:
    """Return the origins that may show a page in a frame, as a policy names them."""
    return " ".join(frames) or "'none'"


class RefusedError(Exception):
    """A refused request.

    Args:
        status: the HTTP status.
        kind: the name of the error, for the page.
        message: what was passed and what was needed.
        hint: what to do instead.
    """

    def __init__(self, status: int, kind: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.hint = hint

    def response(self, path: str) -> Response:
        """Return the response: JSON for a script, a sentence for a person.

        Args:
            path: the path of the request.
        """
        # Unread bytes of a body would be parsed as the next request.
        headers = {"connection": "close"} if self.status in (408, 413) or self.kind == CROWDED else {}
        if path.startswith("/api/"):
            return json_response(error_reply(self.status, self.kind, self.message, hint=self.hint), headers)
        text = self.message if self.hint is None else f"{self.message}\n{self.hint}"
        return PlainTextResponse(text + "\n", self.status, headers)


def json_response(reply: Reply, headers: dict[str, str] | None = None, *, incoming: Headers | None = None) -> Response:
    """Return a reply as an HTTP response.

    Args:
        reply: the status and the JSON.
        headers: more headers.
        incoming: the headers of the request, for a long reply to be compressed where the visitor reads that.
    """
    body, more = reply.body, dict(headers or {})
    if incoming is not None and len(body) >= _LONG and takes_gzip(incoming):
        # The quickest level: most visitors sit at this machine, where fewer bytes save no time.
        body = gzip.compress(body, 1, mtime=0)
        more |= {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(body, reply.status, more, media_type="application/json")


class Guard:
    """The application behind access control.

    Args:
        app: the application, called for permitted requests.
        address: the address that the lab listens on.
        entry: who may enter.
        door: the page of those who may not.
        limits: the limits of a request.
        crowded: whether more connections are open than may be.
    """

    def __init__(
        self,
        app: ASGIApp,
        address: Address,
        entry: Admission,
        door: Door,
        *,
        limits: Limits = LIMITS,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._address = address
        self._entry = entry
        self._door = door
        self._limits = limits
        self._crowded = crowded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: the ASGI interface."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message, self._address.frames)
            await send(message)

        try:
            await self._answer(scope, receive, send_guarded)
        except RefusedError as refusal:
            await refusal.response(scope["path"])(scope, receive, send_guarded)
        except Exception:
            # The details go to the log alone: an internal message may hold paths or data of this machine.
            _log.exception("a request could not be answered")
            if not started:
                refusal = RefusedError(500, "InternalError", "Something went wrong here that is not your fault.")
                await refusal.response(scope["path"])(scope, receive, send_guarded)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = self._within(scope)
        headers = Headers(scope=scope)
        # Host before token: the redirect with the token must not serve a rebound name.
        self._check_host(headers)
        self._check_origin(scope, headers)
        if self._crowded():
            message = "The lab cannot open more connections."
            raise RefusedError(503, CROWDED, message, hint="Try again in a few seconds.")
        response = self._answer_at_door(scope, headers)
        if response is not None:
            await response(scope, receive, send)
            return
        # The declared length is refused at once; the count in `_CountedBody` holds chunked bodies, which declare none.
        most = self._limits.table if scope["path"] == TABLES else self._limits.body
        if _declared(headers) > most:
            await self._refuse_body(receive, _declared(headers), most)
        await self._app(scope, _CountedBody(receive, self._limits, most), send)

    def _within(self, scope: Scope) -> Scope:
        """Return a request with its path below the base of the lab's addresses; most proxies take the base away."""
        base, path = self._address.base, scope["path"]
        return {**scope, "path": "/" + path.removeprefix(base)} if len(base) > 1 and path.startswith(base) else scope

    def _check_host(self, headers: Headers) -> None:
        if not self._address.allows(headers.get("host", "")):
            message = "This address is not known here."
            raise RefusedError(403, "ForbiddenError", message, hint=f"The lab is at {self._address.url}")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Refuse requests of other pages; links to pages are permitted."""
        origin = headers.get("origin")
        own = {f"http://{headers['host'].lower()}", *self._address.origins}
        foreign = origin is not None and origin.lower() not in own
        # Older browsers send no Sec-Fetch headers; Origin catches their foreign requests. "none" is a typed address.
        elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if foreign or (elsewhere and not _is_link(scope, headers, in_frame=bool(self._address.frames))):
            raise RefusedError(403, "ForbiddenError", "Only the lab's own page may send this request.")

    def _answer_at_door(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the response to a request that does not get in; None for one that does."""
        if self._entry.token is None:
            return None
        is_get, has_token = scope["method"] == "GET", has_parameter(scope["query_string"].decode("latin-1"))
        if is_get and has_token and self._entry.opens(scope):
            return self._welcome(scope, headers, self._entry.token)
        if not self._entry.knows(headers):
            return self._refusal(scope)
        # An old token leaves the address as well.
        return self._welcome(scope, headers, self._entry.token) if is_get and has_token else None

    def _welcome(self, scope: Scope, headers: Headers, token: str) -> Response:
        """Exchange the token in the address for a cookie and redirect to the address without it.

        A browser that follows a link from another site withholds strict cookies through all redirects. A page of our
        own that refreshes itself is a new navigation, and gets them.
        """
        # The token leaves the address, so that it is neither bookmarked nor shown in a shared screenshot.
        rest = without_parameters(scope["query_string"].decode("latin-1"))
        # Relative, as a proxy may have taken a part of the path away.
        target = "./" + quote(scope["path"].rpartition("/")[2]) + (f"?{rest}" if rest else "")
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            response: Response = RedirectResponse(target, status_code=303)
        else:
            response = HTMLResponse(f'<meta http-equiv="refresh" content="0;url={html.escape(target)}">')
        # Strict: requests that other sites trigger carry no cookie, even for top-level navigation.
        # Without a base the browser takes the folder of the page as it sees it: behind a proxy, other people's servers
        # may have the same name.
        base, secure = self._address.base, self._address.is_encrypted(headers["host"])
        within = headers.get("sec-fetch-dest") in _FRAMES and bool(self._address.frames)
        response.set_cookie(
            self._entry.cookie,
            token,
            httponly=True,
            secure=secure or within,
            samesite="none" if within else "strict",
            path=base if len(base) > 1 else None,
        )
        if within:
            # In a frame of another site there are no strict cookies. This one is good below that site alone.
            response.headers["set-cookie"] += "; Partitioned"
        return response

    def _refusal(self, scope: Scope) -> Response:
        """Return the refusal of a request without the token: a page for people, words for the page's own scripts."""
        path = scope["path"]
        if scope["method"] == "GET" and not path.startswith(("/api/", "/static/")):
            return self._door.response()
        hint = "Open the whole address that was printed, with its token."
        return RefusedError(403, "TokenError", "This lab requires its token.", hint=hint).response(path)

    async def _refuse_body(self, receive: Receive, declared: int, most: int) -> None:
        """Refuse a body whose declared length is too large."""
        if declared <= self._limits.drained:
            await _drain(receive, self._limits)
        raise _too_large(most)


class _CountedBody:
    """The `receive` of a request that counts the bytes of its body; a chunked body declares no length.

    Args:
        receive: returns the next message.
        limits: the limits of a request.
        most: the largest number of bytes.
    """

    def __init__(self, receive: Receive, limits: Limits, most: int) -> None:
        self._receive = receive
        self._limits = limits
        self._most = most
        self._count = 0

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            RefusedError: if the body has become too large.
        """
        message = await self._receive()
        self._count += len(message.get("body", b""))
        if self._count > self._most:
            if message.get("more_body", False):
                await _drain(self._receive, self._limits)
            raise _too_large(self._most)
        return message


async def disconnected(receive: Receive) -> None:
    """Wait until the visitor leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def body_of(receive: Receive, limits: Limits) -> bytes | None:
    """Return the whole body, or None if the visitor left before its end."""
    pieces = []
    try:
        async with asyncio.timeout(limits.arrival):
            while (message := await receive())["type"] == "http.request":
                pieces.append(message.get("body", b""))
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        raise RefusedError(408, "LimitError", "The request was not completed in time.") from None
    return None


async def _drain(receive: Receive, limits: Limits) -> None:
    """Read and discard the rest of a body, within limits: a browser that is still sending shows no response."""
    count = 0
    try:
        async with asyncio.timeout(limits.arrival):
            while count <= limits.drained:
                message = await receive()
                count += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413, "LimitError", f"This is longer than {most // 1024} kB.", hint="In Python there is no such limit."
    )


def _declared(headers: Headers) -> int:
    """Return the declared length of the body; the server itself refuses what is not a number."""
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _is_link(scope: Scope, headers: Headers, *, in_frame: bool) -> bool:
    """Return whether this is a navigation; the linking site cannot read its response.

    Args:
        scope: the request.
        headers: its headers.
        in_frame: whether it may be one of a frame. Which pages may have that frame is in the policy of the response,
            since a request does not say where it is shown.
    """
    return (
        scope["method"] == "GET"
        and not scope["path"].startswith("/api/")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") in ("document", *(_FRAMES if in_frame else ()))
    )


def _add_headers(message: Message, frames: Sequence[str]) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers.setdefault(name, value + ancestors_of(frames) if name == _POLICY else value)
    headers.setdefault("cache-control", "no-store")
