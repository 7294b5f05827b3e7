"""Logs of finished runs, read as traces without the libraries that wrote them."""

from downslope.watching.logs._read_log import read_log

__all__ = ["read_log"]
