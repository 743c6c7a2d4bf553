"""Reading a file of the worker, which is not trusted: a regular file only, capped, within a time limit."""

from __future__ import annotations

import stat
from collections.abc import Generator
from typing import Any, Optional

from buildbot.process import remotecommand
from buildbot.process.remotetransfer import StringFileWriter
from buildbot.util import unicode2bytes
from twisted.internet import defer
from twisted.internet.error import ConnectionLost

from bbmeasure.errors import LimitError, MeasureError
from bbmeasure.units import excerpt

#: Seconds that one command about a file may take on the worker.
PATIENCE = 60
BLOCK_SIZE = 256 * 1024


class BytesWriter(StringFileWriter):
    """Collects what a worker sends, as bytes and up to ``most`` of them; a character may straddle two blocks."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.content = bytearray()
        self.most = most

    def remote_write(self, data: Any) -> None:
        """Called by the worker with the next block."""
        self.content += unicode2bytes(data)[: self.most - len(self.content)]


@defer.inlineCallbacks
def run(step: Any, name: str, arguments: dict[str, Any]) -> Generator[Any, Any, Any]:
    """Run a remote command without a log, also when the step was stopped; LimitError after PATIENCE seconds.

    Where the worker is lost, :func:`let_go` ends it.
    """
    command = remotecommand.RemoteCommand(name, arguments)
    command.worker = step.worker
    step.remote_file_command = command
    running = defer.maybeDeferred(command.run, step, step.remote, step.build.builder.name)

    def late(_: Any, seconds: float) -> None:
        raise LimitError(f"the worker did not answer {name} within {seconds:g} s")

    try:
        yield running.addTimeout(PATIENCE, step.master.reactor, late)
    finally:
        step.remote_file_command = None
    return command


def let_go(step: Any, reason: Any) -> None:
    """Wait no longer for a command of :func:`run`, where ``reason`` is that the worker is lost."""
    command = getattr(step, "remote_file_command", None)
    if command is not None and isinstance(getattr(reason, "value", None), ConnectionLost):
        command.interrupt(reason)


@defer.inlineCallbacks
def size_of(step: Any, path: str, workdir: Optional[str]) -> Generator[Any, Any, Optional[int]]:
    """The size of a regular file in bytes, None where nothing is there; MeasureError for anything else."""
    arguments = {"file": path} if workdir is None else {"file": path, "workdir": workdir}
    command = yield run(step, "stat", arguments)
    if command.didFail():
        return None
    try:
        fields = command.updates["stat"][-1]
        mode, size = int(fields[0]), int(fields[6])
    except (KeyError, IndexError, TypeError, ValueError):
        raise MeasureError(f"{excerpt(path)}: the worker's stat cannot be read") from None
    if not stat.S_ISREG(mode):
        raise MeasureError(f"{excerpt(path)}: expected a regular file, got {_kind(mode)}")
    return size


def _kind(mode: int) -> str:
    for test, word in ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISCHR, "a device")):
        if test(mode):
            return word
    return f"mode {mode:o}"


@defer.inlineCallbacks
def read(step: Any, path: str, workdir: Optional[str], most: int) -> Generator[Any, Any, bytes]:
    """The first ``most`` bytes of a file; MeasureError where it cannot be read."""
    writer = BytesWriter(most)
    command = yield run(
        step,
        "uploadFile",
        {
            "workersrc": path,
            "workdir": workdir or step.workdir,
            "writer": writer,
            "maxsize": most,
            "blocksize": BLOCK_SIZE,
            "keepstamp": False,
        },
    )
    if command.didFail() and len(writer.content) < most:
        raise MeasureError(f"{excerpt(path)}: the worker could not read it")
    return bytes(writer.content)


@defer.inlineCallbacks
def remove(step: Any, path: str) -> Generator[Any, Any, None]:
    """Remove a file of the worker."""
    yield run(step, "rmfile", {"path": path})
