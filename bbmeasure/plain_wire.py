"""The part of the wire format that needs no import: its names, and the encoding of a number with a plain name.

:mod:`bbmeasure.wire` encodes any record.  Its imports take longer than all else of ``run`` and of the start of
``size``, which therefore use this module where the name of their series is plain.  Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

VERSION = 1
MARKER = "##bbmeasure "
#: The environment variable that names the sidecar file of a step.
FILE_VARIABLE = "BBMEASURE_FILE"

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.")
_LONGEST_PLAIN = 200


def is_plain(name: str) -> bool:
    """True for a short name that is valid and the same in JSON and in every store."""
    return 0 < len(name) <= _LONGEST_PLAIN and _PLAIN.issuperset(name)


class Number:
    """The value of one series with a plain name, in a base unit; ``better`` is empty where no direction is better."""

    def __init__(self, name: str, value: float, kind: str, unit: str, better: str = "lower") -> None:
        self.name = name
        self.value = value
        self.kind = kind
        self.unit = unit
        self.better = better

    def encode(self, marked: bool) -> str:
        """The line for stdout or a file, as ``wire.encode`` makes it."""
        unit = "" if self.unit == "1" else f',"unit":"{self.unit}"'
        better = f',"better":"{self.better}"' if self.better else ""
        number = repr(float(self.value) + 0.0)
        line = f'{{"v":{VERSION},"name":"{self.name}","value":{number},"kind":"{self.kind}"{unit}{better}}}'
        return MARKER + line if marked else line
