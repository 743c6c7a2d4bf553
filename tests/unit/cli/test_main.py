"""The ``bbmeasure`` command: against a journal's file, and against what calls itself a master's page."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

from bbmeasure import __version__
from bbmeasure.cli.main import main
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.times import NANOSECONDS
from tests.hostile import Raw, Reply, Request, Scripted, Silent

START = 1_700_000_000


def point(second: float, value: Any, series: str = "size", builder: Optional[str] = "first", **more: Any) -> Point:
    build = None if builder is None else BuildContext(builder, "bot1", 1, 101)
    return Point(series, int((START + second) * NANOSECONDS), value, build=build, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A master's folder whose journal holds a size, a text, and an outsider."""
    with Journal(tmp_path / "bbmeasure.sqlite") as journal:
        journal.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER))
        journal.declare(SeriesInfo("compiler", Kind.TEXT))
        journal.write([point(n, 1024.0 * n, tags={"target": "core" if n % 2 else "tools"}) for n in range(1, 6)])
        journal.write([point(10, "gcc 12", "compiler", "second"), point(11, 7.5, "load", None)])
    return tmp_path


Run = Callable[..., "Done"]


class Done:
    """How a command ended: its status and what it printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""

    def command(*arguments: Any) -> Done:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return command


def spawn(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bbmeasure", *map(str, arguments)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )


class TestSeries:
    """``bbmeasure series``."""

    def test_for_people(self, folder: Path, run: Run) -> None:
        """A table with each series, its newest value as people write it, and its builders."""
        done = run("series", "--master", folder)
        assert (done.status, done.err) == (0, "")
        lines = [line.split() for line in done.out.splitlines()]
        assert lines[0] == ["series", "kind", "points", "last", "at", "builders"]
        local = time.strftime("%Y-%m-%d %H:%M", time.localtime(START + 5)).split()
        assert ["size", "size", "5", "5", "KiB", *local, "first"] in lines
        assert any(line[:2] == ["compiler", "text"] and "gcc" in line for line in lines)

    def test_as_json(self, folder: Path, run: Run) -> None:
        """``--json`` prints what the API answers."""
        done = run("series", "--master", folder, "--json")
        assert done.status == 0
        by_name = {one["name"]: one for one in done.json["series"]}
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
        }
        assert by_name["load"]["builders"] == []
        assert by_name["load"]["better"] is None

    def test_the_journal_that_the_master_noted(self, folder: Path, run: Run) -> None:
        """A master that keeps another file than that by default says so in its folder, and that file is read."""
        with Journal(folder / "own.sqlite") as journal:
            journal.write([point(1, 5.0, "own")])
        (folder / "bbmeasure.journal").write_text("own.sqlite\n")
        assert [one["name"] for one in run("series", "--master", folder, "--json").json["series"]] == ["own"]
        assert run("report", "own", "--master", folder).status == 0
        (folder / "bbmeasure.journal").write_text(f"{folder}/gone.sqlite\n")
        done = run("series", "--master", folder)
        assert (done.status, "gone.sqlite: expected a journal there" in done.err) == (1, True)

    def test_an_empty_journal(self, tmp_path: Path, run: Run) -> None:
        """No series is an answer and no error."""
        with Journal(tmp_path / "other.sqlite"):
            pass
        assert run("series", "--journal", tmp_path / "other.sqlite").out == "no series yet\n"
        assert run("series", "--journal", tmp_path / "other.sqlite", "--json").json == {"series": []}


class TestReport:
    """``bbmeasure report SERIES``."""

    def test_for_people(self, folder: Path, run: Run) -> None:
        """A table of all statistics, in people's units."""
        done = run("report", "size", "--master", folder)
        assert done.status == 0
        assert "size (5 points)" in done.out
        lines = [line.split() for line in done.out.splitlines()]
        for row in (["average", "3", "KiB"], ["maximum", "5", "KiB"], ["first", "1", "KiB"], ["count", "5"]):
            assert any(line[: len(row)] == row for line in lines), row

    def test_as_json(self, folder: Path, run: Run) -> None:
        """``--json`` prints what the API answers, the statistics that were asked for and no other."""
        done = run("report", "size", "--master", folder, "--json", "--statistics", "average, p50,count,last")
        assert done.status == 0
        answer = done.json
        assert {key: answer[key] for key in ("series", "builder", "unit", "count")} == {
            "series": "size",
            "builder": None,
            "unit": "bytes",
            "count": 5,
        }
        assert answer["statistics"] == {"average": 3072, "p50": 3072, "count": 5, "last": 5120}

    @pytest.mark.parametrize(
        ("where", "count"),
        [
            (["--since", START + 2], 4),
            (["--until", START + 5], 4),
            (["--since", "2023-11-14T22:13:22Z", "--until", START + 4], 2),
            (["--builder", "first", "--worker", "bot1"], 5),
            (["--tag", "target=core"], 3),
            (["--tag", "target=tools", "--since", START + 3], 1),
        ],
    )
    def test_ranges_and_filters(self, folder: Path, run: Run, where: list[Any], count: int) -> None:
        """Each narrows the question."""
        done = run("report", "size", "--master", folder, "--json", *where)
        assert (done.status, done.json["count"]) == (0, count)

    @pytest.mark.parametrize("where", [["--builder", "nobody"], ["--since", "1s"], ["--tag", "target=nothing"]])
    def test_nothing_in_the_range(self, folder: Path, run: Run, where: list[str]) -> None:
        """A question without an answer has exit status 1, and is answered."""
        done = run("report", "size", "--master", folder, "--json", *where)
        assert (done.status, done.json["count"], done.json["statistics"]["average"]) == (1, 0, None)
        assert run("report", "size", "--master", folder, *where).status == 1

    def test_a_count_has_no_unit(self, folder: Path, run: Run) -> None:
        """How many sizes there are is no size."""
        done = run("report", "size", "--master", folder, "--statistics", "count,last")
        assert [line.split(maxsplit=1) for line in done.out.splitlines()[-2:]] == [["count", "5"], ["last", "5 KiB"]]

    def test_texts(self, folder: Path, run: Run) -> None:
        """A series of texts has what makes sense for it; asked for more, the message says so."""
        done = run("report", "compiler", "--master", folder, "--json")
        assert (done.status, done.json["statistics"]) == (0, {"count": 1, "first": "gcc 12", "last": "gcc 12"})
        assert "gcc 12" in run("report", "compiler", "--master", folder).out
        wrong = run("report", "compiler", "--master", folder, "--statistics", "average")
        assert wrong.status == 2
        assert "a series of texts has only count, first and last" in wrong.err


