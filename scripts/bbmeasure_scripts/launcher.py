"""Starts a command from a process with as little memory as possible.

On Linux the maximum resident set size (``ru_maxrss``) of a command includes that of the process that called ``exec``.
So ``run`` does not fork itself: it runs this source in an isolated Python, which forks and exits; the fork executes the
command, and ``run`` adopts it as the subreaper.  Imports only a few modules of the standard library.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from typing import NoReturn, Sequence


def execute(descriptor: int, drop: Sequence[str], command: Sequence[str]) -> NoReturn:
    """Replace this process by ``command``.

    Writes a line with process ID, monotonic time and resident set size to ``descriptor``, and another with the error
    number if ``exec`` fails.  ``drop`` names environment variables that the command must not inherit.
    """
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    os.set_inheritable(descriptor, False)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.write(descriptor, b"%d %r %d\n" % (os.getpid(), time.monotonic(), largest))
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606  (a command without a shell)
    except OSError as error:
        os.write(descriptor, b"%d\n" % (error.errno or 0))
    except ValueError:
        os.write(descriptor, b"0\n")
    os._exit(127)


def main() -> NoReturn:
    """Fork, execute the command in the fork, and exit."""
    if os.fork() == 0:
        execute(int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:])
    os._exit(0)
