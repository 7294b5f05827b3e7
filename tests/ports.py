"""Ports of this machine for servers and processes of tests."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
