"""A process that writes point after point into a journal and prints the number of each that is on disk.

``python -m tests.unit.storage.sqlite.writing_process PATH FIRST``: writes the values FIRST, FIRST + 1, … of the series
"size" until it is killed, a few at a time, and never more than a hundred that are not on disk yet.
"""

from __future__ import annotations

import sys

from bbmeasure.model import Point
from bbmeasure.storage.sqlite.store import SQLiteStorage


def main() -> None:
    """Write until killed."""
    from twisted.internet import reactor

    storage = SQLiteStorage(sys.argv[1], reactor=reactor)
    number = int(sys.argv[2])
    waiting = 0

    def acknowledged(written: int) -> None:
        nonlocal waiting
        waiting -= 1
        print(written, flush=True)

    def write_some() -> None:
        nonlocal number, waiting
        while waiting < 100:
            point = Point("size", number, float(number), {"k": "v"})
            waiting += 1
            storage.write([point], {"last": float(number)}).addCallback(lambda _, written=number: acknowledged(written))
            number += 1
        reactor.callLater(0, write_some)  # type: ignore[attr-defined]

    reactor.callWhenRunning(write_some)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
