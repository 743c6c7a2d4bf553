"""Examples of the documentation that need no master; tests/e2e runs those in its master.cfg."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import textwrap

import pytest
import pytest_twisted
from twisted.internet import defer, reactor

from bbmeasure import wire
from bbmeasure.capture import api
from bbmeasure.capture.state import state_of
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Record
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from tests import documented

# From GNU binutils 2.40.
SIZE_A = """\
/usr/bin/true  :
section              size    addr
.interp                28     792
.text               17041    9248
.data                 128   37632
.bss                  408   37760
Total               20500


"""


class Master:
    """A master, as far as captureData needs one."""

    reactor = reactor
    running = False


def test_every_example_file_is_shown_and_exists():
    """Each file in docs/examples is shown on a page, and each shown file exists."""
    everything = [path for path in documented.EXAMPLES.rglob("*") if path.is_file()]
    there = {path.relative_to(documented.EXAMPLES).as_posix() for path in everything if "__pycache__" not in path.parts}
    assert documented.included() == there - {"scripts/compile.sh"}  # the project's own, not the reader's


def test_the_example_of_a_parser():
    """The example of a parser returns a record for each section."""
    sections = runpy.run_path(str(documented.EXAMPLES / "sections.py"))["sections"]
    found = sections(SIZE_A)
    assert found[1] == Record("section_size", 17041, unit="bytes", tags={"section": ".text"})
    assert len(found) == 4
    assert sections("") == []


def test_the_example_of_a_step():
    """The example of a step class overrides only parse()."""
    step_class = runpy.run_path(str(documented.EXAMPLES / "own_step.py"))["LoadTest"]
    step = step_class(name="load", command=["true"])
    assert [(record.name, record.value) for record in step.parse("200\n200\n503\n")] == [
        ("requests", 3),
        ("failed_requests", 1),
    ]


def test_the_example_of_a_script(tmp_path):
    """The Python example reports ten samples of the import of a package."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "__init__.py").touch()
    sidecar = tmp_path / "sidecar"
    subprocess.run(
        [sys.executable, documented.EXAMPLES / "scripts" / "startup.py"],
        cwd=tmp_path,
        env={**os.environ, "BBMEASURE_FILE": str(sidecar), "PYTHONPATH": str(tmp_path)},
        check=True,
    )
    (record,) = wire.read_file(sidecar.read_bytes())
    assert (record.name, record.unit, record.tags) == ("import_time", "s", {"module": "project"})  # type: ignore[union-attr]  # of this type here
    assert len(record.samples) == 10  # type: ignore[union-attr]  # of this type here


def test_the_example_of_a_marked_line():
    """The shell command of the page prints a marked line."""
    done = subprocess.run(["sh", "-c", documented.code_block("marker")], capture_output=True, text=True, check=True)
    assert wire.MarkerScanner().feed(done.stdout) == [Record("link_time", 12.5, unit="s")]


def test_the_examples_of_batch_files():
    """What the batch file echoes are records, in the file of the step and as a marked line; Wine's cmd runs it."""
    values = {"%%~zF": "12345", "%%~nxF": "project.zip", "%%": "%"}
    text = re.sub("%%(~zF|~nxF)?", lambda found: values[found[0]], documented.example("windows/report.bat"))
    lines = re.findall(r"echo (.*\{.*)", text)
    found = [*wire.read_file("\r\n".join(lines[:2]).encode()), *wire.MarkerScanner().feed(f"{lines[2]}\r\n")]
    assert found == [
        Record("link_time", 12.5, unit="s", better="lower"),
        Record("archive", 12345, unit="bytes", tags={"file": "project.zip"}),
        Record("coverage", 85, unit="%"),
    ]
    redirected = [line.strip() for line in text.splitlines() if ">>" in line]
    assert all(line.startswith('>>"%BBMEASURE_FILE%" echo ') for line in redirected)
    assert len(redirected) == 2


def test_the_example_of_a_backup(tmp_path):
    """The backup of an open journal, with points in its -wal file, has all points."""
    with Journal(tmp_path / "bbmeasure.sqlite") as journal:
        journal.declare(SeriesInfo("a", Record("a", 1).kind))
        journal.write([Point("a", time, float(time)) for time in range(1, 1001)])
        assert (tmp_path / "bbmeasure.sqlite-wal").stat().st_size
        script = documented.EXAMPLES / "backup_journal.py"
        subprocess.run([sys.executable, script, "bbmeasure.sqlite", "copy.sqlite"], cwd=tmp_path, check=True)
    with JournalReader(tmp_path / "copy.sqlite") as reader:
        assert [(info.name, info.count) for info in reader.series()] == [("a", 1000)]


@pytest_twisted.inlineCallbacks
def test_the_example_of_capture_data(monkeypatch):
    """The calls of captureData on the page store a value, a total, and nothing for a first difference."""
    real, calls = api.captureData, []
    master = Master()

    def capture_here(*values, **how):
        calls.append(real(*values, **how, master=master))

    monkeypatch.setattr(api, "captureData", capture_here)
    exec(documented.code_block("capture-data"), {})
    yield defer.gatherResults(calls)
    found = yield state_of(master).pipeline.storage.series()
    assert {info.name: info.count for info in found} == {"queue_length": 1, "bytes_served": 1, "odometer": 0}


@pytest.mark.parametrize("page", sorted(path.name for path in documented.DOCS.glob("*.rst")))
def test_python_on_a_page_compiles(page):
    """Every Python block of a page compiles."""
    text = (documented.DOCS / page).read_text()
    for block in re.findall(r"^\.\. code-block:: python\n(?: +:.*\n)*((?:\n| +.*\n)+)", text, re.MULTILINE):
        body = textwrap.indent(textwrap.dedent(block), "    ")
        compile(f"def page():\n{body}\n    yield", page, "exec")
