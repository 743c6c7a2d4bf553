"""The builder of a build's points: virtual builders, and steps that set their property."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Optional

import pytest

from bbmeasure.capture.branches import BuildBranches

NIGHTLY = "nightly"


def a_build(shown: Any = None, *, ids: tuple[Optional[int], Optional[int]] = (None, None), buildid: int = 1) -> Any:
    """A build of the builder ``real``; ``ids`` are those under which Buildbot has recorded build and builder."""
    botmaster = SimpleNamespace(builders={"real": None, NIGHTLY: None})
    builder = SimpleNamespace(name="real", botmaster=botmaster, _builderid=ids[1])
    return SimpleNamespace(builder=builder, buildid=buildid, _builderid=ids[0], getProperty=lambda _: shown)


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (None, "real"),
        ("", "real"),
        (" ", "real"),
        (5, "real"),
        (["x"], "real"),
        ("real", "real"),
        ("other", "other"),
        (NIGHTLY, "nightly (virtual builder of real)"),
    ],
)
def test_the_builder_of_a_build(shown: Any, name: str) -> None:
    """It is the virtual builder, unless master.cfg has another builder of that name."""
    assert BuildBranches().builder_of(a_build(shown)) == name


def test_a_step_does_not_choose_the_builder() -> None:
    """What a step sets the property to after the start of the build changes nothing."""
    branches = BuildBranches()
    assert branches.builder_of(a_build("other", ids=(2, 1))) == "other"
    assert branches.builder_of(a_build("third", ids=(2, 1))) == "other"
    assert branches.builder_of(a_build("third", ids=(1, 1), buildid=2)) == "real"
