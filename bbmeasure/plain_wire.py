"""The part of the wire format that needs no import: its names, and the encoding of a number with a plain name.

:mod:`bbmeasure.wire` encodes any record.  Its imports take longer than all else of ``run``, which therefore uses this
module where the name of its series is plain.  Runs on a worker's Python 3.7 too.
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


def encode_number(name: str, value: float, kind: str, unit: str) -> str:
    """Encode a number of a plain name, in a base unit, of which less is better, as ``wire.encode`` does."""
    written_unit = "" if unit == "1" else f'"unit":"{unit}",'
    number = repr(float(value) + 0.0)
    return f'{{"v":{VERSION},"name":"{name}","value":{number},"kind":"{kind}",{written_unit}"better":"lower"}}'
