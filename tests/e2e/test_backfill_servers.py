"""bbmeasure backfill from PostgreSQL and MariaDB, without writing to them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.master.backfill.builds import History
from bbmeasure.master.backfill.database import Database
from bbmeasure.testing.site import Site, free_port
from tests.databases import PASSWORD, QUOTED, MariaDB, PostgreSQL, SQLServer
from tests.e2e.masters import BASE_CONFIG, report, run_command, wait_for_points
from tests.e2e.test_backfill import CONFIG, FILL, LIVE, LIVE_POINTS, MASTER_CFG, everything

BUILDS = 400
#: The builds of FILL that are of a proposal, which a report leaves out by default.
PROPOSALS = 4
#: How a master.cfg says it; Buildbot takes these arguments away from what the driver sees.
QUERIES = {PostgreSQL: "", MariaDB: "?max_idle=300&storage_engine=InnoDB"}


@pytest.fixture(scope="module", params=[PostgreSQL, MariaDB])
def server(request: pytest.FixtureRequest) -> Iterator[SQLServer]:
    """A server of this module."""
    with request.param() as running:
        yield running


@dataclass(frozen=True)
class Past:
    """A master's folder whose configuration names a database with a read-only user."""

    folder: Path
    server: SQLServer

    @property
    def journal(self) -> Path:
        return self.folder / "bbmeasure.sqlite"

    def backfill(self, *arguments: str) -> dict[str, int]:
        """The counters of a run, whose output must not contain the password."""
        done = run_command("backfill", "--master", str(self.folder), "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert_secret(done.stdout + done.stderr)
        return dict(json.loads(done.stdout))

    def seconds(self, statement: str) -> list[float]:
        """The numbers of a query of the database."""
        return [float(row[0]) for row in self.server.execute("buildbot", statement)]


def assert_secret(printed: str) -> None:
    assert PASSWORD not in printed
    assert QUOTED not in printed
    assert "s3cr3t" not in printed
    assert "'ss'" not in printed
    assert '"ss"' not in printed


@pytest.fixture(scope="module")
def past(server: SQLServer, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Some hundred builds of Buildbot's own command and models, back-filled."""
    folder = tmp_path_factory.mktemp("past") / "master"
    script = folder.parent / "fill.py"
    script.write_text(FILL)
    server.create("buildbot")
    query = QUERIES[type(server)]
    made = server.address("buildbot") + query
    command = [sys.executable, str(script), str(folder), str(BUILDS), str(int(time.time())), made]
    filled = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert filled.returncode == 0, filled.stdout + filled.stderr
    server.let_read("buildbot")
    url = server.address("buildbot", "reader") + query
    (folder / "master.cfg").write_text(MASTER_CFG + f'c["db"] = {{"db_url": {url!r}}}\n')
    past = Past(folder, server)
    assert past.backfill("--since", "365d")["builds"] == BUILDS - BUILDS // 97
    return past


def test_reports_equal_plain_sql(past: Past) -> None:
    """Durations of builds, queue and steps, and properties, are those of the database."""
    expected = past.seconds("SELECT complete_at - started_at FROM builds WHERE complete_at IS NOT NULL")
    answer = report(past.journal, "build_duration", "--proposals")
    assert answer["count"] == len(expected) == BUILDS - BUILDS // 97
    assert answer["statistics"]["average"] == pytest.approx(statistics.mean(expected))
    assert answer["statistics"]["deviation"] == pytest.approx(statistics.stdev(expected))
    assert report(past.journal, "build_duration")["count"] == len(expected) - PROPOSALS
    queued = past.seconds(
        """SELECT started_at - buildrequests.submitted_at FROM builds
        JOIN buildrequests ON buildrequests.id = buildrequestid WHERE builds.complete_at IS NOT NULL"""
    )
    answer = report(past.journal, "queue_duration", "--proposals")
    assert answer["statistics"]["average"] == pytest.approx(statistics.mean(queued))
    compiled = past.seconds(
        "SELECT complete_at - started_at FROM steps WHERE name = 'compile' AND complete_at IS NOT NULL"
    )
    answer = report(past.journal, "step_duration", "--proposals", "--tag", "step=compile")
    assert answer["statistics"]["average"] == pytest.approx(statistics.mean(compiled))
    assert report(past.journal, "warnings-count")["statistics"]["maximum"] == 6


def test_repeated_run_beside_a_writing_master(past: Past) -> None:
    """A second run adds nothing, and does not wait for rows that a running master has not committed."""
    before = everything(past.journal)
    engine = sa.create_engine(past.server.address("buildbot"))
    with engine.connect() as master:
        for table in ("builds", "steps", "build_properties", "builders"):
            master.execute(
                sa.text(
                    f"UPDATE {table} SET {'source' if 'prop' in table else 'id'} = "
                    f"{'source' if 'prop' in table else 'id'}"
                )
            )
        again = past.backfill("--again", "--since", "365d")
        master.rollback()
    engine.dispose()
    assert (again["points"], again["known"]) == (0, len(before))
    assert everything(past.journal) == before


def test_names_that_differ_in_case(past: Past, tmp_path: Path) -> None:
    """MySQL compares names without case, Buildbot does not."""
    journal = tmp_path / "one.sqlite"
    assert past.backfill("--journal", str(journal), "--builder", "A")["builds"] > BUILDS / 5
    assert {row[1] for row in everything(journal)} == {"A"}


def test_numbers_in_logs(past: Past, tmp_path: Path) -> None:
    """Binary chunks of logs, compressed or not, are read as they were written."""
    journal = tmp_path / "logs.sqlite"
    past.backfill("--journal", str(journal), "--pattern", r"took (?P<took>[\d.]+ ms)", "--step", "compile")
    answer = report(journal, "took")
    assert (answer["count"], answer["statistics"]["maximum"]) == (BUILDS // 50, BUILDS / 1_000)
    history = History(past.server.address("buildbot", "reader"))
    try:
        printed = history.stdout(50 * 3)
    finally:
        history.close()
    lines = printed.split("\n")
    assert lines[0::2] == [*(f"line {number} of Zürich \U0001f600 \0" for number in range(40)), "took 50 ms"]


def test_read_only(server: SQLServer, past: Past) -> None:
    """Not even the administrator can write in its transaction."""
    database = Database(server.address("buildbot"), ["builders"])
    with pytest.raises(StorageUnavailableError, match=r"read[- ]only|READ ONLY"), database.transaction() as run:
        run(sa.text("UPDATE builders SET name = 'x'"))
    database.close()
    assert server.execute("buildbot", "SELECT count(*) FROM builders WHERE name = 'x'") == [(0,)]


def test_errors_without_password(server: SQLServer, past: Past, tmp_path: Path) -> None:
    """No error of a wrong URL contains the password."""
    good = server.address("buildbot", "reader")
    wrong = {
        "a user who is not there": server.address("buildbot", "nobody"),
        "another password": good.replace(QUOTED, QUOTED + "x"),
        "no such database": server.address("nowhere", "reader"),
        "not Buildbot's": server.address(server.first_database),
        "nobody listens": good.replace(str(server.port), str(free_port())),
        "an argument that no driver knows": good + "?unheard_of=1",
        "a password as an argument": good.replace(f":{QUOTED}@", "@") + f"?password={QUOTED}&unheard_of=1",
        "no such driver": good.replace(server.scheme, server.scheme.split("+")[0] + "+unheard_of"),
        "a port that is none": good.replace(str(server.port), "port"),
        "a password that is not quoted": good.replace(QUOTED, PASSWORD),
        "a slash that is missing": good.replace("://", ":/"),
        "a driver that is not installed": good.replace(server.scheme, DRIVERS_NOT_HERE[type(server)]),
    }
    for what, url in wrong.items():
        with pytest.raises(StorageUnavailableError) as caught:
            History(url).close()
        printed = str(caught.value)
        assert printed.startswith("database: "), what
        assert_secret(printed)
    done = run_command("backfill", "--master", str(tmp_path), "--db", wrong["another password"])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert_secret(done.stdout + done.stderr)


DRIVERS_NOT_HERE = {PostgreSQL: "postgresql+pg8000", MariaDB: "mysql+mysqlconnector"}


def test_password_outside_the_url(
    server: SQLServer, past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver reads the password from its own file or variable."""
    kept = tmp_path / "kept"
    if isinstance(server, PostgreSQL):
        kept.write_text("*:*:*:reader:" + PASSWORD.replace(":", r"\:") + "\n")
        kept.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(kept))
    else:
        kept.write_text(f"[client]\npassword={PASSWORD}\n")
    url = server.address("buildbot", "reader").replace(f":{QUOTED}@", "@")
    history = History(url + ("" if isinstance(server, PostgreSQL) else f"?read_default_file={kept}"))
    assert set(history.builders()) == {"a", "A", "b 'quoted\"", "removed"}
    history.close()


def test_running_master(server: SQLServer, tmp_path: Path) -> None:
    """Live points of a running master stay, and the build before them is added."""
    server.create("live")
    database = f'c["db"] = {{"db_url": {server.address("live")!r}}}\n'
    with Site(tmp_path, BASE_CONFIG + CONFIG + database) as site:
        assert site.build("b")["results"] == 0
        site.write_config(BASE_CONFIG + CONFIG + database + LIVE)
        site.reconfig()
        assert site.build("b")["results"] == 0
        wait_for_points(site, LIVE_POINTS)
        live = everything(site.journal)
        command = ["backfill", "--master", str(site.master_dir), "--pattern", r"took (?P<took>[\d.]+ ms)"]
        done = run_command(*command)
        assert "2 builds read" in done.stdout, done.stderr
        after = everything(site.journal)
        assert set(live) < set(after)
        assert len({row[:5] for row in after}) == len(after)
        for series in ("build_duration", "queue_duration", "warnings-count", "took"):
            assert report(site.journal, series)["count"] == 2, series
        assert site.build("b")["results"] == 0
        assert "1 builds read" in run_command(*command).stdout
