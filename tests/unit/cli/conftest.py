"""Fixtures of the tests of commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.cli import config
from bbmeasure.cli.main import main
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite.journal import Journal
from tests.servers import Influxd
from tests.unit.cli.forked_readers import ForkedReaders
from tests.unit.cli.masters import SECRET, TAC, Result, Run, point, points


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    """An InfluxDB with users that may read, write or both."""
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        server.query("CREATE DATABASE elsewhere")
        for user, right in (("both", "ALL"), ("writer", "WRITE"), ("reader", "READ")):
            server.query(f"CREATE USER {user} WITH PASSWORD '{SECRET}'")
            server.query(f"GRANT {right} ON t TO {user}")
        server.query("CREATE RETENTION POLICY month ON t DURATION 30d REPLICATION 1")
        yield server


@pytest.fixture(scope="session")
def _readers() -> Iterator[ForkedReaders]:
    """The process whose forks read configurations."""
    readers = ForkedReaders()
    yield readers
    readers.close()


@pytest.fixture
def forked_readers(_readers: ForkedReaders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read configurations in forks of a process, not each in a process of its own."""
    monkeypatch.setattr(config, "subprocess", _readers)


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """A master's folder with a journal that has ten points for the sink ``InfluxDBInstance``."""
    folder = tmp_path / "master"
    folder.mkdir()
    (folder / "buildbot.tac").write_text(TAC)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "influx").write_text(SECRET + "\n")
    os.chmod(folder / "secrets" / "influx", 0o600)
    with Journal(folder / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("InfluxDBInstance")
        journal.write(points(10))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A master's folder whose journal has a size, a text, and a point outside builds."""
    with Journal(tmp_path / "bbmeasure.sqlite") as journal:
        journal.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",)))
        journal.declare(SeriesInfo("compiler", Kind.TEXT, builders=("second",)))
        journal.write([point(n, 1024.0 * n, tags={"target": "core" if n % 2 else "tools"}) for n in range(1, 6)])
        journal.write([point(10, "gcc 12", "compiler", "second"), point(11, 7.5, "load", None)])
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""

    def command(*arguments: Any) -> Result:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = int(error.code or 0)
        out, err = capsys.readouterr()
        return Result(status, out, err)

    return command
