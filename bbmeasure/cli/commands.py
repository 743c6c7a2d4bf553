"""The commands that answer from a journal or a running master: series, report, check, forget."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bbmeasure.cli import output, sources
from bbmeasure.errors import QueryError, StorageUnavailableError, UnknownSeriesError
from bbmeasure.storage.sqlite.journal import Journal, JournalReader, open_reader
from bbmeasure.storage.sqlite.location import JOURNAL, noted_journal
from bbmeasure.units import excerpt

#: Seconds that reading a master.cfg may take.
CONFIG_PATIENCE = 120


def journal_path(wanted: argparse.Namespace) -> Path:
    """The journal that ``--journal`` or ``--master`` means; QueryError where neither is given.

    A master leaves a note of another one than that by default.  Where it never ran, its configuration is read.
    """
    if wanted.journal is not None:
        return Path(wanted.journal)
    if wanted.master is None:
        raise QueryError("expected --master DIR, --journal FILE or --url MASTER_URL")
    if not wanted.master.is_dir():
        raise StorageUnavailableError(f"--master {wanted.master}: expected a folder")
    noted = noted_journal(wanted.master)
    if noted is not None:
        return noted
    by_default = Path(wanted.master) / JOURNAL
    if by_default.exists() or not (wanted.master / "buildbot.tac").exists():
        return by_default
    return Path(wanted.master) / str(read_config(wanted.master)["journal"])


def open_source(wanted: argparse.Namespace) -> sources.Source:
    """Where the answers come from."""
    if wanted.url is not None:
        return sources.UrlSource(wanted.url)
    return sources.JournalSource(journal_path(wanted))


def series(wanted: argparse.Namespace) -> int:
    """``bbmeasure series``."""
    with contextlib.closing(open_source(wanted)) as source:
        answer = source.series()
    if wanted.json:
        print(json.dumps(answer))
        return 0
    rows = [
        [
            output.clean(one["name"]),
            one["kind"],
            str(one["count"]),
            output.shown(one["last_value"], one["unit"], one["kind"]),
            _time(one["last"]),
            output.clean(", ".join(one["builders"])),
        ]
        for one in answer["series"]
    ]
    if not rows:
        print("no series yet")
        return 0
    print(output.table(("series", "kind", "points", "last", "at", "builders"), rows, left=2))
    return 0


def report(wanted: argparse.Namespace) -> int:
    """``bbmeasure report SERIES``."""
    tags = dict(_read_tag(tag) for tag in wanted.tag)
    where = {key: getattr(wanted, key) for key in ("builder", "worker", "since", "until")}
    names = [name.strip() for name in wanted.statistics.split(",") if name.strip()]
    with contextlib.closing(open_source(wanted)) as source:
        answer = source.statistics(wanted.series, names, {**where, "tags": tags})
    if wanted.json:
        print(json.dumps(answer))
    else:
        unit, kind = answer["unit"], answer.get("kind", "")
        rows = [[name, output.statistic_shown(name, value, unit, kind)] for name, value in answer["statistics"].items()]
        print(f"{output.clean(answer['series'])} ({answer['count']} points)")
        print(output.table(("statistic", "value"), rows))
    return 0 if answer["count"] else 1


def _read_tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise QueryError(f"--tag {excerpt(text)}: expected KEY=VALUE")
    return key, value


def _time(seconds: Any) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def forget(wanted: argparse.Namespace) -> int:
    """``bbmeasure forget SERIES``."""
    path = journal_path(wanted)
    if not path.exists():
        raise StorageUnavailableError(f"{path}: expected a journal there")
    with open_reader(path) as reader:
        found = {info.name: info for info in reader.series()}.get(wanted.series)
    if found is None:
        raise UnknownSeriesError(f"series {excerpt(wanted.series)}: no such series in the journal")
    if not wanted.yes and not wanted.json:
        print(f"remove {found.count} points of {output.clean(found.name)}? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return 1
    with Journal(path) as journal:
        removed = journal.forget(wanted.series)
    if wanted.json:
        print(json.dumps({"series": found.name, "removed": removed}))
        return 0
    print(f"{removed} points removed; what is captured next starts {output.clean(found.name)} anew")
    return 0


def grafana(wanted: argparse.Namespace) -> int:
    """``bbmeasure grafana``."""
    from bbmeasure.cli.targets import read_targets
    from bbmeasure.grafana.provisioning import known_series, write_provisioning

    known = wanted.master is not None or wanted.journal is not None or wanted.url is not None
    series: Any = ()
    if known:
        with contextlib.closing(open_source(wanted)) as source:
            series = known_series(source.series())
    targets = read_targets(wanted.master) if wanted.master is not None else []
    server = next((one.server for one in targets if one.server is not None and not one.numbers_only), None)
    try:
        written = write_provisioning(
            wanted.out,
            url=wanted.influxdb or (server.url if server else "http://localhost:8086"),
            database=wanted.database or (server.database if server else "buildbot"),
            username=wanted.username,
            token=wanted.token,
            retention_policy=wanted.retention_policy or (server.retention_policy if server else None),
            master_url=wanted.buildbot or wanted.url,
            series=series,
            provisioning=wanted.provisioning,
        )
    except OSError as error:
        raise StorageUnavailableError(f"--out {wanted.out}: {error}") from None
    print(json.dumps({"written": [str(path) for path in written]}) if wanted.json else "\n".join(map(str, written)))
    return 0


def check(wanted: argparse.Namespace) -> int:
    """``bbmeasure check``: 1 where something is wrong."""
    if wanted.url is not None:
        return _check_running(wanted)
    found = read_config(wanted.master)
    if found["problems"]:  # nothing else is known of it
        return _say_checked({"problems": found["problems"]}, wanted)
    journal = _check_journal(wanted.master, found)
    servers = _check_servers(wanted.master, found)
    problems = [*journal["problems"], *(problem for server in servers for problem in server["problems"])]
    answer = {
        **found,
        "journal": journal["path"],
        "series": journal["series"],
        "servers": servers,
        "problems": problems,
    }
    return _say_checked(answer, wanted)


def _say_checked(answer: dict[str, Any], wanted: argparse.Namespace) -> int:
    if wanted.json:
        print(json.dumps(answer))
    else:
        print("\n".join([*(_told(answer) if "instances" in answer else ()), *_problems(answer["problems"])]))
    return 1 if answer["problems"] else 0


def _problems(problems: Sequence[str]) -> list[str]:
    on_a_line = (output.clean(" ".join(problem.split()), 1_000) for problem in problems)
    return [f"PROBLEM {problem}" for problem in on_a_line] or ["no problem found"]


def _check_running(wanted: argparse.Namespace) -> int:
    """What a running master says of its stores and sinks."""
    answer = sources.UrlSource(wanted.url).get("health", {})
    parts = [*answer.get("stores", ()), *answer.get("sinks", ())]
    problems = [f"{one.get('name')}: {one['last_error']}" for one in parts if one.get("last_error")]
    if wanted.json:
        print(json.dumps({**answer, "problems": problems}))
    else:
        print("\n".join(_problems(problems)))
    return 1 if problems else 0


def read_config(master: Path) -> dict[str, Any]:
    """What a master's configuration says of measuring, read by Buildbot in a process of its own."""
    if not (master / "buildbot.tac").exists():
        raise StorageUnavailableError(f"{master}: expected a master's folder, with a buildbot.tac")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bbmeasure.master.configuration", str(master)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONFIG_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise StorageUnavailableError(f"{master}: its configuration took more than {CONFIG_PATIENCE} s") from None
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise StorageUnavailableError(f"{master}: could not read its configuration: {done.stderr[-2000:]}") from None
    return found


