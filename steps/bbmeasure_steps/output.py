"""The output of a command that is parsed: on stdout, in a file that it writes, or in a file that gets its stdout.

A worker cuts lines at 4,096 characters and loses the rest of very long ones, and a report in JSON is one line.  So the
stdout of a tool whose report is a document is written to a file on the worker and read from there.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from buildbot.util import flatten
from twisted.internet import defer

from bbmeasure.capture.parser_input import Spool
from bbmeasure.errors import LimitError, MeasureError
from bbmeasure.units import excerpt
from bbmeasure_steps import remotefiles, sidecar

#: The longest line that a worker sends whole, in characters.
LONGEST_LINE = 4_094
#: How many lines of a redirected stdout the log shows.
LOGGED_LINES = 100
#: Runs a command with its stdout in the file $1, and prints its marked lines and first lines for the log.  The file is
#: opened once, before the command starts, so that the command cannot replace it by a FIFO that blocks this script.
REDIRECT = f"""\
file=$1
shift
exec 5>&1
status=$({{ {{ "$@" 4>&- 5>&-; echo $? >&4; }} | tee "$file" 4>&- 5>&- | cut -b 1-4000 4>&- 5>&- |
sed -n -e '/##bbmeasure /{{p;d;}}' -e '1,{LOGGED_LINES}p' >&5 4>&-; }} 4>&1)
exit "$status\""""


def redirected(command: Any, path: str) -> list[Any]:
    """``command`` with its stdout in the file ``path`` of the worker."""
    arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else flatten(command, (list, tuple))
    return ["/bin/sh", "-c", REDIRECT, "bbmeasure", path, *arguments]


@defer.inlineCallbacks
def read_file(step: Any, path: str, what: str, spool: Spool, *, temporary: bool) -> Generator[Any, Any, None]:
    """Read a file of the worker into ``spool``; MeasureError where it is no regular file or too large.

    ``temporary`` removes the file.
    """
    size = yield remotefiles.size_of(step, path, step.workdir)
    if size is None:
        raise MeasureError(f"{what}: expected a file, got none")
    if size > spool.max_bytes:
        raise LimitError(f"{what}: {size} bytes, expected at most {spool.max_bytes}")
    copy = sidecar.path_of(step, "-copy")
    if temporary:
        step.notes.append(f"{what}: {size} bytes, read from a file; the log has its first {LOGGED_LINES} lines")
    yield remotefiles.read(step, path, copy, remotefiles.SpoolWriter(spool), spool.max_bytes)
    if temporary:
        yield remotefiles.remove(step, path)


def check_complete(spool: Spool, what: str) -> None:
    """MeasureError where the text exceeded the limit or could not be written."""
    spool.finish()
    if spool.error:
        raise MeasureError(f"{what}: {spool.error}")
    if spool.dropped:
        raise LimitError(f"{what}: {spool.size + spool.dropped} bytes, expected at most {spool.max_bytes}")


def check_whole(longest_line: int) -> None:
    """MeasureError where the worker cut a line of stdout: a report that is cut is not that of the tool."""
    if longest_line > LONGEST_LINE:
        raise MeasureError(
            "stdout has a line of more than 4,000 characters, which workers cut, and there is no shell on a Windows"
            " worker that writes it to a file: have the tool write a file, and name it with outputFile="
        )


def file_name(path: str) -> str:
    """The output file in a message."""
    return f"outputFile {excerpt(path)}"
