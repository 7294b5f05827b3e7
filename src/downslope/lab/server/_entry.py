"""Who may enter the lab: a token in the address, a cookie in its place, and a code for the browser that is opened.

Other users of a machine reach its loopback address too. So the address that is printed holds a token, which the first
load exchanges for a cookie. The token never stands in the arguments of a process, since those are shown to every user:
the browser is opened with a code that opens once, shortly after the start, and where the system says whose connection
it is, only to the same user.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

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
