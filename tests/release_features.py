"""Prints what the installed release of Buildbot has, as JSON: run with the Python of an environment, as a script."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

from buildbot.db.model import Model
from buildbot.reporters.gerrit import GerritStatusPush
from buildbot.test.steps import TestBuildStepMixin
from buildbot.www.rest import V2RootResource


def page() -> str:
    """The plugin of the web interface that can show pages of plugins such as bbmeasure's; empty without one."""
    for name, package in (("base", "buildbot_www"), ("base_react", "buildbot_www_react")):
        found = importlib.util.find_spec(package)
        folders = found.submodule_search_locations or [] if found else []
        scripts = [script for folder in folders for script in Path(folder).rglob("*.js")]
        if any("BuildbotPluginSupport" in script.read_text(encoding="utf-8") for script in scripts):
            return name
    return ""


def features() -> dict[str, Any]:
    """The features by their names in tests/e2e/test_releases.py."""
    return {
        "twisted": importlib.metadata.version("Twisted"),
        "page": page(),
        "lock_duration": "locks_duration_s" in Model.builds.c,
        "locks_of_steps": "locks_acquired_at" in Model.steps.c,
        "generators_of_gerrit": "generators" in inspect.signature(GerritStatusPush.reconfigService).parameters,
        "msgpack": importlib.util.find_spec("buildbot.worker.protocols.msgpack") is not None,
        "several_steps": hasattr(TestBuildStepMixin, "get_nth_step"),
        "rest_in_reactor": not hasattr(V2RootResource, "_write_json_data"),
    }


if __name__ == "__main__":
    print(json.dumps(features()))
