"""Reports of untrusted builds change, refuse, hide and relabel no value of another build."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from bbmeasure.ansi import without_hidden
from bbmeasure.testing.site import Site
from tests.attacks.masters import PULL_REQUEST, REPORTING, get, reporting, values
from tests.e2e.masters import points_of

SUCCESS, WARNINGS = 0, 1
CONFIG = (
    REPORTING
    + """
programs("bomb", parser="sarif")
programs("victim", pattern=r"(?P<found>[0-9]+) found")
c["builders"][-2].workernames = c["builders"][-1].workernames = ["worker", "other"]
"""
)
HIDDEN = "\x80\x85\x9b\xad\u061c\u200b\u200d\u200f\u2028\u202a\u202e\u2066\u2069\ufeff\U000e0041"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with a trusted builder ``nightly`` and one that builds pull requests, ``pr``."""
    with Site(tmp_path_factory.mktemp("site"), CONFIG, workers=["worker", "other"]) as running:
        yield running


def report(site: Site, builder: str, *records: Any, branch: str = "main") -> dict[str, Any]:
    """Run a build that reports ``records``."""
    return site.build(builder, program=reporting(records), branch=branch)


def series_of(site: Site, builder: str, **more: Any) -> dict[str, Any]:
    """The series of a builder by name."""
    return {one["name"]: one for one in get(site, "series", **more)[1]["series"] if builder in one["builders"]}


def test_a_text_and_a_direction_of_another_builder(site: Site) -> None:
    """After ``pr`` reported ``build_size`` as a text and better higher, nightly's is a size, better lower."""
    report(site, "pr", {"name": "build_size", "value": "x"}, branch=PULL_REQUEST)
    report(site, "pr", {"name": "build_size", "value": 1, "unit": "s", "better": "higher"}, branch=PULL_REQUEST)
    build = report(site, "nightly", {"name": "build_size", "value": 5, "unit": "KiB", "better": "lower"})
    assert build["results"] == SUCCESS
    assert values(site, "build_size", "nightly") == [5 * 1024]
    size = series_of(site, "nightly")["build_size"]
    assert (size["kind"], size["unit"], size["better"], size["builders"]) == ("size", "bytes", "lower", ["nightly"])


def test_a_pull_request_of_the_same_builder(site: Site) -> None:
    """A proposal of the trusted builder itself changes no kind, unit, direction and no value of its branch."""
    report(site, "nightly", {"name": "wheel", "value": 5, "unit": "KiB", "better": "lower"})
    for record in ({"value": "x"}, {"value": 1, "unit": "s"}, {"value": 9, "unit": "KiB", "better": "higher"}):
        report(site, "nightly", {"name": "wheel", **record}, branch=PULL_REQUEST)
    assert report(site, "nightly", {"name": "wheel", "value": 6, "unit": "KiB"})["results"] == SUCCESS
    assert values(site, "wheel", "nightly") == [5 * 1024, 6 * 1024]
    wheel = series_of(site, "nightly")["wheel"]
    assert (wheel["kind"], wheel["unit"], wheel["better"]) == ("size", "bytes", "lower")


def test_a_pull_request_that_comes_first(site: Site) -> None:
    """A proposal that reports a series first decides nothing for the trusted builds of the same builder."""
    report(site, "nightly", {"name": "first", "value": "x", "better": "higher"}, branch=PULL_REQUEST)
    build = report(site, "nightly", {"name": "first", "value": 5, "unit": "KiB", "better": "lower"})
    assert build["results"] == SUCCESS
    assert values(site, "first", "nightly") == [5 * 1024]
    first = series_of(site, "nightly")["first"]
    assert (first["kind"], first["unit"], first["better"]) == ("size", "bytes", "lower")


@pytest.mark.parametrize("name", ["build\\duration", "build_duration\\", "build\\duration\\\\", "master.builds"])
def test_names_that_become_those_of_the_master(site: Site, name: str) -> None:
    """Names with backslashes are canonical before they are checked: those of the master's own series are refused."""
    before = len([point for point in points_of(site.journal) if "duration" in point.series])
    record = {"name": name, "value": 0.001, "unit": "s"}
    build = report(site, "pr", {**record, "tags": {"result\\": "success"}}, record, {"name": "ok", "value": 1})
    log = site.log_text(site.steps(build)["measure"], "measurements")
    assert "refused: line 1: tag 'result'" in log
    assert name.rstrip("\\").replace("\\", "_") in log
    assert values(site, "ok", "pr")
    site.wait_for(lambda: len(values(site, "build_duration", "pr")) and not pending(site), "all points", 60)
    points = [point for point in points_of(site.journal) if "duration" in point.series]
    assert {point.series for point in points} <= {"build_duration", "queue_duration", "lock_duration"}
    assert not [point for point in points[before:] if point.value == 0.001]


def pending(site: Site) -> int:
    """The points that are not on disk yet."""
    return sum(store["backlog"] for store in get(site, "health")[1]["stores"])


