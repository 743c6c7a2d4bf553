"""A kit for testing a measuring step, a parser or a configuration of one's own.

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
from bbmeasure.capture.state import state_of
from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import MOST_POINTS, Health, Point, Query, SeriesInfo
from bbmeasure.records import Record
from bbmeasure.storage.memory import MemoryStorage

#: The part of a sidecar's name that is random outside of tests.
TOKEN = "t0ken"  # noqa: S105


def captured_points(master: Any) -> list[Point]:
    """Every point that ``master`` captured into memory, in the order of their time."""
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
    """Goes before Buildbot's TestBuildStepMixin: expects what a measuring step asks of its worker."""

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
        """Expect the step's command and then its look for the sidecar file, which holds ``sidecar`` or is not there.

        ``more`` are further expectations, after these; ``shell`` goes to ExpectShell.
        """
        from buildbot.test.steps import ExpectRmfile, ExpectShell, ExpectStat, ExpectUploadFile

        from bbmeasure_steps import remotefiles
        from bbmeasure_steps import sidecar as sidecar_file

        self.patch(sidecar_file, "new_token", lambda: TOKEN)  # type: ignore[attr-defined]
        step = self.get_nth_step(-1)  # type: ignore[attr-defined]
        path = self.sidecar_path()
        expected = ExpectShell(workdir="wkdir", command=command, env={**(env or {}), wire.FILE_VARIABLE: path}, **shell)
        expected = expected.stdout(stdout) if stdout else expected
        expected = expected.stderr(stderr) if stderr else expected
        look = ExpectStat(file=path)
        commands = [expected.exit(exit), look.exit(1)]
        if sidecar is not None:
            upload = ExpectUploadFile(
                workersrc=path,
                workdir=step.workdir,
                blocksize=remotefiles.BLOCK_SIZE,
                maxsize=wire.LARGEST_FILE,
                keepstamp=False,
                writer=_writer(),
            )
            remove = ExpectRmfile(path=path).exit(0)
            look = ExpectStat(file=path).stat_file(size=len(sidecar)).exit(0)
            commands[1:] = [look, upload.upload_string(sidecar).exit(0), remove]
        self.expect_commands(*commands, *more)  # type: ignore[attr-defined]

    def sidecar_path(self) -> str:
        """Where the step's sidecar file is."""
        build = self.build  # type: ignore[attr-defined]
        folder = build.getProperty("builddir")
        name = f".bbmeasure-{build.buildid}-{self.sidecar_stepid}-{TOKEN}"
        return str(build.path_module.join(folder, name)) if folder else name

    #: The id that the kit's database gives the first step.
    sidecar_stepid = 1

    def captured_points(self) -> list[Point]:
        """Every point that was captured."""
        return captured_points(self.master)  # type: ignore[attr-defined]

    def captured_values(self) -> dict[str, Union[float, str]]:
        """The value of each captured series, the newest if it has several."""
        return {point.series: point.value for point in self.captured_points()}


def _writer() -> Any:
    from buildbot.test.steps import ExpectRemoteRef

    from bbmeasure_steps.remotefiles import BytesWriter

    return ExpectRemoteRef(BytesWriter)


class BrokenStorage(MemoryStorage):
    """A store that fails or hangs as it is told: ``mode`` is ``fail``, ``hang``, or ``work``."""

    def __init__(self, mode: str = "fail") -> None:
        super().__init__("broken")
        self.mode = mode
        self.hanging: list[defer.Deferred[Any]] = []

    def _broken(self) -> Optional[defer.Deferred[Any]]:
        if self.mode == "fail":
            error: StorageError = StorageUnavailableError("broken: told to fail")
            return defer.fail(error)
        if self.mode == "hang":
            self.hanging.append(defer.Deferred())
            return self.hanging[-1]
        return None

    def declare(self, info: SeriesInfo, *, override: bool = False) -> defer.Deferred[SeriesInfo]:
        """As it is told, else as memory does."""
        broken = self._broken()
        return super().declare(info, override=override) if broken is None else broken

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """As it is told, else as memory does."""
        broken = self._broken()
        return super().write(points, state) if broken is None else broken

    def recall(self, keys: Sequence[str]) -> defer.Deferred[dict[str, float]]:
        """As it is told, else as memory does."""
        broken = self._broken()
        return super().recall(keys) if broken is None else broken

    def health(self) -> Health:
        """Its mode as the last error."""
        return Health(self.name, last_error=self.mode)
