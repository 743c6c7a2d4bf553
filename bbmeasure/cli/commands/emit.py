"""Report one value, on a worker."""

from bbmeasure_scripts.emit import main

__all__ = ["main"]