ABSENT: dict[str, tuple[list[str], str]] = {
    "series": (["report", "nobody", "--master", "{folder}"], "series 'nobody': no such series"),
    "folder": (["series", "--master", "{folder}/nowhere"], "nowhere: expected a folder"),
    "journal": (["series", "--master", "{folder}/empty"], "expected a journal there"),
    "file": (["series", "--journal", "{folder}/none.sqlite"], "expected a journal there"),
    "no database": (["series", "--journal", "{folder}/text"], "journal"),
    "a folder as the file": (["series", "--journal", "{folder}"], "journal"),
    "a long path": (["series", "--journal", "x" * 5_000], "too long"),
    "to forget": (["forget", "nobody", "--yes", "--master", "{folder}"], "series 'nobody': no such series"),
    "to forget from": (["forget", "size", "--yes", "--journal", "{folder}/none"], "expected a journal there"),
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
    ("status", "arguments", "said"),
    [
        *(pytest.param(1, *case, id=f"absent {name}") for name, case in ABSENT.items()),
        *(pytest.param(2, *case, id=f"wrong {name}") for name, case in WRONG.items()),
    ],
)
def test_what_cannot_be_done(folder: Path, run: Run, status: int, arguments: list[str], said: str) -> None:
    """1 is what is not there, 2 is wrong use; standard error says it, with ``--json`` standard output as JSON."""
    (folder / "empty").mkdir()
    (folder / "text").write_text("no database, but long enough to be looked at" * 100)
    arguments = [argument.format(folder=folder) for argument in arguments]
    done = run(*arguments)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert "Traceback" not in done.err
    if arguments and arguments[0] not in ("forget", "measure"):
        done = run(*arguments, "--json")
        assert (done.status, done.err) == (status, "")
        assert set(done.json) == {"message"}
        assert said in done.json["message"]


