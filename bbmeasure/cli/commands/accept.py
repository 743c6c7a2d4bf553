"""Accept an alert: the new level is expected."""

from __future__ import annotations

import argparse

from bbmeasure.cli import decisions
from bbmeasure.storage.verdict_store import ACCEPTED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure accept``."""
    decisions.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Accept an alert, from the next build on."""
    return decisions.decide(options, ACCEPTED)
