"""Write Grafana's data source and dashboards."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any, Optional

from bbmeasure.cli import arguments, config
from bbmeasure.cli.sources import open_source
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.grafana.provisioning import known_series, write_provisioning
from bbmeasure.storage.influxdb.server import Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure grafana``."""
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the files are written")
    arguments.add_source(parser)
    parser.add_argument(
        "--influxdb", metavar="URL", help="as Grafana reaches it (default: as configured, else localhost)"
    )
    parser.add_argument("--database", metavar="NAME", help="(default: as configured, else buildbot)")
    parser.add_argument("--username", metavar="NAME", help="a user that may only read")
    parser.add_argument("--token", action="store_true", help="Grafana sends a token instead of a password")
    parser.add_argument("--retention-policy", metavar="NAME", help="where the points are (default: as configured)")
    parser.add_argument("--buildbot", metavar="URL", help="the master's page, for links to builds (default: --url)")
    parser.add_argument(
        "--provisioning", metavar="DIR", default="/etc/grafana/provisioning", help="(default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the files and print their paths."""
    series: Any = ()
    if any(place is not None for place in (options.master, options.journal, options.url)):
        with contextlib.closing(open_source(options)) as source:
            series = known_series(source.series())
    server = _configured_server(options.master)
    try:
        written = write_provisioning(
            options.out,
            url=options.influxdb or (server.url if server else "http://localhost:8086"),
            database=options.database or (server.database if server else "buildbot"),
            username=options.username,
            token=options.token,
            retention_policy=options.retention_policy or (server.retention_policy if server else None),
            master_url=options.buildbot or options.url,
            series=series,
            provisioning=options.provisioning,
        )
    except OSError as error:
        raise StorageUnavailableError(f"--out {options.out}: {error}") from None
    print(json.dumps({"written": [str(path) for path in written]}) if options.json else "\n".join(map(str, written)))
    return 0


def _configured_server(master: Optional[Path]) -> Optional[Server]:
    """The first InfluxDB that the master ships to."""
    exporters = config.read_exporters(master) if master is not None else []
    return next((each.server for each in exporters if each.server is not None and not each.numbers_only), None)
