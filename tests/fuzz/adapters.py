"""Coverage-guided fuzzing of the adapters: ``python -m tests.fuzz.adapters [--seconds N] [ADAPTER ...]``.

Each adapter gets N seconds of atheris (``pip install atheris``), with the recorded outputs as corpus and their words
as dictionary.  An adapter must return records or raise ParseError within ten seconds.  Any other input is a find: it is
saved as ``tests/fuzz/finds/adapters/ADAPTER/HASH.txt``, which a unit test parses.  The exit status is the number of
adapters with a find.
"""

from __future__ import annotations

import argparse
import json
import sys

from bbmeasure import adapters
from tests.fuzz.runner import FINDS, fuzz
from tests.tool_output import cases
from tests.unit.adapters.hostile import documents, keys_of


def words(name: str) -> set[bytes]:
    """The keys and words of the recorded outputs."""
    found = {json.dumps(key) for document in documents(name) for key in keys_of(document)}
    for case in cases.discover(name):
        found.update(word for word in case.text.split()[:200] if len(word) < 60)
    return {word.encode() for word in found}


def main() -> int:
    """Fuzz the given adapters, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER", default=adapters.names())
    parser.add_argument("--seconds", type=int, default=60, help="the time for each adapter")
    chosen = parser.parse_args()
    return sum(
        [
            fuzz(
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
