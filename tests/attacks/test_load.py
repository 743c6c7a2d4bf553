"""Clients that read slowly, ask for much, or for something that takes long."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbmeasure.capture.cardinality import MAX_LINES
from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import Site
from bbmeasure.times import NANOSECONDS
from tests.attacks.masters import API, get
from tests.e2e.masters import BASE_CONFIG

CONFIG = (
    BASE_CONFIG
    + """
from bbmeasure.master.www import streaming

streaming.SEND_TIMEOUT = 3.0  # seconds
c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [util.SQLiteInstance()]
add(util.BuilderConfig(name="open", workernames=["worker"], factory=util.BuildFactory()))
"""
)
START = 1_700_000_000
#: Points of 4,000 characters, of which 10,000 are more than one answer may have, and of which 5,000 are 20 MB.
LONG = 10_000
LARGE = 5_000
READERS = 6
#: As many lines as one builder may have.
LINES = MAX_LINES
QUERIES = 12


def long_points(begin: int) -> list[Point]:
    """A thousand points with long texts."""
    build = BuildContext("open", "worker", 1, 1)
    return [Point("long", (START + at) * NANOSECONDS, "x" * 4_000, {}, build) for at in range(begin, begin + 1_000)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with 40 MB of texts, and with a series of 20,000 lines."""
    with Site(tmp_path_factory.mktemp("site"), CONFIG, workers=()) as running:
        build = BuildContext("open", "worker", 1, 1)
        with Journal(running.journal) as journal:
            for begin in range(0, LONG, 1_000):
                journal.write(long_points(begin))
            for begin in range(0, LINES, 10_000):
                journal.write(
                    [
                        Point("lines", (START + at) * NANOSECONDS, float(at), {"k": f"value {at}"}, build)
                        for at in range(begin, begin + 10_000)
                    ]
                )
        yield running


def memory_of(site: Site) -> int:
    """The largest resident memory that the master has had, in bytes."""
    assert site.master is not None
    status = Path(f"/proc/{site.master.popen.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def ask(site: Site, path: str) -> socket.socket:
    """A client that has asked, and reads nothing yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(60)
    client.connect(("127.0.0.1", site.ports["WWW_PORT"]))
    client.sendall(f"GET /{API}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


def read_slowly(clients: list[socket.socket], seconds: float) -> list[socket.socket]:
    """Read a byte of each client now and then; returns those that the master has not disconnected in the end."""
    end = time.monotonic() + seconds
    connected = list(clients)
    while connected and time.monotonic() < end:
        for client in list(connected):
            try:
                ended = not client.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                ended = False
            except ConnectionError:
                ended = True
            if ended:
                connected.remove(client)
        time.sleep(0.01)
    return connected


def test_slow_readers_of_large_answers(site: Site) -> None:
    """Answers have a largest size, those that wait for slow clients too, and clients that drip are disconnected."""
    status, answer = get(site, "points", series="long", limit=LONG)
    assert (status, "larger than 32 MiB" in answer["message"]) == (400, True)
    before = memory_of(site)
    clients = [ask(site, f"points?series=long&limit={LARGE}") for _ in range(2 * READERS)]
    assert get(site, "points", series="long", limit=1)[0] == 200
    assert read_slowly(clients, 200) == []
    for client in clients:
        client.close()
    assert memory_of(site) - before < 512 * 2**20
    gone = get(site, "health")[1]["counters"]
    assert gone["api_gone"] + gone["api_unavailable"] >= READERS
    assert get(site, "points", series="long", limit=LARGE)[0] == 200


def test_cheap_requests_while_queries_run(site: Site, chance: random.Random) -> None:
    """Health, links, builds and lists are answered while long queries fill their lane."""
    begun = threading.Barrier(QUERIES + 1)
    statuses: list[int] = []

    def query() -> None:
        begun.wait()
        until = START + chance.randrange(LINES // 2, LINES)
        statuses.append(get(site, "statistics", series="lines", until=until, statistics="p95,deviation")[0])

    threads = [threading.Thread(target=query) for _ in range(QUERIES)]
    for thread in threads:
        thread.start()
    begun.wait()
    for path in ("health", "links", "series", "health"):
        assert get(site, path)[0] == 200
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert get(site, "statistics", series="lines", until=START + 10)[1]["count"] == 10


def test_a_series_with_very_many_lines(site: Site) -> None:
    """Statistics and points of 20,000 values of a tag are answered within the time of a query."""
    assert get(site, "statistics", series="lines")[1]["count"] == LINES
    points = get(site, "points", series="lines", limit=10)[1]["points"]
    assert [point["value"] for point in points] == [float(at) for at in range(LINES - 10, LINES)]
    assert get(site, "statistics", series="lines", **{"tag.k": "value 7"})[1]["count"] == 1


def test_requests_that_are_never_complete(site: Site) -> None:
    """Clients that send their request a byte at a time hold no slot of the API."""
    clients = [socket.create_connection(("127.0.0.1", site.ports["WWW_PORT"]), timeout=60) for _ in range(100)]
    for client in clients:
        client.sendall(f"GET /{API}health HTTP/1.1\r\nHost:".encode())
    status, answer = get(site, "health")
    assert (status, bool(json.dumps(answer))) == (200, True)
    for client in clients:
        client.close()
