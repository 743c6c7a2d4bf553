"""Checks of gates against the series of a journal."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from bbmeasure.capture.gates import Gate
from bbmeasure.cli.gate_checks import gate_problems
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind

SIZE = SeriesInfo("wheel_size", Kind.SIZE, "bytes", Direction.LOWER, ("first",))
TIME = SeriesInfo("link_time", Kind.DURATION, "s", Direction.LOWER, ("first", "second"))
COUNT = SeriesInfo("count", Kind.COUNT, "1", Direction.NONE, ("first",))
TEXT = SeriesInfo("compiler", Kind.TEXT, "1", Direction.NONE, ("first",))
BUILD = SeriesInfo("build_duration", Kind.DURATION, "s", Direction.LOWER, ("first",))
ALL = (SIZE, TIME, COUNT, TEXT, BUILD)


def policy(pattern: str, **gate: Any) -> dict[str, Any]:
    """A gate of the policy."""
    return {"where": f"gates[{pattern!r}]", "gate": Gate(**gate).arguments(), "pattern": pattern} | NONE


def own(series: Optional[str], builder: str = "first", **more: Any) -> dict[str, Any]:
    """A gate of a step or track call."""
    known = {key: more.pop(key) for key in ("unit", "kind", "better") if key in more}
    given = {"where": f"step {series!r}", "gate": Gate(**more).arguments(), "pattern": None}
    return {**given, **NONE, "series": series, "builder": builder, **known}


NONE: dict[str, Any] = dict.fromkeys(("builder", "series", "unit", "kind", "better"))


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ([policy("wheel*", limit="10 MiB", level="fail")], []),
        ([policy("*", minimumChange="5 %")], []),
        ([policy("weel*")], ["gates['weel*']: no series has such a name; misspelt?"]),
        ([policy("configured*")], []),
        (
            [policy("*_size"), policy("wheel_size")],
            ["gates['wheel_size']: never applies, other gates apply to each series that it matches"],
        ),
        (
            [own("wheel_size"), policy("wheel_size")],
            ["gates['wheel_size']: never applies, other gates apply to each series that it matches"],
        ),
        ([own("link_time"), policy("link_time")], []),  # of the builder second
        (
            [policy("*_time", limit="10 MiB")],
            ["gates['*_time']: limit 10 MiB: not applied to a duration in s: link_time"],
        ),
        (
            [policy("*", lowerLimit="10 MiB")],
            ["gates['*']: lowerLimit 10 MiB: not applied to a duration in s: link_time and 3 more"],
        ),
        (
            [policy("build_*", level="warn")],
            ["gates['build_*']: level 'warn' has no effect: the values of build_duration are known only after a build"],
        ),
        ([policy("compiler", level="warn")], ["gates['compiler']: level 'warn' has no effect: texts are not judged"]),
        (
            [policy("count", level="fail")],
            ["gates['count']: level 'fail' has no effect: count has no better direction; give better= or a limit"],
        ),
        ([policy("count", level="fail", maximumIncrease="5 %")], []),
        ([own("count", level="fail", better="lower")], []),
        (
            [own("wheel_size", limit="1 s")],
            ["step 'wheel_size': limit 1 s: not applied to a size in bytes: wheel_size"],
        ),
        (
            [own("new", limit="1 s", unit="MiB")],
            ["step 'new': limit 1 s: not applied to a size in bytes: new"],
        ),
        ([own("new", limit="1 s", level="fail")], []),
        ([own(None, limit="1 s", level="fail")], []),
        ([own("wheel_size", builder="second", limit="1 s")], []),
    ],
)
def test_problems(given: list[dict[str, Any]], problems: list[str]) -> None:
    """Each gate that has no effect, or a limit that does not fit, is named with what to do."""
    assert list(gate_problems(given, ALL, ["configured_name"])) == problems


def test_without_a_journal() -> None:
    """Where nothing was measured yet, patterns are not reported; units of steps are."""
    given = [policy("any*"), own("new", limit="1 s", unit="MiB")]
    assert len(list(gate_problems(given, (), ()))) == 1
