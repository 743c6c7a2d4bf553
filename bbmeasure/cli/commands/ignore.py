"""Ignore an alert: both levels are usual."""

from __future__ import annotations

import argparse

from bbmeasure.cli import decisions
from bbmeasure.storage.verdict_store import IGNORED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure ignore``."""
    decisions.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ignore an alert, from the next build on."""
    return decisions.decide(options, IGNORED)
