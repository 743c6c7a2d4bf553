"""Becomes a command, from a process as small as can be.

Linux counts the memory of the process that calls ``exec`` into the largest memory (``ru_maxrss``) of what it becomes.
So ``run`` does not fork itself: it runs this source in a bare Python, which forks and exits at once; the fork becomes
the command, and ``run`` inherits it as the subreaper.  Stands alone: it imports the standard library and little of it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from typing import NoReturn, Sequence


def become(descriptor: int, drop: Sequence[str], command: Sequence[str]) -> NoReturn:
    """Say process number, time and own memory on ``descriptor``, then be ``command``; an error number where that fails.

    ``drop`` names variables of the environment that the command must not see.
    """
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    os.set_inheritable(descriptor, False)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.write(descriptor, b"%d %r %d\n" % (os.getpid(), time.monotonic(), largest))
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606  (the command as it is)
    except OSError as error:
        os.write(descriptor, b"%d\n" % (error.errno or 0))
    except ValueError:
        os.write(descriptor, b"0\n")
    os._exit(127)


def main() -> NoReturn:
    """Fork, become the command in the fork, and exit."""
    if os.fork() == 0:
        become(int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:])
    os._exit(0)
