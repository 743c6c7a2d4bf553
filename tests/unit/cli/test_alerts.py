"""bbmeasure alerts, accept, ignore and mute, beside a master whose builds are judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.capture.gates import Gate
from bbmeasure.cli.main import main
from tests.unit.reports.judging import Judging


@pytest.fixture
def judging(tmp_path: Path) -> Iterator[Judging]:
    """A journal with an open alert of its second build."""
    made = Judging(tmp_path)
    made.gates["size"] = Gate(limit=1000, level="fail")
    made.runs([900.0, 1100.0])
    yield made
    made.close()


@pytest.fixture
def run(judging: Judging, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function that runs a command on the journal, and returns its status and what it printed."""

    def run_it(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main([*arguments, "--journal", str(judging.path)])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run_it


def test_alerts(run: Callable[..., Any]) -> None:
    """The table names the alert, its build and its values; --json prints what the API answers."""
    status, printed = run("alerts", "--state", "open", "--builder", "b", "--branch", "main", "--series", "size")
    assert status == 0
    assert printed.splitlines()[2].split()[:6] == ["1", "open", "size", "b", "main", "2"]
    _, printed = run("alerts", "--json", "--since", "2020-01-01")
    assert [alert["rule"] for alert in json.loads(printed)["alerts"]] == ["limit"]
    assert run("alerts", "--state", "resolved") == (0, "no alerts\n")
    assert run("alerts", "--since", "never")[0] == 2


@pytest.mark.parametrize(("command", "state"), [("accept", "accepted"), ("ignore", "ignored")])
def test_a_decision_holds_for_the_next_build(
    run: Callable[..., Any], judging: Judging, command: str, state: str
) -> None:
    """The alert keeps state, reason and user; the next build is not worse; a second decision is refused."""
    assert run(command, "1", "--why", "new compiler") == (0, f"alert 1 is {state}; it holds for the next build\n")
    (alert,) = judging.alerts()
    assert (alert.state, alert.why) == (state, "new compiler")
    assert alert.who
    assert not judging.run(1100.0).acts
    assert run(command, "1", "--why", "again") == (2, f"alert 1: {state}, expected an open one\n")
    assert run(command, "7", "--why", "x") == (1, "alert 7: no such alert\n")
    assert run(command, "1", "--why", " ")[0] == 2
    assert run(command, "one", "--why", "x")[0] == 2


def test_a_decision_as_json(run: Callable[..., Any]) -> None:
    """--json prints number and state."""
    status, printed = run("accept", "1", "--why", "x", "--json")
    assert (status, json.loads(printed)) == (0, {"id": 1, "state": "accepted"})


def test_mute(run: Callable[..., Any], judging: Judging) -> None:
    """Until the end of the mute an alert does not act."""
    assert run("mute", "size", "--until", "2w", "--why", " ") == (2, "why: expected a text of 1 to 1000 characters\n")
    status, printed = run("mute", "size", "--until", "2w", "--why", "known")
    assert status == 0
    assert printed.startswith("size is muted until ")
    (mute,) = judging.reader.mutes()
    assert (mute.series, mute.builder, mute.why) == ("size", "", "known")
    verdict = judging.run(1200.0)
    assert (verdict.muted, verdict.acts) == (True, False)
    status, printed = run("mute", "size", "--builder", "b", "--until", "2100-01-01", "--why", "x", "--json")
    assert json.loads(printed) == {"series": "size", "builder": "b", "until": 4102444800}
    assert len(judging.reader.mutes()) == 2


def test_a_name_that_is_written_otherwise(run: Callable[..., Any], judging: Judging) -> None:
    """A series is found by each name that servers cannot tell apart from its own."""
    judging.store({"a_b": 1.0, "_size": 1.0}, 3)
    assert run("mute", "a\\b", "--until", "2w", "--why", "known")[1].startswith("a_b is muted until ")
    assert [mute.series for mute in judging.reader.mutes()] == ["a_b"]
    assert run("forget", "#size", "--yes")[1].startswith("1 points removed; the next value starts _size anew")
    judging.gates["_size"] = judging.gates["size"]
    judging.run(1100.0, series="_size")
    assert run("alerts", "--series", "#size")[1].splitlines()[2].split()[2] == "_size"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("other", "--until", "2w"), 1, "series 'other': no such series"),
        (("size", "--builder", "x", "--until", "2w"), 1, "series 'size' of builder 'x': no such series"),
        (("size", "--until", "2020-01-01"), 2, "--until '2020-01-01': expected a time in the future, such as 2w"),
        (("size", "--until", "soon"), 2, "--until 'soon': expected ISO 8601"),
    ],
)
def test_wrong_mutes(
    run: Callable[..., Any], judging: Judging, arguments: tuple[str, ...], status: int, message: str
) -> None:
    """The message names what was expected, and nothing is muted."""
    got, printed = run("mute", *arguments, "--why", "x")
    assert got == status
    assert printed.startswith(message)
    assert judging.reader.mutes() == []
