"""Coverage-guided fuzzing of programs and wire format: ``python -m tests.fuzz.programs [--seconds N] [PART ...]``.

Each part gets N seconds of atheris (``pip install atheris``), with valid inputs as corpus, their words as dictionary.
``tests/unit/scripts/hostile.py`` has the checks of each part.  An input that fails a check or takes ten seconds is a
find: it is saved as ``tests/fuzz/finds/programs/PART/HASH.txt``, which a unit test runs.  The exit status is the number
of parts with a find.
"""

from __future__ import annotations

import argparse
import re
import sys

from tests.fuzz.runner import FINDS, fuzz
from tests.unit.scripts import hostile
from tests.unit.scripts.seeds import SEEDS


def words(name: str) -> set[bytes]:
    """The words of the valid inputs, and options as complete arguments."""
    found = {word for seed in SEEDS[name] for word in re.split(rb"[\0\s,:={}]+", seed)}
    return found | {b"\0%s\0" % word for word in found if word.startswith(b"-")}


def main() -> int:
    """Fuzz the given parts, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", default=sorted(hostile.CHECKS))
    parser.add_argument("--seconds", type=int, default=60, help="the time for each part")
    chosen = parser.parse_args()
    return sum(
        [
            fuzz(
                "tests.fuzz.program_target",
                name,
                SEEDS[name],
                words(name),
                FINDS / "programs" / name,
                chosen.seconds,
            )
            for name in chosen.parts
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
