"""The sinks of a master's configuration, and what ``bbmeasure check`` finds out about their servers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from bbmeasure.cli import commands
from bbmeasure.cli.blocking_client import SyncServer, is_missing
from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.server import Server, ServerError, Trouble

#: Seconds that a server's clock may differ before it is said.
SKEW = 5.0


@dataclass(frozen=True)
class Target:
    """A sink as master.cfg has it; ``problem`` says why it could not be read."""

    name: str
    kind: str
    server: Optional[Server] = None
    numbers_only: bool = False
    tag_build_number: bool = False
    create_database: bool = False
    answers: bool = False
    problem: Optional[str] = None


def read_targets(master: Path) -> list[Target]:
    """The sinks of a master's configuration, with their secrets, read by Buildbot in a process of its own."""
    if not (master / "buildbot.tac").exists():
        raise StorageUnavailableError(f"{master}: expected a master's folder, with a buildbot.tac")
    command = [sys.executable, "-m", "bbmeasure.master.exporter_settings", str(master)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=commands.CONFIG_PATIENCE
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise StorageUnavailableError(f"{master}: reading its configuration took too long") from None
    except (ValueError, IndexError):
        raise StorageUnavailableError(f"{master}: could not read its configuration: {done.stderr[-2000:]}") from None
    if isinstance(found, dict):
        raise StorageUnavailableError(f"{master}: {found['problem']}")
    return [_target(one, master) for one in found]


def _target(told: Mapping[str, Any], master: Path) -> Target:
    """A path in a configuration is from the master's folder."""
    if "problem" in told:
        return Target(told["name"], told["class"], problem=told["problem"])
    switches = {name: told[name] for name in ("numbers_only", "tag_build_number", "create_database", "answers")}
    server = Server(**told["server"])
    if server.ca_file is not None:
        server = replace(server, ca_file=str(master / server.ca_file))
    return Target(told["name"], told["class"], server, **switches)


def check_servers(master: Path) -> list[dict[str, Any]]:
    """For each sink of a master what was tried, and how it went: reach, clock, database, retention, write, read."""
    return [check_target(target, time.time) for target in read_targets(master)]


def check_target(target: Target, now: Callable[[], float]) -> dict[str, Any]:
    """What was tried with one server; ``problems`` are those that keep points from it, or answers from us."""
    report = _Report(target)
    if target.server is None:
        report.problem("configuration", target.problem or "not readable")
        return report.told
    client = SyncServer(target.server)
    try:
        if _check_reach(client, report, now):
            if not target.numbers_only:
                _check_place(client, report, target)
            _check_write(client, report)
            if not target.numbers_only:
                _check_read(client, report, target)
    finally:
        client.close()
    return report.told


class _Report:
    """What was tried, in its order."""

    def __init__(self, target: Target) -> None:
        url = target.server.url if target.server else None
        self.told: dict[str, Any] = {"name": target.name, "url": url, "checks": [], "problems": []}
        self._name = target.name

    def fine(self, what: str, says: str) -> None:
        """That went well."""
        self.told["checks"].append({"what": what, "ok": True, "says": says})

    def problem(self, what: str, says: str) -> None:
        """That did not."""
        self.told["checks"].append({"what": what, "ok": False, "says": says})
        self.told["problems"].append(f"{self._name}: {what}: {says}")


def _check_reach(client: SyncServer, report: _Report, now: Callable[[], float]) -> bool:
    before = now()
    try:
        told, clock = client.ping()
    except ServerError as error:
        report.problem("reach", str(error))
        return error.trouble is not Trouble.UNREACHABLE
    report.fine("reach", told)
    middle = (before + now()) / 2
    if clock is None:
        report.fine("clock", "not told")
    elif abs(clock + 0.5 - middle) > SKEW:
        report.problem("clock", f"the server's clock is {clock + 0.5 - middle:+.0f} s from ours")
    else:
        report.fine("clock", "agrees")
    return True


def _check_place(client: SyncServer, report: _Report, target: Target) -> None:
    """Whether database and retention policy are there; a user who may not ask is told by the write."""
    server = client.server
    try:
        names = [row.get("name") for row in client.query("SHOW DATABASES")]
        if server.database in names:
            report.fine("database", f"{server.database} is there")
        elif target.create_database:
            report.fine("database", f"{server.database} is not there; the master makes it where it may")
        else:
            report.problem("database", f"{server.database} is not there, or not for this user; there are: {names}")
        rows = client.query(f"SHOW RETENTION POLICIES ON {influxql.identifier(server.database)}")
    except StorageError as error:
        report.fine("retention", f"not told: {error}")
        return
    _check_policy(report, server.retention_policy, rows)


def _check_policy(report: _Report, policy: Optional[str], rows: Sequence[Mapping[str, Any]]) -> None:
    names = [row.get("name") for row in rows]
    if policy and policy not in names:
        report.problem("retention", f"{policy} is not there; there are: {names}")
    for row in rows:
        if row.get("name") == policy or (not policy and row.get("default")):
            keeps = "for ever" if row.get("duration") in ("0s", "0") else f"for {row.get('duration')}"
            report.fine("retention", f"{row.get('name')} keeps points {keeps}")


def _check_write(client: SyncServer, report: _Report) -> None:
    """A comment alone is written: it takes the same rights and places as points, and leaves nothing behind."""
    try:
        client.write(["# bbmeasure check"])
    except ServerError as error:
        if error.trouble is Trouble.REFUSED:
            report.fine("write", f"allowed ({error.words})")
        elif is_missing(error):
            report.fine("write", "allowed; the database is not there yet")
        else:
            report.problem("write", str(error))
    else:
        report.fine("write", "allowed")


def _check_read(client: SyncServer, report: _Report, target: Target) -> None:
    """Reading is needed for ``answers=`` and ``source=`` alone."""
    try:
        client.query(influxql.declared(policy=client.server.retention_policy).text)
    except StorageError as error:
        if is_missing(error):
            report.fine("read", "not tried, as the database is not there")
        elif target.answers:
            report.problem("read", str(error))
        else:
            report.fine("read", f"not allowed, and needed for source= and answers= alone ({error})")
    else:
        report.fine("read", "allowed")
