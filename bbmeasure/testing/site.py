"""Site: runs a real master and real workers in a folder, on free loopback ports.

Processes run in sessions of their own and are ended by their ids; leaving the context leaves no process running.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from bbmeasure.errors import MeasureError
from bbmeasure.storage.sqlite.location import JOURNAL

#: Seconds that a process may take to start and to answer, and those to stop before it is killed.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0

MASTER_TAC = """\
from twisted.application import service
from buildbot.master import BuildMaster
application = service.Application('buildmaster')
BuildMaster({basedir!r}, "master.cfg").setServiceParent(application)
"""

#: Since version 4.2 Buildbot's REST API writes its answers in a thread.  That damages the reactor's list of descriptors
#: now and then, and the master accepts no connection any more (https://github.com/twisted/twisted/issues/11625).
_REST_IN_REACTOR = """
from twisted.internet import threads
from buildbot.www.rest import V2RootResource


def in_reactor(function):
    from twisted.internet import reactor

    return staticmethod(lambda *arguments: threads.blockingCallFromThread(reactor, function, *arguments))


if hasattr(V2RootResource, "_write_json_data"):
    V2RootResource._write_json_data = in_reactor(V2RootResource._write_json_data)
"""

_WORKER_TAC = """\
{before}
from twisted.application import service
from buildbot_worker.bot import Worker
application = service.Application('buildbot-worker')
Worker("127.0.0.1", {port}, {name!r}, "demo", {basedir!r}, 60, delete_leftover_dirs=False, umask=None, maxdelay=1,
       numcpus=None, allow_shutdown=None, **{options!r}).setServiceParent(application)
