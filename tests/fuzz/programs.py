"""Fuzz the worker's kit and the wire, guided by coverage: ``python -m tests.fuzz.programs [--seconds N] [PART ...]``.

Each part that meets odd input gets N seconds of atheris (``pip install atheris``), which begins with good input and the
words in it.  ``tests/unit/scripts/hostile.py`` says what each promises; whatever breaks that, and whatever takes ten
seconds, is a find.  It is kept as ``tests/fuzz/finds/programs/PART/HASH.txt``, which a unit test reads from then on.
The exit status says how many parts had one.
"""

from __future__ import annotations

import argparse
import re
import sys

from tests.fuzz.hunting import FINDS, hunt
from tests.unit.scripts import hostile
from tests.unit.scripts.seeds import SEEDS


def words(name: str) -> set[bytes]:
    """The words of the good input, options as whole arguments too."""
    found = {word for seed in SEEDS[name] for word in re.split(rb"[\0\s,:={}]+", seed)}
    return found | {b"\0%s\0" % word for word in found if word.startswith(b"-")}


def main() -> int:
    """Fuzz the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", default=sorted(hostile.CHECKS))
    parser.add_argument("--seconds", type=int, default=60, help="how long for each part")
    chosen = parser.parse_args()
    return sum(
        [
            hunt(
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
