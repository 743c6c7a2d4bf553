"""TCP options of the connection to a worker."""

from __future__ import annotations

import socket
from collections import Counter
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from twisted.internet import reactor, task, tcp

from bbmeasure_steps.connection_latency import INTERVAL, MOST, acknowledging, set_tcp_nodelay, set_tcp_quickack


def pb_connection(transport: Any) -> Any:
    """A PB connection over ``transport``, as far as the functions read it."""
    return SimpleNamespace(mind=SimpleNamespace(broker=SimpleNamespace(transport=transport)))


def test_a_tcp_connection_disables_nagles_algorithm() -> None:
    """The option is set on the socket."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 1
        assert not client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        set_tcp_nodelay(pb_connection(transport))
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_tcp_connection_acknowledges_at_once() -> None:
    """The option is set on the socket, which has left it for delayed acknowledgements."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 1
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        set_tcp_quickack(pb_connection(transport))
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)


@pytest.mark.parametrize("set_option", [set_tcp_nodelay, set_tcp_quickack])
@pytest.mark.parametrize("connection", [None, object(), SimpleNamespace(mind=None), pb_connection(object())])
def test_a_connection_without_a_tcp_socket_is_unchanged(connection: Any, set_option: Any) -> None:
    """As those of a local worker, of MsgPack and of the test kit."""
    set_option(connection)


def test_a_lost_connection_is_unchanged() -> None:
    """A lost transport has no socket."""
    with socket.socket() as client:
        transport = tcp.Connection(client, None, reactor)
        transport.connected = 0
        del transport.socket
        set_tcp_nodelay(pb_connection(transport))
        set_tcp_quickack(pb_connection(transport))


class Socket:
    """A socket that counts how often an option is set, or that the system has closed."""

    def __init__(self, error: Optional[OSError] = None) -> None:
        self.error = error
        self.count = 0

    def setsockopt(self, *_: int) -> None:
        """Count, or fail."""
        self.count += 1
        if self.error:
            raise self.error


def step_of(sock: Socket, clock: task.Clock, counted: Counter[str]) -> Any:
    """A step, as far as the function reads it."""
    pipeline = SimpleNamespace(count=lambda name, _: counted.update([name]))
    remote = pb_connection(SimpleNamespace(socket=sock, connected=True))
    return SimpleNamespace(name="s", remote=remote, master=SimpleNamespace(reactor=clock), pipeline=pipeline)


def test_messages_are_acknowledged_while_a_short_command_runs() -> None:
    """From the start to the end of the command, or MOST times in a longer one."""
    for seconds, expected in ((3.5 * INTERVAL, 4), (10.0, MOST)):
        sock, clock, counted = Socket(), task.Clock(), Counter[str]()
        with acknowledging(step_of(sock, clock, counted)):
            clock.pump([INTERVAL / 2] * int(2 * seconds / INTERVAL))
        assert sock.count == expected
        assert not clock.getDelayedCalls()
        assert not counted


def test_a_refused_option_is_counted() -> None:
    """The command runs on."""
    sock, clock, counted = Socket(OSError("bad file descriptor")), task.Clock(), Counter[str]()
    with acknowledging(step_of(sock, clock, counted)):
        clock.advance(1)
    assert counted == {"connection_errors": 1}
    assert sock.count == 1
