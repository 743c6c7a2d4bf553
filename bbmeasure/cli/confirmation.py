"""Confirmation of what cannot be undone."""

from __future__ import annotations

import argparse
import sys

from bbmeasure.errors import QueryError


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add ``--yes``."""
    parser.add_argument("--yes", action="store_true", help="do not ask; --json needs it, as it never asks")


def is_confirmed(options: argparse.Namespace, what: str) -> bool:
    """Whether ``--yes`` is given, or the user answers yes; QueryError with ``--json``, which never asks."""
    if options.yes:
        return True
    if options.json:
        raise QueryError(f"{what}: expected --yes")
    print(f"{what}? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
