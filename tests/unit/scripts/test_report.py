"""The functions of ``report``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.errors import RecordError, StorageError, UnitError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure_scripts import line_writer, record_writer, report
from tests.unit.scripts import programs


@pytest.fixture
def sidecar(tmp_path, monkeypatch):
    """The sidecar file of a measuring step."""
    path = tmp_path / "sidecar"
    monkeypatch.setenv("BBMEASURE_FILE", str(path))
    return path


@pytest.fixture
def outside(monkeypatch):
    """An environment outside a measuring step."""
    monkeypatch.delenv("BBMEASURE_FILE", raising=False)
    monkeypatch.delenv("BBMEASURE_STDOUT", raising=False)


CALLS = [
    (lambda: report.size("wheel", 1.5, unit="MiB"), ("wheel", 1572864.0, Kind.SIZE, "bytes", Direction.LOWER)),
    (lambda: report.duration("link", 250, unit="ms"), ("link", 0.25, Kind.DURATION, "s", Direction.LOWER)),
    (lambda: report.count("warnings", 3, better="lower"), ("warnings", 3.0, Kind.COUNT, "1", Direction.LOWER)),
    (lambda: report.ratio("coverage", 85, unit="%"), ("coverage", 0.85, Kind.RATIO, "1", Direction.NONE)),
    (lambda: report.number("load", 2, unit="{request}"), ("load", 2.0, Kind.NUMBER, "{request}", Direction.NONE)),
    (lambda: report.text("compiler", "gcc 12"), ("compiler", "gcc 12", Kind.TEXT, "1", Direction.NONE)),
    (lambda: report.duration("foo", samples=[3, 1, 2]), ("foo", 2.0, Kind.DURATION, "s", Direction.LOWER)),
]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_each_function_writes_its_record(sidecar, call, expected):
    """Each function appends one record to the file."""
    assert call() is True
    (record,) = programs.records_of(sidecar.read_bytes())
    assert (record.name, record.value, record.kind, record.unit, record.better) == expected


def test_tags_and_samples_are_kept(sidecar):
    """Tags and samples are written to the file."""
    report.size("wheel", tags={"python": 3.9}, samples=[1, 2, 6])
    (record,) = programs.records_of(sidecar.read_bytes())
    assert (record.value, record.tags, record.samples) == (2.0, {"python": "3.9"}, (1.0, 2.0, 6.0))


def test_outside_a_step_nothing_happens(outside, capfd):
    """Without a file nothing is written or printed, and the call returns False."""
    assert report.count("warnings", 3) is False
    with report.timer("link"):
        pass
    assert capfd.readouterr() == ("", "")


def test_marked_lines_are_printed_where_they_are_asked_for(outside, monkeypatch, capsys):
    """BBMEASURE_STDOUT=1 prints marked lines; 0 does not."""
    monkeypatch.setenv("BBMEASURE_STDOUT", "0")
    assert report.count("warnings", 3) is False
    monkeypatch.setenv("BBMEASURE_STDOUT", "1")
    assert report.count("warnings", 4) is True
    assert [record.value for record in programs.marked(capsys.readouterr().out)] == [4.0]


@pytest.mark.parametrize("within", [True, False])
def test_a_mistake_is_raised_in_a_step_and_outside(within, tmp_path, monkeypatch):
    """An invalid value raises an error in a step and outside."""
    monkeypatch.setenv("BBMEASURE_FILE", str(tmp_path / "sidecar") if within else "")
    with pytest.raises(RecordError):
        report.size("wheel", float("nan"))
    with pytest.raises(RecordError):
        report.count("", 3)
    with pytest.raises(UnitError):
        report.size("wheel", 3, unit="parsecs")
    for wrong in (report.size, report.duration, report.ratio):
        with pytest.raises(UnitError, match="unit 'bytes/s': expected one of"):
            wrong("wheel", 3, unit="bytes/s")
    with pytest.raises(UnitError, match="unit None: expected one of ns"):
        report.duration("wheel", 3, unit=None)
    assert not (tmp_path / "sidecar").exists()


def test_the_timer_reports_what_its_block_takes(sidecar, monkeypatch):
    """A with block and a decorated function are timed, unless they raise."""
    clock = iter([10.0, 12.5, 20.0, 21.0, 30.0])
    monkeypatch.setattr(report.time, "perf_counter", lambda: next(clock))  # type: ignore[attr-defined]  # an import of the module
    with report.timer("link"):
        pass
    report.timer("call", tags={"n": 1})(int)()
    with pytest.raises(ZeroDivisionError), report.timer("never"):
        raise ZeroDivisionError
    found = programs.records_of(sidecar.read_bytes())
    assert [(record.name, record.value, record.tags) for record in found] == [
        ("link", 2.5, {}),
        ("call", 1.0, {"n": "1"}),
    ]


WRITER = """
from bbmeasure_scripts import report
import sys
for number in range(300):
    report.number(sys.argv[1] + "-%d" % number, number, tags={"filler": "x" * (number * 3 + 1)})
