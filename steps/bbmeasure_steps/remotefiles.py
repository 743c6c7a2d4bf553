"""Reads files of a worker, which is not trusted: regular files only, up to a size limit, within a deadline.

A process of the build may replace a file by a FIFO after its kind was checked, and a FIFO that the worker opens blocks
the whole worker.  So a child process of the worker opens the file, not the worker itself; a worker with Windows has no
FIFOs in folders, and opens it.
"""

from __future__ import annotations

import stat
from collections.abc import Generator
from typing import Any, Optional

from buildbot.process import remotecommand
from buildbot.process.remotetransfer import StringFileWriter
from buildbot.util import unicode2bytes
from twisted.internet import defer
from twisted.internet.error import ConnectionLost

from bbmeasure.capture.parser_input import Spool
from bbmeasure.errors import LimitError, MeasureError
from bbmeasure.units import excerpt
from bbmeasure_steps.connection_latency import acknowledging

#: The deadline of a remote command, in seconds.
TIMEOUT = 60
#: Seconds after which the worker ends a child process that reads a file.
CHILD_TIMEOUT = 30
#: The size of the blocks in which a worker sends a file, in bytes.
BLOCK_SIZE = 256 * 1024
#: The size of the blocks in which a child process of the worker copies a file, in bytes.
CHILD_BLOCK_SIZE = 65_536

#: Copies at most $3 blocks of the file $1 to $2.
COPY = '[ -f "$1" ] && exec dd if="$1" of="$2" bs=65536 count="$3" 2>/dev/null'
#: Prints at most $2 bytes of the file $1 in hexadecimal, and removes it.  Encoded, because a worker cuts lines.
DUMP = '[ -f "$1" ] && [ ! -h "$1" ] && od -An -v -tx1 -N "$2" "$1" && exec rm -f "$1"'


class BytesWriter(StringFileWriter):
    """Collects at most ``max_size`` bytes of a file; unlike its base class it does not decode each block alone."""

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self.content = bytearray()
        self.received = 0
        self.max_size = max_size

    def remote_write(self, data: Any) -> None:
        """Add a block that the worker sends."""
        self.received += len(data)
        self.content += unicode2bytes(data)[: self.max_size - len(self.content)]


class SpoolWriter(StringFileWriter):
    """Writes a file to a spool, which limits its size."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self.spool = spool
        self.received = 0

    def remote_write(self, data: Any) -> None:
        """Add a block that the worker sends."""
        self.received += len(data)
        self.spool.write(unicode2bytes(data))


def has_shell(step: Any) -> bool:
    """Whether the worker has a POSIX shell: all but those with Windows."""
    return str(step.build.path_module.__name__) != "ntpath"


@defer.inlineCallbacks
def run(step: Any, name: str, arguments: dict[str, Any]) -> Generator[Any, Any, Any]:
    """Run a remote command without a log, even if the step was stopped; LimitError after TIMEOUT seconds.

    :func:`interrupt` ends it if the worker is lost.
    """
    command = yield _run(step, remotecommand.RemoteCommand(name, arguments), name)
    return command


@defer.inlineCallbacks
def run_script(step: Any, script: str, *arguments: str, workdir: Optional[str] = None) -> Generator[Any, Any, Any]:
    """Run a shell script on the worker and collect its output, as :func:`run` does."""
    command = remotecommand.RemoteShellCommand(
        workdir or step.workdir,
        ["/bin/sh", "-c", script, "bbmeasure", *arguments],
        env={},
        timeout=CHILD_TIMEOUT,
        maxTime=CHILD_TIMEOUT,
        logEnviron=False,
        collectStdout=True,
        interruptSignal="KILL",
    )
    with acknowledging(step):
        command = yield _run(step, command, "a script that reads a file")
    return command


@defer.inlineCallbacks
def _run(step: Any, command: Any, name: str) -> Generator[Any, Any, Any]:
    command.worker = step.worker
    running_commands(step).append(command)
    running = defer.maybeDeferred(command.run, step, step.remote, step.build.builder.name)

    def on_timeout(_: Any, seconds: float) -> None:
        raise LimitError(f"the worker did not answer {name} within {seconds:g} s")

    try:
        yield running.addTimeout(TIMEOUT, step.master.reactor, on_timeout)
    finally:
        running_commands(step).remove(command)
    return command


def running_commands(step: Any) -> list[Any]:
    """The commands of :func:`run` and :func:`run_script` that run for a step."""
    return step.__dict__.setdefault("remote_file_commands", [])  # type: ignore[no-any-return]


def interrupt(step: Any, reason: Any) -> None:
    """Interrupt the running commands of a step if ``reason`` is a lost connection."""
    if isinstance(getattr(reason, "value", None), ConnectionLost):
        for command in list(running_commands(step)):
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
def read(step: Any, path: str, copy: str, writer: Any, max_size: int) -> Generator[Any, Any, None]:
    """Pass the first ``max_size`` bytes of a file to ``writer``; MeasureError where it cannot be read.

    Paths are relative to the step's work directory.  The worker reads the file ``copy``, which is made before and
    removed after.
    """
    workdir = step.workdir
    if not has_shell(step):
        yield _upload(step, path, workdir, writer, max_size)
        return
    copying = yield run_script(step, COPY, path, copy, str(max_size // CHILD_BLOCK_SIZE + 1), workdir=workdir)
    try:
        if copying.didFail():
            raise MeasureError(f"{excerpt(path)}: the worker cannot read the file")
        yield _upload(step, copy, workdir, writer, max_size)
    finally:
        yield remove(step, copy)


@defer.inlineCallbacks
def read_small(step: Any, path: str, max_size: int) -> Generator[Any, Any, bytes]:
    """The first ``max_size`` bytes of a file, which is removed; MeasureError where it cannot be read."""
    if not has_shell(step):
        writer = BytesWriter(max_size)
        yield _upload(step, path, None, writer, max_size)
        yield remove(step, path)
        return bytes(writer.content)
    command = yield run_script(step, DUMP, path, str(max_size))
    if command.didFail():
        raise MeasureError(f"{excerpt(path)}: the worker cannot read the file")
    try:
        return bytes.fromhex(command.stdout)
    except ValueError:
        raise MeasureError(f"{excerpt(path)}: got {excerpt(command.stdout)}, expected hexadecimal digits") from None


@defer.inlineCallbacks
def _upload(step: Any, path: str, workdir: Optional[str], writer: Any, max_size: int) -> Generator[Any, Any, None]:
    """Have the worker send the first ``max_size`` bytes of a file to ``writer``."""
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
    if command.didFail() and writer.received < max_size:
        raise MeasureError(f"{excerpt(path)}: the worker cannot read the file")


@defer.inlineCallbacks
def remove(step: Any, path: str) -> Generator[Any, Any, None]:
    """Remove a file."""
    yield run(step, "rmfile", {"path": path})
