"""Tests of steps by Buildbot's own test kit."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def working_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A current directory of this process's own, as the test kit makes and deletes ``basedir`` in it."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("current"))
    yield
    os.chdir(before)
