"""`serve`: the lab from the command to Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import secrets
import socket
import threading
import webbrowser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from downslope._errors import MissingExtraError, SettingError
from downslope.lab._limits import LIMITS, Limits

# Where the lab listens, and by which names it may be called.


DEFAULT_PORT = 8765

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Address:
    """Where the lab listens.

    Args:
        host: the name or number it was asked to listen to; "0.0.0.0" and "::" are every address of this machine.
        port: the port.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        number = _number(self.host)
        return self.host.lower() == "localhost" if number is None else number.is_loopback

    @property
    def url(self) -> str:
        """What to type into a browser."""
        host = _outward(self.host) if self._every else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def allows(self, called: str) -> bool:
        """Return whether a request may call the lab so.

        A page from elsewhere can have its own name point to this machine, and would then be asked for by that name;
        it cannot do so with a number.

        Args:
            called: the header `Host`: a name or number, and the port.
        """
        name, port = _split(called.lower())
        if port != self.port:
            return False
        if name in _LOOPBACK_NAMES or name == self.host.lower():
            return True
        return self._every and (_number(name) is not None or name in _own_names())

    @property
    def _every(self) -> bool:
        number = _number(self.host)
        return number is not None and number.is_unspecified


def bind(host: str, port: int | None) -> tuple[socket.socket, Address]:
    """Return a socket that listens, and its address.

    Args:
        host: a name or number of this machine.
        port: the port; 0 for any that is free; None for 8765, or one of the next, or any that is free.

    Raises:
        SettingError: if the port is taken or not allowed, or the host is not this machine.
    """
    ports = (*range(DEFAULT_PORT, DEFAULT_PORT + 10), 0) if port is None else (port,)
    for tried in ports[:-1]:
        with contextlib.suppress(SettingError):
            return _listen(host, tried)
    return _listen(host, ports[-1])


def _listen(host: str, port: int) -> tuple[socket.socket, Address]:
    if not host:
        raise SettingError("The host is empty.", hint="Leave it out for 127.0.0.1.")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as unknown:
        raise SettingError(f"{host!r} is no address of this machine.", hint="Leave it out for 127.0.0.1.") from unknown
    try:
        if os.name == "posix":  # elsewhere this option lets two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(1024)
    except OSError as refused:
        listening.close()
        raise _refusal(host, port, refused) from refused
    return listening, Address(host, listening.getsockname()[1])


def _refusal(host: str, port: int, reason: OSError) -> SettingError:
    """Return the error that tells why a port cannot be had."""
    if reason.errno == errno.EADDRINUSE:
        return SettingError(f"Port {port} is taken.", hint="Choose another, or none for one that is free.")
    if reason.errno == errno.EACCES:
        return SettingError(f"Port {port} is not allowed.", hint="Choose one from 1024 on.")
    return SettingError(f"{host!r} is no address of this machine.", hint="Leave it out for 127.0.0.1.")


def _split(called: str) -> tuple[str, int | None]:
    """Return the name and the port of a `Host`; without a port it is that of HTTP."""
    name, colon, port = called.rpartition(":")
    if not colon or called.endswith("]"):
        name, port = called, "80"
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name, int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text writes as a number, or None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.partition(".")[0]}


def _outward(host: str) -> str:
    """Return the number by which other machines know this one; nothing is sent to find out."""
    version6 = ":" in host
    with socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("2001:db8::1" if version6 else "192.0.2.1", 9))  # addresses kept for documentation
        except OSError:
            return socket.gethostname()
        return asking.getsockname()[0]


_WARM = "downslope.lab.processes._main:warm"


def serve(
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = True,
    token: str | None = None,
    runs: str | Path = ".",
) -> None:
    """Open the lab, a local page to see, drag and understand a descent; end it with Ctrl-C.

    Args:
        host: whom it listens to: "127.0.0.1" for this machine alone, "0.0.0.0" for everybody who can reach it.
        port: where it listens; 8765 or the next that is free if None, any that is free if 0.
        open_browser: open the page.
        token: what others must know to use it, letters, digits, `-` and `_`. Beyond this machine there always is one;
            None makes one up.
        runs: the folder whose saved runs the page shows, and those three folders deep within it.

    Raises:
        MissingExtraError: if the extra `lab` is not installed.
        SettingError: if the port is taken, the host is not this machine, the token has other characters, or there is no
            such folder.
    """
    folder = Path(runs)
    if not folder.is_dir():
        raise SettingError(f"there is no folder {str(runs)!r} to look for runs in")
    with contextlib.suppress(KeyboardInterrupt), running(host=host, port=port, token=token, runs=folder) as lab:
        print(f"The lab is open at {lab.url} (Ctrl-C ends it)", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(lab.url,), daemon=True).start()
        lab.wait()