class TestForget:
    """``bbmeasure forget SERIES``."""

    def series(self, folder: Path) -> list[str]:
        with JournalReader(folder / "bbmeasure.sqlite") as reader:
            return [info.name for info in reader.series()]

    def test_it_asks_first(self, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only a yes removes; all else removes nothing and is exit status 1."""
        for answer in ("", "n\n", "whatever\n"):
            monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
            done = run("forget", "size", "--master", folder)
            assert done.status == 1
            assert "remove 5 points of size? [y/N]" in done.out
            assert "nothing was removed" in done.out
        assert "size" in self.series(folder)
        monkeypatch.setattr(sys, "stdin", io.StringIO("Y\n"))
        done = run("forget", "size", "--master", folder)
        assert (done.status, self.series(folder)) == (0, ["compiler", "load"])
        assert "5 points removed" in done.out

    def test_yes_is_not_asked(self, folder: Path, run: Run) -> None:
        """``--yes`` removes at once, and ``--journal`` alone says from where."""
        assert run("forget", "size", "--yes", "--journal", folder / "bbmeasure.sqlite").status == 0
        assert self.series(folder) == ["compiler", "load"]


class TestTerminal:
    """What a stranger wrote does not move the cursor."""

    HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202eabc\r\nnext\x7f"

    def clean(self, text: str) -> bool:
        return not any(unicodedata.category(char).startswith("C") and char != "\n" for char in text)

    def test_names_and_values(self, tmp_path: Path, run: Run) -> None:
        """Series, builders, texts and units of a journal are printed without what a terminal obeys."""
        with Journal(tmp_path / "bbmeasure.sqlite") as journal:
            journal.declare(SeriesInfo(self.HOSTILE, Kind.NUMBER, "{" + self.HOSTILE + "}"))
            journal.declare(SeriesInfo("text", Kind.TEXT))
            journal.write([point(1, 1.0, self.HOSTILE, self.HOSTILE), point(2, self.HOSTILE, "text")])
        for arguments in (["series"], ["report", self.HOSTILE], ["report", "text"]):
            done = run(*arguments, "--master", tmp_path)
            assert done.status == 0
            assert self.clean(done.out)
            assert "red" in done.out
            assert done.out.count("\n") < 20
        done = run("report", self.HOSTILE + "2", "--master", tmp_path)
        assert done.status == 1
        assert self.clean(done.err)

    def test_a_pages_message(self, run: Run) -> None:
        """What a server says is printed without what a terminal obeys."""
        with Scripted(lambda _: Reply(404, {"message": self.HOSTILE})) as server:
            done = run("series", "--url", server.url)
            assert done.status == 1
            assert self.clean(done.err)
            assert "red" in done.err

    def test_a_terminal_that_knows_only_ascii(self, folder: Path) -> None:
        """A dash or a letter that the terminal does not know is a question mark, not the end."""
        done = spawn("report", "size", "--master", folder, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"average" in done.stdout

    def test_a_reader_that_goes_away(self, folder: Path) -> None:
        """``bbmeasure series | head -0`` ends without a word."""
        command = [sys.executable, "-m", "bbmeasure", "series", "--master", str(folder)]
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60)
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (1, b"")


class TestUrl:
    """``--url`` asks a master's page."""

    def test_it_asks_as_the_api_wants(self, run: Run) -> None:
        """Arguments go where the API expects them, whatever is in them."""
        asked: list[Request] = []

        def answer(request: Request) -> Reply:
            asked.append(request)
            statistics = {"average": 1.5, "last": None}
            found = {"series": "a b&c=d", "builder": None, "unit": "s", "count": 2, "statistics": statistics}
            return Reply(200, found)

        with Scripted(answer) as server:
            done = run(
                *("report", "a b&c=d", "--url", f"{server.url}/", "--builder", "x/y", "--since", "7d"),
                *("--tag", "k=v=w", "--statistics", "average,last", "--json"),
            )
        assert done.status == 0
        assert done.json["statistics"] == {"average": 1.5, "last": None}
        (request,) = asked
        assert request.path == "/plugins/bbmeasure/api/v1/statistics"
        assert request.query == {
            "series": "a b&c=d",
            "builder": "x/y",
            "since": "7d",
            "tag.k": "v=w",
            "statistics": "average,last",
        }

    def test_series(self, run: Run) -> None:
        """The table is made of what the API answers."""
        one = {"name": "n", "kind": "count", "unit": "1", "count": 1, "last": START, "last_value": 3, "builders": ["b"]}
        with Scripted(lambda _: Reply(200, {"series": [one]})) as server:
            done = run("series", "--url", server.url)
        assert done.status == 0
        assert "n" in done.out

    @pytest.mark.parametrize(("code", "status"), [(400, 2), (404, 1), (403, 1), (503, 1), (500, 1)])
    def test_a_refusal(self, run: Run, code: int, status: int) -> None:
        """What the API refuses has the exit status of what it is, and its message."""
        with Scripted(lambda _: Reply(code, {"message": "because"})) as server:
            done = run("report", "x", "--url", server.url, "--json")
        assert (done.status, done.json) == (status, {"message": "because"})

    def test_a_master_without_the_plugin(self, run: Run) -> None:
        """A page that is no JSON says what is missing."""
        with Scripted(lambda _: Reply(404, b"<html>no</html>")) as server:
            done = run("series", "--url", server.url)
        assert done.status == 1
        assert "is the bbmeasure plugin in the master's www plugins?" in done.err

    @pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b"<html>", b'{"series"', b"\xff\xfe"])
    def test_an_answer_that_is_none(self, run: Run, body: bytes) -> None:
        """A server that answers something else is exit status 1 with a word, not a traceback."""
        with Scripted(lambda _: Reply(200, body)) as server:
            for arguments in (["series"], ["report", "x"]):
                done = run(*arguments, "--url", server.url)
                assert done.status == 1
                assert server.url in done.err

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        ],
    )
    def test_a_server_that_speaks_no_http(self, run: Run, answer: bytes) -> None:
        """Whatever comes back, it is exit status 1 with a word."""
        with Raw(answer) as server:
            done = run("series", "--url", server.url)
        assert done.status == 1
        assert "no answer" in done.err

    def test_a_server_that_hangs(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that never answers is given up."""
        monkeypatch.setattr("bbmeasure.cli.sources.TIMEOUT", 0.2)
        with Silent() as server:
            done = run("series", "--url", server.url)
        assert done.status == 1
        assert "no answer" in done.err


class TestItself:
    """The command as a command."""

    def test_version_and_help(self, run: Run) -> None:
        """It says its version and its commands."""
        assert run("--version").out == f"bbmeasure {__version__}\n"
        done = run("--help")
        assert done.status == 0
        for command in ("demo", "series", "report", "check", "forget", "emit", "run"):
            assert f"    {command} " in done.out
        for command in ("demo", "series", "report", "check", "forget"):
            assert run(command, "--help").status == 0

    def test_it_is_interrupted(self, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C is exit status 130 and no traceback."""

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("bbmeasure.cli.commands.series.run", interrupted)
        done = run("series", "--master", folder)
        assert (done.status, done.err) == (130, "interrupted\n")

    def test_a_journal_is_read_beside_its_writer(self, folder: Path, run: Run) -> None:
        """Another process holds the journal open and writes: the answer has what is committed."""
        with Journal(folder / "bbmeasure.sqlite") as journal:
            journal.write([point(100, 1.0)])
            assert run("report", "size", "--master", folder, "--json").json["count"] == 6

    def test_it_loads_no_buildbot(self, folder: Path) -> None:
        """Asking a journal needs neither Buildbot nor Twisted."""
        program = (
            "import sys; from bbmeasure.cli.main import main; "
            f"status = main(['report', 'size', '--json', '--master', {str(folder)!r}]); "
            "print(sorted({'buildbot', 'treq'} & set(sys.modules)), file=sys.stderr); sys.exit(status)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "[]\n")


@pytest.mark.slow
class TestCheck:
    """``bbmeasure check`` reads a master's configuration."""

    CONFIG = """
from buildbot.plugins import schedulers, steps, util, worker
c = BuildmasterConfig = {"workers": [worker.Worker("w", "p")], "protocols": {"pb": {"port": 0}}}
f = util.BuildFactory([
    steps.ShellCommand(name="compile", command=["make"]),
    steps.MeasureShellCommand(name="sizes", command=["sizes"], pattern="(?P<wheel_size>[0-9]+)"),
])
b = util.MeasuredBuilderConfig(name="first", workernames=["w"], factory=f)
b.trackStepTimes("compile", series="{builder}.{step}.time")
b.trackProperties("warnings-count", "warnings-cuont")
b.trackStatistics("tests-failed", series="{project}.failed")
b.trackCustomStep("sizes")
c["builders"] = [b]
c["schedulers"] = [schedulers.ForceScheduler("force", builderNames=["first"])]
c["services"] = [util.SQLiteInstance(path="other.sqlite", trackBuildTimes=True)]
c["buildbotNetUsageData"] = None
print("a master.cfg that prints")
"""

    def write(self, folder: Path, config: str) -> None:
        (folder / "buildbot.tac").write_text("basedir = '.'\nconfigfile = 'master.cfg'\n")
        (folder / "master.cfg").write_text(config)

    def test_what_is_tracked_and_misspelt(self, tmp_path: Path, run: Run) -> None:
        """A property that no measured build ever had is called misspelt, and nothing else is."""
        self.write(tmp_path, self.CONFIG)
        done = run("check", "--master", tmp_path, "--json")
        assert (done.status, done.json["problems"]) == (0, [])  # no journal yet: nothing was measured
        with Journal(tmp_path / "other.sqlite") as journal:
            journal.write([point(1, 3.0, "warnings-count"), point(1, 3.0, "wheel_size")])
        done = run("check", "--master", tmp_path, "--json")
        assert done.status == 1
        (problem,) = done.json["problems"]
        assert problem == "builder first: property 'warnings-cuont' has never given a value; misspelt?"
        assert done.json["instances"] == [{"name": "SQLiteInstance", "class": "SQLiteInstance"}]
        assert (done.json["builders"], done.json["page"], done.json["series"]) == (["first"], False, 2)
        assert {one["subject"]: one["series"] for one in done.json["tracked"]} == {
            "compile": "first.compile.time",
            "warnings-count": "warnings-count",
            "warnings-cuont": "warnings-cuont",
            "tests-failed": "{project}.failed",
            "sizes": "sizes",
        }

    def test_for_people(self, tmp_path: Path, run: Run) -> None:
        """The same in words."""
        self.write(tmp_path, self.CONFIG)
        done = run("check", "--master", tmp_path)
        assert done.status == 0
        assert "instance SQLiteInstance (SQLiteInstance)" in done.out
        assert "first: step time compile -> first.compile.time" in done.out
        assert "no problem found" in done.out

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ("c = BuildmasterConfig = {}\n", "no workers are configured"),
            (CONFIG.replace('"compile", series', '"complie", series'), "has no step 'complie'"),
        ],
    )
    def test_a_configuration_that_is_wrong(self, tmp_path: Path, run: Run, config: str, said: str) -> None:
        """What Buildbot says of it is the problem, exit status 1, and of what it configures nothing is claimed."""
        self.write(tmp_path, config)
        done = run("check", "--master", tmp_path, "--json")
        assert (done.status, list(done.json)) == (1, ["problems"])
        assert said in json.dumps(done.json)
        done = run("check", "--master", tmp_path)
        assert said in done.out
        assert all(line.startswith("PROBLEM ") for line in done.out.splitlines())

    def test_a_sink_that_no_instance_ships(self, tmp_path: Path, run: Run) -> None:
        """One that was renamed or removed is a problem until it is given up: points are queued for it all the time."""
        self.write(tmp_path, self.CONFIG)
        with Journal(tmp_path / "other.sqlite") as journal:
            journal.attach_exporter("SQLiteInstance")  # not a sink's class, but somebody's name
            journal.attach_exporter("former")
            journal.write([point(1, 3.0, "wheel_size"), point(2, 3.0, "wheel_size")])
        done = run("check", "--master", tmp_path)
        assert done.status == 1
        assert "PROBLEM sink former: no instance has that name, and points go on to wait for it (2 do)" in done.out
        assert run("ship", "--journal", tmp_path / "other.sqlite", "--sink", "former", "--detach").status == 0
        assert run("check", "--master", tmp_path).status == 1  # misspelt, as before
        assert "former" not in run("check", "--master", tmp_path).out
