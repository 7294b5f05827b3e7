"""`serve`: open the lab at an address until Ctrl-C."""

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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import downslope as ds
from downslope.lab._messages import LIMITS, Limits

if TYPE_CHECKING:
    import uvicorn

    from downslope.lab.server._connections import Connections
    from downslope.lab.server._guard import Admission

DEFAULT_PORT = 8765

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Address:
    """The address of a lab.

    Args:
        host: the name or number that was bound; "0.0.0.0" and "::" are all addresses of this machine.
        port: the port.
        base: the path before that of each page, from `/` to `/`.
        hosts: more names by which requests may call the lab, each with a port or for all.
        origins: more origins of its pages, such as `https://hub.example.org`.
        frames: origins of the pages that may show the lab in a frame.
    """

    host: str
    port: int
    base: str = "/"
    hosts: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        number = _number(self.host)
        return self.host.lower() == "localhost" if number is None else number.is_loopback

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        host = _outward(self.host) if self._every else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.base}"

    @property
    def url_outside(self) -> str:
        """The address to open where another origin stands before the lab."""
        return f"{self.origins[0]}{self.base}" if self.origins else self.url

    def is_encrypted(self, host: str) -> bool:
        """Return whether visitors who call the lab by this `Host` see an encrypted page."""
        return f"https://{host.lower()}" in self.origins

    def allows(self, host: str) -> bool:
        """Return whether a request may have this `Host`.

        A foreign site can point its own name to this machine (DNS rebinding); its requests then carry that name. It
        cannot do so with a number. The port guards against nothing: tunnels lead from another port of a machine here.

        Args:
            host: the header: a name or number, and the port.
        """
        name, port = _split(host.lower())
        if port is None:
            return False
        if name in _LOOPBACK_NAMES or not self.hosts.isdisjoint({name, host.lower()}):
            return True
        if {f"http://{host.lower()}", f"https://{host.lower()}"}.intersection(self.origins):
            return True
        if port != self.port:
            return False
        if name == self.host.lower():
            return True
        return self._every and (_number(name) is not None or name in _own_names())

    @property
    def _every(self) -> bool:
        number = _number(self.host)
        return number is not None and number.is_unspecified


def checked_base(base_url: str) -> str:
    """Return the base of the lab's addresses, from `/` to `/`.

    Raises:
        SettingError: if it is no path.
    """
    base = f"/{base_url.strip('/')}/" if base_url.strip("/") else "/"
    if not base_url.startswith("/") or re.fullmatch(r"(/|(/[\w.~@:%+-]+)+/)", base) is None:
        raise ds.SettingError(f"{base_url!r} is no path.", hint="Write it as /user/name/proxy/8765/.")
    return base


def checked_host(name: str) -> str:
    """Return a name that requests may call the lab by.

    Raises:
        SettingError: if it is no name or number of a machine, with or without a port.
    """
    if re.fullmatch(r"([\w-]+(\.[\w-]+)*|\[[0-9a-f:]+\])(:\d{1,5})?", name, re.IGNORECASE) is None:
        hint = "Write it as hub.example.org, or with its port as hub.example.org:8443."
        raise ds.SettingError(f"{name!r} is not a host name.", hint=hint)
    return name.lower().removeprefix("[").replace("]", "") if name.endswith("]") else name.lower()


def checked_origin(origin: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        SettingError: if it is none.
    """
    match = re.fullmatch(r"(https?)://([\w.-]+|\[[0-9a-f:]+\])(?::(\d{1,5}))?/?", origin, re.IGNORECASE)
    if match is None:
        hint = "Write scheme, name and port, as https://hub.example.org or http://localhost:9000."
        raise ds.SettingError(f"{origin!r} is no origin.", hint=hint)
    scheme, name, port = match[1].lower(), match[2].lower(), match[3]
    usual = {"http": "80", "https": "443"}[scheme]
    return f"{scheme}://{name}" if port in (None, usual) else f"{scheme}://{name}:{port}"


def bind(host: str, port: int | None) -> tuple[socket.socket, Address]:
    """Return a socket that listens, and its address.

    Args:
        host: a name or number of this machine.
        port: the port; 0 for any that is free; None for 8765, or one of the next, or any that is free.

    Raises:
        SettingError: if the port is taken or not allowed, or the host is not this machine.
    """
    ports = (*range(DEFAULT_PORT, DEFAULT_PORT + 10), 0) if port is None else (port,)
    # Several labs may run side by side; the last candidate, 0, lets the system choose and always succeeds.
    for tried in ports[:-1]:
        with contextlib.suppress(ds.SettingError):
            return _listen(host, tried)
    return _listen(host, ports[-1])


def _listen(host: str, port: int) -> tuple[socket.socket, Address]:
    if not host:
        raise ds.SettingError("The host is empty.", hint="Leave it out for 127.0.0.1.")
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ds.SettingError(
            f"{host!r} is not an address of this machine.", hint="Leave it out for 127.0.0.1."
        ) from error
    try:
        if os.name == "posix":  # elsewhere this option lets two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(target)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise _refusal(host, port, error) from error
    return listening, Address(host, listening.getsockname()[1])


def _refusal(host: str, port: int, reason: OSError) -> ds.SettingError:
    """Return the error for a port that cannot be bound."""
    if reason.errno == errno.EADDRINUSE:
        return ds.SettingError(f"Port {port} is taken.", hint="Choose another, or none for one that is free.")
    if reason.errno == errno.EACCES:
        return ds.SettingError(f"Port {port} is not allowed.", hint="Choose one from 1024 on.")
    return ds.SettingError(f"{host!r} is not an address of this machine.", hint="Leave it out for 127.0.0.1.")


def _split(host: str) -> tuple[str, int | None]:
    """Return the name and the port of a `Host`; the port of HTTP if it has none."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "80"
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name, int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address that is written as a number, None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.partition(".")[0]}


