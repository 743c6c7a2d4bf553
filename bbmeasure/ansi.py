"""Control sequences of terminals (ECMA-48).  Runs on a worker's Python 3.7 too."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def strip_ansi(text: str) -> str:
    """``text`` without control sequences, such as those that set colours."""
    return _SEQUENCE.sub("", text) if "\x1b" in text else text
