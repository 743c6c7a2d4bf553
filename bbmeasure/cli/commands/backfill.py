"""Capture what a master's database knows of past builds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the program in a process of its own, as it loads Buildbot's database schema."""
    command = [sys.executable, "-m", "bbmeasure.master.backfill.command", *arguments]
    status = subprocess.run(command, check=False).returncode
    return status if status >= 0 else 128 - status  # ended by a signal
