"""``bbmeasure judge``: files of any CI, and what is printed of them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.cli import chart, series_files
from bbmeasure.cli.main import main
from bbmeasure.errors import MeasureError
from tests.unit.cli.masters import Run


def _line(step: float = 0.0, after: int = 5) -> list[float]:
    """45 values around 100, and some more after a step."""
    rng = random.Random(1)
    return [100 + rng.gauss(0, 1) + (step if index >= 45 else 0) for index in range(45 + after)]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _csv(path: Path, step: float = 0.0, head: str = "value") -> Path:
    return _write(path / "values.csv", "\n".join([head, *map(repr, _line(step))]) + "\n")


def _data_file(values: list[float], tool: str = "customSmallerIsBetter") -> str:
    """What github-action-benchmark keeps, with two suites."""
    runs = [
        {
            "commit": {"id": f"{index:040x}", "timestamp": "2026-01-01T00:00:00Z"},
            "date": 1_700_000_000_000 + index * 60_000,
            "tool": tool,
            "benches": [{"name": "parse", "value": value, "unit": "ms"}],
        }
        for index, value in enumerate(values)
    ]
    document = {"lastUpdate": 1, "repoUrl": "https://example.org/r", "entries": {"Core": runs, "Other": runs[:12]}}
    return "window.BENCHMARK_DATA = " + json.dumps(document)


def test_exit_status(tmp_path: Path, run: Run) -> None:
    """3 where the newest value is worse, 0 where it is not."""
    assert run("judge", _csv(tmp_path)).status == 0
    assert run("judge", _csv(tmp_path, 10)).status == 3
    assert run("judge", _csv(tmp_path, -10)).status == 0
    assert run("judge", _csv(tmp_path, -10), "--better", "higher").status == 3
    assert run("judge", _csv(tmp_path, 10), "--better", "none").status == 0


def test_tables(tmp_path: Path, run: Run) -> None:
    """The change points, the newest verdict and its reason are printed."""
    result = run("judge", _csv(tmp_path, 10), "--unit", "ms")
    lines = [" ".join(line.split()) for line in result.out.splitlines() if not line.startswith("-")]
    assert lines == [
        "series change at before after change",
        "value 45 100 ms 110 ms +9.4 %",
        "",
        "series verdict values last usual change",
        "value worse 50 109 ms 96.8 ms to 104 ms +9.4 %",
        "value: The 5 builds since the change are at 110 ms, 9.38 % above the usual 100 ms.",
    ]


def test_no_change(tmp_path: Path, run: Run) -> None:
    """A quiet series has no table of changes and no reason."""
    out = run("judge", _csv(tmp_path)).out
    assert out.startswith("no change points\n")
    assert out.splitlines()[-1].split()[:2] == ["value", "normal"]


def test_json(tmp_path: Path, run: Run) -> None:
    """JSON has the numbers in base units."""
    result = run("judge", _csv(tmp_path, 10), "--unit", "ms", "--json")
    assert result.status == 3
    (series,) = json.loads(result.out)["series"]
    assert (series["name"], series["unit"], series["count"], series["time"]) == ("value", "s", 50, None)
    verdict = series["verdict"]
    assert (verdict["state"], verdict["rule"], verdict["since"]) == ("worse", "shift", 45)
    assert verdict["baseline"] == pytest.approx(0.1, rel=0.01)
    (change,) = series["changes"]
    assert (change["index"], change["time"]) == (45, None)
    assert change["change"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--limit", "100 ms"], 3),
        (["--limit", "0.2 s"], 0),
        (["--limit", "100"], 3),
        (["--lower-limit", "110"], 3),
        (["--maximum-increase", "5 %"], 3),
        (["--maximum-increase", "0.2"], 0),
        (["--maximum-decrease", "1 %"], 0),
        (["--minimum-change", "20 %"], 0),
        (["--history", "10"], 3),
    ],
)
def test_rules(tmp_path: Path, run: Run, options: list[str], status: int) -> None:
    """The options are the rules of a gate."""
    rows = [*_line(8, 4), 108.0]
    path = _write(tmp_path / "v.csv", "value\n" + "\n".join(map(repr, rows)))
    wanted = ["--minimum-change", "50 %"] if "increase" in options[0] or "limit" in options[0] else []
    if options[0] == "--maximum-decrease":
        wanted = ["--minimum-change", "50 %"]
    assert run("judge", path, "--unit", "ms", *wanted, *options).status == status


def test_series_of_a_file(tmp_path: Path, run: Run) -> None:
    """Names and branches are series of their own, ordered by time; options choose among them."""
    rows = [
        f"{1_700_000_000 + 60 * index},{name},{branch},{value}"
        for name, step in (("parse", 10), ("link", 0))
        for branch in ("main", "next")
        for index, value in reversed(list(enumerate(_line(step if branch == "main" else 0))))
    ]
    path = _write(tmp_path / "v.csv", "Time,Name,Branch,Value\n" + "\n".join(rows))
    result = run("judge", path, "--json")
    states = {(s["name"], s["branch"]): s["verdict"]["state"] for s in json.loads(result.out)["series"]}
    assert states.pop(("parse", "main")) == "worse"
    assert states == {("parse", "next"): "normal", ("link", "main"): "normal", ("link", "next"): "normal"}
    assert run("judge", path, "--branch", "next").status == 0
    assert run("judge", path, "--name", "parse").status == 3
    assert "2023-11-14 22:58" in run("judge", path, "--name", "parse").out
    missing = run("judge", path, "--name", "nope")
    assert missing.status == 2
    assert "no series of that name and branch: the file has 'link', 'parse'" in missing.err


@pytest.mark.parametrize("form", ["script", "json"])
def test_data_file(tmp_path: Path, run: Run, form: str) -> None:
    """The file of github-action-benchmark is read as a script and as JSON, with its units and directions."""
    text = _data_file(_line(10))
    path = _write(tmp_path / "data.js", text if form == "script" else text.partition("= ")[2])
    result = run("judge", path, "--json")
    assert result.status == 3
    found = json.loads(result.out)["series"]
    assert [(s["name"], s["unit"], s["count"], s["verdict"]["state"]) for s in found] == [
        ("Core: parse", "s", 50, "worse"),
        ("Other: parse", "s", 12, "normal"),
    ]
    assert found[0]["changes"][0]["time"] == 1_700_000_000 + 45 * 60
    bigger = _write(tmp_path / "bigger.js", _data_file(_line(10), "customBiggerIsBetter"))
    assert run("judge", bigger).status == 0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1\n2\n3\n", [1, 2, 3]),
        ("\ufeffvalue\r\n1\r\n\r\n2\r\n", [1, 2]),
        ("a;value\nx;1\ny;2\n", [1, 2]),
        ("a\tms\nx\t1\ny\t2.5e3\n", [1, 2500]),
        ("# a comment\ncommit,speed\nabc,1\ndef,\nghi,3\n", [1, 3]),
        ("time,value\n2026-01-02,2\n2026-01-01,1\n", [1, 2]),
        ("value,unit\n1 KiB,\n2,KiB\n", [1024, 2048]),
    ],
)
def test_forms_of_csv(text: str, values: list[float]) -> None:
    """One column needs no heading; blank values, comments and other delimiters are read."""
    (series,) = series_files.read(text)
    assert series.values == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("value\n", "the file has no values"),
        ("value\n1\nabc\n", "line 3: 'abc': expected one number"),
        ("value\n1\nnan\n", "line 3: 'nan'"),
        ("1,2\n3,4\n", "line 1: expected the names of 2 columns"),
        ("a,b\n1,2\n", "columns 'a', 'b': expected one named value, or --column"),
        ("name,note\nx,y\n", "columns 'name', 'note': expected one named value"),
        ("value,unit\n1,parsec\n", "line 2: unit 'parsec'"),
        ("value,better\n1,more\n", "line 2: better 'more'"),
        ("time,value\nyesterday,1\n", "line 2: time 'yesterday'"),
        ("[1, 2]", "the file is a JSON list"),
        ('{"a": ', "line 1: expected JSON"),
        ('{"a": 1}', "entries"),
        ("window.BENCHMARK_DATA = {}", "entries"),
        ('{"entries": {"a": [{"benches": 5, "tool": "go"}]}}', "benches"),
    ],
)
def test_bad_files(tmp_path: Path, run: Run, text: str, message: str) -> None:
    """What is wrong is said, with the file and the line."""
    path = _write(tmp_path / "bad.csv", text)
    result = run("judge", path)
    assert result.status == 2
    assert message in result.err
    assert "bad.csv" in result.err
    assert result.out == ""
    assert json.loads(run("judge", path, "--json").out)["message"] in result.err


def test_unreadable_files(tmp_path: Path, run: Run) -> None:
    """A file that is not there, a folder, and bytes that are no text."""
    assert run("judge", tmp_path / "nope.csv").status == 1
    assert run("judge", tmp_path).status == 1
    (tmp_path / "binary").write_bytes(b"value\n\xff\xfe\n")
    result = run("judge", tmp_path / "binary")
    assert result.status == 2
    assert "byte 6: expected text in UTF-8" in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "10 MiB"], "--limit '10 MiB': expected a value in s"),
        (["--maximum-increase", "5 ms"], "--maximum-increase '5 ms': expected a fraction"),
        (["--maximum-increase", "-5 %"], "maximum_increase -0.05: expected a fraction"),
        (["--column", "nope"], "column 'nope': expected one of 'value'"),
        (["--history", "3"], "history 3: expected a whole number from 10"),
    ],
)
def test_bad_options(tmp_path: Path, run: Run, options: list[str], message: str) -> None:
    """An option that makes no sense is refused."""
    result = run("judge", _csv(tmp_path), "--unit", "ms", *options)
    assert result.status == 2
    assert message in result.err


def test_standard_input(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` reads the values from standard input."""
    with _csv(tmp_path, 10).open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert run("judge", "-").status == 3


