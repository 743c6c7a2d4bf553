"""Real database servers on free ports of 127.0.0.1, started and stopped by the tests that need them.

Each is a context manager and leaves nothing behind: a server dies with the process that started it.  What stands
between a client and a server, or pretends to be one, is in :mod:`tests.hostile`.
"""

from __future__ import annotations

import ctypes
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

import requests

_PATIENCE = 20.0
_INFLUXD_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
  max-values-per-tag = {max_values_per_tag}
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = {continuous_queries}
  run-interval = "1s"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = {access_log}
  auth-enabled = {auth}
  max-body-size = {max_body_size}
  https-enabled = {https}
  https-certificate = "{certificate}"
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(what: str, true: Callable[[], Any], patience: float = _PATIENCE) -> Any:
    """What ``true`` answers once that is not false; AssertionError after ``patience`` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = true()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {patience:g} s in vain: {what}")


def _die_with_parent() -> None:
    """Run in the child: SIGKILL reaches it when the parent dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """A server program in a folder of its own; ``start`` may be called again after ``stop`` or ``kill``."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="bbmeasure-server-")
        self.folder = Path(self._temporary.name)
        self.port = 0
        self.process: Optional[subprocess.Popen[bytes]] = None

    @property
    def log(self) -> str:
        """All that the program has printed since its last start."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = self.command()
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent
            )
        wait_until(f"{command[0]} to start", self._started)

    def _started(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.process.args} ended with {self.process.returncode}: {self.log[-2000:]}")
        return self.is_ready()

    def signal(self, number: int) -> None:
        """Send a signal: SIGSTOP makes a server that hangs of it."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End it as an administrator would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.kill()
        self._temporary.cleanup()


class Influxd(Server):
    """InfluxDB 1.x.  With ``auth`` there is an administrator ``admin`` whose password is ``secret``.

    ``tls`` is the file of a certificate and its key.  Reads and administers by plain HTTP, apart from the code that
    is tested.
    """

    def __init__(
        self,
        *,
        auth: bool = False,
        tls: Optional[Path] = None,
        max_values_per_tag: int = 100_000,
        max_body_size: int = 25_000_000,
        continuous_queries: bool = False,
        access_log: bool = False,
    ) -> None:
        super().__init__()
        self.tls = tls
        self.auth = auth
        self._config = {
            "max_values_per_tag": max_values_per_tag,
            "max_body_size": max_body_size,
            "continuous_queries": str(continuous_queries).lower(),
            "access_log": str(access_log).lower(),
            "auth": str(auth).lower(),
            "https": str(tls is not None).lower(),
            "certificate": tls or "",
        }

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The program and its arguments; a port once chosen is kept."""
        config = self.folder / "influxdb.conf"
        config.write_text(_INFLUXD_CONFIG.format(folder=self.folder, port=self.port, **self._config))
        return ["influxd", "-config", str(config)]

    def is_ready(self) -> bool:
        """Whether it says that it listens."""
        found = re.search(r'msg="Listening on HTTP".* addr=127\.0\.0\.1:([0-9]+)', self.log)
        if found is None:
            return False
        self.port = int(found.group(1))
        return True

    def start(self) -> None:
        """Start it; the first time, make the administrator."""
        first = not self.port
        super().start()
        if first and self.auth:
            self._post("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES")

    def _post(self, text: str, database: Optional[str] = None) -> list[dict[str, Any]]:
        answer = requests.post(
            self.url + "/query",
            params={"epoch": "ns", **({"db": database} if database else {})},
            data={"q": text},
            auth=("admin", "secret") if self.auth else None,
            verify=str(self.tls) if self.tls else True,
            timeout=_PATIENCE,
        ).json()
        assert "error" not in answer, answer
        results: list[dict[str, Any]] = answer["results"]
        for result in results:
            assert "error" not in result, result
        return results

    def query(self, text: str, database: Optional[str] = None) -> list[dict[str, Any]]:
        """The series of the first statement, each with its rows as mappings under ``rows``."""
        series: list[dict[str, Any]] = self._post(text, database)[0].get("series", [])
        for one in series:
            one["rows"] = [dict(zip(one["columns"], row)) for row in one.get("values", [])]
        return series

    def rows(self, text: str, database: Optional[str] = None) -> list[dict[str, Any]]:
        """The rows of all series of the first statement."""
        return [row for series in self.query(text, database) for row in series["rows"]]

    def databases(self) -> list[str]:
        """The names of the databases."""
        return [row["name"] for row in self.rows("SHOW DATABASES")]

    def measurements(self, database: str) -> list[str]:
        """The names of the measurements."""
        return [row["name"] for row in self.rows("SHOW MEASUREMENTS", database)]


class VictoriaMetrics(Server):
    """VictoriaMetrics' single binary; ``prefix`` is its ``-http.pathPrefix``, as its cluster's paths have one."""

    def __init__(self, prefix: str = "", *arguments: str) -> None:
        super().__init__()
        self.prefix = prefix
        self._arguments = arguments

    @property
    def url(self) -> str:
        """Where it listens, with its prefix."""
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def command(self) -> list[str]:
        """The program and its arguments."""
        self.port = self.port or free_port()
        return [
            "victoria-metrics",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder}/data",
            f"-http.pathPrefix={self.prefix}",
            "-retentionPeriod=100y",
            *self._arguments,
        ]

    def is_ready(self) -> bool:
        """Whether its health page answers."""
        try:
            return requests.get(self.url + "/health", timeout=_PATIENCE).ok
        except requests.ConnectionError:
            return False

    def samples(self, name: str) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
        """The labels and the (millisecond, value) pairs of every metric of that name, flushed first."""
        requests.get(self.url + "/internal/force_flush", timeout=_PATIENCE).raise_for_status()
        answer = requests.get(
            self.url + "/api/v1/export", params={"match[]": f'{{__name__="{name}"}}'}, timeout=_PATIENCE
        )
        answer.raise_for_status()
        found = []
        for line in answer.text.splitlines():
            metric = requests.models.complexjson.loads(line)
            found.append((metric["metric"], list(zip(metric["timestamps"], metric["values"]))))
        return found


def make_certificate(folder: Path, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1: the server's file (with the key), and the one for clients to trust."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=bbmeasure-test"]
        + ["-addext", f"subjectAltName=IP:{name},DNS:localhost"],
        check=True,
        capture_output=True,
    )
    both.write_text(certificate.read_text() + key.read_text())
    return both, certificate
