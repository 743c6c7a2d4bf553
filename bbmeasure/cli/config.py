"""A master's configuration and journal, as the commands find them from its folder."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from bbmeasure.errors import QueryError, StorageUnavailableError
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.influxdb.statistics_layout import StatisticsLineWriter
from bbmeasure.storage.sqlite.location import JOURNAL, recorded_journal

#: Seconds that reading a master.cfg may take.
CONFIG_TIMEOUT = 120


def journal_path(options: argparse.Namespace) -> Path:
    """The journal that ``--journal`` or ``--master`` names; QueryError if neither is given.

    A master whose journal is not at the default path notes its path in its folder.  If the master has never run, its
    configuration is read.
    """
    if options.journal is not None:
        return Path(options.journal)
    if options.master is None:
        raise QueryError("expected --master DIR, --journal FILE or --url MASTER_URL")
    if not options.master.is_dir():
        raise StorageUnavailableError(f"--master {options.master}: expected a folder")
    noted = recorded_journal(options.master)
    if noted is not None:
        return noted
    default = Path(options.master) / JOURNAL
    if default.exists() or not (options.master / "buildbot.tac").exists():
        return default
    return Path(options.master) / str(read_config(options.master)["journal"])


def existing_journal(options: argparse.Namespace) -> Path:
    """The journal that ``--journal`` or ``--master`` names; StorageUnavailableError if there is no such file."""
    path = journal_path(options)
    if not path.exists():
        raise StorageUnavailableError(f"{path}: expected a journal; is it the folder of a measured master?")
    return path


def read_config(master: Path) -> dict[str, Any]:
    """The configuration of bbmeasure in a master.cfg; see :mod:`bbmeasure.master.configuration`."""
    config: dict[str, Any] = _run_reader("bbmeasure.master.configuration", master)
    return config


@dataclass(frozen=True)
class ExporterConfig:
    """An exporter of a master's configuration; ``problem`` is why its settings could not be read."""

    name: str
    class_name: str
    server: Optional[Server] = None
    numbers_only: bool = False
    tag_build_number: bool = False
    create_database: bool = False
    answers: bool = False
    metadata: bool = True
    field_types: Optional[Mapping[str, str]] = None
    problem: Optional[str] = None

    @property
    def statistics_layout(self) -> bool:
        """Whether the server gets the layout of ``buildbot.statistics``."""
        return self.class_name == "StatisticsExporter"

    def writer(self) -> LineWriter:
        """The serializer of the points."""
        if self.statistics_layout:
            return StatisticsLineWriter(self.field_types)
        return LineWriter(tag_build_number=self.tag_build_number, numbers_only=self.numbers_only)


def read_exporters(master: Path) -> list[ExporterConfig]:
    """The exporters of a master's configuration, with their secrets."""
    settings = _run_reader("bbmeasure.master.exporter_settings", master)
    if isinstance(settings, dict):
        raise StorageUnavailableError(f"{master}: {settings['problem']}")
    return [_exporter(each, master) for each in settings]


def _exporter(settings: Mapping[str, Any], master: Path) -> ExporterConfig:
    """One exporter; a relative path in a configuration is relative to the master's folder."""
    name, class_name = settings["name"], settings["class"]
    if "problem" in settings:
        return ExporterConfig(name, class_name, problem=settings["problem"])
    switches = {key: value for key, value in settings.items() if key not in ("name", "class", "server")}
    server = Server(**settings["server"])
    if server.ca_file is not None:
        server = replace(server, ca_file=str(master / server.ca_file))
    return ExporterConfig(name, class_name, server, **switches)


def _run_reader(module: str, master: Path) -> Any:
    """The JSON that a module prints about a master's folder.

    The module runs in a process of its own: reading a master.cfg executes it.
    """
    if not (master / "buildbot.tac").exists():
        raise StorageUnavailableError(f"{master}: expected a master's folder, with a buildbot.tac")
    try:
        process = subprocess.run(
            [sys.executable, "-m", module, str(master)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONFIG_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise StorageUnavailableError(f"{master}: reading its configuration took over {CONFIG_TIMEOUT} s") from None
    try:
        return json.loads(process.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        error = process.stderr[-2000:]
        raise StorageUnavailableError(f"{master}: could not read its configuration: {error}") from None
