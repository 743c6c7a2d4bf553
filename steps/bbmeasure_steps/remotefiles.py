"""Reads files of a worker, which is not trusted: regular files only, up to a size limit, within a deadline."""

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

#: The deadline of a remote command, in seconds.
TIMEOUT = 60
#: The size of the blocks in which a worker sends a file, in bytes.
BLOCK_SIZE = 256 * 1024


class BytesWriter(StringFileWriter):
    """Collects at most ``max_size`` bytes of a file; unlike its base class it does not decode each block alone."""

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self.content = bytearray()
        self.max_size = max_size

    def remote_write(self, data: Any) -> None:
        """Add a block that the worker sends."""
        self.content += unicode2bytes(data)[: self.max_size - len(self.content)]


@defer.inlineCallbacks
def run(step: Any, name: str, arguments: dict[str, Any]) -> Generator[Any, Any, Any]:
    """Run a remote command without a log, even if the step was stopped; LimitError after TIMEOUT seconds.

    :func:`interrupt` ends it if the worker is lost.
    """
    command = remotecommand.RemoteCommand(name, arguments)
    command.worker = step.worker
    step.remote_file_command = command
    running = defer.maybeDeferred(command.run, step, step.remote, step.build.builder.name)

    def on_timeout(_: Any, seconds: float) -> None:
        raise LimitError(f"the worker did not answer {name} within {seconds:g} s")

    try:
        yield running.addTimeout(TIMEOUT, step.master.reactor, on_timeout)
    finally:
        step.remote_file_command = None
    return command


def interrupt(step: Any, reason: Any) -> None:
    """Interrupt the running command of :func:`run` if ``reason`` is a lost connection."""
    command = getattr(step, "remote_file_command", None)
    if command is not None and isinstance(getattr(reason, "value", None), ConnectionLost):
        command.interrupt(reason)


@defer.inlineCallbacks
def size_of(step: Any, path: str, workdir: Optional[str]) -> Generator[Any, Any, Optional[int]]:
    """The size of a regular file in bytes, None where it does not exist; MeasureError where it is no regular file."""
    arguments = {"file": path} if workdir is None else {"file": path, "workdir": workdir}
    command = yield run(step, "stat", arguments)
    if command.didFail():
        return None
    try:
        fields = command.updates["stat"][-1]
        mode, size = int(fields[0]), int(fields[6])
    except (KeyError, IndexError, TypeError, ValueError):
        raise MeasureError(
            f"{excerpt(path)}: got {excerpt(repr(command.updates))}, expected the fields of os.stat"
        ) from None
    if not stat.S_ISREG(mode):
        raise MeasureError(f"{excerpt(path)}: expected a regular file, got {_kind(mode)}")
    return size


def _kind(mode: int) -> str:
    for is_kind, word in ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISCHR, "a device")):
        if is_kind(mode):
            return word
    return f"mode {mode:o}"


@defer.inlineCallbacks
def read(step: Any, path: str, workdir: Optional[str], max_size: int) -> Generator[Any, Any, bytes]:
    """The first ``max_size`` bytes of a file; MeasureError where it cannot be read."""
    writer = BytesWriter(max_size)
    command = yield run(
        step,
        "uploadFile",
        {
            "workersrc": path,
            "workdir": workdir or step.workdir,
            "writer": writer,
            "maxsize": max_size,
            "blocksize": BLOCK_SIZE,
            "keepstamp": False,
        },
    )
    if command.didFail() and len(writer.content) < max_size:
        raise MeasureError(f"{excerpt(path)}: the worker cannot read the file")
    return bytes(writer.content)


@defer.inlineCallbacks
def remove(step: Any, path: str) -> Generator[Any, Any, None]:
    """Remove a file."""
    yield run(step, "rmfile", {"path": path})
