"""The ``bbmeasure`` command, on a journal and on servers that stand in for a master."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from bbmeasure import __version__
from bbmeasure.ansi import without_hidden
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Kind, canonical_series
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from tests.hostile import Reply, Scripted
from tests.unit.cli.masters import START, Run, point


def spawn(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bbmeasure", *map(str, arguments)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )


class TestSeries:
    """``bbmeasure series``."""

    def test_for_people(self, folder: Path, run: Run) -> None:
        """A table has each series with its newest value and its builders."""
        result = run("series", "--master", folder)
        assert (result.status, result.err) == (0, "")
        lines = [line.split() for line in result.out.splitlines()]
        assert lines[0] == ["series", "kind", "points", "last", "at", "builders"]
        local = time.strftime("%Y-%m-%d %H:%M", time.localtime(START + 5)).split()
        assert ["size", "size", "5", "5", "KiB", *local, "first"] in lines
        assert any(line[:2] == ["compiler", "text"] and "gcc" in line for line in lines)

    def test_the_builder_of_the_last_value(self, folder: Path, run: Run) -> None:
        """Of several builders the one of the last value is named, with its tags."""
        with Journal(folder / "bbmeasure.sqlite") as journal:
            journal.write([point(19, 9.0, "load", "b", tags={"core": "2"}), point(18, 9.0, "load", "c")])
        assert "  b, c (last: b core=2)\n" in run("series", "--master", folder).out
        (load,) = [one for one in run("series", "--master", folder, "--json").json["series"] if one["name"] == "load"]
        assert (load["last_value"], load["last_builder"], load["last_tags"]) == (9.0, "b", {"core": "2"})

    def test_as_json(self, folder: Path, run: Run) -> None:
        """``--json`` prints what the API answers."""
        result = run("series", "--master", folder, "--json")
        assert result.status == 0
        by_name = {one["name"]: one for one in result.json["series"]}
        assert list(by_name) == ["compiler", "load", "size"]
        assert by_name["size"] == {
            "name": "size",
            "kind": "size",
            "unit": "bytes",
            "better": "lower",
            "builders": ["first"],
            "count": 5,
            "first": START + 1,
            "last": START + 5,
            "last_value": 5120,
            "last_builder": "first",
            "last_tags": {"target": "core"},
        }
        assert by_name["load"]["builders"] == []
        assert by_name["load"]["better"] is None

    def test_a_journal_that_is_not_at_the_default_path(self, folder: Path, run: Run) -> None:
        """The file that the note in the master's folder names is read."""
        with Journal(folder / "own.sqlite") as journal:
            journal.write([point(1, 5.0, "own")])
        (folder / "bbmeasure.journal").write_text("own.sqlite\n")
        assert [one["name"] for one in run("series", "--master", folder, "--json").json["series"]] == ["own"]
        assert run("report", "own", "--master", folder).status == 0
        (folder / "bbmeasure.journal").write_text(f"{folder}/gone.sqlite\n")
        result = run("series", "--master", folder)
        assert (result.status, "gone.sqlite: expected a journal" in result.err) == (1, True)

    def test_an_empty_journal(self, tmp_path: Path, run: Run) -> None:
        """A journal without series is no error."""
        with Journal(tmp_path / "other.sqlite"):
            pass
        assert run("series", "--journal", tmp_path / "other.sqlite").out == "no series yet\n"
        assert run("series", "--journal", tmp_path / "other.sqlite", "--json").json == {"series": []}


