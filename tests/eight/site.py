"""EightSite: a real master of Buildbot 0.8.14 and its slave, on Python 2.7, in a directory."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from bbmeasure.testing.site import MASTER_TAC, Process, free_port, twistd
from tests.servers import wait_until

#: Python of the virtual environment that tests/tools/eight.sh makes.
PYTHON = os.environ["BBMEASURE_EIGHT_PYTHON"]
_ROOT = Path(__file__).resolve().parents[2]
_BUILDBOT = [PYTHON, str(_ROOT / "eight" / "tests" / "buildbot_eight.py")]

_SLAVE_TAC = """\
from twisted.application import service
from buildslave.bot import BuildSlave
application = service.Application('buildslave')
BuildSlave('127.0.0.1', {port}, 'bot', 'demo', {folder!r}, 60, 0, umask=None, maxdelay=1).setServiceParent(application)
"""
#: What a test's configuration begins with; ``add`` gives a builder a scheduler for changes on all branches.
_CONFIG = """\
# -*- coding: utf-8 -*-
from buildbot.buildslave import BuildSlave
from buildbot.changes.pb import PBChangeSource
from buildbot.process.factory import BuildFactory
from buildbot.schedulers.basic import AnyBranchScheduler
from buildbot.schedulers.trysched import Try_Userpass
from buildbot.steps.shell import ShellCommand, SetPropertyFromCommand
from bbmeasure_eight import *

c = BuildmasterConfig = {{}}
c['slaves'] = [BuildSlave('bot', 'demo')]
c['protocols'] = {{'pb': {{'port': 'tcp:{port}:interface=127.0.0.1'}}}}
c['change_source'] = [PBChangeSource(user='change', passwd='changepw')]
c['builders'], c['schedulers'], c['status'] = [], [], []
c['title'] = c['titleURL'] = c['buildbotURL'] = 'http://localhost/'


def add(builder):
    c['builders'].append(builder)
    c['schedulers'].append(AnyBranchScheduler(name='on-' + builder.name, treeStableTimer=None,
                                              builderNames=[builder.name]))
    return builder


def factory(*steps):
    made = BuildFactory()
    for step in steps:
        made.addStep(step)
    return made


"""


class EightSite:
    """Context manager that runs a master and a slave; ``config`` follows the start of a configuration above."""

    def __init__(self, folder: Path, config: str) -> None:
        self.master_dir = folder / "master"
        self.slave_dir = folder / "slave"
        self.port = free_port()
        self.master: Optional[Process] = None
        self.slave: Optional[Process] = None
        self.master_dir.mkdir(parents=True)
        self.slave_dir.mkdir()
        for name, content in _new_master().items():
            (self.master_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (self.master_dir / name).write_bytes(content)
        (self.master_dir / "buildbot.tac").write_text(MASTER_TAC.format(basedir=str(self.master_dir)))
        (self.slave_dir / "buildbot.tac").write_text(_SLAVE_TAC.format(folder=str(self.slave_dir), port=self.port))
        self.write_config(config)

    def write_config(self, config: str) -> None:
        """Write master.cfg."""
        (self.master_dir / "master.cfg").write_text(_CONFIG.format(port=self.port) + config, encoding="utf-8")

    @property
    def log(self) -> str:
        """The master's log."""
        return (self.master_dir / "twistd.log").read_text(errors="replace")

    def start_master(self) -> None:
        """Start the master and wait until it has read its configuration."""
        self.master = self._start(self.master_dir)
        wait_until("the master", lambda: self._is_up("BuildMaster is running"), 120)

    def start_slave(self) -> None:
        """Start the slave; it connects by itself."""
        self.slave = self._start(self.slave_dir)

    def _start(self, folder: Path) -> Process:
        (folder / "twistd.log").write_text("")
        return Process(twistd(PYTHON, "--logfile=twistd.log"), folder, folder / "output.log")

    def _is_up(self, line: str) -> bool:
        assert self.master is not None
        assert self.master.running, self.master.tail() + self.log[-3000:]
        return line in self.log

    def reconfig(self) -> None:
        """Make the master read its configuration again."""
        assert self.master is not None
        before = self.log.count("configuration update complete")
        self.master.popen.send_signal(1)
        wait_until("the configuration", lambda: self.log.count("configuration update complete") > before, 60)

    def change(self, branch: Optional[str] = None, revision: str = "abc") -> None:
        """Send a change, which every builder builds."""
        where = [f"--branch={branch}"] if branch else []
        address = [f"--master=127.0.0.1:{self.port}", "--auth=change:changepw", "--who=a@b", f"--revision={revision}"]
        _run(*_BUILDBOT, "sendchange", *address, *where, "file.c")

    def try_patch(self, port: int, builder: str, patch: Path, branch: str) -> None:
        """Submit a try build to the Try_Userpass on ``port``."""
        address = ["--connect=pb", f"--master=127.0.0.1:{port}", "--username=dev", "--passwd=trypw", "--vc=git"]
        what = [f"--builder={builder}", f"--diff={patch}", "--baserev=abc", f"--branch={branch}", "--who=dev"]
        _run(*_BUILDBOT, "try", *address, *what)

    def wait_for_build(self, folder: str, number: int, seconds: float = 120) -> None:
        """Wait until a builder has finished the build of that number."""
        wait_until(f"build {number} of {folder}", lambda: (self.master_dir / folder / str(number)).exists(), seconds)

    def export(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The result of ``bbmeasure-eight export``."""
        command = [PYTHON, "-m", "bbmeasure_eight.export", "export", str(self.master_dir), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done

    def kill_master(self) -> None:
        """Kill the master with SIGKILL."""
        assert self.master is not None
        self.master.kill()

    def stop_master(self) -> None:
        """Stop the master with SIGTERM."""
        assert self.master is not None
        self.master.stop()

    def kill_slave(self) -> None:
        """Kill the slave with SIGKILL."""
        assert self.slave is not None
        self.slave.kill()

    def stop(self) -> None:
        """Stop slave and master."""
        for process in (self.slave, self.master):
            if process is not None:
                process.stop()

    def __enter__(self) -> EightSite:
        try:
            self.start_master()
            self.start_slave()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()


@functools.cache
def _new_master() -> dict[str, bytes]:
    """The files of a new master, which take Python 2.7 most of a second."""
    with tempfile.TemporaryDirectory() as folder:
        _run(*_BUILDBOT, "create-master", "-r", folder)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _run(*command: str) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
