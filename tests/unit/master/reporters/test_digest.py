"""Verdicts of a build in words."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from bbmeasure.analysis import State
from bbmeasure.master.reporters.digest import MAX_LISTED, Digest
from bbmeasure.master.reporters.markup import MAX_STATUS, code_span
from tests.unit.master.reporters.verdicts import HOSTILE, MIB, build, line


def test_what_got_worse_by_how_much_since_when():
    """The message has the value, what is usual, the change, and the build where it began."""
    digest = Digest(build(line(since_build=389), line("lint", State.BETTER, MIB), normal=96), number=391)
    assert digest.headline == "1 worse, 1 better, 96 normal"
    assert digest.text == (
        "Measurements: 1 worse, 1 better, 96 normal\n"
        "  worse: wheel_size 1.42 MiB, usual 1.2 MiB to 1.3 MiB (+14 %), since #389\n"
        "  better: lint 1 MiB, usual 1.2 MiB to 1.3 MiB (-20 %)\n"
    )
    assert "- worse: `wheel_size` 1.42 MiB, usual 1.2 MiB to 1.3 MiB (+14 %), since #389\n" in digest.markdown
    assert "<li>worse: <code>wheel_size</code> 1.42 MiB, usual" in digest.html
    assert digest.status == "1 worse, 1 better, 96 normal: wheel_size +14 %, lint -20 %"
    assert (digest.state, digest.counts) == ("worse", {"worse": 1, "better": 1, "normal": 96})


@pytest.mark.parametrize(
    ("since", "number", "proposal", "text"),
    [(389, 389, False, "introduced here"), (389, 390, False, "since #389"), (None, 5, True, "introduced here")],
)
def test_where_it_began(since, number, proposal, text):
    """The first build at the new level, or this one."""
    assert Digest(build(line(since_build=since)), number, proposal).text.endswith(f", {text}\n")


def test_a_broken_rule_is_named():
    """The sentence of a rule of the configuration is in the message."""
    digest = Digest(build(line(rule="limit", reason="1.42 MiB is above the limit of 1 MiB.")))
    assert ", 1.42 MiB is above the limit of 1 MiB" in digest.text


def test_without_verdicts():
    """Missing verdicts are said to be missing, and are no good news."""
    assert "not there in time" in Digest(None).text
    assert Digest(None).state == "unknown"
    assert Digest(build(normal=1, complete=False)).headline == "1 normal (not all were judged in time)"
    assert Digest(build()).headline == "nothing was measured"


def test_new_verdicts():
    """New is what opened an alert, and what is worse in a proposal; a muted line is told to nobody."""
    assert Digest(build(line())).is_new
    assert not Digest(build(line(told=False))).is_new
    assert Digest(build(line(told=False)), proposal=True).is_new
    muted = Digest(build(line(told=False, muted=True)), proposal=True)
    assert not muted.is_new
    assert (muted.worse, "wheel_size" in muted.text) == ([], False)


def test_unusual_values_of_one_build_are_not_listed():
    """A value that is not confirmed is counted only."""
    digest = Digest(build(line(state=State.UNCONFIRMED, told=False)))
    assert digest.text == "Measurements: 1 unconfirmed\n"
    assert not digest.is_new


def test_many_lines_are_counted():
    """A message lists some, and says how many more there are."""
    digest = Digest(build(*(line(f"size_{number}") for number in range(500))))
    assert digest.text.count("worse: ") == MAX_LISTED
    assert "and 480 more" in digest.text
    assert len(digest.status) <= MAX_STATUS
    assert len(digest.markdown) < 10_000


class Tags(HTMLParser):
    """Names of elements and the text of a document."""

    def __init__(self, text):
        super().__init__()
        self.names, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("name", [HOSTILE, "x" * 5000, "\n# title\n", "a\x1b[31mb", "日本"])
def test_hostile_names(name):
    """A name is no markup, mentions nobody, does not hide text and is cut."""
    digest = Digest(build(line(name, tags={"k": name}, unit="{@team}")))
    parsed = Tags(digest.html)
    assert {tag for tag, _ in parsed.names} <= {"p", "ul", "li", "code"}
    assert not any(attributes for _, attributes in parsed.names)
    assert "@team" not in "".join(parsed.texts).replace("@team/all <img", "")
    assert len(digest.text) < 700
    assert len(digest.status) <= MAX_STATUS
    assert "@team" not in digest.text + digest.status
    for text in (digest.text, digest.markdown, digest.html, digest.status):
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "\n#" not in text


@pytest.mark.parametrize("name", [HOSTILE, "`", "``", "a`", "`a", "plain", " a "])
def test_code_spans(name):
    """CommonMark ends a code span at a run of as many backticks as opened it, and strips one space of each side."""
    span = code_span(name)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inner = span[len(fence) : -len(fence)]
    assert fence not in inner.replace(fence + "`", "")
    if "`" in name:
        assert inner[0] == inner[-1] == " "