@dataclass(frozen=True)
class Running:
    """A lab that is open.

    Args:
        address: where it listens.
        token: what one must know to use it, if anything.
        ended: set once nothing is served any more.
    """

    address: Address
    token: str | None
    ended: threading.Event

    @property
    def url(self) -> str:
        """What to type into a browser, with the token."""
        return self.address.url + ("" if self.token is None else f"?token={self.token}")

    def wait(self) -> None:
        """Wait until it has ended."""
        while not self.ended.wait(0.5):  # without a limit, Ctrl-C would not get through on every system
            pass


@contextlib.contextmanager
def running(
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    limits: Limits = LIMITS,
    verbs: Mapping[str, str] | None = None,
    streams: Mapping[str, str] | None = None,
    warm: str | None = _WARM,
    static: Path | None = None,
    runs: Path | None = None,
) -> Iterator[Running]:
    """Keep a lab open while the block runs.

    Args:
        host: whom it listens to.
        port: where it listens; None for 8765 or another that is free.
        token: what others must know; None for one that is made up where it is needed.
        limits: what a request may take.
        verbs: name → "module:function"; None for those of the page, with its streams.
        streams: the same for verbs that tell as they go on.
        warm: "module:function" that each process calls before its first job.
        static: the folder of the page; None for the one of the package.
        runs: the folder in which runs are looked for; None for that of the process.

    Raises:
        MissingExtraError: if the extra `lab` is not installed.
        SettingError: if the port, host or token cannot be used.
    """
    _require_extra()
    listening, address = bind(host, port)
    with contextlib.closing(listening):
        token = _token(token, address)
        from downslope.lab.processes._pool import Workers

        if verbs is None:
            from downslope.lab import replies

            verbs, streams, runs = replies.VERBS, replies.STREAMS, runs or Path()
        # Before anything else is imported: they take longest.
        with contextlib.closing(Workers(verbs, limits, streams=streams, warm=warm, runs=runs)) as workers:
            import uvicorn

            from downslope.lab.server._application import STATIC, application

            app = application(address, workers, token=token, limits=limits, static=static or STATIC, runs=runs)
            # It says nothing of its own: what goes wrong is told by the logger `downslope.lab`.
            server = uvicorn.Server(
                uvicorn.Config(
                    app,
                    loop="asyncio",
                    http="h11",
                    ws="none",
                    lifespan="on",
                    log_config=None,
                    log_level="critical",
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                    timeout_graceful_shutdown=1,
                )
            )
            # An event and not a join: Ctrl-C in a join makes CPython 3.11 take a thread that runs for one that ended.
            ended = threading.Event()

            def serving() -> None:
                try:
                    server.run([listening])
                finally:
                    ended.set()

            threading.Thread(target=serving, daemon=True, name="downslope-lab").start()
            try:
                yield Running(address, token, ended)
            finally:
                server.should_exit = True
                ended.wait(10)


def _token(asked: str | None, address: Address) -> str | None:
    """Return the token that a lab at an address is to have."""
    if asked is not None and re.fullmatch(r"[A-Za-z0-9_-]+", asked) is None:
        raise SettingError("A token has letters, digits, - and _ only.", hint="Leave it out to have one made up.")
    if asked is None and not address.loopback:
        return secrets.token_urlsafe(24)
    return asked


def _require_extra() -> None:
    """Say what to install if something is missing."""
    try:
        import starlette  # noqa: F401 - whether it is there is the question
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        message = f"The lab needs {missing.name}, which is not installed."
        raise MissingExtraError(
            message, hint="Install it with the extra `lab`: pip install 'downslope[lab]'."
        ) from None
