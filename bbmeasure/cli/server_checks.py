"""Checks of the servers that a master ships to: reach, clock, database, retention, write, read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Optional

from bbmeasure.cli.config import ExporterConfig
from bbmeasure.cli.influxdb_client import BlockingClient, is_database_missing
from bbmeasure.errors import StorageError
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.influxdb.statistics_layout import field_type

#: Seconds by which a server's clock may differ.
MAX_CLOCK_SKEW = 5.0


def check_servers(exporters: Iterable[ExporterConfig], captured: Mapping[str, str]) -> list[dict[str, Any]]:
    """The report of each exporter's server; see :func:`check_server`."""
    return [check_server(exporter, time.time, captured) for exporter in exporters]


def check_server(
    exporter: ExporterConfig, now: Callable[[], float], captured: Optional[Mapping[str, str]] = None
) -> dict[str, Any]:
    """The ``checks`` of one server, and as ``problems`` those that keep it from receiving points or answering.

    ``captured`` are the types of the fields that were captured for the layout of ``buildbot.statistics``.
    """
    report = _Report(exporter)
    if exporter.server is None:
        report.problem("configuration", exporter.problem or "not readable")
        return report.answer
    client = BlockingClient(exporter.server)
    try:
        if _check_reach(client, report, now):
            if not exporter.numbers_only:
                _check_database(client, report, exporter)
            _check_write(client, report, exporter)
            if exporter.statistics_layout:
                _check_field_types(client, report, exporter, captured or {})
            elif not exporter.numbers_only:
                _check_read(client, report, exporter)
    finally:
        client.close()
    return report.answer


class _Report:
    """The results of the checks of one server, in their order."""

    def __init__(self, exporter: ExporterConfig) -> None:
        url = exporter.server.url if exporter.server else None
        self.answer: dict[str, Any] = {"name": exporter.name, "url": url, "checks": [], "problems": []}
        self._name = exporter.name

    def ok(self, check: str, message: str) -> None:
        """Add a check that passed."""
        self.answer["checks"].append({"check": check, "ok": True, "message": message})

    def problem(self, check: str, message: str) -> None:
        """Add a check that failed."""
        self.answer["checks"].append({"check": check, "ok": False, "message": message})
        self.answer["problems"].append(f"{self._name}: {check}: {message}")


def _check_reach(client: BlockingClient, report: _Report, now: Callable[[], float]) -> bool:
    """Check that the server answers and that its clock agrees with ours; whether further checks make sense."""
    before = now()
    try:
        version, clock = client.ping()
    except ServerError as error:
        report.problem("reach", str(error))
        return error.kind is not ErrorKind.UNREACHABLE
    report.ok("reach", version)
    middle = (before + now()) / 2
    if clock is None:
        report.ok("clock", "not reported")
    elif abs(clock + 0.5 - middle) > MAX_CLOCK_SKEW:
        report.problem("clock", f"the server's clock is {clock + 0.5 - middle:+.0f} s from ours")
    else:
        report.ok("clock", "agrees")
    return True


def _check_database(client: BlockingClient, report: _Report, exporter: ExporterConfig) -> None:
    """Check that database and retention policy exist.

    For a user who may not list them, the check of the write covers both.
    """
    server = client.server
    try:
        names = [row.get("name") for row in client.query("SHOW DATABASES")]
        if server.database in names:
            report.ok("database", f"{server.database} exists")
        elif not exporter.create_database:
            report.problem("database", f"{server.database} does not exist or is not visible to this user; got {names}")
        elif _may_create(client):
            report.ok("database", f"{server.database} does not exist; the master creates it")
        else:
            report.problem(
                "database",
                f"{server.database} does not exist or is not visible to this user, who may not create it; got {names}; "
                "correct database=, or create it as an administrator: "
                + influxql.create_database(server.database).text,
            )
        rows = client.query(f"SHOW RETENTION POLICIES ON {influxql.identifier(server.database)}")
    except StorageError as error:
        report.ok("retention", f"not reported: {error}")
        return
    _check_retention(report, server.retention_policy, rows)


def _check_field_types(
    client: BlockingClient, report: _Report, exporter: ExporterConfig, captured: Mapping[str, str]
) -> None:
    """Check that the fields of the database have the types that values are written with."""
    try:
        (found,) = client.execute(Statement("SHOW FIELD KEYS"))
    except StorageError as error:
        report.ok("field types", f"not reported: {error}")
        return
    chosen = exporter.field_types or {}
    fields = [(f"{each['name']}.{field}", kind) for each in found for field, kind in each.get("values", ())]
    for name, kind in fields:
        written = field_type(chosen, name, captured.get(name, kind))
        if written != kind:
            report.problem(
                "field types",
                f"{name} is {kind} in the database and would be written as {written}, which it refuses; "
                f"set fieldTypes={{{name!r}: {kind!r}}}",
            )
    integers = [name for name, kind in fields if kind == "integer" and field_type(chosen, name, "float") == "float"]
    if integers:
        report.ok("field types", f"integers, which refuse values that are not whole: {', '.join(integers[:20])}")


def _may_create(client: BlockingClient) -> bool:
    """Whether the user may create databases: true unless a query that also needs an administrator is refused."""
    try:
        client.query("SHOW USERS")
    except ServerError as error:
        return error.kind not in (ErrorKind.FORBIDDEN, ErrorKind.UNAUTHORIZED)
    except StorageError:
        return True
    return True


def _check_retention(report: _Report, policy: Optional[str], rows: Sequence[Mapping[str, Any]]) -> None:
    names = [row.get("name") for row in rows]
    if policy and policy not in names:
        report.problem("retention", f"{policy} does not exist; got {names}")
    for row in rows:
        if row.get("name") == policy or (not policy and row.get("default")):
            duration = "forever" if row.get("duration") in ("0s", "0") else f"for {row.get('duration')}"
            report.ok("retention", f"{row.get('name')} keeps points {duration}")


def _check_write(client: BlockingClient, report: _Report, exporter: ExporterConfig) -> None:
    """Check the right to write by a comment line, which needs the same rights as points and stores nothing."""
    try:
        client.write(["# bbmeasure check"])
    except ServerError as error:
        if error.kind is ErrorKind.REFUSED:
            report.ok("write", f"allowed ({error.message})")
        elif not is_database_missing(error):
            report.problem("write", str(error))
        elif exporter.create_database and _may_create(client):
            report.ok("write", "allowed; the database does not exist yet")
        else:
            report.problem("write", f"{client.server.database} does not exist, so nothing can be written: {error}")
    else:
        report.ok("write", "allowed")


def _check_read(client: BlockingClient, report: _Report, exporter: ExporterConfig) -> None:
    """Check the right to read, which only ``answers=`` and ``source=`` need."""
    try:
        client.query(influxql.series_metadata(policy=client.server.retention_policy).text)
    except StorageError as error:
        if is_database_missing(error):
            report.ok("read", "not checked, as the database does not exist")
        elif exporter.answers:
            report.problem("read", str(error))
        else:
            report.ok("read", f"not allowed; only source= and answers= need it ({error})")
    else:
        report.ok("read", "allowed")