class TestReport:
    """``bbmeasure report SERIES``."""

    def test_for_people(self, folder: Path, run: Run) -> None:
        """A table has all statistics, with units."""
        result = run("report", "size", "--master", folder)
        assert result.status == 0
        assert "size (5 points)" in result.out
        lines = [line.split() for line in result.out.splitlines()]
        for row in (["average", "3", "KiB"], ["maximum", "5", "KiB"], ["first", "1", "KiB"], ["count", "5"]):
            assert any(line[: len(row)] == row for line in lines), row

    def test_as_json(self, folder: Path, run: Run) -> None:
        """``--json`` prints what the API answers, with the requested statistics only."""
        result = run("report", "size", "--master", folder, "--json", "--statistics", "average, p50,count,last")
        assert result.status == 0
        answer = result.json
        assert {key: answer[key] for key in ("series", "builder", "unit", "count")} == {
            "series": "size",
            "builder": None,
            "unit": "bytes",
            "count": 5,
        }
        assert answer["statistics"] == {"average": 3072, "p50": 3072, "count": 5, "last": 5120}

    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            (["--since", START + 2], 4),
            (["--until", START + 5], 4),
            (["--since", "2023-11-14T22:13:22Z", "--until", START + 4], 2),
            (["--builder", "first", "--worker", "bot1"], 5),
            (["--tag", "target=core"], 3),
            (["--tag", "target=tools", "--since", START + 3], 1),
        ],
    )
    def test_ranges_and_filters(self, folder: Path, run: Run, filters: list[Any], count: int) -> None:
        """Each argument filters points."""
        result = run("report", "size", "--master", folder, "--json", *filters)
        assert (result.status, result.json["count"]) == (0, count)

    @pytest.mark.parametrize("filters", [["--builder", "nobody"], ["--since", "1s"], ["--tag", "target=nothing"]])
    def test_nothing_in_the_range(self, folder: Path, run: Run, filters: list[str]) -> None:
        """Without a matching point the exit status is 1, and the answer is printed."""
        result = run("report", "size", "--master", folder, "--json", *filters)
        assert (result.status, result.json["count"], result.json["statistics"]["average"]) == (1, 0, None)
        assert run("report", "size", "--master", folder, *filters).status == 1

    def test_a_count_has_no_unit(self, folder: Path, run: Run) -> None:
        """The count of a series of sizes is a plain number."""
        result = run("report", "size", "--master", folder, "--statistics", "count,last")
        assert [line.split(maxsplit=1) for line in result.out.splitlines()[-2:]] == [["count", "5"], ["last", "5 KiB"]]

    def test_texts(self, folder: Path, run: Run) -> None:
        """A series of texts has count, first and last; other statistics are refused."""
        result = run("report", "compiler", "--master", folder, "--json")
        assert (result.status, result.json["statistics"]) == (0, {"count": 1, "first": "gcc 12", "last": "gcc 12"})
        assert "gcc 12" in run("report", "compiler", "--master", folder).out
        wrong = run("report", "compiler", "--master", folder, "--statistics", "average")
        assert wrong.status == 2
        assert "a series of texts has only count, first and last" in wrong.err