"""


def test_many_processes_append_whole_lines(tmp_path):
    """The lines of eight concurrent processes are complete."""
    file = tmp_path / "sidecar"
    variables = programs.environment(BBMEASURE_FILE=str(file))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, f"p{number}"], env=variables) for number in range(8)]
    assert [writer.wait(300) for writer in writers] == [0] * 8
    names = {record.name for record in programs.records_of(file.read_bytes())}
    assert names == {f"p{process}-{number}" for process in range(8) for number in range(300)}


def make_fifo(path):
    """Create a FIFO without a reader."""
    os.mkfifo(path)


@pytest.mark.parametrize("make", [os.mkdir, make_fifo, lambda path: os.symlink(os.devnull, path)])
def test_files_that_are_not_regular_are_refused(make, sidecar, capsys):
    """A folder, a FIFO and a link instead of the file neither block nor raise."""
    make(str(sidecar))
    assert report.count("warnings", 3) is False
    assert "warnings cannot be reported" in capsys.readouterr().err


def test_a_missing_folder(monkeypatch, capsys, tmp_path):
    """A file that cannot be created is an error message, and does not raise."""
    monkeypatch.setenv("BBMEASURE_FILE", str(tmp_path / "gone" / "file"))
    assert report.count("warnings", 3) is False
    assert "No such file" in capsys.readouterr().err


FULL = """
import resource
from bbmeasure_scripts import report
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
print(report.count("first", 1), report.count("second", 2, tags={"long": "x" * 90}), report.count("third", 3))
"""


def test_a_full_disk(tmp_path):
    """On a full disk the call returns False, and earlier records remain valid."""
    done = programs.execute(
        [sys.executable, "-c", FULL.replace("third", "t")], tmp_path, sidecar=False, BBMEASURE_FILE="f"
    )
    assert done.stdout.split() == ["True", "False", "False"]
    assert "second cannot be reported" in done.stderr
    assert (tmp_path / "f").read_bytes().splitlines()[0].startswith(b'{"v":1,"name":"first"')


def test_an_unterminated_line_is_terminated(sidecar):
    """A last line without a line break is terminated first."""
    sidecar.write_bytes(b'{"name":"by_hand","value":1}')
    report.count("after", 2)
    report.count("last", 3)
    assert [record.name for record in programs.records_of(sidecar.read_bytes())] == ["by_hand", "after", "last"]


def test_samples_that_make_a_line_too_long_are_thinned(sidecar, capsys):
    """Every second sample is dropped until the line fits; the value is unchanged."""
    samples = [0.1234567890123 + number for number in range(20_000)]
    report.duration("foo", samples=samples)
    (record,) = programs.records_of(sidecar.read_bytes())
    assert record.value == Record("foo", samples=samples).value
    assert 5_000 <= len(record.samples) < 20_000
    assert "of 20000 samples" in capsys.readouterr().err


@given(samples=st.lists(st.floats(0, 1e6, width=32), max_size=2000), name=st.text("ab\u00e9", min_size=1, max_size=400))
def test_marked_lines_are_never_too_long(samples, name):
    """The marked line of any record is below the limit, and valid."""
    line = record_writer.encode(Record(name, 3, samples=samples), marked=True)
    assert len(line.encode()) < 4000
    (record,) = programs.marked(line)
    assert (record.name, record.value) == (name, 3.0)
    assert set(record.samples) <= set(samples)


def test_a_record_that_fits_no_line(outside, monkeypatch, capsys):
    """A record that fits no marked line is an error."""
    monkeypatch.setenv("BBMEASURE_STDOUT", "1")
    assert report.count("\u00e9" * 900, 1) is False
    said = capsys.readouterr()
    assert said.out == ""
    assert "cannot be reported" in said.err


def test_a_path_with_a_nul_is_refused(tmp_path):
    """A path with a NUL is a StorageError."""
    with pytest.raises(StorageError, match="cannot be opened"):
        record_writer.append(Record("x", 1), "a\0b")


class Closed:
    """A closed stream."""

    encoding = "ascii"

    def write(self, text):
        raise OSError("closed")


def test_a_closed_stdout(capsys):
    """If standard output is closed, lines are printed to stderr in its encoding."""
    line_writer.print_line("a \u00b5 b", Closed())
    assert capsys.readouterr().err == "a \u00b5 b (closed)\n"


def test_closed_streams(monkeypatch):
    """With both streams closed print_line() does not raise."""
    monkeypatch.setattr(sys, "stderr", None)
    line_writer.print_line("text", Closed())
    assert sys.stderr is None
