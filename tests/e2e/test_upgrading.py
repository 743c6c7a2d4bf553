"""An older bbmeasure on the journal of a newer one, and the newer one again, on a real master."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import requests

from bbmeasure.storage.sqlite import schema
from bbmeasure.testing.site import Site
from tests import documented
from tests.e2e.masters import BASE_CONFIG, count_of, run_command, stop_cleanly

CONFIG = (
    BASE_CONFIG
    + """
deadlines.WRITE_TIMEOUT = 1.0  # the refused journal does not answer
f = util.BuildFactory([steps.MeasureShellCommand(name="size", command=["echo", "5"])])
add(util.BuilderConfig(name="first", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance()]
c["www"]["plugins"] = {"bbmeasure": {}}
"""
)


def set_version(journal: Path, number: int) -> None:
    """Make the file one of another version of the schema."""
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        connection.execute(f"PRAGMA user_version={number}")


def test_going_back_and_forward_again(tmp_path: Path) -> None:
    """The older one refuses the file, builds succeed, commands say why; the newer one has the values of both times."""
    with Site(tmp_path, CONFIG) as site:
        assert site.build("first")["results"] == 0
        stop_cleanly(site)
        set_version(site.journal, schema.VERSION + 1)
        content = site.journal.read_bytes()
        site.start_master()
        assert site.build("first")["results"] == 0
        api = requests.get(f"{site.url}plugins/bbmeasure/api/v1/series", timeout=60)
        assert api.status_code == 503
        refused = run_command("series", "--master", str(site.master_dir))
        stop_cleanly(site)
        assert refused.returncode != 0
        message = (
            f"version {schema.VERSION + 1}, expected at most {schema.VERSION}: it was written by a newer bbmeasure"
        )
        assert message in refused.stderr
        assert message in site.master.log.read_text()  # type: ignore[union-attr]  # it was started
        assert "it was written by a newer bbmeasure" in (documented.DOCS / "upgrading.rst").read_text()
        assert site.journal.read_bytes() == content
        assert Path(f"{site.journal}.spool").exists()
        set_version(site.journal, schema.VERSION)
        site.start_master()
        site.wait_for(lambda: count_of(site.journal, "size") == 2, "both values", 60)
        site.wait_for(lambda: not Path(f"{site.journal}.spool").exists(), "the end of the spool file", 60)