ABSENT: dict[str, tuple[list[str], str]] = {
    "series": (["report", "nobody", "--master", "{folder}"], "series 'nobody': no such series"),
    "folder": (["series", "--master", "{folder}/nowhere"], "nowhere: expected a folder"),
    "journal": (["series", "--master", "{folder}/empty"], "expected a journal"),
    "file": (["series", "--journal", "{folder}/none.sqlite"], "expected a journal"),
    "no database": (["series", "--journal", "{folder}/text"], "journal"),
    "a folder as the file": (["series", "--journal", "{folder}"], "journal"),
    "a long path": (["series", "--journal", "x" * 5_000], "too long"),
    "to forget": (["forget", "nobody", "--yes", "--master", "{folder}"], "series 'nobody': no such series"),
    "to forget from": (["forget", "size", "--yes", "--journal", "{folder}/none"], "expected a journal"),
    "configuration": (["check", "--master", "{folder}"], "expected a master's folder, with a buildbot.tac"),
    "page": (["series", "--url", "http://127.0.0.1:1/"], "no answer"),
}
WRONG: dict[str, tuple[list[str], str]] = {
    "no command": ([], "COMMAND"),
    "unknown command": (["measure"], "measure"),
    "unknown option": (["series", "--master", "{folder}", "--colour"], "--colour"),
    "no series": (["report", "--master", "{folder}"], "SERIES"),
    "no source": (["series"], "expected --master DIR, --journal FILE or --url MASTER_URL"),
    "nothing to forget from": (["forget", "size"], "expected --master DIR"),
    "statistic": (["report", "size", "--master", "{folder}", "--statistics", "mode"], "statistic 'mode'"),
    "percentile": (["report", "size", "--master", "{folder}", "--statistics", "p101"], "from 0 to 100"),
    "tag": (["report", "size", "--master", "{folder}", "--tag", "core"], "--tag 'core': expected KEY=VALUE"),
    "tag without a key": (["report", "size", "--master", "{folder}", "--tag", "=core"], "expected KEY=VALUE"),
    "since": (["report", "size", "--master", "{folder}", "--since", "soon"], "since 'soon': expected ISO 8601"),
    "range": (["report", "size", "--master", "{folder}", "--since", "5", "--until", "4"], "since: expected"),
    "scheme": (["series", "--url", "file:///etc/passwd"], "expected a URL such as http://localhost:8010/"),
    "no address": (["series", "--url", "http://["], "expected a URL such as http://localhost:8010/"),
    "no host": (["series", "--url", "http:///x"], "expected a URL such as http://localhost:8010/"),
}


@pytest.mark.parametrize(
    ("status", "arguments", "message"),
    [
        *(pytest.param(1, *case, id=f"absent {name}") for name, case in ABSENT.items()),
        *(pytest.param(2, *case, id=f"wrong {name}") for name, case in WRONG.items()),
    ],
)
def test_errors(folder: Path, run: Run, status: int, arguments: list[str], message: str) -> None:
    """The status is 1 for what does not exist and 2 for wrong use; the message is on standard error, or JSON."""
    (folder / "empty").mkdir()
    (folder / "text").write_text("no database, but long enough to be looked at" * 100)
    arguments = [argument.format(folder=folder) for argument in arguments]
    result = run(*arguments)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert "Traceback" not in result.err
    if arguments and arguments[0] not in ("forget", "measure"):
        result = run(*arguments, "--json")
        assert (result.status, result.err) == (status, "")
        assert set(result.json) == {"message"}
        assert message in result.json["message"]