def _outward(host: str) -> str:
    """Return the number by which other machines reach this one.

    Connecting a datagram socket chooses the outgoing address and sends nothing.
    """
    version6 = ":" in host
    with socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("2001:db8::1" if version6 else "192.0.2.1", 9))  # addresses reserved for documentation
        except OSError:
            return socket.gethostname()
        return probe.getsockname()[0]


_WARM = "downslope.lab.replies._descent:warm"


def serve(
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = True,
    token: str | bool | None = None,
    runs: str | Path = ".",
    scheduler: str | None = None,
    base_url: str = "/",
    allow_hosts: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
    embed: Iterable[str] = (),
) -> None:
    """Open the lab, a local page to watch, drag and understand descents; end it with Ctrl-C.

    Args:
        host: address to bind: "127.0.0.1" for this machine alone, "0.0.0.0" for all addresses of this machine.
        port: port to bind: 8765 or the next free one if None, any free one if 0.
        open_browser: whether to open the page in a browser.
        token: token that visitors need, of letters, digits, `-` and `_`; None generates it anew in each start. False
            asks for none: then every user of this machine can compute and read the runs. Addresses that other machines
            reach always require one.
        runs: folder to search for saved runs (3 levels).
        scheduler: address of a Dask scheduler, over whose workers races and prescriptions are spread.
        base_url: path under which a proxy shows the lab, such as "/user/ada/proxy/8765/".
        allow_hosts: further host names of the lab, matched exactly: "hub.example.org", or with a port.
        allow_origins: more origins, exact, of its pages: "https://hub.example.org". Their names are allowed as well.
        embed: origins, exact, of the pages that may show the lab in a frame: "https://moodle.example.org".

    Raises:
        MissingExtraError: if the extra `lab` is not installed.
        SettingError: if the port is taken, the host is not this machine, the token has other characters or is missing
            where other machines reach the address, there is no such folder, or `base_url`, a name or an origin is not
            in its form.
    """
    folder = Path(runs)
    if not folder.is_dir():
        raise ds.SettingError(f"there is no folder {str(runs)!r} to look for runs in")
    open_lab = running(
        host=host,
        port=port,
        token=token,
        runs=folder,
        scheduler=scheduler,
        base_url=base_url,
        allow_hosts=allow_hosts,
        allow_origins=allow_origins,
        embed=embed,
    )
    with contextlib.suppress(KeyboardInterrupt), open_lab as lab:
        print(f"The lab is open at {lab.url} (Ctrl-C ends it)", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(lab.url_once(),), daemon=True).start()
        lab.wait()


@dataclass(frozen=True)
class Running:
    """An open lab.

    Args:
        address: the address it listens on.
        entry: who may enter.
        ended: set when the server has stopped.
    """

    address: Address
    entry: Admission
    ended: threading.Event

    @property
    def token(self) -> str | None:
        """The token that visitors need, if any."""
        return self.entry.token

    @property
    def url(self) -> str:
        """The address to open in a browser, with the token."""
        return self.address.url_outside + ("" if self.token is None else f"?token={self.token}")

    def url_once(self) -> str:
        """Return an address that opens once; in place of the token, which would be seen among the processes."""
        return self.address.url + ("" if self.token is None else f"?code={self.entry.new_code()}")

    def wait(self) -> None:
        """Wait until the server has stopped."""
        while not self.ended.wait(0.5):  # without a limit, Ctrl-C would not get through on every system
            pass


