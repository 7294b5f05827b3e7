"""Where the lab listens, and by which names it may be called."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from downslope._errors import SettingError

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
