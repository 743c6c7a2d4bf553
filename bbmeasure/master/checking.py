"""``python -m bbmeasure.master.checking DIR``: what a master's configuration says of measuring, as one line of JSON.

A process of its own, because reading a master.cfg runs it.  No argument of an instance is printed, so no secret is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from buildbot.config.errors import ConfigErrors
from buildbot.config.master import FileLoader
from buildbot.scripts.base import getConfigFileFromTac

from bbmeasure.master.builders import MeasuredBuilderConfig
from bbmeasure.master.instances import JOURNAL, MeasureInstance, SQLiteInstance
from bbmeasure.master.plan import series_name


def read(folder: str) -> dict[str, Any]:
    """What is configured there; ``problems`` in words."""
    found: dict[str, Any] = {
        "instances": [],
        "builders": [],
        "tracked": [],
        "journal": JOURNAL,
        "page": False,
        "problems": [],
    }
    try:
        with contextlib.redirect_stdout(sys.stderr):
            config = FileLoader(folder, getConfigFileFromTac(folder, quiet=True)).loadConfig()
    except ConfigErrors as errors:
        found["problems"] = [str(error) for error in errors.errors]
        return found
    for service in config.services.values():
        if isinstance(service, MeasureInstance):
            found["instances"].append({"name": service.name, "class": type(service).__name__})
        if isinstance(service, SQLiteInstance):
            found["journal"] = service._config_kwargs.get("path", JOURNAL)
    for builder in config.builders:
        if isinstance(builder, MeasuredBuilderConfig):
            found["builders"].append(builder.name)
            found["tracked"] += list(_tracked(builder))
    found["page"] = "bbmeasure" in config.www.get("plugins", {})
    return found


def _tracked(builder: MeasuredBuilderConfig) -> Any:
    plan = builder.measurePlan
    for what, tracks in (
        ("step time", plan.step_times),
        ("property", plan.properties),
        ("statistic", plan.statistics),
        ("step", plan.custom),
    ):
        for track in tracks:
            name = series_name(
                track.meaning.series, track.subject, builder=builder.name, step=track.step, project=builder.project
            )
            yield {"builder": builder.name, "what": what, "subject": track.subject, "series": name}


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    print(json.dumps(read(os.getcwd())))
