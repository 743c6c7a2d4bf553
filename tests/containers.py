"""Processes in namespaces of their own, as in a container, and a Docker and a Kubernetes that start workers in them.

A container has a read-only root, one folder that can be written to, no home, and its command as process 1.  It executes
the commands of this project.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[1]
_ENTER = """
mount --bind "$1" "$1"
mount -o remount,bind,ro /
for folder in /tmp /var/tmp /dev/shm; do
    case ":$1/:$2/" in
    *:$folder/*) if mountpoint -q $folder; then mount -o remount,bind,ro $folder; fi ;;
    *) mount -t tmpfs -o ro none $folder ;;
    esac
done
[ "$3" != hidden ] || mount -t tmpfs none /proc
cd "$1"
shift 3
exec env -i PATH="$PATH" "$@"
"""
#: What a container's procfs may be: its own, that of the system around it, or none.
PROCFS = ("own", "foreign", "hidden")


def enter(folder: Path, procfs: str, environment: Mapping[str, str]) -> list[str]:
    """The command that executes the one after it in a container, in ``folder``."""
    mounted = ["--mount-proc"] if procfs == "own" else []
    namespaces = ["unshare", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", *mounted]
    variables = [f"{name}={value}" for name, value in environment.items()]
    return [*namespaces, "sh", "-euc", _ENTER, "sh", str(folder), str(ROOT), procfs, *variables]


class Containers:
    """The containers of one image, whose command is ``command``."""

    def __init__(self, folder: Path, procfs: str, command: list[str]) -> None:
        self._folder = folder
        self._procfs = procfs
        self._command = command
        self._running: Optional[subprocess.Popen[bytes]] = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the container."""
        with Path(f"{self._folder}.log").open("ab") as log:
            command = [*enter(self._folder, self._procfs, environment), *self._command]
            self._running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self) -> None:
        """Kill the container and wait for its end."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None


class DockerClient:
    """The methods of ``docker.APIClient`` that DockerLatentWorker calls."""

    def __init__(self, containers: Containers, image: str) -> None:
        self._containers = containers
        self._image = image
        self._environment: Mapping[str, str] = {}

    def images(self) -> list[Any]:
        """The only image."""
        return [{"RepoTags": [f"{self._image}:latest"]}]

    def containers(self, **_: Any) -> list[Any]:
        """No containers that are left."""
        return []

    def create_host_config(self, **config: Any) -> Any:
        """The configuration, which must be that of the example."""
        assert config["read_only"] is True
        assert list(config["tmpfs"]) == ["/work"]
        return config

    def create_container(self, image: str, *_: Any, environment: Mapping[str, str], **_more: Any) -> dict[str, Any]:
        """A container that is not started."""
        assert image == self._image
        self._environment = environment
        return {"Id": "0123456789"}

    def start(self, _container: Any) -> None:
        """Start the container."""
        self._containers.start(self._environment)

    def stop(self, _container: str) -> None:
        """Stop the container."""
        self._containers.stop()

    def wait(self, _container: str) -> None:
        """Return, as :meth:`stop` has waited."""

    def remove_container(self, *_: Any, **_more: Any) -> None:
        """Return, as there is nothing to remove."""

    def close(self) -> None:
        """Return, as there is no connection."""


@contextlib.contextmanager
def kubernetes(containers: Containers) -> Iterator[str]:
    """The URL of a Kubernetes that has one pod at most, which must be that of the example."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            pod = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (container,) = pod["spec"]["containers"]
            assert container["securityContext"] == {"readOnlyRootFilesystem": True}
            assert container["volumeMounts"] == [{"name": "work", "mountPath": "/work"}]
            assert pod["spec"]["volumes"] == [{"name": "work", "emptyDir": {}}]
            containers.start({variable["name"]: variable["value"] for variable in container["env"]})
            self.answer(201, pod)

        def do_DELETE(self) -> None:
            containers.stop()
            self.answer(200, {"kind": "Status"})

        def do_GET(self) -> None:
            self.answer(404, {"kind": "Status", "message": "no such pod", "reason": "NotFound"})

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # one waits for the next request of a connection that is kept
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        containers.stop()