@contextlib.contextmanager
def running(
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | bool | None = None,
    limits: Limits = LIMITS,
    verbs: Mapping[str, str] | None = None,
    streams: Mapping[str, str] | None = None,
    warm: str | None = _WARM,
    static: Path | None = None,
    runs: Path | None = None,
    scheduler: str | None = None,
    base_url: str = "/",
    allow_hosts: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
    embed: Iterable[str] = (),
) -> Iterator[Running]:
    """Keep a lab open while the block runs.

    Args:
        host: address to bind.
        port: port to bind; None for 8765 or another free one.
        token: token that visitors need; None to generate one, False for none.
        limits: the limits of a request.
        verbs: name → "module:function"; None for the verbs and streams of the pages.
        streams: the same for verbs with streamed replies.
        warm: "module:function" that each process calls before its first job.
        static: the folder of static files; None for that of the package.
        runs: the folder to search for saved runs; None for the working directory.
        scheduler: as for `serve`.
        base_url: as for `serve`.
        allow_hosts: as for `serve`.
        allow_origins: as for `serve`.
        embed: as for `serve`.

    Raises:
        MissingExtraError: if the extra `lab` is not installed.
        SettingError: if the port, host, token, base, a name or an origin cannot be used.
    """
    require_extra()
    base = checked_base(base_url)
    hosts, origins = frozenset(map(checked_host, allow_hosts)), tuple(map(checked_origin, allow_origins))
    frames = tuple(map(checked_origin, embed))
    listening, address = bind(host, port)
    address = replace(address, base=base, hosts=hosts, origins=origins, frames=frames)
    with contextlib.closing(listening):
        # The port is bound by now: a taken one is reported before any process starts.
        checked_token = _checked_token(token, address)
        from downslope.lab.processes._pool import Workers

        if verbs is None:
            from downslope.lab import replies

            verbs, streams, runs = replies.VERBS, replies.STREAMS, runs or Path()
        # Processes first: they start while the server is imported.
        pool = Workers(verbs, limits, streams=streams, warm=warm, runs=runs, scheduler=scheduler)
        with contextlib.closing(pool) as workers:
            from downslope.lab.server._application import STATIC, application
            from downslope.lab.server._connections import Connections
            from downslope.lab.server._guard import Admission

            entry = Admission(address.port, checked_token)
            connections = Connections(limits)
            app = application(
                address,
                workers,
                entry=entry,
                limits=limits,
                static=static or STATIC,
                runs=runs,
                crowded=lambda: connections.crowded,
            )
            server = _server(app, connections)
            with _served(server, listening) as ended:
                yield Running(address, entry, ended)


def _server(app: Any, connections: Connections) -> uvicorn.Server:
    """Return a server that logs nothing: errors are logged by `downslope.lab`."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=connections,  # pyright: ignore[reportArgumentType] - uvicorn only calls it
            backlog=connections.backlog,
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


@contextlib.contextmanager
def _served(server: uvicorn.Server, listening: socket.socket) -> Iterator[threading.Event]:
    """Run a server in a thread while the block runs; the event is set when it has stopped."""
    # An event and not a join: Ctrl-C in a join makes CPython 3.11 take a running thread for one that has ended.
    ended = threading.Event()

    def serving() -> None:
        try:
            server.run([listening])
        finally:
            ended.set()

    threading.Thread(target=serving, daemon=True, name="downslope-lab").start()
    try:
        yield ended
    finally:
        server.should_exit = True
        ended.wait(10)


def _checked_token(token: object, address: Address) -> str | None:
    """Return the token of a lab at an address: generated where none was chosen, None where none is wanted."""
    if token is False:
        if not address.loopback:
            message = f"Other machines reach {address.host}, so the lab needs a token there."
            raise ds.SettingError(message, hint="Leave out the host, and the lab needs none: it is for this machine.")
        return None
    if token is None or token is True:
        return secrets.token_urlsafe(24)
    if not isinstance(token, str) or re.fullmatch(r"[A-Za-z0-9_-]+", token) is None:
        raise ds.SettingError("A token has letters, digits, - and _ only.", hint="Leave it out to generate one.")
    return token


def require_extra() -> None:
    """Raise, with what to install, if a package of the extra is missing."""
    try:
        import starlette  # noqa: F401 - imported only to see whether it is installed
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        message = f"The lab needs {missing.name}, which is not installed."
        raise ds.MissingExtraError(
            message, hint="Install it with the extra `lab`: pip install 'downslope[lab]'."
        ) from None