class TestForget:
    """``bbmeasure forget SERIES``."""

    def series(self, folder: Path) -> list[str]:
        with JournalReader(folder / "bbmeasure.sqlite") as reader:
            return [info.name for info in reader.series()]

    def test_it_asks_for_confirmation(self, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only a yes removes the series; any other answer has exit status 1."""
        for answer in ("", "n\n", "whatever\n"):
            monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
            result = run("forget", "size", "--master", folder)
            assert result.status == 1
            assert "remove 5 points of size? [y/N]" in result.out
            assert "nothing was removed" in result.out
        assert "size" in self.series(folder)
        monkeypatch.setattr(sys, "stdin", io.StringIO("Y\n"))
        result = run("forget", "size", "--master", folder)
        assert (result.status, self.series(folder)) == (0, ["compiler", "load"])
        assert "5 points removed" in result.out

    def test_json_needs_yes(self, folder: Path, run: Run) -> None:
        """``--json`` never asks: without ``--yes`` nothing is removed."""
        result = run("forget", "size", "--master", folder, "--json")
        assert (result.status, result.json) == (2, {"message": "remove 5 points of size: expected --yes"})
        assert "size" in self.series(folder)
        result = run("forget", "size", "--master", folder, "--json", "--yes")
        assert (result.status, result.json) == (0, {"series": "size", "removed": 5})

    def test_yes_skips_the_confirmation(self, folder: Path, run: Run) -> None:
        """``--yes`` removes at once; ``--journal`` is enough to name the journal."""
        assert run("forget", "size", "--yes", "--journal", folder / "bbmeasure.sqlite").status == 0
        assert self.series(folder) == ["compiler", "load"]


class TestTerminal:
    """Untrusted text is printed without control characters."""

    HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202eabc\r\nnext\x7f"

    def clean(self, text: str) -> bool:
        return not any(unicodedata.category(char).startswith("C") and char != "\n" for char in text)

    def test_names_and_values(self, tmp_path: Path, run: Run) -> None:
        """Series, builders, texts and units of a journal are cleaned."""
        with Journal(tmp_path / "bbmeasure.sqlite") as journal:
            unit = "{" + self.HOSTILE + "}"
            name = canonical_series(without_hidden(self.HOSTILE))  # as a Record has it
            journal.declare(SeriesInfo(name, Kind.NUMBER, unit, builders=(self.HOSTILE,)))
            journal.declare(SeriesInfo("text", Kind.TEXT, builders=("first",)))
            journal.write([point(1, 1.0, name, self.HOSTILE), point(2, self.HOSTILE, "text")])
        for arguments in (["series"], ["report", self.HOSTILE], ["report", "text"]):
            result = run(*arguments, "--master", tmp_path)
            assert result.status == 0
            assert self.clean(result.out)
            assert "red" in result.out
            assert result.out.count("\n") < 20
        result = run("report", self.HOSTILE + "2", "--master", tmp_path)
        assert result.status == 1
        assert self.clean(result.err)

    def test_a_message_of_a_server(self, run: Run) -> None:
        """The message of a server is cleaned."""
        with Scripted(lambda _: Reply(404, {"message": self.HOSTILE})) as server:
            result = run("series", "--url", server.url)
            assert result.status == 1
            assert self.clean(result.err)
            assert "red" in result.err

    def test_a_terminal_with_ascii_encoding(self, folder: Path) -> None:
        """A character that cannot be encoded is printed as a question mark."""
        result = spawn("report", "size", "--master", folder, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (result.returncode, result.stderr) == (0, b"")
        assert b"average" in result.stdout

    def test_a_closed_pipe(self, folder: Path) -> None:
        """``bbmeasure series | head -0`` prints no error."""
        command = [sys.executable, "-m", "bbmeasure", "series", "--master", str(folder)]
        reading, writing = os.pipe()
        os.close(reading)
        try:
            result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=300)
        finally:
            os.close(writing)
        assert (result.returncode, result.stderr) == (1, b"")


class TestCommand:
    """Version, help, signals and imports of the command."""

    def test_version_and_help(self, run: Run) -> None:
        """The help lists every command, and each has a help of its own."""
        assert run("--version").out == f"bbmeasure {__version__}\n"
        result = run("--help")
        assert result.status == 0
        for command in ("demo", "series", "report", "check", "forget", "emit", "run"):
            assert f"    {command} " in result.out
        for command in ("demo", "series", "report", "check", "forget"):
            assert run(command, "--help").status == 0

    def test_an_interrupt(self, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C is exit status 130 and no traceback."""

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("bbmeasure.cli.commands.series.run", interrupted)
        result = run("series", "--master", folder)
        assert (result.status, result.err) == (130, "interrupted\n")

    def test_a_journal_is_read_beside_its_writer(self, folder: Path, run: Run) -> None:
        """While another connection writes, the answer has what is committed."""
        with Journal(folder / "bbmeasure.sqlite") as journal:
            journal.write([point(100, 1.0)])
            assert run("report", "size", "--master", folder, "--json").json["count"] == 6

    def test_it_loads_no_buildbot(self, folder: Path) -> None:
        """Reading a journal imports neither Buildbot nor treq."""
        program = (
            "import sys; from bbmeasure.cli.main import main; "
            f"status = main(['report', 'size', '--json', '--master', {str(folder)!r}]); "
            "print(sorted({'buildbot', 'treq'} & set(sys.modules)), file=sys.stderr); sys.exit(status)"
        )
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
        assert (result.returncode, result.stderr) == (0, "[]\n")
