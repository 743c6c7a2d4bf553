"""A long history, written into the journal of a master: 8 builders, 80 series, 400 days."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import Site
from bbmeasure.times import NANOSECONDS

BUILDERS = tuple(f"builder-{number}" for number in range(1, 9))
DAYS = 400
#: The series with a step of 30 % on one builder, and the builder and day of the step.
REGRESSED = "perf.parse_time"
REGRESSED_BUILDER = BUILDERS[4]
STEP_DAY = 300
#: A series with one value that is a hundred times as large.
SPIKED = "perf.link_time"
#: A series with five tags of more than 10,000 points together.
TAGGED = "size.by_section"
SECTIONS = {"text": 5_000_000.0, "data": 900_000.0, "bss": 80_000.0, "debug": 40_000_000.0, "rodata": 600_000.0}
#: The scales of a number for which the value axis must have labels.
SCALES = tuple(10.0**power for power in range(-12, 19, 3))
_GROUPS = {
    "perf": (Kind.DURATION, "s", Direction.LOWER, 4.0),
    "size": (Kind.SIZE, "bytes", Direction.LOWER, 3e6),
    "cov": (Kind.RATIO, "1", Direction.HIGHER, 0.8),
    "lint": (Kind.COUNT, "1", Direction.LOWER, 120.0),
}


def series() -> Iterator[tuple[str, Kind, str, Direction, float]]:
    """Name, kind, unit, direction and level of each series with one line a builder."""
    names = {"perf": ["parse_time", "link_time"], "size": [], "cov": [], "lint": []}
    for prefix, (kind, unit, better, level) in _GROUPS.items():
        each = names[prefix] + [f"module_{number:02}" for number in range(17 - len(names[prefix]))]
        for number, name in enumerate(each):
            yield f"{prefix}.{name}", kind, unit, better, level * (1 if kind is Kind.RATIO else 1 + number / 5)
    for scale in SCALES:
        yield f"scale.{scale:.0e}", Kind.NUMBER, "1", Direction.NONE, scale


def _build(builder: str, day: int, *, branch: str = "main", proposal: str = "") -> BuildContext:
    number = BUILDERS.index(builder) if builder in BUILDERS else int(builder.rsplit("-", 1)[1])
    revision = f"{day * 7919 % 2**32:08x}" * 5
    return BuildContext(
        builder, "bot1", day + 1, 100_000 + day * 1000 + number, "capture", revision, branch, proposal=proposal
    )


def _points(now: float) -> Iterator[Point]:
    begin = now - DAYS * 86400
    yield from _noise(begin)
    for day in range(DAYS):
        at = int((begin + day * 86400 + 500) * NANOSECONDS)
        for builder in BUILDERS:
            for section, level in SECTIONS.items():
                yield Point(TAGGED, at, level * (1 + day / 4000), {"section": section}, _build(builder, day))
    for day in range(DAYS - 60, DAYS):
        at = int((begin + day * 86400 + 700) * NANOSECONDS)
        yield Point(REGRESSED, at, 4.4, {}, _build(BUILDERS[0], day, branch="release/2"))
        yield Point(REGRESSED, at + 1, 9.0, {}, _build(BUILDERS[0], day, proposal=f"refs/pull/{day}"))
        yield Point("compiler", at, "gcc 12" if day < DAYS - 20 else "gcc 13", {}, _build(BUILDERS[0], day))


def _noise(begin: float) -> Iterator[Point]:
    """Each series of each builder around its level, with gaps, a step and an outlier."""
    chance = random.Random(7)
    for index, (name, kind, _, _, level) in enumerate(series()):
        for place, builder in enumerate(BUILDERS):
            for day in range(DAYS):
                if (day + place) % 97 < 5 and index % 3 == 0:
                    continue
                value = level * (1 + place / 20) * (1 + chance.gauss(0, 0.01)) * _factor(name, builder, day)
                value = min(1.0, value) if kind is Kind.RATIO else value
                at = int((begin + day * 86400 + index + place) * NANOSECONDS)
                samples = (5, value * 0.02) if name == SPIKED else ()
                yield Point(name, at, value, {}, _build(builder, day), *samples)


def _factor(name: str, builder: str, day: int) -> float:
    """The distance of a value from its level besides the noise."""
    if name == REGRESSED and builder == REGRESSED_BUILDER and day >= STEP_DAY:
        return 1.3
    return 100.0 if name == SPIKED and day == 200 else 1.0


def seed_history(site: Site) -> None:
    """Write the history."""
    with Journal(site.journal) as journal:
        for name, kind, unit, better, _ in series():
            for builder in BUILDERS:
                journal.declare(SeriesInfo(name, kind, unit, better, (builder,)))
        for builder in BUILDERS:
            journal.declare(SeriesInfo(TAGGED, Kind.SIZE, "bytes", Direction.LOWER, (builder,)))
        _write(journal, _points(time.time()))


def seed_many_builders(site: Site, builders: int) -> None:
    """Write 40 builds of each of many builders; one of them is slower since its last build."""
    chance = random.Random(3)
    begin = time.time() - 40 * 86400
    with Journal(site.journal) as journal:
        for number in range(builders):
            info = SeriesInfo("compile_time", Kind.DURATION, "s", Direction.LOWER, (f"farm-{number:03}",))
            journal.declare(info)
        _write(journal, (
            Point(
                "compile_time", int((begin + day * 86400 + number) * NANOSECONDS),
                100 * (1 + chance.gauss(0, 0.01)) * (1.5 if number == builders // 2 and day == 39 else 1), {},
                _build(f"farm-{number:03}", day),
            )
            for day in range(40)
            for number in range(builders)
        ))  # fmt: skip


def _write(journal: Journal, points: Iterator[Point]) -> None:
    batch: list[Point] = []
    for point in points:
        batch.append(point)
        if len(batch) == 5_000:
            journal.write(batch)
            batch = []
    journal.write(batch)
