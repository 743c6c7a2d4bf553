"""Fixture of all tests with Buildbot's test kit, and its import.

The import is without the kit's filter of warnings, which makes an error of each one that an import gives.
"""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    import buildbot.test  # noqa: F401


@pytest.fixture(autouse=True)
def _own_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a directory of its own: the kit's master makes and removes ``basedir`` in the working directory.

    Tests in another process do so at the same time.
    """
    monkeypatch.chdir(tmp_path)
