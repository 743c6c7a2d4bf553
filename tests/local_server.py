"""LocalServer: runs a server of the standard library in a thread, on a free port of 127.0.0.1."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Optional, TypeVar

Self = TypeVar("Self", bound="LocalServer")


class LocalServer:
    """Context manager that runs ``server``, which answers each connection in a thread of its own."""

    def __init__(self, server: socketserver.ThreadingMixIn) -> None:
        assert isinstance(server, socketserver.TCPServer)
        server.daemon_threads = True
        self._server = server
        self.port = int(server.server_address[1])

    def __enter__(self: Self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
