"""Small messages to a worker: sent at once, whatever the connection is."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet import reactor, tcp

from bbmeasure_steps.connection import send_at_once


def over(transport: Any) -> Any:
    """A connection as Buildbot's PB has it."""
    return SimpleNamespace(mind=SimpleNamespace(broker=SimpleNamespace(transport=transport)))


def test_a_tcp_connection_has_nagles_algorithm_off() -> None:
    """The socket itself says so."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 1
        assert not client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        send_at_once(over(transport))
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("connection", [None, object(), SimpleNamespace(mind=None), over(object())])
def test_a_connection_without_such_a_socket_is_left_alone(connection: Any) -> None:
    """A local worker, MsgPack, a kit for tests."""
    send_at_once(connection)


def test_a_lost_connection_is_left_alone() -> None:
    """Twisted has taken its socket away by then."""
    with socket.socket() as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 0
        del transport.socket
        send_at_once(over(transport))
