"""The switches of instances."""

from __future__ import annotations

import pytest

from bbmeasure.capture.plan import Switches


def test_union_of_switches() -> None:
    """The union tracks what either instance tracks, and has no pattern twice."""
    both = Switches(True, properties=("a-*", "b")) | Switches(False, True, properties=("b", "c"))
    assert both == Switches(True, True, properties=("a-*", "b", "c"))


def test_property_patterns() -> None:
    """A pattern is a shell pattern and case-sensitive."""
    switches = Switches(properties=("pylint-*", "exact"))
    assert [name for name in ("pylint-error", "PyLint-x", "exact", "exactly") if switches.wants_property(name)] == [
        "pylint-error",
        "exact",
    ]


@pytest.mark.parametrize("one", ["build_times", "step_times", "statistics"])
def test_of_builds(one: str) -> None:
    """Every switch except that of the master's metrics tracks builds."""
    assert Switches(**{one: True}).of_builds
    assert Switches(properties=("x",)).of_builds
    assert not Switches(master_metrics=True).of_builds
