"""Measure a command, on a worker."""

from bbmeasure_scripts.run import main

__all__ = ["main"]
