"""Test kit for measuring steps, parsers and configurations.

For steps, on top of Buildbot's own kit (``buildbot.test.steps``)::

    class Test(MeasuringStepMixin, TestBuildStepMixin, TestReactorMixin, unittest.TestCase):
        def test_it(self):
            self.setup_step(JSLint(name="lint", command=["jslint", "src"]))
            self.expect_measuring(["jslint", "src"], stdout="3 problems")
            self.expect_outcome(result=SUCCESS, state_string="lint: 3")
            yield self.run_step()
            self.assertEqual(self.captured_values(), {"lint": 3})

For stores, :class:`BrokenStorage`; for whole configurations, :class:`~bbmeasure.testing.site.Site`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from twisted.internet import defer

from bbmeasure import wire
from bbmeasure.capture.parser_input import MAX_BYTES
from bbmeasure.capture.state import state_of
from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import MOST_POINTS, Health, Point, Query, SeriesInfo
from bbmeasure.records import Record
from bbmeasure.storage.memory import MemoryStorage

#: The end of a sidecar file's name, which is the step and a random part outside tests.
TOKEN = "t0ken"  # noqa: S105


def captured_points(master: Any) -> list[Point]:
    """The points that ``master`` captured into memory, ordered by time."""
    memory = state_of(master).pipeline.memory
    points: list[Point] = []

    def collect(infos: list[SeriesInfo]) -> None:
        for info in infos:
            memory.points(Query(info.name), MOST_POINTS).addCallback(points.extend)

    memory.series().addCallback(collect)
    return sorted(points, key=lambda point: point.time)


def sidecar_lines(*records: Union[Record, Mapping[str, Any], str]) -> bytes:
    """The content of a sidecar file with these records, JSON objects, or raw lines."""
    lines = []
    for record in records:
        if isinstance(record, Record):
            lines.append(wire.encode(record))
        else:
            lines.append(record if isinstance(record, str) else json.dumps(record))
    return "".join(f"{line}\n" for line in lines).encode()


class MeasuringStepMixin:
    """Mixin before Buildbot's TestBuildStepMixin: expects the remote commands of a measuring step."""

    def expect_measuring(
        self,
        command: Any,
        *,
        stdout: str = "",
        stderr: str = "",
        exit: int = 0,
        sidecar: Optional[bytes] = None,
        env: Optional[Mapping[str, str]] = None,
        more: Sequence[Any] = (),
        **shell: Any,
    ) -> None:
        """Expect the step's command and then the commands that read its sidecar file.

        ``sidecar`` is the content of the file, None for a missing file.  ``more`` are further expectations after these;
        ``shell`` are arguments of ExpectShell.
        """
        from buildbot.test.steps import ExpectShell, ExpectStat

        from bbmeasure_steps import output, remotefiles
        from bbmeasure_steps import sidecar as sidecar_file

        path = self.sidecar_path()
        self.patch(sidecar_file, "path_of", lambda _step, suffix="": f"{path}{suffix}")  # type: ignore[attr-defined]
        stdout_file = f"{path}-stdout"
        if self.redirects_stdout():
            command = output.redirected(command, stdout_file)
            more = [*self.expect_file(stdout_file, stdout.encode(), temporary=True), *more]
            stdout = ""
        expected = ExpectShell(workdir="wkdir", command=command, env={**(env or {}), wire.FILE_VARIABLE: path}, **shell)
        expected = expected.stdout(stdout) if stdout else expected
        expected = expected.stderr(stderr) if stderr else expected
        commands = [expected.exit(exit), ExpectStat(file=path).exit(1)]
        if sidecar is not None:
            stat = ExpectStat(file=path).stat_file(size=len(sidecar)).exit(0)
            most = str(wire.LARGEST_FILE)
            commands[1:] = [stat, expect_script(remotefiles.DUMP, path, most, stdout=hexadecimal(sidecar))]
        self.expect_commands(*commands, *more)  # type: ignore[attr-defined]

    def redirects_stdout(self) -> bool:
        """Whether the step writes the stdout of its command to a file on the worker."""
        has_steps = hasattr(self, "get_nth_step")  # before 4.1 the kit has one step a test
        step = self.get_nth_step(-1) if has_steps else self.step  # type: ignore[attr-defined]
        return bool(getattr(step, "redirects_stdout", bool)())

    def expect_file(
        self, path: str, content: bytes, *, temporary: bool = False, max_size: int = MAX_BYTES
    ) -> list[Any]:
        """The remote commands that read a file of the worker; a ``temporary`` one is removed."""
        from buildbot.test.steps import ExpectRmfile, ExpectStat, ExpectUploadFile

        from bbmeasure_steps import remotefiles

        copy = f"{self.sidecar_path()}-copy"
        upload = ExpectUploadFile(
            workersrc=copy,
            workdir="wkdir",
            blocksize=remotefiles.BLOCK_SIZE,
            maxsize=max_size,
            keepstamp=False,
            writer=_writer(),
        )
        commands = [
            ExpectStat(file=path, workdir="wkdir").stat_file(size=len(content)).exit(0),
            expect_script(remotefiles.COPY, path, copy, str(max_size // remotefiles.CHILD_BLOCK_SIZE + 1)),
            upload.upload_string(content).exit(0),
            ExpectRmfile(path=copy).exit(0),
        ]
        return [*commands, ExpectRmfile(path=path).exit(0)] if temporary else commands

    def sidecar_path(self) -> str:
        """The path of the step's sidecar file."""
        build = self.build  # type: ignore[attr-defined]
        folder = build.getProperty("builddir")
        name = f".bbmeasure-{build.buildid}-{TOKEN}"
        return str(build.path_module.join(folder, name)) if folder else name

    def captured_points(self) -> list[Point]:
        """All captured points."""
        return captured_points(self.master)  # type: ignore[attr-defined]

    def captured_values(self) -> dict[str, Union[float, str]]:
        """The newest value of each captured series."""
        return {point.series: point.value for point in self.captured_points()}


def hexadecimal(content: bytes) -> str:
    """``content`` as ``od -An -v -tx1`` prints it."""
    return "".join(f" {content[at : at + 16].hex(' ')}\n" for at in range(0, len(content), 16))


def expect_script(script: str, *arguments: str, stdout: str = "") -> Any:
    """The remote command that runs a script which reads a file on the worker."""
    from buildbot.test.steps import ExpectShell

    from bbmeasure_steps import remotefiles

    limit = remotefiles.CHILD_TIMEOUT
    command = ["/bin/sh", "-c", script, "bbmeasure", *arguments]
    expected = ExpectShell(workdir="wkdir", command=command, timeout=limit, max_time=limit, log_environ=False)
    return (expected.stdout(stdout) if stdout else expected).exit(0)


def _writer() -> Any:
    from buildbot.test.steps import ExpectRemoteRef

    from bbmeasure_steps.remotefiles import SpoolWriter

    return ExpectRemoteRef(SpoolWriter)


class BrokenStorage(MemoryStorage):
    """A store that fails or hangs: ``mode`` is ``fail``, ``hang``, or ``work``."""

    def __init__(self, mode: str = "fail") -> None:
        super().__init__("broken")
        self.mode = mode
        self.hanging: list[defer.Deferred[Any]] = []

    def _broken(self) -> Optional[defer.Deferred[Any]]:
        if self.mode == "fail":
            error: StorageError = StorageUnavailableError("broken: set to fail")
            return defer.fail(error)
        if self.mode == "hang":
            self.hanging.append(defer.Deferred())
            return self.hanging[-1]
        return None

    def declare(
        self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False, proposed: bool = False
    ) -> defer.Deferred[SeriesInfo]:
        """Fail or hang as ``mode`` says, else do as MemoryStorage."""
        broken = self._broken()
        if broken is not None:
            return broken
        return super().declare(info, override=override, override_unit=override_unit, proposed=proposed)

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Fail or hang as ``mode`` says, else do as MemoryStorage."""
        broken = self._broken()
        return super().write(points, state) if broken is None else broken

    def recall(self, keys: Sequence[str]) -> defer.Deferred[dict[str, float]]:
        """Fail or hang as ``mode`` says, else do as MemoryStorage."""
        broken = self._broken()
        return super().recall(keys) if broken is None else broken

    def health(self) -> Health:
        """The mode as the last error."""
        return Health(self.name, last_error=self.mode)
