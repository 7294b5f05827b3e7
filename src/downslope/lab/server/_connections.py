"""The connections of the server: how many may be open, and how long they may take to send and to read.

uvicorn bounds neither: its time-out for idle connections ends with the first byte of a request, so that one who sends a
letter a second, or reads one, keeps a connection open for ever. Here a request's head has `arrival` seconds in all, and
a reply is taken within `reading` seconds. A connection that waits for neither, such as that of a long computation or of
a run that is followed, is left alone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from downslope.lab._messages import Limits

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_SLOWEST = 32 * 1024  # bytes a second that a visitor must read of a long reply
_SPARE = 64  # files that are neither connections nor accepted ones: pipes of workers, sockets, files that are read
_MOST_ACCEPTED = 128
_FEWEST = 8
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # linger for 0 seconds
_LOOK_SECONDS = 0.5


class Connections:
    """All connections, and the protocol class that counts them.

    Args:
        limits: the limits of time and number.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.most, self.backlog = _bounds(limits.connections)
        self._open: dict[_Connection, None] = {}  # in order of arrival

    @property
    def crowded(self) -> bool:
        """Whether there are more than may be, none of which is idle."""
        return len(self._open) > self.most

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """Return the protocol of a new connection, as uvicorn's configuration wants it."""
        return _Connection(config, server_state, app_state, _loop, self)

    def add(self, connection: _Connection) -> None:
        """Count a new connection; of too many the idle one that is oldest is closed."""
        self._open[connection] = None
        if self.crowded:
            idle = next((other for other in self._open if other.is_idle and other is not connection), None)
            if idle is not None:
                idle.abort()
            elif len(self._open) > self.most + self.backlog:
                connection.abort()

    def discard(self, connection: _Connection) -> None:
        """Count a connection no longer."""
        self._open.pop(connection, None)


class _Connection(H11Protocol):
    """A connection, with a time for the head of a request and one for reading a reply.

    Args:
        connections: all of them.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._connections = connections
        self._arrival: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """Close it at once, whatever has not been sent."""
        self._connections.discard(self)
        if self.transport.get_write_buffer_size():
            # A reset, or the system would go on to send what is in its own buffer to one who does not read.
            link = self.transport.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn does
        self, transport: asyncio.Transport
    ) -> None:
        """Begin: the head of the first request must come in time."""
        super().connection_made(transport)
        self._arrival = self.loop.call_later(self._connections.limits.arrival, self.abort)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._connections.discard(self)
        for timer in (self._arrival, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the time for a head runs from its first byte to its last, however it comes."""
        super().data_received(data)
        self._bound_arrival()

    def on_response_complete(self) -> None:
        """End a reply, which may still be in the buffers; on a crowded server the connection ends with it."""
        super().on_response_complete()
        self._bound_reading()
        self._bound_arrival()
        if self._connections.crowded and self.is_idle and not self.transport.is_closing():
            self.shutdown()

    def pause_writing(self) -> None:
        """Hold back a reply that is not read as fast as it is written."""
        super().pause_writing()
        self._bound_reading()

    def _bound_arrival(self) -> None:
        """Bound the time in which the rest of a request must come, if it has begun and is not being answered."""
        if self.cycle is None:
            return  # the first head, whose time runs from the beginning
        state = self.conn.their_state
        begun = state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))
        if self.is_idle and begun and not self.transport.is_closing():
            if self._arrival is None:
                self._arrival = self.loop.call_later(self._connections.limits.arrival, self.abort)
        elif self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _bound_reading(self) -> None:
        """Bound the time in which the buffer must become empty, if it is not."""
        size = self.transport.get_write_buffer_size()
        if size and self._reading is None:
            end = self.loop.time() + self._connections.limits.reading + size / _SLOWEST
            self._look_at_buffer(end)

    def _look_at_buffer(self, end: float) -> None:
        """Poll whether the buffer is empty, since no event reports it."""
        self._reading = None
        if self.transport.get_write_buffer_size():
            if self.loop.time() >= end:
                self.abort()
            else:
                self._reading = self.loop.call_later(_LOOK_SECONDS, self._look_at_buffer, end)


def _bounds(wanted: int) -> tuple[int, int]:
    """Return how many connections may be open, and how many may be accepted at once, as the open files allow."""
    if sys.platform == "win32":
        return wanted, _MOST_ACCEPTED
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted, _MOST_ACCEPTED
    # What is accepted in one turn of the event loop is counted after it, and must find free files as well.
    backlog = max(_FEWEST, min(_MOST_ACCEPTED, files // 8))
    return max(_FEWEST, min(wanted, files - _SPARE - backlog)), backlog
