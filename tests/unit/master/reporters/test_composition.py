"""The text of the comment on a proposal."""

from __future__ import annotations

from bbmeasure.analysis import State
from bbmeasure.master.reporters.composition import MAX_BODY, BuildResult, Marker, compose, marker_of
from bbmeasure.master.reporters.digest import Digest
from bbmeasure.master.reporters.proposals import ProposedBuild
from bbmeasure.master.reporters.services import Target
from tests.unit.master.reporters.test_digest import Tags
from tests.unit.master.reporters.verdicts import HOSTILE, build, line

ID = "0a1b2c"


def result(verdicts, builder="b", number=5, order=(3, 4), branch="main", revision="0123456789abcdef"):
    target = Target("o/p", 12)
    made = ProposedBuild(
        number, builder, number, 1, target, "github.example", "pull", "refs/pull/12", branch, revision, order[1], order
    )
    return BuildResult(made, Digest(verdicts, number, proposal=True), f"http://ci/#/builders/1/builds/{number}")


def test_both_builders_are_in_one_comment():
    """The table has what is worse of each builder, the list the counts of each."""
    body = compose(ID, [result(build(line(), normal=1)), result(build(line("lint")), "c", 9)], None)
    assert body.startswith(f"{marker_of(ID)}order=3.4 worse=1 was=0 -->\n")
    assert "**Measurements** of <code>0123456789ab</code> against <code>main</code>: ▲ 2 worse · 1 normal" in body
    rows = [row for row in body.splitlines() if row.startswith("<tr><td>")]
    assert rows == [
        f"<tr><td>▲ worse</td><td><code>{builder}</code></td><td><code>{series}</code></td><td>1.42 MiB</td>"
        "<td>1.2 MiB to 1.3 MiB</td><td>+14 %</td></tr>"
        for builder, series in (("b", "wheel_size"), ("c", "lint"))
    ]
    assert '- <a href="http://ci/#/builders/1/builds/5"><code>b #5</code></a>: 1 worse, 1 normal' in body


def test_it_is_well_again():
    """The comment that said worse says that nothing is any more, and then that nothing is."""
    first = compose(ID, [result(build(line()))], None)
    well = compose(ID, [result(build(normal=2), order=(5, 6))], Marker.read(first))
    assert "✔ Nothing is worse any more: 2 normal" in well
    assert "<table>" not in well
    both = [result(build(normal=2), order=(5, 6)), result(build(normal=1), "c", order=(5, 6))]
    well = compose(ID, both, Marker.read(well))
    assert "✔ Nothing is worse any more: 3 normal" in well
    later = compose(ID, [result(build(normal=2), order=(7, 8))], Marker.read(well))
    assert "✔ 2 normal" in later
    assert Marker.read(later) == Marker((7, 8), False, False)


def test_the_same_comment_again():
    """A comment with the same results is the same; one whose builder was built again says that nothing is worse."""
    results = [result(build(line()), order=(5, 6))]
    first = compose(ID, results, None)
    assert compose(ID, results, Marker.read(first)) == first
    rebuilt = compose(ID, [result(build(normal=2), order=(5, 6))], Marker.read(first))
    assert "Nothing is worse any more" in rebuilt
    assert compose(ID, [result(build(normal=2), order=(5, 6))], Marker.read(rebuilt)) == rebuilt


def test_an_unknown_target():
    """A proposal without a known target has no baseline, which is said."""
    body = compose(ID, [result(build(line(state=State.NO_BASELINE)), branch=None, revision=None)], None)
    assert "of <code>HEAD</code>, whose target is unknown: there is no baseline: ✔ 1 without baseline" in body


def test_hostile_names_are_text():
    """Names are in elements of code alone, none of their characters is markup, and the comment is short enough."""
    lines = [line(f"{number} {HOSTILE * 100}", tags={HOSTILE: HOSTILE}) for number in range(200)]
    results = [result(build(*lines), builder=f"{number}{HOSTILE * 50}") for number in range(100)]
    body = compose(ID, results, None)
    assert len(body) <= MAX_BODY
    parsed = Tags(body)
    assert {tag for tag, _ in parsed.names} <= {"table", "tr", "th", "td", "code", "a", "br", "sub"}
    assert {name for _, attributes in parsed.names for name in attributes} <= {"href", "colspan"}
    for mark in ("`", "[", "](", "|", "\u202e", "<img"):
        assert mark not in body.replace("**Measurements**", "")
    outside = body
    while "<code>" in outside:
        before, _, rest = outside.partition("<code>")
        outside = before + rest.partition("</code>")[2]
    assert "team" not in outside


def test_a_damaged_marker():
    """A comment whose marker somebody has edited is replaced as if it were of no revision."""
    assert Marker.read(f"{marker_of(ID)} order=x -->") is None
    assert Marker.read("") is None
