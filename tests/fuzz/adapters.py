"""Fuzz the adapters, guided by coverage: ``python -m tests.fuzz.adapters [--seconds N] [ADAPTER ...]``.

Each adapter gets N seconds of atheris (``pip install atheris``), which begins with the recorded outputs and the words
in them.  An adapter may give records or raise ParseError; anything else, and anything that takes ten seconds, is a
find.  It is kept as ``tests/fuzz/finds/adapters/ADAPTER/HASH.txt``, which a unit test reads from then on.  The exit
status says how many adapters had one.
"""

from __future__ import annotations

import argparse
import json
import sys

from bbmeasure import adapters
from tests.fuzz.hunting import FINDS, hunt
from tests.tool_output import cases
from tests.unit.adapters.hostile import documents, keys_of


def words(name: str) -> set[bytes]:
    """The keys and markers in the recorded outputs."""
    found = {json.dumps(key) for document in documents(name) for key in keys_of(document)}
    for case in cases.discover(name):
        found.update(word for word in case.text.split()[:200] if len(word) < 60)
    return {word.encode() for word in found}


def main() -> int:
    """Fuzz the adapters that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER", default=adapters.names())
    parser.add_argument("--seconds", type=int, default=60, help="how long for each adapter")
    chosen = parser.parse_args()
    return sum(
        [
            hunt(
                "tests.fuzz.adapter_target",
                name,
                [case.path.read_bytes() for case in cases.discover(name)],
                words(name),
                FINDS / "adapters" / name,
                chosen.seconds,
            )
            for name in chosen.adapters
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
