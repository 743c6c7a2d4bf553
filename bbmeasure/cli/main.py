"""The ``bbmeasure`` command.  Exit status: 0, 1 what was asked for is not there, 2 wrong use."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Optional

from bbmeasure import __version__
from bbmeasure.cli.output import clean
from bbmeasure.errors import MeasureError, QueryError, StorageError, UnknownSeriesError

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Raises what is wrong, so that ``--json`` can say it too."""

    def error(self, message: str) -> NoReturn:
        """Wrong use of the command line."""
        raise QueryError(f"{self.prog}: {message}")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line; the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] and arguments[0] in ("emit", "run"):  # a worker's programs: they read the rest themselves
        program = import_module(f"bbmeasure_scripts.{arguments[0]}")
        return int(program.main(arguments[1:]))
    if arguments[:1] == ["backfill"]:  # it needs Buildbot's schema, which a process of its own loads
        command = [sys.executable, "-m", "bbmeasure.master.backfill.command", *arguments[1:]]
        return _status_of(subprocess.run(command, check=False).returncode)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no dash is no reason to end
    try:
        wanted = _parser().parse_args(arguments)
        status = int(wanted.command(wanted))
        sys.stdout.flush()
        return status
    except MeasureError as error:
        return _fail(str(error), "--json" in arguments, _status(error))
    except BrokenPipeError:  # whoever reads has read enough, and Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(str(error), "--json" in arguments, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", "--json" in arguments, 130)


def _status_of(returncode: int) -> int:
    """The exit status of a process that ended so."""
    return returncode if returncode >= 0 else 128 - returncode


def _status(error: MeasureError) -> int:
    absent = isinstance(error, (UnknownSeriesError, StorageError))
    return 1 if absent or not isinstance(error, ValueError) else 2


def _fail(message: str, as_json: bool, status: int) -> int:
    if as_json:
        print(json.dumps({"message": message}))
    else:
        print("\n".join(clean(line, 1_000) for line in message.splitlines()), file=sys.stderr)
    return status


def _parser() -> Parser:
    parser = Parser(prog="bbmeasure", description="Measure what Buildbot builds, and ask what was measured.")
    parser.add_argument("--version", action="version", version=f"bbmeasure {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    series = _add(commands, "series", "list the series: how many points, the newest value", _lazy("commands", "series"))
    _add_source(series)
    report = _add(commands, "report", "statistics of one series", _lazy("commands", "report"))
    report.add_argument("series", metavar="SERIES")
    _add_source(report)
    _add_where(report)
    _add_check(commands)
    forget = _add(commands, "forget", "remove a series, so that it starts anew", _lazy("commands", "forget"))
    forget.add_argument("series", metavar="SERIES")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    forget.add_argument("--json", action="store_true", help="print the count as JSON, and do not ask")
    _add_master(forget)
    health = _add(commands, "health", "how the journal's sinks are, or a running master", _lazy("ship", "health"))
    _add_source(health)
    _add_ship(commands)
    _add_grafana(commands)
    _add(commands, "backfill", "capture what a master's database knows of past builds", lambda _: 2)
    for name, what in (("emit", "report one value, on a worker"), ("run", "measure a command, on a worker")):
        _add(commands, name, what, lambda _: 2)
    return parser


def _lazy(module: str, function: str) -> Command:
    """A command that imports what it needs when it runs."""

    def command(wanted: argparse.Namespace) -> int:
        return int(getattr(import_module(f"bbmeasure.cli.{module}"), function)(wanted))

    return command


def _add(commands: Any, name: str, what: str, command: Command) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what[:1].upper() + what[1:] + "."
    )
    parser.set_defaults(command=command)
    return parser


def _add_master(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--master", metavar="DIR", type=Path, help="the master's folder")
    parser.add_argument(
        "--journal", metavar="FILE", type=Path, help="its journal, where that has another name or place"
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    _add_master(parser)
    parser.add_argument("--url", metavar="MASTER_URL", help="ask a running master (needs its www plugin bbmeasure)")
    parser.add_argument("--json", action="store_true", help="print what the JSON API answers")


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--builder", metavar="NAME")
    parser.add_argument("--worker", metavar="NAME")
    parser.add_argument("--since", metavar="TIME", help="ISO 8601, unix seconds, or an age such as 7d")
    parser.add_argument("--until", metavar="TIME", help="likewise; that time is not included")
    parser.add_argument("--tag", metavar="K=V", action="append", default=[], help="may be given several times")
    parser.add_argument("--statistics", metavar="A,B", default="", help="such as average,deviation,p95,count")


def _add_demo(commands: Any) -> None:
    demo = _add(commands, "demo", "measure this project's own last commits on a real master", _lazy("demo", "main"))
    demo.add_argument("--once", action="store_true", help="stop when the builds are done")
    demo.add_argument(
        "--influx", action="store_true", help="ship all to an influxd of the demo's own, and read it there"
    )
    demo.add_argument("--builds", metavar="N", type=int, default=4, help="how many commits (default: 4)")
    demo.add_argument("--repository", metavar="DIR", type=Path, default=Path(), help="a git checkout of bbmeasure")
    demo.add_argument(
        "--dir", metavar="DIR", type=Path, help="keep the master's folder there (default: a temporary one)"
    )


def _add_grafana(commands: Any) -> None:
    grafana = _add(commands, "grafana", "write Grafana's source and dashboards", _lazy("commands", "grafana"))
    grafana.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the files go")
    _add_source(grafana)
    grafana.add_argument(
        "--influxdb", metavar="URL", help="as Grafana reaches it (default: as configured, else localhost)"
    )
    grafana.add_argument("--database", metavar="NAME", help="(default: as configured, else buildbot)")
    grafana.add_argument("--username", metavar="NAME", help="a user that may only read")
    grafana.add_argument("--token", action="store_true", help="Grafana shows a token instead of a password")
    grafana.add_argument("--retention-policy", metavar="NAME", help="where the points are (default: as configured)")
    grafana.add_argument("--buildbot", metavar="URL", help="the master's page, for links to builds (default: --url)")
    grafana.add_argument(
        "--provisioning", metavar="DIR", default="/etc/grafana/provisioning", help="(default: %(default)s)"
    )


def _add_ship(commands: Any) -> None:
    ship = _add(commands, "ship", "send points to a server again, or now", _lazy("ship", "ship"))
    _add_master(ship)
    ship.add_argument("--sink", metavar="NAME", help="the instance's name, where there are several")
    ship.add_argument("--from", dest="since", metavar="TIME", help="queue all points since then again")
    ship.add_argument("--drain", action="store_true", help="ship what waits, beside a running master or without one")
    ship.add_argument("--detach", action="store_true", help="give up a sink that is configured no longer")
    ship.add_argument("--json", action="store_true", help="print it as JSON")


def _add_check(commands: Any) -> None:
    check = _add(commands, "check", "what is configured, reachable, misspelt", _lazy("commands", "check"))
    check.add_argument("--master", metavar="DIR", type=Path, default=Path(), help="the master's folder (default: here)")
    check.add_argument("--url", metavar="MASTER_URL", help="ask a running master how its stores and sinks are instead")
    check.add_argument("--json", action="store_true", help="print it as JSON")
