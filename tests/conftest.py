"""What all tests share: no part of this file needs a reactor, so that every runner can load it."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
from importlib.metadata import version as installed

import pytest
from hypothesis import HealthCheck, settings
from packaging.version import Version

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark Hypothesis tests as ``fuzz`` and tests that start a server as ``server``; skip those of newer releases."""
    for item in items:
        for marker in item.iter_markers("buildbot_since"):
            since, why = marker.args
            if Version(installed("buildbot")) < Version(since):
                item.add_marker(pytest.mark.skip(reason=f"Buildbot before {since}: {why}"))
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("fuzz")
        if _starts_server(item):
            item.add_marker("server")


def _starts_server(item: pytest.Item) -> bool:
    """Whether the test, or a fixture of it, names the class of a database server."""
    fixtures = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    functions = [getattr(item, "obj", None), *(one.func for several in fixtures.values() for one in several)]
    return any(_SERVERS.intersection(_names(function)) for function in functions)


def _names(function: object) -> tuple[str, ...]:
    """The global names and attributes that a function uses."""
    names: tuple[str, ...] = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_names", ())  # type: ignore[arg-type]  # any object has no __wrapped__
    return names
