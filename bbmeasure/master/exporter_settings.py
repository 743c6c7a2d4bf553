"""``python -m bbmeasure.master.exporter_settings DIR``: prints the settings of a master's exporters, with secrets.

It is a separate process because reading a master.cfg runs it.  Its output holds secrets: it is written to the pipe of
the command that started it, and refuses to write to a terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Generator
from typing import Any

from buildbot.config.errors import ConfigErrors
from buildbot.config.master import FileLoader
from buildbot.process.properties import Properties
from buildbot.scripts.base import getConfigFileFromTac
from buildbot.secrets.manager import SecretManager
from twisted.internet import defer, task

from bbmeasure.capture.plan import split_arguments
from bbmeasure.master.services.base import instances_of
from bbmeasure.master.services.exporters import ExporterInstance

#: Seconds that the providers of secrets may take.
SECRETS_TIMEOUT = 60


class _Master:
    """The parts of a master that the providers of secrets need."""

    def __init__(self, config: Any, reactor: Any, basedir: str) -> None:
        self.config = config
        self.reactor = reactor
        self.basedir = basedir
        self.namedServices: dict[str, Any] = {}
        self.master = self


@defer.inlineCallbacks
def read(reactor: Any, folder: str) -> Generator[Any, Any, list[dict[str, Any]]]:
    """The settings of each exporter, or the ``problem`` with them."""
    with contextlib.redirect_stdout(sys.stderr):
        config = FileLoader(folder, getConfigFileFromTac(folder, quiet=True)).loadConfig()
        properties = Properties()
        properties.master = _Master(config, reactor, folder)
        manager = SecretManager()
        manager.parent = properties.master
        for provider in config.secretsProviders or ():
            provider.parent = manager
            yield defer.maybeDeferred(provider.reconfigService, *provider._config_args, **provider._config_kwargs)
            manager.services.append(provider)
        properties.master.namedServices["secrets"] = manager
        settings = []
        for service in instances_of(config.services.values()):
            if isinstance(service, ExporterInstance):
                rendered = yield _settings(service, properties)
                settings.append(rendered)
    return settings


@defer.inlineCallbacks
def _settings(service: ExporterInstance, properties: Any) -> Generator[Any, Any, dict[str, Any]]:
    own, _ = split_arguments(service._config_kwargs)
    header: dict[str, Any] = {"name": service.name, "class": type(service).__name__}
    try:
        for name in service.secrets:
            if name in own:
                own[name] = yield properties.render(own[name])
        return {**header, **service.export_config(own)}
    except Exception as error:  # noqa: BLE001  (a provider of secrets may raise anything)
        return {**header, "problem": f"{type(error).__name__}: {error}"}


@defer.inlineCallbacks
def main(reactor: Any, folder: str) -> Generator[Any, Any, None]:
    """Print the settings as one line of JSON."""
    if sys.stdout.isatty():
        raise SystemExit("bbmeasure.master.exporter_settings prints secrets: expected a pipe, not a terminal")
    try:
        reading = read(reactor, folder)
        settings = yield reading.addTimeout(SECRETS_TIMEOUT, reactor)
    except ConfigErrors as errors:
        settings = {"problem": "; ".join(str(error) for error in errors.errors)}
    sys.stdout.write(json.dumps(settings) + "\n")


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    task.react(main, [os.getcwd()])
