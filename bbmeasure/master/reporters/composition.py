"""Text of the comment on a proposal: the verdicts of one revision, of all builders, in Markdown with HTML tables.

The first line is an HTML comment, the marker.  It identifies the comment of this master, the revision that the comment
is about, whether something is worse in it, and whether something was in the one before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Optional

from bbmeasure.analysis import State
from bbmeasure.master.reporters.digest import (
    TOLD,
    WORDS,
    Digest,
    change_text,
    line_name,
    rule_text,
    usual_text,
    value_text,
)
from bbmeasure.master.reporters.markup import html_code, html_text
from bbmeasure.master.reporters.proposals import ProposedBuild
from bbmeasure.reports.verdicts import LineVerdict

#: Rows of the table and builders below it; the rest is counted.
MAX_ROWS = 20
MAX_BUILDERS = 20
#: The most characters: GitHub refuses a comment of more than 65,536.
MAX_BODY = 60_000

_MARKER = re.compile(
    r"<!-- bbmeasure (?P<id>[0-9a-f]+) order=(?P<change>[0-9]+)\.(?P<stamp>[0-9]+) worse=(?P<worse>[01]) "
    r"was=(?P<was>[01]) -->"
)
_SIGNS = {State.WORSE: "\u25b2", State.BROKEN: "\u26a0", State.CHANGED: "\u25c6", State.BETTER: "\u25bc"}
_SINGLE = (
    "A proposal is judged by the values of one build. These confirm a change where a limit is passed, where all values "
    "before were equal, or where a step measures several times."
)


def marker_of(identity: str) -> str:
    """Return the part of the marker by which the own comment is found."""
    return f"<!-- bbmeasure {identity} "


@dataclass(frozen=True)
class Marker:
    """The marker of a comment: the order of its revision, whether something is worse, and whether something was before.

    Each builder of a revision edits the comment, so ``was_worse`` keeps what the comment said before the first of them.
    """

    order: tuple[int, int]
    worse: bool
    was_worse: bool

    @classmethod
    def read(cls, body: str) -> Optional[Marker]:
        """Return the marker of a comment; None if it is damaged."""
        match = _MARKER.search(body)
        return match and cls((int(match["change"]), int(match["stamp"])), match["worse"] == "1", match["was"] == "1")

    def text(self, identity: str) -> str:
        """Return the marker as a line of a comment."""
        order = f"{self.order[0]}.{self.order[1]}"
        return f"{marker_of(identity)}order={order} worse={int(self.worse)} was={int(self.was_worse)} -->"

    def next(self, order: tuple[int, int], worse: bool) -> Marker:
        """Return the marker of the comment that replaces this one."""
        if order != self.order:
            return Marker(order, worse, self.worse)
        return Marker(order, worse, self.was_worse or (self.worse and not worse))


@dataclass(frozen=True)
class BuildResult:
    """The verdicts of one build of a proposal, with the URL of its page."""

    build: ProposedBuild
    digest: Digest
    url: str


def is_worse(results: Sequence[BuildResult]) -> bool:
    """Return whether something is worse."""
    return any(result.digest.worse for result in results)


def compose(identity: str, results: Sequence[BuildResult], before: Optional[Marker]) -> str:
    """Return the comment for the builds of one revision; ``before`` is the marker of the comment that it replaces."""
    build, worse = results[0].build, is_worse(results)
    marker = Marker(build.order, worse, False) if before is None else before.next(build.order, worse)
    counts = Counter(line.verdict.state for result in results for line in result.digest.lines if not line.muted)
    counted = " \u00b7 ".join(f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state])
    if worse:
        title = f"\u25b2 {counted}"
    elif marker.was_worse:
        title = f"\u2714 Nothing is worse any more: {counted}"
    else:
        title = f"\u2714 {counted}"
    revision = html_code((build.revision or "HEAD")[:12])
    against = (
        f" against {html_code(build.branch)}" if build.branch else ", whose target is unknown: there is no baseline"
    )
    parts = [
        marker.text(identity),
        f"**Measurements** of {revision}{against}: {title}",
        _table(results),
        _builders(results),
        f"<sub>{_SINGLE}</sub>",
    ]
    body = "\n\n".join(part for part in parts if part)
    return body if len(body) <= MAX_BODY else "\n\n".join(parts[:2])


def _table(results: Sequence[BuildResult]) -> str:
    rows = [(result, line) for state in TOLD for result in results for line in result.digest.told(state)]
    if not rows:
        return ""
    names = ("", "Builder", "Measurement", "Value", "Usual", "Change")
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "\n".join(_row(*row) for row in rows[:MAX_ROWS])
    more = f"\n<tr><td></td><td colspan=5>and {len(rows) - MAX_ROWS} more</td></tr>" if len(rows) > MAX_ROWS else ""
    return f"<table>\n<tr>{head}</tr>\n{body}{more}\n</table>"


def _row(result: BuildResult, line: LineVerdict) -> str:
    state = line.verdict.state
    rule = rule_text(line)
    cells = (
        f"{_SIGNS[state]} {WORDS[state]}",
        html_code(result.build.builder),
        line_name(line, html_code) + (f"<br>{html_text(rule)}" if rule else ""),
        html_text(value_text(line, line.verdict.value)),
        html_text(usual_text(line)),
        html_text(change_text(line)),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _builders(results: Sequence[BuildResult]) -> str:
    lines = [
        f'- <a href="{escape(result.url)}">{html_code(f"{result.build.builder} #{result.build.number}")}</a>: '
        f"{html_text(result.digest.headline)}"
        for result in results[:MAX_BUILDERS]
    ]
    more = len(results) - MAX_BUILDERS
    return "\n".join([*lines, *([f"- and {more} more builders"] if more > 0 else [])])
