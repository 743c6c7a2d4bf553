"""Fixture of all tests with Buildbot's test kit, and its import.

The import is without the kit's filter of warnings, which makes an error of each one that an import gives.
"""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    import buildbot.test  # noqa: F401


#: The modules that take longest, in this order: each begins before the others, not alone at the end.
_LONGEST = ("test_levels_live", "test_verdicts", "test_tracking", "test_finished_build", "test_check_measurements")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(autouse=True)
def _own_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a directory of its own: the kit's master makes and removes ``basedir`` in the working directory.

    Tests in another process do so at the same time.
    """
    monkeypatch.chdir(tmp_path)
