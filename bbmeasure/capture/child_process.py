"""Commands and environment of the master's child processes, which get none of its secrets."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

#: The variables that a child process gets from the master.
VARIABLES = ("PATH", "TZ", "LANG", "LC_ALL", "SYSTEMROOT")


def environment() -> dict[str, str]:
    """The environment of a child process."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def command(module: str, folders: Sequence[str], *arguments: str) -> list[str]:
    """The command of an isolated interpreter that runs ``main`` of ``module``; ``folders`` are those of its imports."""
    source = f"import sys; sys.path += {[*folders]!r}; from {module} import main; main()"
    return [sys.executable, "-I", "-S", "-c", source, *arguments]
