"""Finding marked lines in a log of 20 MB, beside a regular expression a line: ``python -m benchmarks.wire_markers``."""

from __future__ import annotations

import re
import sys

from bbmeasure import wire
from benchmarks.targets import Figures, best_of

#: Buildbot hands logs on in whole lines.
LINES = 800


def main() -> int:
    """Print the figure beside its target."""
    line = "cc -O2 -Wall -c some/file_with_a_name.c -o some/file_with_a_name.o  # 123456\n"
    marked = '##bbmeasure {"v":1,"name":"link_time","value":12.5,"unit":"s"}\n'
    text = (line * 2_600 + marked) * 100
    lines = text.splitlines(keepends=True)
    pieces = ["".join(lines[begin : begin + LINES]) for begin in range(0, len(lines), LINES)]
    pattern = re.compile(r"##bbmeasure (\{.*\})")

    def ours() -> int:
        scanner = wire.MarkerScanner()
        return sum(len(scanner.feed(piece)) for piece in pieces) + len(scanner.finish())

    def regex() -> int:
        return sum(pattern.search(one) is not None for one in text.split("\n"))

    if (ours(), regex()) != (100, 100):
        raise SystemExit("not every marked line was found")
    figures = Figures()
    mine, theirs = best_of(ours), best_of(regex)
    what = f"ours over a regex a line, {len(text) / 1e6:.0f} MB"
    figures.show(what, mine / theirs, "", 0.2, f"{mine:.1f} and {theirs:.1f} ms")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
