"""Fake and faulty servers for tests: they hang, send slowly, close connections or return scripted responses.

Each is a context manager that listens on a free port of 127.0.0.1 and answers in its own threads.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional, Union
from urllib.parse import parse_qs, urlsplit

import requests

from bbmeasure.testing.site import free_port
from tests.local_server import LocalServer


class Listener:
    """Server that calls ``talk`` with each connection in a thread."""

    def __init__(self) -> None:
        self.connections = 0
        self.ending = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def talk(self, connection: socket.socket) -> None:
        """Hang: send nothing."""
        self.ending.wait()

    def __enter__(self) -> Any:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.talk(connection)

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()


class Silent(Listener):
    """Server that accepts connections and never answers."""


class Dripping(Listener):
    """Server that sends a response one byte at a time, with ``pause`` seconds between two bytes."""

    def __init__(
        self, pause: float = 1.0, answer: bytes = b"HTTP/1.1 204 No Content\r\nX-Long: " + b"x" * 10_000
    ) -> None:
        super().__init__()
        self.pause = pause
        self.answer = answer

    def talk(self, connection: socket.socket) -> None:
        """Send the response."""
        connection.recv(65536)
        for byte in self.answer:
            if self.ending.wait(self.pause):
                return
            connection.sendall(bytes([byte]))


class Raw(Listener):
    """Server that sends given bytes and closes the connection."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer

    def talk(self, connection: socket.socket) -> None:
        """Send the bytes and close the connection."""
        connection.recv(65536)
        connection.sendall(self.answer)
        connection.shutdown(socket.SHUT_RDWR)


class Gateway:
    """Proxy to a server on 127.0.0.1 with a fixed port and a mode.

    ``good``; ``refused`` (not listening); ``silent`` (accepts and never answers); ``dripping`` (sends one byte per
    second); ``failing`` (status 500); ``losing`` (forwards every request and drops every second response).  Changing
    the mode closes all connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.mode = "refused"
        self.connections = 0
        self._listener: Optional[socket.socket] = None
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        """URL of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    def set(self, mode: str) -> None:
        """Change the mode."""
        self.mode = mode
        if mode == "refused" and self._listener is not None:
            listener, self._listener = self._listener, None
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()
        if mode != "refused" and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def __enter__(self) -> Gateway:
        self.set("good")
        return self

    def __exit__(self, *_: object) -> None:
        self.set("refused")

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                self._open.append(connection)
                talk = threading.Thread(target=self._talk, args=(connection, self.mode, self.connections), daemon=True)
                talk.start()

    def _talk(self, connection: socket.socket, mode: str, number: int) -> None:
        with contextlib.suppress(OSError):
            if mode in ("good", "losing"):
                try:
                    self._carry(connection, loses=mode == "losing" and number % 2 == 1)
                finally:  # also where the server was killed
                    connection.shutdown(socket.SHUT_RDWR)
            elif mode == "failing":
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            elif mode == "dripping":
                for byte in b"HTTP/1.1 204 No Content\r\n" + b"X-Long: x\r\n" * 100:
                    connection.sendall(bytes([byte]))
                    threading.Event().wait(1.0)
            else:
                while connection.recv(1 << 16):
                    pass

    def _carry(self, connection: socket.socket, *, loses: bool) -> None:
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            self._open.append(server)

            def up() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        piece = connection.recv(1 << 16)
                        if not piece:
                            break
                        server.sendall(piece)
                    server.shutdown(socket.SHUT_WR)

            threading.Thread(target=up, daemon=True).start()
            while True:
                piece = server.recv(1 << 16)
                if not piece or loses:
                    return
                connection.sendall(piece)


@dataclass
class Request:
    """Request that a :class:`Scripted` server received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def lines(self) -> list[str]:
        """Lines of the decompressed body."""
        body = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return body.decode().splitlines()


@dataclass
class Reply:
    """Response of a :class:`Scripted` server; a dict is sent as JSON."""

    status: int = 204
    body: Union[bytes, dict[str, Any]] = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


class _Handler(BaseHTTPRequestHandler):
    """Records the requests of a :class:`Scripted` server, and responds."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, query, headers, body)
        self.server.requests.append(request)
        self.respond(self.server.answer(request))

    do_GET = do_POST

    def respond(self, reply: Reply) -> None:
        if reply.hang_up:
            self.close_connection = True
            return
        body = json.dumps(reply.body).encode() if isinstance(reply.body, dict) else reply.body
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()


class _Server(ThreadingHTTPServer):
    """HTTP server of a :class:`Scripted`."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[Request] = []


class Scripted(LocalServer):
    """HTTP server that records requests and responds with the results of ``answer``."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        server = _Server(answer)
        super().__init__(server)
        self.requests = server.requests
        self.url = f"http://127.0.0.1:{self.port}"


def forward(url: str, request: Request) -> Reply:
    """Forward a request to the server at ``url`` and return its response."""
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    answer = requests.request(
        request.method, url + request.path, params=request.query, data=request.body, headers=headers, timeout=60
    )
    return Reply(answer.status_code, answer.content, {"Content-Type": answer.headers.get("Content-Type", "")})


@contextlib.contextmanager
def losing_answers(url: str, lost: Optional[Callable[[int], bool]] = None) -> Iterator[Scripted]:
    """Proxy to the server at ``url`` that drops the responses to writes for whose number ``lost`` is true.

    By default it drops every second response, starting with the first.
    """
    writes = 0

    def answer(request: Request) -> Reply:
        nonlocal writes
        reply = forward(url, request)
        if request.path.endswith("/write"):
            writes += 1
            if lost(writes) if lost else writes % 2:
                return Reply(hang_up=True)
        return reply

    with Scripted(answer) as proxy:
        yield proxy
