"""Verdicts for tests of reporters."""

from __future__ import annotations

from dataclasses import replace

from bbmeasure.analysis import State, Verdict
from bbmeasure.records import Direction, Kind
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict

MIB = 1024.0**2
#: A name that means something in Markdown, in HTML, to GitHub and to GitLab.
HOSTILE = "@team/all <img src=x onerror=alert(1)> `tick` ``two`` [a](http://e) **b** | #12 \u202e $x$ :smile: \\"


def line(series="wheel_size", state=State.WORSE, value=1.42 * MIB, **more):
    """The verdict of a size that is usually from 1.2 to 1.3 MiB."""
    without = state is State.NO_BASELINE
    verdict = Verdict(
        state,
        value,
        baseline=None if without else 1.25 * MIB,
        low=None if without else 1.2 * MIB,
        high=None if without else 1.3 * MIB,
        change=None if without else value / (1.25 * MIB) - 1,
        rule=more.pop("rule", "shift"),
        reason=more.pop("reason", ""),
    )
    made = LineVerdict(
        series, "b", {}, "main", None, Kind.SIZE, "bytes", Direction.LOWER, value, verdict, told=state is State.WORSE
    )
    return replace(made, **more)


def build(*lines, buildid=1, normal=0, complete=True):
    """The verdicts of a build with ``normal`` lines beside those given."""
    usual = [line(f"normal_{number}", State.NORMAL, 1.25 * MIB) for number in range(normal)]
    return BuildVerdicts(buildid, (*lines, *usual), complete)