"""


#: The ports of :func:`free_port`: a process holds the first port of a block while it gives the others away.
_FIRST_PORT, _BLOCKS, _BLOCK_SIZE = 10_000, 200, 100

#: Content of Buildbot's empty database by interpreter: making it takes longer than the start of a master.
_databases: dict[str, bytes] = {}


def _bind(port: int) -> Optional[socket.socket]:
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        return None
    return bound


def _free_ports() -> Iterator[int]:
    first = secrets.randbelow(_BLOCKS)
    for number in range(first, first + _BLOCKS):
        start = _FIRST_PORT + number % _BLOCKS * _BLOCK_SIZE
        held = _bind(start)
        if held is None:
            continue
        held.detach()  # bound until the process ends
        for port in range(start + 1, start + _BLOCK_SIZE):
            probe = _bind(port)
            if probe is not None:
                probe.close()
                yield port
    raise MeasureError("every block of loopback ports is in use")


_ports = _free_ports()
_ports_lock = threading.Lock()


def free_port() -> int:
    """A free loopback port that neither this process nor another one gets here a second time, for a server to bind.

    It is below those that systems choose for outgoing connections, which would race with the server.
    """
    with _ports_lock:
        return next(_ports)


def twistd(python: str, *options: str) -> list[str]:
    """The command that runs buildbot.tac in the foreground."""
    code = "from twisted.scripts.twistd import run; run()"
    return [python, "-c", code, "--nodaemon", "--pidfile=", *options, "-y", "buildbot.tac"]


class Process:
    """A child process with its output in a file."""

    def __init__(
        self, command: Sequence[str], folder: Path, log: Path, env: Optional[Mapping[str, str]] = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self.popen.poll() is None

    def stop(self) -> float:
        """End the process and its children; returns the seconds that took."""
        start = time.monotonic()
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.popen.pid, sign)
            except ProcessLookupError:
                break
            try:
                self.popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                continue
        return time.monotonic() - start

    def kill(self) -> None:
        """Kill the process, as in a crash."""
        self.popen.kill()
        self.popen.wait()

    def tail(self, lines: int = 30) -> str:
        """The last lines of the output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Site:
    """A master's folder, its configuration, and its workers.

    ``config`` is the text of a master.cfg; ``PB_PORT``, ``WWW_PORT`` and ``MSGPACK_PORT`` are defined before it as port
    numbers.  Workers have the password ``demo``.  ``python`` is the interpreter of the master and, by default, of the
    workers.
    """

    def __init__(
        self, folder: Path, config: str, workers: Sequence[str] = ("worker",), *, python: str = sys.executable
    ) -> None:
        self.python = python
        self.folder = folder
        self.master_dir = folder / "master"
        self.ports = {name: free_port() for name in ("PB_PORT", "WWW_PORT", "MSGPACK_PORT")}
        self.worker_names = tuple(workers)
        self.master: Optional[Process] = None
        self.workers: dict[str, Process] = {}
        self._protocols: dict[str, str] = {}
        self._write(config)

    @property
    def url(self) -> str:
        """The URL of the master's page."""
        return f"http://127.0.0.1:{self.ports['WWW_PORT']}/"

    @property
    def journal(self) -> Path:
        """The journal with the default name."""
        return self.master_dir / JOURNAL

    def _write(self, config: str) -> None:
        self.master_dir.mkdir(parents=True, exist_ok=True)
        tac = MASTER_TAC.format(basedir=str(self.master_dir)) + _REST_IN_REACTOR
        (self.master_dir / "buildbot.tac").write_text(tac)
        self.write_config(config)

    def write_config(self, config: str) -> None:
        """Write another configuration; :meth:`reconfig` makes the master read it."""
        ports = "".join(f"{name} = {port}\n" for name, port in self.ports.items())
        (self.master_dir / "master.cfg").write_text(ports + config)

    def start(self) -> None:
        """Create a missing database, start the master and its workers, and wait until the page answers."""
        self._make_database()
        self.start_master()
        for name in self.worker_names:
            self.start_worker(name)

    def _make_database(self) -> None:
        database = self.master_dir / "state.sqlite"
        if database.exists():
            return
        is_default = "db_url" not in (self.master_dir / "master.cfg").read_text()
        if is_default and self.python in _databases:
            database.write_bytes(_databases[self.python])
            return
        self._run_buildbot("upgrade-master", "--quiet", str(self.master_dir))
        if is_default:
            _databases[self.python] = database.read_bytes()

    def start_master(self) -> None:
        """Start only the master and wait until its page answers; MeasureError with its log where it does not."""
        self.master = Process(twistd(self.python), self.master_dir, self.folder / "master.log")
        self.wait_for(lambda: self.get("masters") is not None, "the master to start", START_TIMEOUT)

    def start_worker(self, name: str, python: Optional[str] = None, protocol: str = "pb", *, before: str = "") -> None:
        """Start a worker; ``protocol`` is ``pb`` or ``msgpack_experimental_v7``, ``before`` precedes its tac file."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        port = self.ports["PB_PORT" if protocol == "pb" else "MSGPACK_PORT"]
        options = {} if protocol == "pb" else {"protocol": protocol}  # workers before version 3 have no other
        tac = _WORKER_TAC.format(before=before, port=port, name=name, basedir=str(folder), options=options)
        (folder / "buildbot.tac").write_text(tac)
        self.workers[name] = Process(twistd(python or self.python), folder, self.folder / f"{name}.log")

    def _run_buildbot(self, *arguments: str) -> None:
        code = "from buildbot.scripts.runner import run; run()"
        done = subprocess.run(
            [self.python, "-c", code, *arguments],
            cwd=self.master_dir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT * 2,
        )
        if done.returncode:
            raise MeasureError(f"buildbot {arguments[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def reconfig(self) -> None:
        """Make the master read its configuration again, and wait for the end of the reconfig."""
        assert self.master is not None
        done = "configuration update complete"
        aborted = "configuration update aborted without making any changes"
        log = self.master_dir / "twistd.log" if (self.master_dir / "twistd.log").exists() else self.master.log

        def count() -> int:
            text = log.read_text(errors="replace")
            return text.count(done) + text.count(aborted) + text.count("reconfig aborted")

        before = count()
        os.kill(self.master.popen.pid, signal.SIGHUP)
        self.wait_for(lambda: count() > before, "the reconfig", START_TIMEOUT)

    def wait_for(self, ready: Any, what: str, seconds: float) -> Any:
        """Call ``ready`` until it returns a true value; MeasureError with the master's log after ``seconds``."""
        deadline = time.monotonic() + seconds
        pause = 0.02
        while True:
            answer = ready()
            if answer:
                return answer
            if self.master is not None and not self.master.running:
                raise MeasureError(f"the master ended while waiting for {what}:\n{self.master.tail()}")
            if time.monotonic() > deadline:
                tail = self.master.tail() if self.master is not None else ""
                raise MeasureError(f"waited {seconds:g} s for {what}:\n{tail}")
            time.sleep(pause)
            pause = min(0.2, pause * 1.3)

    # requests to the master

    def get(self, path: str) -> Any:
        """The JSON of ``api/v2/PATH``; None where the master does not answer."""
        try:
            with urllib.request.urlopen(  # noqa: S310 (loopback)
                f"{self.url}api/v2/{path}", timeout=START_TIMEOUT
            ) as answer:
                return json.load(answer)
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def force(self, builder: str, **parameters: Any) -> int:
        """Force a build with the scheduler ``force-BUILDER``; returns the id of its request."""
        call = {"id": 1, "jsonrpc": "2.0", "method": "force", "params": {"builderNames": [builder], **parameters}}
        request = urllib.request.Request(  # noqa: S310 (loopback)
            f"{self.url}api/v2/forceschedulers/force-{builder}",
            json.dumps(call).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=START_TIMEOUT) as answer:  # noqa: S310 (loopback)
                _, by_builder = json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise MeasureError(f"force {builder}: {error.read(2000).decode('utf-8', 'replace')}") from None
        return int(next(iter(by_builder.values())))

    def build_of(self, request: int) -> Optional[dict[str, Any]]:
        """The newest build of a request; None before it starts."""
        builds = (self.get(f"buildrequests/{request}/builds") or {}).get("builds", [])
        return max(builds, key=lambda build: build["buildid"], default=None)

    def wait_for_build(self, request: int, seconds: float = 120.0) -> dict[str, Any]:
        """Wait for the build of a request, and return it."""

        def finished() -> Any:
            build = self.build_of(request)
            return build if build is not None and build["complete"] else None

        build: dict[str, Any] = self.wait_for(finished, f"the build of request {request}", seconds)
        return build

    def build(self, builder: str, seconds: float = 120.0, **parameters: Any) -> dict[str, Any]:
        """Force a build and wait for its end."""
        return self.wait_for_build(self.force(builder, **parameters), seconds)

    def steps(self, build: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The steps of a build by name."""
        steps = self.get(f"builds/{build['buildid']}/steps")["steps"]
        return {step["name"]: step for step in steps}

    def log_text(self, step: Mapping[str, Any], name: str) -> str:
        """The text of a step's log."""
        with urllib.request.urlopen(  # noqa: S310 (loopback)
            f"{self.url}api/v2/steps/{step['stepid']}/logs/{name}/raw", timeout=START_TIMEOUT
        ) as answer:
            return str(answer.read().decode("utf-8", "replace"))

    # stopping

    def stop(self) -> None:
        """Stop the workers and the master."""
        for worker in self.workers.values():
            worker.stop()
        if self.master is not None:
            self.master.stop()

    def __enter__(self) -> Site:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()
