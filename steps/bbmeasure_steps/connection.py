"""The connection to a worker: what a step asks beside its command shall not wait for the network's timers."""

from __future__ import annotations

from typing import Any


def send_at_once(connection: Any) -> None:
    """Have small messages to the worker leave at once; OSError where the system refuses.

    Buildbot's PB leaves Nagle's algorithm on: a question that follows an answer waits up to 40 ms for the worker's
    delayed acknowledgement of that answer.  MsgPack's connections have it off, a local worker has none.
    """
    transport = connection
    for part in ("mind", "broker", "transport"):
        transport = getattr(transport, part, None)
    switch = getattr(transport, "setTcpNoDelay", None)
    if switch is not None and transport.connected:
        switch(True)
