"""The spool on disk: order, limits, totals, and what a killed process leaves."""

from __future__ import unicode_literals

import os
import signal
import subprocess
import sys

import pytest

from bbmeasure_eight.spool import OVERHEAD, Spool, Write


@pytest.fixture
def path(tmpdir):
    return str(tmpdir.join("spool.sqlite"))


def points(*numbers):
    return Write([("size,n=%d" % number, "value=1.0", number) for number in numbers], {}, [])


def lines(spool):
    return [one.line for one in spool.waiting(100, 10**6)]


def test_points_wait_in_their_order_and_survive_a_reopening(path):
    spool = Spool(path, 10**6)
    assert spool.write([points(3), points(1, 2)]) == 0
    spool.close()
    spool = Spool(path, 10**6)
    assert spool.count == 3
    assert lines(spool) == ["size,n=3 value=1.0 3", "size,n=1 value=1.0 1", "size,n=2 value=1.0 2"]


def test_a_batch_is_removed_and_later_points_stay(path):
    spool = Spool(path, 10**6)
    spool.write([points(1, 2)])
    batch = spool.waiting(100, 10**6)
    spool.write([points(3)])
    spool.remove(batch[-1].id, [(batch[0].line, "why")])
    assert lines(spool) == ["size,n=3 value=1.0 3"]
    assert spool.count == 1
    spool.remove(spool.waiting(1, 1)[-1].id)
    assert (spool.count, spool.bytes) == (0, 0)


def test_a_point_of_the_same_identity_is_replaced(path):
    spool = Spool(path, 10**6)
    spool.write([points(1), Write([("size,n=1", "value=22.0", 1)], {}, [])])
    assert lines(spool) == ["size,n=1 value=22.0 1"]
    assert (spool.count, spool.bytes) == (1, len("size,n=1") + len("value=22.0") + OVERHEAD)


def test_a_full_spool_refuses_new_points_and_keeps_the_old(path):
    spool = Spool(path, 200)
    assert spool.write([points(*range(10))]) == 7
    assert [line.split()[-1] for line in lines(spool)] == ["0", "1", "2"]
    spool.remove(spool.waiting(1, 1)[-1].id)
    assert spool.write([points(20)]) == 0


def test_a_batch_is_limited_in_points_and_bytes(path):
    spool = Spool(path, 10**6)
    spool.write([points(*range(10))])
    assert len(spool.waiting(4, 10**6)) == 4
    assert len(spool.waiting(100, 45)) == 2
    assert len(spool.waiting(100, 1)) == 1


def test_totals_and_declarations_are_written_with_the_points(path):
    spool = Spool(path, 10**6)
    spool.write([Write([], {"k": 1.5}, [("size", "b", "size", "bytes", "lower")])])
    spool.write([Write([], {"k": 2.5}, [])])
    assert spool.totals() == {"k": 2.5}
    assert spool.declarations() == {("size", "b"): ("size", "bytes", "lower")}
    assert spool.unsent_series() == [("size", "b", "size", "bytes", "lower")]
    spool.mark_sent([("size", "b")])
    assert spool.unsent_series() == []
    spool.write([Write([], {}, [("size", "b", "size", "bytes", "lower")])])
    assert spool.unsent_series() == []


def test_others_cannot_read_the_file(path):
    Spool(path, 10**6).close()
    assert os.stat(path).st_mode & 0o077 == 0


SCRIPT = """
import sys
from bbmeasure_eight.spool import Spool, Write
spool, number = Spool(sys.argv[1].decode("utf-8"), 10**9), 0
while True:
    spool.write([Write([(u"size,n=%d" % number, u"value=1.0", number)], {}, [])])
    sys.stdout.write("%d\\n" % number)
    sys.stdout.flush()
    number += 1
"""


def test_a_killed_process_loses_no_written_point(path):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, path], stdout=subprocess.PIPE)
    seen = [int(process.stdout.readline()) for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    seen += [int(line) for line in process.stdout.read().splitlines()]
    process.wait()
    spool = Spool(path, 10**9)
    assert spool.count in (len(seen), len(seen) + 1)
    assert [one.line.split()[-1] for one in spool.waiting(len(seen), 10**9)] == ["%d" % number for number in seen]
