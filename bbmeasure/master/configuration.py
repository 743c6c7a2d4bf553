"""``python -m bbmeasure.master.configuration DIR``: prints the configuration of bbmeasure in a master.cfg, as JSON.

It is a separate process because reading a master.cfg runs it.  It prints no arguments of instances, and so no secrets.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from buildbot.config.errors import ConfigErrors
from buildbot.config.master import FileLoader
from buildbot.scripts.base import getConfigFileFromTac

from bbmeasure.capture.plan import Plan, Switches, read_switches, series_name, split_arguments
from bbmeasure.master.configured_gates import GivenGate, given_gates, ineffective_gates, measuring_steps
from bbmeasure.master.ineffective_settings import ineffective_settings
from bbmeasure.master.services.base import instances_of
from bbmeasure.master.services.journals import configured_path
from bbmeasure.master.services.policy import MeasurementPolicy, Policy, read_policy
from bbmeasure.master.tracking.builder import MeasuredBuilderConfig
from bbmeasure.storage.sqlite.location import JOURNAL

_DATABASE = "sqlite:///state.sqlite"


@dataclass(frozen=True)
class Configured:
    """The configuration of bbmeasure: plans by builder, the union of all switches, the journal and the database.

    ``database`` is None where its URL is a secret that only the master can render.  ``warnings`` are about settings
    that Buildbot accepts and that have no effect.
    """

    instances: tuple[dict[str, str], ...] = ()
    plans: dict[str, Plan] = field(default_factory=dict)
    switches: Switches = Switches()
    journal: str = JOURNAL
    database: Optional[str] = None
    connect_args: Mapping[str, Any] = field(default_factory=dict)
    page: bool = False
    policy: Policy = Policy()
    gates: tuple[GivenGate, ...] = ()
    steps: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def configured(folder: str) -> Configured:
    """The configuration in a master's folder; ``problems`` holds the errors of one that cannot be read."""
    try:
        with contextlib.redirect_stdout(sys.stderr), _working_directory(folder):
            config = FileLoader(os.getcwd(), getConfigFileFromTac(os.getcwd(), quiet=True)).loadConfig()
    except ConfigErrors as errors:
        return Configured(database=_absolute(_DATABASE, folder), problems=tuple(map(str, errors.errors)))
    instances = list(instances_of(config.services.values()))
    builders = [builder for builder in config.builders if isinstance(builder, MeasuredBuilderConfig)]
    switches, journal = Switches(), configured_path(instances)
    for instance in instances:
        _, tracked = split_arguments(instance._config_kwargs)
        switches |= read_switches(**tracked)
    url, connect_args = _database_of(config)
    policy = _policy_of(instances)
    return Configured(
        tuple(
            {"name": str(instance.name), "class": type(instance).__name__}
            for instance in instances
            if not isinstance(instance, MeasurementPolicy)  # it stores nothing
        ),
        {builder.name: builder.measurePlan for builder in builders},
        switches,
        journal,
        _absolute(url, folder) if isinstance(url, str) else None,
        connect_args,
        "bbmeasure" in config.www.get("plugins", {}),
        policy,
        tuple(given_gates(config.builders, policy.gates)),
        tuple(measuring_steps(config.builders)),
        warnings=(*ineffective_settings(config), *ineffective_gates(config.builders, switches, policy.gates)),
    )


def _policy_of(instances: Iterable[Any]) -> Policy:
    """The policy of the master, the default one where it has none."""
    policies = [one for one in instances if isinstance(one, MeasurementPolicy)]
    return read_policy(**policies[0]._config_kwargs) if policies else read_policy()


@contextlib.contextmanager
def _working_directory(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _database_of(config: Any) -> tuple[Any, Mapping[str, Any]]:
    """The configured URL, which may be a renderable, and the arguments of its driver, for every release of Buildbot."""
    if isinstance(config.db, dict):
        return config.db.get("db_url", _DATABASE), {}
    return config.db.db_url, (getattr(config.db, "engine_kwargs", None) or {}).get("connect_args", {})


def _absolute(url: str, folder: str) -> str:
    """The URL with a relative path of SQLite made absolute from the master's folder, as Buildbot reads it."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith(prefix + "/"):
        return url
    path = url[len(prefix) :].replace("%(basedir)s/", "")
    return prefix + str(Path(folder).resolve() / path)


def read(folder: str) -> dict[str, Any]:
    """The configuration in a master's folder, for JSON."""
    configuration = configured(folder)
    return {
        "instances": list(configuration.instances),
        "builders": list(configuration.plans),
        "tracked": [track for name, plan in configuration.plans.items() for track in _tracked(name, plan)],
        "steps": list(configuration.steps),
        "gates": [gate.to_dict() for gate in configuration.gates],
        "journal": configuration.journal,
        "page": configuration.page,
        "problems": list(configuration.problems),
        "warnings": list(configuration.warnings),
    }


def _tracked(builder: str, plan: Plan) -> Iterator[dict[str, Any]]:
    """The tracks of a builder; ``known`` is false where the name of the series depends on the build."""
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
