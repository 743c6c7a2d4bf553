"""The documented batch files, and the one that finds a worker's Python, with Wine's ``cmd``; make soak runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import pytest
from buildbot_worker.runprocess import win32_batch_quote

from bbmeasure_scripts import bundle
from tests import documented
from tests.unit.scripts import programs

pytestmark = pytest.mark.soak


class Cmd:
    """Runs commands as a worker on Windows does: each is a batch file."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.path = folder / "path"
        for made in (self.work, self.path):
            made.mkdir()
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "DISPLAY"},
            "WINEPREFIX": str(folder / "prefix"),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "WINEPATH": windows_path(self.path),
        }
        self._call("wineboot", "--init")

    def run(self, command: Union[str, Sequence[str]], stdin: bytes = b"", **variables: str) -> programs.Done:
        """Run a command, a string or a list, with a sidecar file; CRLF of the output becomes LF."""
        text = command if isinstance(command, str) else win32_batch_quote(command)
        (self.work / "temporary.bat").write_bytes(f"@echo off\n{text}".replace("\n", "\r\n").encode())
        sidecar = self.work / "a & b"
        sidecar.unlink(missing_ok=True)
        done = self._call("cmd", "/c", "temporary.bat", stdin=stdin, BBMEASURE_FILE=windows_path(sidecar), **variables)
        records = programs.records_of(sidecar.read_bytes()) if sidecar.exists() else []
        stdout, stderr = (text.decode().replace("\r\n", "\n") for text in (done.stdout, done.stderr))
        return programs.Done(done.returncode, {one.name: one for one in records}, records, stdout, stderr)

    def _call(self, *command: str, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["wine", *command],
            cwd=self.work,
            env={**self._environment, **variables},
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> None:
        """End the processes of the prefix."""
        subprocess.run(["wineserver", "--kill"], env=self._environment, timeout=60, check=False)


def windows_path(path: Path) -> str:
    """A path of this system on Wine's drive of it."""
    return "Z:" + str(path).replace("/", "\\")


@pytest.fixture(scope="module")
def cmd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cmd]:
    """A folder with the documented scripts, and a build result of 12,345 bytes."""
    made = Cmd(tmp_path_factory.mktemp("wine"))
    for name in ("size.bat", "report.bat"):
        text = documented.example(f"windows/{name}")
        (made.work / "scripts").mkdir(exist_ok=True)
        (made.work / "scripts" / name).write_bytes(text.replace("\n", "\r\n").encode())
    (made.work / "build").mkdir()
    (made.work / "build" / "project.zip").write_bytes(b"x" * 12_345)
    yield made
    made.stop()


def documented_commands() -> dict[str, Any]:
    """The commands of the documented steps, by their names."""
    commands: dict[str, Any] = {}

    class Steps:
        def __getattr__(self, _: str) -> Any:
            return lambda **arguments: commands.setdefault(arguments["name"], arguments.get("command"))

    class Factory:
        def addStep(self, _step: Any) -> None:
            return

    exec(documented.example("windows/steps.cfg"), {"f": Factory(), "steps": Steps()})
    return commands


def test_a_batch_file_that_prints_a_number(cmd: Cmd) -> None:
    """It prints the size, and nothing else; without the file it fails."""
    done = cmd.run(documented_commands()["build_size"])
    assert (done.status, done.stdout, done.stderr) == (0, "12345\n", "")
    (cmd.work / "build" / "project.zip").rename(cmd.work / "moved")
    assert cmd.run(documented_commands()["build_size"]).status == 1
    (cmd.work / "moved").rename(cmd.work / "build" / "project.zip")


def test_a_batch_file_that_reports(cmd: Cmd) -> None:
    """Its records are in the file, whose path has a blank and a special character, and on standard output."""
    done = cmd.run(documented_commands()["link"])
    assert done.status == 0, done.stderr
    assert (done.records["link_time"].value, done.records["link_time"].unit) == (12.5, "s")
    assert (done.records["archive"].value, done.records["archive"].tags) == (12_345, {"file": "project.zip"})
    assert [(record.name, record.value) for record in programs.marked(done.stdout)] == [("coverage", 0.85)]


def test_a_command_that_is_a_string(cmd: Cmd) -> None:
    """It is a batch file, with two percent signs for one."""
    assert cmd.run("for %%F in (build\\project.zip) do echo %%~zF & echo 5 %%").stdout.split() == ["12345", "5", "%"]


#: An interpreter: ``-c`` is the check of its version, which ends with ``status``; the program ends with 5.
PYTHON = """@echo off
{skip}if "%~1"=="-c" exit /b {status}
set /p first=
echo {name} got "%first%" and %*
exit /b 5
"""
#: The status of the check by interpreter, and the one that runs the program.
PYTHONS = [
    ({"python3": 0, "python": 0, "py": 0}, "python3"),
    ({"python3": 9009, "python": 0, "py": 0}, "python"),
    ({"python": 1, "py": 0}, "py"),
    ({"python": 1}, None),
]


@pytest.mark.parametrize(("statuses", "used"), PYTHONS)
def test_the_first_python_that_is_new_enough(statuses: dict[str, int], used: Optional[str], cmd: Cmd) -> None:
    """The first one gets the program on its standard input; without one the last line names the remedy."""
    for name in ("python3", "python", "py"):
        (cmd.path / f"{name}.bat").unlink(missing_ok=True)
    for name, status in statuses.items():
        skip = 'if not "%~1"=="-3" exit /b 9\nshift\n' if name == "py" else ""
        text = PYTHON.format(skip=skip, status=status, name=name)
        (cmd.path / f"{name}.bat").write_bytes(text.replace("\n", "\r\n").encode())
    done = cmd.run(bundle.find_batch("size"), b"first line\r\n")
    if used is None:
        assert (done.status, done.stdout) == (127, "")
        assert done.stderr.strip().endswith("expected one, or its path as python=")
        return
    (*_, read) = bundle.command([], "size")
    options = "-3 -S" if used == "py" else "-S"
    assert done.stdout == f'{used} got "first line" and {options} -c "{read}"\n', done.stderr
    assert done.status  # call of Wine makes 1 of each status but 0
