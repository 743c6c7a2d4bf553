"""Time to find marked lines in a log of 20 MB, compared with a regular expression for each line."""

from __future__ import annotations

import re
import sys

from bbmeasure import wire
from benchmarks.targets import Figures, best_of

#: Lines in each piece: Buildbot passes logs on in complete lines.
LINES = 800


def main() -> int:
    """Print the figure with its target."""
    line = "cc -O2 -Wall -c some/file_with_a_name.c -o some/file_with_a_name.o  # 123456\n"
    marked = '##bbmeasure {"v":1,"name":"link_time","value":12.5,"unit":"s"}\n'
    text = (line * 2_600 + marked) * 100
    lines = text.splitlines(keepends=True)
    pieces = ["".join(lines[start : start + LINES]) for start in range(0, len(lines), LINES)]
    pattern = re.compile(r"##bbmeasure (\{.*\})")

    def ours() -> int:
        scanner = wire.MarkerScanner()
        return sum(len(scanner.feed(piece)) for piece in pieces) + len(scanner.finish())

    def regex() -> int:
        return sum(pattern.search(line) is not None for line in text.split("\n"))

    if (ours(), regex()) != (100, 100):
        raise SystemExit("not every marked line was found")
    figures = Figures()
    time_ours, time_regex = best_of(ours), best_of(regex)
    what = f"ours over a regex per line, {len(text) / 1e6:.0f} MB"
    figures.show(what, time_ours / time_regex, "", 0.2, f"{time_ours:.1f} and {time_regex:.1f} ms")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