def test_chart_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A terminal shows each series as a chart with a mark below the change, in characters that it has."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["judge", str(_csv(tmp_path, 10))]) == 3
    name, line, marks, *_ = capsys.readouterr().out.splitlines()
    assert name == "value"
    assert len(line.strip()) == 50
    assert set(line[-5:]) <= set(chart.BLOCKS[6:])
    assert marks == " " * 47 + "^"


def test_names_are_cleaned(tmp_path: Path, run: Run) -> None:
    """No control character of a file reaches the terminal."""
    path = _write(tmp_path / "v.csv", "name,value\n" + "\n".join(f"\x1b[31mred,{value}" for value in _line()))
    assert "\x1b" not in run("judge", path).out


def test_sparkline() -> None:
    """A sparkline spans the values, shares columns, and shows noise small."""
    assert chart.sparkline([], 10) == ""
    assert chart.sparkline([0.0, 0.0], 10) == "\u2581\u2581"
    assert chart.sparkline([1.0, 2.0, 3.0], 10, "abc") == "abc"
    assert chart.sparkline([1.0, 1.0, 3.0, 3.0], 2, "abc") == "ac"
    assert set(chart.sparkline([100.0, 101.0, 100.0, 101.0], 10, "0123456789")) == {"4", "5"}
    assert chart.sparkline([1e308, -1e308, 1e308], 10, "ab") == "bab"
    assert len(chart.sparkline([float(value) for value in range(1_000)], 72)) == 72


def test_marks() -> None:
    """Marks stand below the columns of their values."""
    assert chart.marks([], 10, 10) == ""
    assert chart.marks([0, 9], 10, 10) == "^        ^"
    assert chart.marks([500], 1_000, 10) == "     ^"


def test_errors_are_of_one_tree() -> None:
    """Whatever is wrong with a file is a MeasureError."""
    with pytest.raises(MeasureError):
        series_files.read('{"entries": []}')
