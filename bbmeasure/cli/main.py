"""Entry point of the command ``bbmeasure``.

Commands that a build calls many times start without the modules that the others need.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: Commands that run on a worker.
_ON_WORKER = ("emit", "run")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    if name in _ON_WORKER:
        return int(import_module(f"bbmeasure.cli.commands.{name}").main(arguments[1:]))
    return int(import_module("bbmeasure.cli.program").main(arguments))
