"""A process that writes points to a journal and prints the value of each point that is on disk.

``python -m tests.unit.storage.sqlite.writing_process PATH FIRST`` writes the values FIRST, FIRST + 1, … of the series
"size" until it is killed.  At most a hundred points are pending.
"""

from __future__ import annotations

import sys

from bbmeasure.model import Point
from bbmeasure.storage.sqlite.store import SQLiteStorage


def main() -> None:
    """Write until the process is killed."""
    from twisted.internet import reactor

    storage = SQLiteStorage(sys.argv[1], reactor=reactor)
    number = int(sys.argv[2])
    pending = 0

    def acknowledged(written: int) -> None:
        nonlocal pending
        pending -= 1
        print(written, flush=True)

    def write_more() -> None:
        nonlocal number, pending
        while pending < 100:
            point = Point("size", number, float(number), {"k": "v"})
            pending += 1
            storage.write([point], {"last": float(number)}).addCallback(lambda _, written=number: acknowledged(written))
            number += 1
        reactor.callLater(0, write_more)  # type: ignore[attr-defined]

    reactor.callWhenRunning(write_more)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