def _check_servers(master: Path, found: dict[str, Any]) -> list[dict[str, Any]]:
    """What was tried with the server of each instance that ships to one."""
    if not any(one["class"] in ("InfluxDBInstance", "VictoriaMetricsInstance") for one in found["instances"]):
        return []
    from bbmeasure.cli.targets import check_servers  # loads the influxdb client

    return check_servers(master)


def _check_journal(master: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Whether the journal can be read, which tracked names it has never met though builds were measured, and which
    sinks points are queued for though no instance ships them.

    Steps are not looked for: a name that no step has is an error when the configuration is read.
    """
    path = master / found["journal"]
    if not found["instances"]:
        return {"path": None, "series": 0, "problems": []}
    if not path.exists():
        return {"path": str(path), "series": 0, "problems": []}
    with open_reader(path) as reader:
        known = {info.name: info for info in reader.series()}
        problems = [*_left_sinks(reader, {one["name"] for one in found["instances"]})]
    builders = {builder for info in known.values() for builder in info.builders}
    for track in found["tracked"]:
        looked_for = track["what"] in ("property", "statistic") and track["known"]
        if looked_for and track["builder"] in builders and track["series"] not in known:
            problems.append(
                f"builder {track['builder']}: {track['what']} {track['subject']!r} has never given a value; misspelt?"
            )
    return {"path": str(path), "series": len(known), "problems": problems}


def _left_sinks(reader: JournalReader, instances: set[str]) -> Iterator[str]:
    """What is wrong with the sinks that were renamed or removed, and still have points queued."""
    for name in sorted({*reader.sinks()} - instances):
        yield (
            f"sink {name}: no instance has that name, and points go on to wait for it ({reader.backlog(name).count} "
            f"do); it is given up by: bbmeasure ship --master DIR --sink {name} --detach"
        )


def _told(answer: dict[str, Any]) -> list[str]:
    """What was found, line by line; the problems are said behind it."""
    lines = [f"instance {one['name']} ({one['class']})" for one in answer["instances"]]
    if not lines:
        lines.append("no instance in c['services']: opted out, captured data lives in memory alone")
    lines.append(f"page: {'on' if answer['page'] else 'off; put bbmeasure into www plugins'}")
    if answer["journal"]:
        lines.append(f"journal {answer['journal']}: {answer['series']} series")
    lines += [
        f"{server['name']}: {check['what']}: {'' if check['ok'] else 'PROBLEM '}{output.clean(check['says'])}"
        for server in answer["servers"]
        for check in server["checks"]
    ]
    lines += [f"builder {name}: measured" for name in answer["builders"]]
    tracks = [
        f"  {track['builder']}: {track['what']} {track['subject']} -> {track['series']}" for track in answer["tracked"]
    ]
    return [*lines, *tracks]
