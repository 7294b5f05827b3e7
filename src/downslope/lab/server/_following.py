"""A run followed while it is written: server-sent events, from the server itself, so that no worker waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

from downslope.lab._limits import Limits
from downslope.lab._runs import RUNNING, Found, Runs, found_in, state_of
from downslope.lab.server._guard import RefusedError, disconnected

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

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
