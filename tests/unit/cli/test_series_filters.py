"""``bbmeasure series --branch``: the series that have points of a branch or proposal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bbmeasure.master.www.arguments import Arguments
from bbmeasure.model import EVERY_PROPOSAL, BuildContext
from bbmeasure.storage.sqlite.journal import Journal
from tests.unit.cli.masters import Run, point

MAIN = BuildContext("first", "bot1", 1, 101, branch="main")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"size": 1, "next_size": 1}),
        (("--proposals",), {"size": 3, "next_size": 1}),
        (("--branch", "main"), {"size": 1}),
        (("--branch", "main", "--proposals"), {"size": 3}),
        (("--branch", "main", "--proposal", "refs/pull/1"), {"size": 1}),
        (("--proposal", "refs/pull/2"), {"size": 1}),
        (("--branch", "unknown"), {}),
    ],
)
def test_the_series_of_a_branch_or_proposal(
    run: Run, tmp_path: Path, options: tuple[str, ...], expected: dict[str, int]
) -> None:
    """Without options the points of all branches count; those of proposals do only if they are selected."""
    path = tmp_path / "bbmeasure.sqlite"
    builds = [MAIN, *(replace(MAIN, buildid=101 + n, proposal=f"refs/pull/{n}") for n in (1, 2))]
    with Journal(path) as journal:
        journal.write([replace(point(n, 1.0, "size"), build=build) for n, build in enumerate(builds)])
        journal.write([replace(point(9, 1.0, "next_size"), build=replace(MAIN, branch="next"))])
    result = run("series", "--journal", path, "--json", *options)
    assert {one["name"]: one["count"] for one in result.json["series"]} == expected


@pytest.mark.parametrize(
    ("given", "branch", "proposal"),
    [
        ({}, None, None),
        ({"branch": "main"}, "main", None),
        ({"branch": "main", "proposal": "*"}, "main", EVERY_PROPOSAL),
        ({"proposal": "refs/pull/1"}, None, "refs/pull/1"),
    ],
)
def test_the_api_selects_the_same(given: dict[str, str], branch: str, proposal: str) -> None:
    """The arguments of the path ``series`` mean what the options do."""
    raw = {name.encode(): [text.encode()] for name, text in given.items()}
    filters = Arguments(raw, ["branch", "proposal"]).series_filter()
    assert filters == {"branch": branch, "proposal": proposal}
