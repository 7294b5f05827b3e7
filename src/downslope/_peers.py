"""Connections among the processes of a training, so that all of them learn at once that one has ended.

A process that dies leaves the others waiting in a sum that never comes, until JAX aborts them minutes later without a
word of use. So each process keeps a connection to process 0. The system closes it when its process dies, however that
happened, and asks a silent machine whether it is there. Process 0 passes the news on, and each process that is in the
middle of a training prints a sentence and exits with code 75, which a supervisor reads as "start again".

Lines of JSON are sent, no programs: what anybody on the network sends to the port is compared, and never run.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from downslope._errors import DownslopeError, SettingError, in_a_line

AGAIN = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong with the command, and it may be repeated
_LINE = 4096  # bytes of a message at most
_GRACE = 3.0  # seconds for others to end first
_REMIND = 30.0  # seconds between two notes on who is missing
_SILENT = ((("TCP_KEEPIDLE", "TCP_KEEPALIVE"), 5), (("TCP_KEEPINTVL",), 5), (("TCP_KEEPCNT",), 3))


class Peers:
    """The other processes, and a thread that learns when one of them ends.

    Args:
        number: of this process, counted from 0.
        names: the host of each process.
        connections: to all others for process 0, else to process 0 alone, by number.
    """

    def __init__(self, number: int, names: tuple[str, ...], connections: Mapping[int, socket.socket]) -> None:
        self.number, self.names = number, names
        self.loss: str | None = None  # what ended another process
        self._connections = dict(connections)
        self._trainings, self._advice = 0, ""  # under way; what to do when one of them ends early
        self._ends = False  # whether this process is about to end
        self._left: dict[int, float] = {}  # processes that ended well, and when
        self._lost = threading.Event()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._watch, name="downslope-peers", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def together(self, advice: str) -> Iterator[None]:
        """Within a `with` block, the end of another process ends this one, and an error here ends all others.

        Args:
            advice: how to go on, for the sentence.

        Raises:
            DownslopeError: if another process has ended before.
        """
        with self._lock:
            if self.loss is None and self._left:
                self.loss = f"{self._called(min(self._left))} has ended before a training that needs it"
            if self.loss is not None:
                raise DownslopeError(self.loss, hint=advice)
            self._trainings, self._advice = self._trainings + 1, advice
        try:
            yield
        except BaseException as error:
            # A sum that fails is how the death of another process shows here first; its connection tells more.
            if not isinstance(error, DownslopeError | KeyboardInterrupt):
                self._lost.wait(_GRACE)
            self.fail(error)
            raise
        finally:
            with self._lock:
                self._trainings -= 1

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process ends by an error, so that they end as well."""
        what = "was stopped" if isinstance(error, KeyboardInterrupt) else f"failed: {in_a_line(error)}"
        with self._lock:
            self._ends = True
            self.loss = self.loss or f"{self._called(self.number)} {what}"
        self._send({"ended": f"{self._called(self.number)} {what}"})
        self._wait_for_others()

    def leave(self) -> None:
        """Tell the others that this process ends well."""
        self._send({"left": self.number})

    def close(self) -> None:
        """Close the connections, and let the thread end."""
        self._ends = True
        for connection in list(self._connections.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(_GRACE)
        for connection in self._connections.values():
            connection.close()

    def _called(self, number: int) -> str:
        return f"process {number} of {len(self.names)} on {self.names[number]}"

    def _send(self, message: Mapping[str, Any], but: int | None = None) -> None:
        line = json.dumps(message)[: _LINE - 1].encode() + b"\n"
        for number, connection in list(self._connections.items()):
            if number != but:
                with contextlib.suppress(OSError):
                    connection.sendall(line)

    def _wait_for_others(self) -> None:
        """Let the others end first: with process 0 goes JAX's service, and JAX aborts whoever is left."""
        until = time.monotonic() + _GRACE
        while self.number == 0 and self._connections and time.monotonic() < until:
            time.sleep(0.02)

    def _watch(self) -> None:
        """Read what comes from the others until all connections are closed."""
        selector, unread = selectors.DefaultSelector(), dict.fromkeys(self._connections, b"")
        for number, connection in self._connections.items():
            selector.register(connection, selectors.EVENT_READ, number)
        while self._connections:
            for key, _ in selector.select(0.5):
                number = key.data
                try:
                    received = self._connections[number].recv(_LINE)
                except OSError:
                    received = b""
                if not received:
                    selector.unregister(key.fileobj)
                    self._connections.pop(number).close()
                    if number not in self._left:
                        self._end(f"{self._called(number)} has ended", number)
                    continue
                *lines, unread[number] = (unread[number] + received)[-_LINE:].split(b"\n")
                for line in lines:
                    self._read(number, line)
            self._end_after_leaving()

    def _read(self, number: int, line: bytes) -> None:
        """Act on a message."""
        try:
            message = json.loads(line)
        except ValueError:
            return
        if "left" in message:
            self._left.setdefault(int(message["left"]), time.monotonic())
            self._send(message, but=number) if self.number == 0 else None
        elif "ended" in message:
            self._end(str(message["ended"]), number)

    def _end_after_leaving(self) -> None:
        """End a training that another process has left, unless this one is about to leave it as well."""
        late = [number for number, since in self._left.items() if time.monotonic() - since > _GRACE]
        if late and self._trainings:
            self._end(f"{self._called(late[0])} has left the training", late[0])

    def _end(self, sentence: str, number: int) -> None:
        """Note that another process has ended; if a training is under way, end this one with a sentence."""
        with self._lock:
            self.loss = self.loss or sentence
            ends, advice = self._trainings and not self._ends, self._advice
            self._ends = self._ends or bool(ends)
        self._lost.set()
        if not ends:
            return
        print(f"downslope: {sentence}, and this training needs every process. {advice}", file=sys.stderr, flush=True)
        if self.number == 0:
            self._send({"ended": sentence}, but=number)
        self._wait_for_others_to_close()
        end_now(AGAIN)

    def _wait_for_others_to_close(self) -> None:
        """Likewise, in the thread that reads the connections."""
        if self.number != 0:
            return
        until = time.monotonic() + _GRACE
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.settimeout(max(until - time.monotonic(), 0.01))
                while connection.recv(_LINE):
                    pass


def end_now(code: int) -> None:
    """Exit without JAX's shutdown, which waits for processes that are gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


# How processes meet: each tells process 0 its number, and is told where JAX's service listens once all have come.


def gather(address: tuple[str, int], number: int, hosts: int, wait: float) -> tuple[Peers, str]:
    """Wait until all processes have come; return them and the address of JAX's service.

    Args:
        address: where process 0 listens: host and port.
        number: of this process, counted from 0.
        hosts: how many processes there are.
        wait: seconds to wait.

    Raises:
        DownslopeError: if some have not come in time; names them.
        SettingError: for an address that cannot be used, and numbers that do not fit together.
    """
    return _receive(address, hosts, wait) if number == 0 else _visit(address, number, hosts, wait)


def _receive(address: tuple[str, int], hosts: int, wait: float) -> tuple[Peers, str]:
    """Receive all other processes in process 0."""
    host, port = address
    is_local = host in ("localhost", "::1") or host.startswith("127.")
    until, reminded = time.monotonic() + wait, time.monotonic()
    names, connections = {0: socket.gethostname()}, {}
    try:
        server = socket.create_server((host if is_local else "", port))
    except OSError as error:
        raise SettingError(
            f"process 0 cannot listen on port {port}: {error.strerror or error}", hint="name another: host:port"
        ) from None
    with server:
        server.settimeout(0.5)
        while len(names) < hosts:
            now = time.monotonic()
            missing = ", ".join(str(number) for number in range(hosts) if number not in names)
            if now > until:
                for connection in connections.values():
                    _tell(connection, {"refused": f"processes {missing} of {hosts} did not connect"}, last=True)
                raise DownslopeError(
                    f"processes {missing} of {hosts} did not join within {wait:g} s", hint="see their output"
                )
            if now - reminded > _REMIND:
                print(f"downslope: waiting for processes {missing} of {hosts}", file=sys.stderr, flush=True)
                reminded = now
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                _keep_alive(connection)
                try:
                    hello = _heard(connection, 5.0)
                    number = int(hello["number"])
                    name = str(hello["name"])[:100]
                except (OSError, ValueError, KeyError, TypeError):
                    connection.close()  # something else than a process of downslope
                    continue
                if hello.get("hosts") != hosts or not 0 < number < hosts or number in connections:
                    is_second = number in connections and hello.get("hosts") == hosts
                    why = f"there is a process {number} already" if is_second else f"process 0 waits for {hosts}"
                    _tell(
                        connection,
                        {"refused": f"a process joined as {number} of {hello.get('hosts')}, and {why}"},
                        last=True,
                    )
                    continue
                names[number], connections[number] = name, connection
    service = f"{host}:{_free_port(host if is_local else '')}"
    listed = [names[number] for number in range(hosts)]
    for connection in connections.values():
        _tell(connection, {"service": service, "names": listed})
        connection.settimeout(None)
    return Peers(0, tuple(listed), connections), service


def _visit(address: tuple[str, int], number: int, hosts: int, wait: float) -> tuple[Peers, str]:
    """Go to process 0 and wait until all others have come."""
    until, pause = time.monotonic() + wait, 0.05
    while True:
        try:
            connection = socket.create_connection(address, timeout=5.0)
            break
        except OSError as error:
            if time.monotonic() > until:
                raise DownslopeError(
                    f"process 0 does not answer at {address[0]}:{address[1]} after {wait:g} s: {in_a_line(error)}",
                    hint="is it running, and can its host be reached from here?",
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
    _keep_alive(connection)
    _tell(connection, {"number": number, "hosts": hosts, "name": socket.gethostname()})
    try:
        answer = _heard(connection, max(until - time.monotonic(), 1.0) + 5.0)
    except (OSError, ValueError):
        answer = {}
    if not answer or "refused" in answer:
        connection.close()
    if "refused" in answer:
        raise SettingError(str(answer["refused"]), hint="each process needs its own number, counted from 0")
    if not answer:
        raise DownslopeError("process 0 ended while the others were joining", hint="see its output")
    connection.settimeout(None)
    return Peers(number, tuple(answer["names"]), {0: connection}), str(answer["service"])


def _tell(connection: socket.socket, message: Mapping[str, Any], *, last: bool = False) -> None:
    """Send one message, and close the connection if it is the last."""
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")
    if last:
        connection.close()


def _heard(connection: socket.socket, wait: float) -> dict[str, Any]:
    """Return one message."""
    connection.settimeout(wait)
    text = b""
    while not text.endswith(b"\n"):
        received = connection.recv(1)  # and not more, which would be of the next message
        text += received
        if not received or len(text) > 2**20:
            return {}
    message = json.loads(text)
    return message if isinstance(message, dict) else {}


def _free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def _keep_alive(connection: socket.socket) -> None:
    """Let the system ask a silent machine whether it is there: it is gone after 20 s without an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for names, seconds in _SILENT:
        for name in names:
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
                break
