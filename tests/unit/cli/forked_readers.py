"""Reads the configurations of masters in forks of one process, which has imported Buildbot.

A process of its own for each takes a second to import it.  The forks share nothing that a master.cfg changes.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

_ROOT = Path(__file__).resolve().parents[3]
_READERS = ("bbmeasure.master.configuration", "bbmeasure.master.exporter_settings")
#: Plugins that most configurations of tests use.
_PLUGINS = {
    "schedulers": ("ForceScheduler",),
    "secrets": ("SecretInAFile",),
    "steps": ("MeasureShellCommand", "ShellCommand"),
    "util": ("InfluxDBInstance", "MeasuredBuilderConfig", "SQLiteInstance", "VictoriaMetricsInstance"),
    "worker": ("Worker",),
}


class ForkedReaders:
    """Stands for :mod:`subprocess` in :mod:`bbmeasure.cli.config`; ``close`` ends the process."""

    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, command: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``python -m MODULE FOLDER`` in a fork."""
        _, option, module, folder = command
        assert (option, module in _READERS) == ("-m", True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as temporary:
            out, err = Path(temporary, "out"), Path(temporary, "err")
            request = [module, folder, os.getcwd(), dict(os.environ), str(out), str(err)]
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            assert self._process.stdout.readline() == "done\n"
            return subprocess.CompletedProcess(command, 0, out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process, which reads to the end of its input."""
        self._process.communicate()


def _serve() -> None:
    for module in ("buildbot.master", "buildbot.process.factory", "buildbot.mq.connector", "bbmeasure"):
        importlib.import_module(module)
    for plugins, names in _PLUGINS.items():
        for name in names:
            getattr(getattr(importlib.import_module("buildbot.plugins"), plugins), name)
    for name in _READERS:
        importlib.import_module(name)
        del sys.modules[name]  # a fork runs it as a program
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _read(*json.loads(line))
        os.waitpid(process, 0)
        print("done", flush=True)


def _read(module: str, folder: str, current: str, environment: dict[str, str], out: str, err: str) -> NoReturn:
    """Run the program ``module``, and end this fork."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(current)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, folder]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit:
        pass
    except BaseException:  # noqa: BLE001  (a program prints what it raises)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    _serve()