def test_names_that_differ_by_a_backslash_are_one(site: Site) -> None:
    """Two names that a server cannot tell apart are one series, with one unit."""
    report(site, "pr", {"name": "a\\b", "value": 1, "unit": "KiB"}, {"name": "a_b\\", "value": 2, "unit": "KiB"})
    assert sorted(values(site, "a_b", "pr")) == [1024, 2048]
    assert sorted(values(site, "a\\b\\", "pr")) == [1024, 2048]


def test_random_names_after_a_restart(site: Site, chance: random.Random) -> None:
    """After a restart, thousands of names of a pull request refuse no series of the trusted builds, old or new."""
    report(site, "nightly", {"name": "old", "value": 1})
    assert site.master is not None
    site.master.stop()
    site.start_master()
    names = [f"{chance.getrandbits(64):x}" for _ in range(3_000)]
    for begin in range(0, len(names), 1_000):
        records = [{"name": name, "value": 1} for name in names[begin : begin + 1_000]]
        report(site, "nightly", *records, branch=PULL_REQUEST)
    assert report(site, "nightly", {"name": "old", "value": 2}, {"name": "new", "value": 3})["results"] == SUCCESS
    assert values(site, "old", "nightly") == [1, 2]
    assert values(site, "new", "nightly") == [3]
    assert set(names).isdisjoint(series_of(site, "nightly"))
    assert 0 < len(set(names).intersection(series_of(site, "nightly", proposal="*"))) < len(names)


def test_reports_that_take_long_to_parse(site: Site) -> None:
    """While builds report nested lists of 16 MiB, other builders' values are read and the API answers."""
    bomb = "import sys; sys.stdout.write('\\n['*8388598)"
    requests = [site.force("bomb", program=bomb) for _ in range(3)]
    for number in range(3):
        assert site.build("victim", program=f"print('{number} found')", seconds=300)["results"] == SUCCESS
        assert get(site, "health")[0] == 200
    assert values(site, "found", "victim") == [0, 1, 2]
    for request in requests:
        assert site.wait_for_build(request, 500)["results"] == WARNINGS


def test_a_sidecar_that_becomes_a_fifo(site: Site) -> None:
    """A process that a build leaves behind swaps its files for FIFOs: the worker and its next builds go on."""
    swap = (
        "import os, subprocess, sys\n"
        "path = os.environ['BBMEASURE_FILE']\n"
        'open(path, \'w\').write(\'{"name":"a","value":1}\\n\')\n'
        "code = '''\nimport os, sys, time\nend = time.time() + 20\nwhile time.time() < end:\n"
        "    for path in sys.argv[1:]:\n        try:\n            os.mkfifo(path + 'x'); os.rename(path + 'x', path)\n"
        "        except OSError: pass\n'''\n"
        "null = subprocess.DEVNULL\n"
        "subprocess.Popen([sys.executable, '-c', code, path], stdin=null, stdout=null, stderr=null,"
        " start_new_session=True)\n"
    )
    for _ in range(2):
        assert site.build("pr", program=swap, seconds=300)["results"] in (SUCCESS, WARNINGS)
        assert report(site, "nightly", {"name": "after", "value": 1})["results"] == SUCCESS


def test_characters_that_are_not_shown(site: Site, chance: random.Random) -> None:
    """No control, direction mark or zero-width character reaches the API, a summary, a log or a property raw."""

    def hostile() -> str:
        return "".join(chance.choice(HIDDEN + "abc") for _ in range(12)) + f"{chance.getrandbits(32):x}"

    records = [{"name": hostile(), "value": hostile(), "tags": {hostile(): hostile()}} for _ in range(5)]
    records.append({"name": hostile(), "value": 1, "unit": "{" + hostile() + "}"})
    build = report(site, "pr", *records, branch="refs/heads/" + hostile().strip())
    step = site.steps(build)["measure"]
    texts = [step["state_string"], site.log_text(step, "measurements")]
    found = get(site, "records", buildid=build["buildid"])[1]["records"]
    assert len([record for record in found if record["kind"] == "text"]) == 5
    for record in found:
        texts += [record["series"], str(record["value"]), record["unit"], str(record["branch"])]
        texts += [*record["tags"], *record["tags"].values()]
    texts += [name for one in get(site, "series", proposal="*")[1]["series"] for name in (one["name"], one["unit"])]
    for text in texts:
        assert without_hidden(text) == text, ascii(text)


def test_a_series_with_very_many_lines(site: Site) -> None:
    """Many thousand values of a tag in an honest series: its statistics and points are answered, not timed out."""
    records = [{"name": "honest", "value": at, "tags": {"t": str(at)}} for at in range(1_000)]
    for number in range(3):
        changed = [{**record, "tags": {"t": f"{number} {at}"}} for at, record in enumerate(records)]
        report(site, "pr", *changed)
    assert get(site, "statistics", series="honest")[1]["count"] == 3_000
    assert len(get(site, "points", series="honest", limit=10)[1]["points"]) == 10
