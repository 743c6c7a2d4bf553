"""``python -m bbmeasure.master.configuration DIR``: what a master.cfg configures of bbmeasure, as one line of JSON.

A process of its own, because reading a master.cfg runs it.  No argument of an instance is printed, so no secret is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from buildbot.config.errors import ConfigErrors
from buildbot.config.master import FileLoader
from buildbot.scripts.base import getConfigFileFromTac

from bbmeasure.capture.plan import Plan, Switches, read_switches, series_name, split_arguments
from bbmeasure.master.services.base import MeasureInstance
from bbmeasure.master.services.journals import configured_path
from bbmeasure.master.tracking.builder import MeasuredBuilderConfig
from bbmeasure.storage.sqlite.location import JOURNAL

_DATABASE = "sqlite:///state.sqlite"


@dataclass(frozen=True)
class Configured:
    """What a configuration says: plans by builder, all instances' switches, the journal's and the database's place.

    ``database`` is None where it is a secret that only the master can render.
    """

    instances: tuple[dict[str, str], ...] = ()
    plans: dict[str, Plan] = field(default_factory=dict)
    switches: Switches = Switches()
    journal: str = JOURNAL
    database: Optional[str] = None
    connect_args: Mapping[str, Any] = field(default_factory=dict)
    page: bool = False
    problems: tuple[str, ...] = ()


def configured(folder: str) -> Configured:
    """What is configured in a master's folder; ``problems`` says why it cannot be read."""
    try:
        with contextlib.redirect_stdout(sys.stderr), _inside(folder):
            config = FileLoader(os.getcwd(), getConfigFileFromTac(os.getcwd(), quiet=True)).loadConfig()
    except ConfigErrors as errors:
        return Configured(database=_absolute(_DATABASE, folder), problems=tuple(map(str, errors.errors)))
    instances = [one for one in config.services.values() if isinstance(one, MeasureInstance)]
    builders = [one for one in config.builders if isinstance(one, MeasuredBuilderConfig)]
    switches, journal = Switches(), configured_path(instances)
    for instance in instances:
        _, tracked = split_arguments(instance._config_kwargs)
        switches |= read_switches(**tracked)
    url, connect_args = _database_of(config)
    return Configured(
        tuple({"name": str(one.name), "class": type(one).__name__} for one in instances),
        {one.name: one.measurePlan for one in builders},
        switches,
        journal,
        _absolute(url, folder) if isinstance(url, str) else None,
        connect_args,
        "bbmeasure" in config.www.get("plugins", {}),
    )


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _database_of(config: Any) -> tuple[Any, Mapping[str, Any]]:
    """The configured URL, which may be something to render, and its driver's arguments, of any release's form."""
    if isinstance(config.db, dict):
        return config.db.get("db_url", _DATABASE), {}
    return config.db.db_url, (getattr(config.db, "engine_kwargs", None) or {}).get("connect_args", {})


def _absolute(url: str, folder: str) -> str:
    """A URL whose relative path, which SQLite's may be, is from the master's folder, as Buildbot reads it."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith(prefix + "/"):
        return url
    path = url[len(prefix) :].replace("%(basedir)s/", "")
    return prefix + str(Path(folder).resolve() / path)


def read(folder: str) -> dict[str, Any]:
    """What is configured there, for JSON."""
    found = configured(folder)
    return {
        "instances": list(found.instances),
        "builders": list(found.plans),
        "tracked": [one for name, plan in found.plans.items() for one in _tracked(name, plan)],
        "journal": found.journal,
        "page": found.page,
        "problems": list(found.problems),
    }


def _tracked(builder: str, plan: Plan) -> Iterator[dict[str, Any]]:
    """What a builder tracks; ``known`` is false where only a build can say what its series is called."""
    for what, tracks in (
        ("step time", plan.step_times),
        ("property", plan.properties),
        ("statistic", plan.statistics),
        ("step", plan.custom),
    ):
        for track in tracks:
            step = track.subject if what in ("step time", "step") else track.step
            template = track.overrides.series
            known = template is None or not ("{project" in template or ("{step" in template and step is None))
            name = series_name(template, track.subject, builder=builder, step=step, project=None)
            shown = name if known else template
            yield {"builder": builder, "what": what, "subject": track.subject, "series": shown, "known": known}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1])))
