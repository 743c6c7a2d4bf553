"""TCP options of the connection to a worker against delays between small messages.

Buildbot's PB leaves Nagle's algorithm on at both ends: a message waits until the other end has acknowledged the one
before, which an end that has nothing to send does after 40 ms.  MsgPack connections have it off, and a local worker has
no connection.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet import task

#: Seconds between acknowledgements while a command begins, and their number: the output of longer ones does not wait.
INTERVAL, MOST = 0.005, 20
#: The option of Linux that acknowledges at once; 0 on other systems.
_QUICKACK: int = getattr(socket, "TCP_QUICKACK", 0)


def set_tcp_nodelay(connection: Any) -> None:
    """Set ``TCP_NODELAY`` on a PB connection to a worker; OSError where the system refuses.

    A remote command that follows a reply is then sent before the worker has acknowledged the reply.
    """
    transport = _transport(connection)
    set_no_delay = getattr(transport, "setTcpNoDelay", None)
    if set_no_delay is not None and transport.connected:
        set_no_delay(True)


def set_tcp_quickack(connection: Any) -> None:
    """Acknowledge at once what a worker has sent over PB, on Linux; OSError where the system refuses.

    The worker then sends the output of a command without waiting.  The system soon acknowledges later messages with a
    delay again.
    """
    transport = _transport(connection)
    sock = getattr(transport, "socket", None)
    if _QUICKACK and sock is not None and transport.connected:
        sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


@contextmanager
def acknowledging(step: Any) -> Iterator[None]:
    """Acknowledge at once what the worker sends while a command of ``step`` begins, for INTERVAL times MOST seconds."""
    times = iter(range(MOST))

    def acknowledge() -> None:
        if next(times, None) is None:
            call.stop()
        else:
            set_tcp_quickack(step.remote)

    def count(failure: Any) -> None:
        failure.trap(OSError)
        step.pipeline.count("connection_errors", f"step {step.name}: {failure.getErrorMessage()}")

    call = task.LoopingCall(acknowledge)
    call.clock = step.master.reactor
    call.start(INTERVAL).addErrback(count)
    try:
        yield
    finally:
        if call.running:
            call.stop()


def _transport(connection: Any) -> Any:
    for attribute in ("mind", "broker", "transport"):
        connection = getattr(connection, attribute, None)
    return connection
