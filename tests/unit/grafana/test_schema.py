"""Tests that the dashboards are valid by Grafana's schema."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import jsonschema_rs
import pytest

from bbmeasure.grafana.dashboards import MASTER
from tests.grafana_model import panels_of
from tests.unit.grafana.examples import dashboards_of

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("@grafana/schema@13.2.3", "ts-json-schema-generator@2.4.0")
CACHE = ROOT / ".cache" / "-".join(("grafana", *PACKAGES)).replace("/", "-")


def npm(*command: str, folder: Path) -> None:
    subprocess.run(["npm", *command], cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=300)


@pytest.fixture(scope="session")
def schema_of():
    """Factory of JSON schemas of types of @grafana/schema; npm packages are cached in .cache/."""
    if shutil.which("npm") is None:
        pytest.fail("npm: needed to check the dashboards by Grafana's own schema")
    if not CACHE.exists():
        CACHE.parent.mkdir(exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=CACHE.parent))
        (new / "package.json").write_text('{"private": true}')
        npm("install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES, folder=new)
        with contextlib.suppress(OSError):  # another process was faster
            new.rename(CACHE)
        shutil.rmtree(new, ignore_errors=True)

    def make(module, kind):
        made = CACHE / f"{module.replace('/', '-')}-{kind}.json"
        if not made.exists():
            part = made.with_suffix(f".{os.getpid()}")
            source = f"node_modules/@grafana/schema/dist/types/raw/{module}/x/types.gen.d.ts"
            npm("exec", "--no", "--", "ts-json-schema-generator", "--path", source, "--type", kind,
                "--no-type-check", "--out", str(part), folder=CACHE)  # fmt: skip
            part.rename(made)
        return json.loads(made.read_text())

    return make


@pytest.mark.slow
def test_dashboards_are_valid_by_grafanas_schema(written, schema_of):
    """Each dashboard is valid by @grafana/schema."""
    schema = schema_of("dashboard", "Dashboard")
    # The schema says of this itself: "TODO.. this should just be a normal query target".
    schema["definitions"]["AnnotationTarget"]["additionalProperties"] = True
    validator = jsonschema_rs.validator_for(schema)
    for board in dashboards_of(written).values():
        assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(board)] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["timeseries", "stat", "table"])
def test_panels_are_valid_by_their_plugins_schemas(written, schema_of, kind):
    """The options and field configuration of each panel are valid by the schema of its plugin."""
    module = f"composable/{kind}/panelcfg"
    options = jsonschema_rs.validator_for(schema_of(module, "Options"))
    config = jsonschema_rs.validator_for(schema_of(module, "FieldConfig")) if kind != "stat" else None
    for board in dashboards_of(written).values():
        for panel in panels_of(board):
            if panel["type"] == kind:
                errors = [*options.iter_errors(panel["options"])]
                custom = panel["fieldConfig"]["defaults"].get("custom")
                errors += config.iter_errors(custom) if config else []
                assert config or custom is None
                assert [f"{list(error.instance_path)}: {error.message}" for error in errors] == []


@pytest.mark.slow
def test_the_schema_refuses_invalid_dashboards(written, schema_of):
    """A dashboard with a panel without type, or with an unknown field, is invalid."""
    validator = jsonschema_rs.validator_for(schema_of("dashboard", "Dashboard"))
    board = dashboards_of(written)[MASTER]
    assert validator.is_valid(board)
    assert not validator.is_valid({**board, "panels": [{"title": "x"}]})
    assert not validator.is_valid({**board, "colour": "red"})
