"""Runs a command on Windows, which has no ``wait4``, and measures it, for ``run``.

CPU time and bytes read and written are those of a job object, which counts the command and all its descendants:
https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-jobobject_basic_and_io_accounting_information
Memory is sampled with psutil if it is installed.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import time

from bbmeasure_scripts import process_tree
from bbmeasure_scripts.resource_usage import INTERVALS, NotStartedError, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

#: JobObjectBasicAndIoAccountingInformation, and its structure: four times, four counts, and six counters of I/O.
_ACCOUNTING_CLASS = 8
_ACCOUNTING = struct.Struct("<4q4L6Q")
#: The unit of its times, in seconds.
_TICK = 1e-7


class Job:
    """A job object with a running process and, from now on, its descendants; OSError where Windows refuses it."""

    def __init__(self, process: int) -> None:
        import ctypes

        self._ctypes: Any = ctypes
        try:
            self._kernel32 = self._ctypes.windll.kernel32
        except AttributeError:
            raise OSError("there are no job objects on this system") from None
        create = self._kernel32.CreateJobObjectW
        create.restype = ctypes.c_void_p
        self._job = ctypes.c_void_p(create(None, None))
        if not self._job or not self._kernel32.AssignProcessToJobObject(self._job, ctypes.c_void_p(process)):
            raise OSError("the command could not be added to a job object")

    def read(self) -> tuple[float, int, int]:
        """CPU seconds, and the bytes read and written, of all processes so far."""
        buffer = self._ctypes.create_string_buffer(_ACCOUNTING.size)
        query = self._kernel32.QueryInformationJobObject
        if not query(self._job, _ACCOUNTING_CLASS, buffer, _ACCOUNTING.size, None):
            raise OSError("the job object could not be read")
        fields = _ACCOUNTING.unpack(buffer.raw)
        return (fields[0] + fields[1]) * _TICK, fields[11], fields[12]


def measure(command: Sequence[str]) -> Usage:
    """Run a command and measure it; NotStartedError where it cannot be started.

    ``cmd /c LINE`` runs LINE as a batch file, as a worker does with a command that is a string.
    """
    if [word.lower() for word in command[:2]] != ["cmd", "/c"] or len(command) != 3:
        return _measure([shutil.which(command[0]) or command[0], *command[1:]])
    descriptor, path = tempfile.mkstemp(".bat", "bbmeasure-", os.curdir)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"@echo off\n{command[2]}\n")
        # a relative path: cmd removes the quotes of one with blanks and brackets
        batch = os.path.join(os.curdir, os.path.basename(path))
        return _measure([os.environ.get("COMSPEC") or command[0], "/c", batch])
    finally:
        os.unlink(path)


def _measure(command: Sequence[str]) -> Usage:
    start = time.monotonic()
    try:
        child = subprocess.Popen(list(command))
    except OSError as error:
        raise NotStartedError(command[0], error.errno or 0) from None
    job, why = None, ""
    try:
        job = Job(int(getattr(child, "_handle", 0)))
    except OSError as error:
        why = str(error)
    tree = process_tree.tree()
    peak = largest = 0
    while True:
        try:
            status = child.wait(INTERVALS[1] if tree else None)
            break
        except subprocess.TimeoutExpired:
            sample = tree.sample()
            peak, largest = max(peak, sample.total), max(largest, sample.largest)
        except KeyboardInterrupt:
            continue
    usage = Usage(exit_status(status), time.monotonic() - start)
    usage.max_rss, usage.tree_rss = largest or None, peak or None
    try:
        if job:
            usage.cpu, usage.read, usage.written = job.read()
    except OSError as error:
        why = str(error)
    usage.notes = [f"CPU and bytes read and written are unknown: {why}"] if why else []
    usage.notes += ["context switches are unknown: this system does not count them"]
    usage.notes += ["memory is sampled" if tree else "memory is unknown: psutil is not installed"]
    return usage


def exit_status(status: int) -> int:
    """The status with which this process exits: -1073741819 for 0xC0000005, which Python would exit with as -1."""
    if status >= 2**31:
        return status - 2**32
    return status if status >= 0 or os.name == "nt" else 128 - status
