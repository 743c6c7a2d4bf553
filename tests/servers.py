"""Database servers for tests: InfluxDB and VictoriaMetrics on free ports of 127.0.0.1.

Each is a context manager.  A server is killed when the process that started it ends.  Fake and faulty servers are in
:mod:`tests.hostile`.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

import requests

from bbmeasure.testing.site import free_port

#: Seconds that starting a server or answering a request may take.
_TIMEOUT = 60.0
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


def wait_until(what: str, condition: Callable[[], Any], timeout: float = 300.0) -> Any:
    """Return the first true result of ``condition``; raises AssertionError after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"timeout after {timeout:g} s: {what}")


def _die_with_parent() -> None:
    """Make the kernel kill this child process when its parent dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server(ABC):
    """Server process with its own directory; can be started again after ``stop`` or ``kill``."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="bbmeasure-server-")
        self.folder = Path(self._temporary.name)
        self.port = 0
        self.process: Optional[subprocess.Popen[bytes]] = None

    @property
    def log(self) -> str:
        """Output of the process since its last start."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the server accepts requests."""

    def start(self) -> None:
        """Start the process and wait until the server is ready."""
        command = self.command()
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent
            )
        wait_until(f"{command[0]} to start", self._started)

    def _started(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.process.args} ended with {self.process.returncode}: {self.log[-2000:]}")  # type: ignore[str-bytes-safe]  # text here
        return self.is_ready()

    def signal(self, number: int) -> None:
        """Send a signal; SIGSTOP makes the server hang."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Terminate the process, kill it after 10 seconds."""
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
    """InfluxDB 1.x server.

    With ``auth`` it has an administrator ``admin`` with the password ``secret``.  ``tls`` is a file with a certificate
    and its key.  The query methods use plain HTTP, independently of the tested code.
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
        """URL of the server."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command line; a restart keeps the port."""
        self.port = self.port or free_port()
        config = self.folder / "influxdb.conf"
        config.write_text(_INFLUXD_CONFIG.format(folder=self.folder, port=self.port, **self._config))
        return ["influxd", "-config", str(config)]

    def is_ready(self) -> bool:
        """Return whether the log says that the server listens."""
        return 'msg="Listening on HTTP"' in self.log

    def start(self) -> None:
        """Start the server; the first start creates the administrator."""
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
            timeout=_TIMEOUT,
        ).json()
        assert "error" not in answer, answer
        results: list[dict[str, Any]] = answer["results"]
        for result in results:
            assert "error" not in result, result
        return results

    def query(self, text: str, database: Optional[str] = None) -> list[dict[str, Any]]:
        """Return the series of the first statement, with their rows as dicts under ``rows``."""
        series: list[dict[str, Any]] = self._post(text, database)[0].get("series", [])
        for one in series:
            one["rows"] = [dict(zip(one["columns"], row)) for row in one.get("values", [])]
        return series

    def rows(self, text: str, database: Optional[str] = None) -> list[dict[str, Any]]:
        """Return the rows of all series of the first statement."""
        return [row for series in self.query(text, database) for row in series["rows"]]

    def databases(self) -> list[str]:
        """Return the names of the databases."""
        return [row["name"] for row in self.rows("SHOW DATABASES")]

    def measurements(self, database: str) -> list[str]:
        """Return the names of the measurements."""
        return [row["name"] for row in self.rows("SHOW MEASUREMENTS", database)]


class VictoriaMetrics(Server):
    """VictoriaMetrics server; ``prefix`` is its ``-http.pathPrefix``, as a cluster has one."""

    def __init__(self, prefix: str = "", *arguments: str) -> None:
        super().__init__()
        self.prefix = prefix
        self._arguments = arguments

    @property
    def url(self) -> str:
        """URL of the server, with its prefix."""
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def command(self) -> list[str]:
        """Return the command line."""
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
        """Return whether the health check succeeds."""
        try:
            return requests.get(self.url + "/health", timeout=_TIMEOUT).ok
        except requests.ConnectionError:
            return False

    def samples(self, name: str) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
        """Flush, and return labels and (millisecond, value) pairs of every metric of that name."""
        requests.get(self.url + "/internal/force_flush", timeout=_TIMEOUT).raise_for_status()
        answer = requests.get(
            self.url + "/api/v1/export", params={"match[]": f'{{__name__="{name}"}}'}, timeout=_TIMEOUT
        )
        answer.raise_for_status()
        found = []
        for line in answer.text.splitlines():
            metric = requests.models.complexjson.loads(line)  # type: ignore[attr-defined]  # not in the type stubs
            found.append((metric["metric"], list(zip(metric["timestamps"], metric["values"]))))
        return found


def make_certificate(folder: Path, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """Create a self-signed certificate; returns the server's file with the key, and the certificate for clients."""
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
