"""Logs of finished runs: read by their formats, without the libraries that wrote them, as traces."""

from downslope.watching.logs._read_log import read_log

__all__ = ["read_log"]
