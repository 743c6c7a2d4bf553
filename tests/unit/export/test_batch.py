"""Tests of batches: rows of the journal and single points are serialized to the same lines."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import task

from bbmeasure.export.batch import Batch, BatchBuilder, serialize
from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.influxdb.line_protocol import LineWriter, write_slices
from bbmeasure.storage.influxdb.statistics_layout import StatisticsLineWriter
from bbmeasure.storage.sqlite.journal import Journal

NAMES = st.sampled_from(["a", "b", "x value=1.0", "c d,e=f", "bbmeasure_series"])
TAGS = st.dictionaries(
    st.sampled_from(["k", "step", "value", "result"]), st.sampled_from(["x", "y value=2.0", "\\ \\,z"])
)
BUILDS = st.none() | st.builds(
    BuildContext,
    st.sampled_from(["first", "second"]),
    st.just("bot"),
    st.integers(1, 3),
    st.integers(101, 103),
    st.sampled_from([None, "fetch", "compile"]),
    st.sampled_from([None, "r1", "r\n2"]),
    st.sampled_from([None, "main", "release"]),
    st.none(),
    st.sampled_from(["", "refs/pull/1", "try"]),
    st.sampled_from([None, "big"]),
)
POINTS = st.lists(
    st.builds(
        Point,
        NAMES,
        st.integers(-(10**18), 10**18),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0) | st.just("text"),
        TAGS,
        BUILDS,
        st.sampled_from([1, 1, 1, 5]),
        st.sampled_from([None, None, 0.5]),
    ),
    unique_by=lambda point: point.time,
    max_size=30,
)


@settings(max_examples=60)
@given(POINTS)
def test_rows_and_points_have_the_same_lines(points: list[Point]) -> None:
    """The lines and invalid points of rows are those of their points, in order."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        journal.attach_exporter("sink")
        journal.write(points)
        pending = journal.pending("sink", 100)
    assert [point for _, point in pending] == points
    for options in ({}, {"tag_build_number": True}, {"numbers_only": True}):
        writer = LineWriter(**options)
        by_point, by_row = list(write_slices(writer, points)), list(serialize(writer, pending))
        assert [lines for lines, _ in by_row] == [lines for lines, _ in by_point]
        errors = [
            [(one.position, one.point, str(one.error)) for _, invalid in made for one in invalid]
            for made in (by_row, by_point)
        ]
        assert errors[0] == errors[1]


class Rows(list[Any]):
    """Items with rows, whose streams are told apart as those of a journal."""

    def raw_rows(self) -> Any:
        streams: dict[Any, int] = {}
        builds: dict[Any, int] = {}
        for _, point in self:
            build = point.build
            line = (build.builder, build.branch, build.machine, bool(build.proposal))
            stream = streams.setdefault(line, len(streams))
            self.build = build
            yield stream, builds.setdefault(build.buildid, len(builds)), 1, point.value, point.time

    def build_of(self, _stream: Any, _build: int, _step: int) -> Any:
        of = self.build
        return of.build, of.buildid, (of.step, of.revision, of.branch, of.proposal, of.machine, of.project, False)


def test_rows_of_branches_and_proposals_have_their_own_lines() -> None:
    """Streams of one build that differ in branch, machine class or proposal share no part of a line."""
    facts: list[dict[str, Any]] = [
        {"branch": "main"},
        {"branch": "release"},
        {"branch": "main", "proposal": "refs/pull/1"},
        {"branch": "main", "machine": "big"},
        {},
    ]
    builds = [BuildContext("first", "bot1", number, number, "s", **fact) for number in (1, 2) for fact in facts]
    points = [Point("size", time, float(time), {}, build) for time, build in enumerate(builds * 3)]
    rows = Rows(enumerate(points))
    for options in ({}, {"tag_build_number": True}):
        writer = LineWriter(**options)
        by_row = b"".join(lines for lines, _ in serialize(writer, rows))
        assert by_row == b"".join(lines for lines, _ in write_slices(LineWriter(**options), points))
        assert by_row.count(b",proposed=yes") == 6


def test_rows_for_a_writer_without_templates() -> None:
    """Points in the layout of buildbot.statistics are serialized one by one."""
    build = BuildContext("first", "bot1", 1, 1)
    tags = {"_statistics_field": "duration"}
    points = [Point("first-build-times.duration", time, float(time), tags, build) for time in range(3)]
    made = b"".join(lines for lines, _ in serialize(StatisticsLineWriter(), Rows(enumerate(points))))
    assert made.splitlines() == [
        f"first-build-times,build_number=1,builder_name=first duration={time}.0 {time}".encode() for time in range(3)
    ]


def test_slices_of_pending_items(tmp_path: Path) -> None:
    """Batches and halves of them are slices of the pending items, and contain each point once."""
    points = [Point(f"s{number % 7}", number, float(number), {}, None) for number in range(1_000)]
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.attach_exporter("sink")
        journal.write(points)
        pending = journal.pending("sink", 1_000)
    clock = task.Clock()
    builder = BatchBuilder(LineWriter(), clock, gzip=True, monotonic=lambda: 0.0)
    found: list[Batch] = []
    builder.build(pending, 300, 400).addCallback(found.append)
    clock.advance(0)
    builder.split(found[0]).addCallback(found.extend)
    clock.advance(0)
    clock.advance(0)
    whole, left, right = (zlib.decompress(part.body, 31).splitlines() for part in found)
    assert whole == left + right
    assert [int(line.split()[-1]) for line in whole] == list(range(300, 700))
    assert [point for _, point in found[1].items] == points[300:500]
    assert found[2].items[-1] == (700, points[699])
