"""Command lines of the programs, with argparse."""

from __future__ import annotations

import argparse
from typing import Optional, Sequence


def formatter(prog: str) -> argparse.HelpFormatter:
    """A help formatter of fixed width: to query the width of the terminal, argparse imports modules for 3 ms."""
    return argparse.HelpFormatter(prog, width=80)


def read(parser: argparse.ArgumentParser, argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Parse a command line.

    ``--option=--`` is an error with every Python: up to 3.12 argparse drops the value and stores an empty list.
    """
    arguments = parser.parse_args(argv)
    for name, value in vars(arguments).items():
        values = value if isinstance(parser.get_default(name), list) else [value]
        if [] in values or "--" in values:
            parser.error(f"--{name}: expected a value other than --")
    return arguments
