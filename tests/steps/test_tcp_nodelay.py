"""TCP_NODELAY on the connection to a worker."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet import reactor, tcp

from bbmeasure_steps.tcp_nodelay import set_tcp_nodelay


def pb_connection(transport: Any) -> Any:
    """A PB connection over ``transport``, as far as the function reads it."""
    return SimpleNamespace(mind=SimpleNamespace(broker=SimpleNamespace(transport=transport)))


def test_a_tcp_connection_disables_nagles_algorithm() -> None:
    """The option is set on the socket."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 1
        assert not client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        set_tcp_nodelay(pb_connection(transport))
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("connection", [None, object(), SimpleNamespace(mind=None), pb_connection(object())])
def test_a_connection_without_a_tcp_socket_is_unchanged(connection: Any) -> None:
    """As those of a local worker, of MsgPack and of the test kit."""
    set_tcp_nodelay(connection)


def test_a_lost_connection_is_unchanged() -> None:
    """A lost transport has no socket."""
    with socket.socket() as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 0
        del transport.socket
        set_tcp_nodelay(pb_connection(transport))
