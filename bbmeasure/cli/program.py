"""Command line of ``bbmeasure``: finds the command, parses its arguments and reports its errors.

Exit status: 0 for success; 1 if what was requested does not exist, or a check failed; 2 for wrong use; 3 if ``judge``
finds that the newest value of a series is worse.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, Optional

from bbmeasure import __version__
from bbmeasure.cli import commands
from bbmeasure.cli.output import clean
from bbmeasure.errors import MeasureError, QueryError, StorageError, UnknownSeriesError


class Parser(argparse.ArgumentParser):
    """Argument parser that raises QueryError, so that ``--json`` covers wrong use too."""

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse found."""
        raise QueryError(f"{self.prog}: {message}")


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status."""
    name = arguments[0] if arguments and arguments[0] in _command_names() else None
    command: Any = None if name is None else import_module(f"{commands.__name__}.{name}")
    if hasattr(command, "main"):
        return int(command.main(arguments[1:]))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the terminal's encoding may lack a character
    try:
        parser = _make_parser(name, command)
        options = parser.parse_args(arguments)
        if command is None:
            parser.error("expected a command as the first argument")
        status = int(command.run(options))
        sys.stdout.flush()
        return status
    except MeasureError as error:
        return _fail(str(error), "--json" in arguments, _exit_status(error))
    except BrokenPipeError:  # Python flushes standard output once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(str(error), "--json" in arguments, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", "--json" in arguments, 130)


def _exit_status(error: MeasureError) -> int:
    absent = isinstance(error, (UnknownSeriesError, StorageError))
    return 1 if absent or not isinstance(error, ValueError) else 2


def _fail(message: str, as_json: bool, status: int) -> int:
    if as_json:
        print(json.dumps({"message": message}))
    else:
        print("\n".join(clean(line, 1_000) for line in message.splitlines()), file=sys.stderr)
    return status


def _command_names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(commands.__path__)]


def _make_parser(name: Optional[str], command: Any) -> Parser:
    """The parser of one command, or of the help that lists all commands if ``name`` is None."""
    parser = Parser(prog="bbmeasure", description="Measure what Buildbot builds, and read what was measured.")
    parser.add_argument("--version", action="version", version=f"bbmeasure {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for each in _command_names() if name is None else [name]:
        summary = _summary(each)
        subparser = subparsers.add_parser(
            each, help=summary[:1].lower() + summary[1:].rstrip("."), description=summary, add_help=command is not None
        )
        if command is not None:
            command.add_arguments(subparser)
    return parser


def _summary(name: str) -> str:
    """The first line of a command's docstring, read without importing what the command needs."""
    source = pkgutil.get_data(commands.__name__, f"{name}.py") or b""
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
