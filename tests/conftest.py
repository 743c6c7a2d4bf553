"""What all tests share: no part of this file needs a reactor, so that every runner can load it."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
from importlib.metadata import version as installed
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, settings
from packaging.version import Version
from xdist.scheduler import LoadFileScheduling

# Failed assertions of the stores' contract suite print what was compared.
pytest.register_assert_rewrite("tests.unit.storage.contract")

# Times differ from machine to machine: no example fails for being slow.
settings.register_profile("dev", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("dev"), max_examples=20)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("soak", settings.get_profile("dev"), max_examples=2_000)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


# Whatever runs the tests in the background ignores these, and so would every process that a test starts.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


#: The folder whose modules share a master, and so run in one process.
_ONE_MASTER = "tests/e2e/api/"

#: The modules that take longest, in this order: each begins before the others of its folder, not alone at the end.
_LONGEST = (
    "tests/e2e/test_reporters.py",
    "tests/e2e/test_gate.py",
    "tests/e2e/test_build.py",
    "tests/e2e/test_collection.py",
    "tests/e2e/api/",
    "tests/e2e/test_worker_releases.py",
    "tests/e2e/test_lost_worker.py",
    "tests/e2e/test_backfill.py",
    "tests/e2e/test_backfill_servers.py",
    "tests/e2e/test_removal.py",
    "tests/e2e/test_release.py",
    "tests/e2e/test_tracking.py",
    "tests/e2e/test_reports.py",
    "tests/e2e/test_verdict_export.py",
    "tests/e2e/test_releases.py",
    "tests/e2e/test_quickstart.py",
    "tests/e2e/test_containers.py",
    "tests/e2e/test_corrections.py",
    "tests/e2e/test_tools.py",
    "tests/attacks/test_load.py",
    "tests/faults/test_journal_faults.py",
    "tests/attacks/test_reports.py",
    "tests/faults/test_server_faults.py",
    "tests/attacks/test_secrets.py",
    "tests/browser/test_project.py",
    "tests/browser/test_history.py",
    "tests/browser/test_layout.py",
    "tests/browser/test_panel.py",
    "tests/browser/test_authorization.py",
    "tests/browser/test_alerts.py",
    "tests/browser/test_older_interface.py",
    "tests/browser/test_series.py",
)

#: Classes of :mod:`tests.servers` that start a database server.
_SERVERS = {"Influxd", "VictoriaMetrics"}

#: Modules whose deadlines a busy machine passes where a test works with real files and threads.
_WITH_DEADLINES = (
    "bbmeasure.capture.deadlines",
    "bbmeasure.master.services.base",
    "bbmeasure.master.services.exporters",
    "bbmeasure.master.services.journals",
)
_DEADLINE = re.compile(r"[A-Z_]*TIMEOUT")


@pytest.fixture
def long_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extend the product's deadlines to a minute, for tests of what happens before they pass."""
    for name in _WITH_DEADLINES:
        module = importlib.import_module(name)
        deadlines = [constant for constant in vars(module) if _DEADLINE.fullmatch(constant)]
        assert deadlines, f"{name} has no constant that {_DEADLINE.pattern!r} matches"
        for constant in deadlines:
            monkeypatch.setattr(module, constant, 60.0)


class _SharedMasters(LoadFileScheduling):
    """The distribution of ``--dist=loadfile``, with one process for all modules that share a master."""

    def _split_scope(self, nodeid: str) -> str:
        return _ONE_MASTER if nodeid.startswith(_ONE_MASTER) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Optional[LoadFileScheduling]:
    """The scheduler of ``--dist=loadfile``."""
    return _SharedMasters(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark Hypothesis tests as ``fuzz`` and tests that start a server as ``server``; skip those of newer releases.

    The longest modules come first.
    """
    items.sort(key=_place)
    for item in items:
        for marker in item.iter_markers("buildbot_since"):
            since, why = marker.args
            if Version(installed("buildbot")) < Version(since):
                item.add_marker(pytest.mark.skip(reason=f"Buildbot before {since}: {why}"))
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("fuzz")
        if _starts_server(item):
            item.add_marker("server")


def _place(item: pytest.Item) -> int:
    """The place of a test's module among the longest."""
    places = (place for place, module in enumerate(_LONGEST) if item.nodeid.startswith(module))
    return next(places, len(_LONGEST))


def _starts_server(item: pytest.Item) -> bool:
    """Whether the test, or a fixture of it, names the class of a database server."""
    fixtures = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    functions = [getattr(item, "obj", None), *(one.func for several in fixtures.values() for one in several)]
    return any(_SERVERS.intersection(_names(function)) for function in functions)


def _names(function: object) -> tuple[str, ...]:
    """The global names and attributes that a function uses."""
    names: tuple[str, ...] = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_names", ())  # type: ignore[arg-type]  # any object has no __wrapped__
    return names
