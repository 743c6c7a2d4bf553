"""Failed assertions of the storages' contract say what was compared."""

import pytest

pytest.register_assert_rewrite("tests.unit.storage.contract")
