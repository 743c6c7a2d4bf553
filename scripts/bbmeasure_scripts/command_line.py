"""The command line of a program of the kit."""

from __future__ import annotations

import argparse
from typing import Optional, Sequence


def formatter(prog: str) -> argparse.HelpFormatter:
    """Help of a fixed width: to ask the terminal for its own, argparse loads modules that take a start 3 ms."""
    return argparse.HelpFormatter(prog, width=80)


def read(parser: argparse.ArgumentParser, argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """What ``parser`` makes of a command line.

    ``--option=--`` is wrong use with every Python: up to 3.12 argparse takes the value away and leaves an empty list.
    """
    wanted = parser.parse_args(argv)
    for name, value in vars(wanted).items():
        values = value if isinstance(parser.get_default(name), list) else [value]
        if [] in values or "--" in values:
            parser.error(f"--{name}: expected a value that is not --")
    return wanted
