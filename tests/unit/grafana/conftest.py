"""Fixtures of the tests of Grafana."""

from __future__ import annotations

import json

import pytest
import yaml

from bbmeasure.grafana.provisioning import write_provisioning
from tests.unit.grafana.examples import KNOWN


@pytest.fixture
def written(tmp_path):
    """The files by path, parsed as YAML or JSON."""
    files = write_provisioning(
        tmp_path,
        url="http://influx:8086/",
        database="build$bot",
        username="reader",
        master_url="https://ci.example.org/buildbot/",
        series=KNOWN,
    )
    return {
        str(path.relative_to(tmp_path)): (yaml.safe_load if path.suffix == ".yaml" else json.loads)(path.read_text())
        for path in files
    }
