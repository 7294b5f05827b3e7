"""Visitors of a lab who have its cookie, as browsers have after the first load."""

from __future__ import annotations

from typing import Any

import httpx

from downslope.lab.server._serve import Running


def visitor(lab: Running, **choices: Any) -> httpx.Client:
    """Return a client with the cookie that the printed address gave it."""
    welcome = httpx.get(lab.url)
    assert welcome.status_code == 303
    return httpx.Client(**{"base_url": lab.address.url, "timeout": 60, "cookies": welcome.cookies, **choices})


def cookie(lab: Running) -> dict[str, str]:
    """Return the cookie of a lab as a header."""
    return {"Cookie": f"{lab.entry.cookie}={lab.token}"}


def cookie_line(lab: Running) -> str:
    """Return the cookie of a lab as a line of a request."""
    return f"Cookie: {lab.entry.cookie}={lab.token}\r\n"
