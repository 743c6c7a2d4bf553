"""Disables Nagle's algorithm on the connection to a worker."""

from __future__ import annotations

from typing import Any


def set_tcp_nodelay(connection: Any) -> None:
    """Set ``TCP_NODELAY`` on a PB connection to a worker; OSError where the system refuses.

    Buildbot's PB leaves Nagle's algorithm on: a remote command that follows a reply waits up to 40 ms for the worker's
    delayed acknowledgement of that reply.  MsgPack connections have it off, and a local worker has no connection.
    """
    transport = connection
    for attribute in ("mind", "broker", "transport"):
        transport = getattr(transport, attribute, None)
    set_no_delay = getattr(transport, "setTcpNoDelay", None)
    if set_no_delay is not None and transport.connected:
        set_no_delay(True)
