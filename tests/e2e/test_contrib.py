"""The files of contrib/ as their processes run them: compose.yaml without Docker, the units without systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import pytest
import requests
import yaml

from bbmeasure.testing import site as testing_site
from bbmeasure.testing.site import Process, Site
from tests import documented
from tests.contrib import DOCKER, SYSTEMD, command_of, unit
from tests.e2e.masters import BASE_CONFIG, report, rows, stop_cleanly
from tests.servers import Influxd, wait_until

BIN = Path(sys.executable).parent
UNITS = {
    "buildbot-master.service": "buildbot-master.service",
    "buildbot-worker@.service": "buildbot-worker@bot1.service",
}
PLAIN = """
add(util.BuilderConfig(name="plain", workernames=["worker"], factory=util.BuildFactory([
    steps.MeasureShellCommand(name="size", command=["echo", "5"])])))
c["services"] = [util.SQLiteInstance()]
"""


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The completed process of a command that succeeds."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def replaced(text: str, by: Mapping[str, str]) -> str:
    """The text with other addresses; each has to be there."""
    for before, after in by.items():
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of compose.yaml with the variables of .env.example, as Docker Compose reads them."""
    options = ["--file", str(DOCKER / "compose.yaml"), "--env-file", str(DOCKER / ".env.example")]
    printed = run("docker-compose", *options, "config").stdout
    found: dict[str, Any] = yaml.safe_load(printed)["services"]
    return found


class Containers(Site):
    """Master and worker of compose.yaml as processes of this machine, with other addresses and folders."""

    def __init__(self, folder: Path, services: Mapping[str, Any], influxdb: str) -> None:
        super().__init__(folder, "")
        self.services = services
        (self.master_dir / "master.cfg").unlink()  # the configuration is in the mounted folder
        for name, ports in {
            "master": {"tcp:8010": "WWW_PORT", "tcp:9989": "PB_PORT"},
            "worker": {},
        }.items():
            shutil.copytree(DOCKER / name, folder / f"etc-{name}")
            config = folder / f"etc-{name}" / "master.cfg"
            if ports:
                here = {port: f"tcp:{self.ports[each]}:interface=127.0.0.1" for port, each in ports.items()}
                config.write_text(replaced(config.read_text(), here))
        self.environment = {
            "master": {"INFLUXDB_URL": influxdb, "BUILDBOT_URL": self.url},
            "worker": {"MASTER_HOST": "127.0.0.1", "MASTER_PORT": str(self.ports["PB_PORT"])},
        }

    def command(self, name: str) -> tuple[list[str], dict[str, str]]:
        """The command of a service's image and its environment."""
        command = [word.replace("/etc/buildbot", str(self.folder / f"etc-{name}")) for word in command_of(name)]
        path = f"{BIN}:{os.environ['PATH']}"
        return command, {**self.services[name]["environment"], **self.environment[name], "PATH": path}

    def start(self) -> None:
        """Run the command of each image."""
        self.start_master()
        command, environment = self.command("worker")
        folder = self.folder / "worker"
        folder.mkdir()
        self.workers["worker"] = Process(command, folder, self.folder / "worker.log", environment)

    def start_master(self) -> None:
        """Run the command of the master's image and wait until its page answers."""
        command, environment = self.command("master")
        self.master = Process(command, self.master_dir, self.folder / "master.log", environment)
        self.wait_for(lambda: self.get("masters") is not None, "the master to start", 120)


@pytest.fixture(scope="module")
def influxd(services: Mapping[str, Any]) -> Iterator[Influxd]:
    """An InfluxDB with the database and the users that its image makes of the variables."""
    variables = services["influxdb"]["environment"]
    database = variables["INFLUXDB_DB"]
    with Influxd(auth=True) as server:
        server.query(f'CREATE DATABASE "{database}"')
        for name, rights in {"INFLUXDB_USER": "ALL", "INFLUXDB_READ_USER": "READ"}.items():
            user, password = variables[name], variables[f"{name}_PASSWORD"]
            server.query(f"CREATE USER \"{user}\" WITH PASSWORD '{password}'")
            server.query(f'GRANT {rights} ON "{database}" TO "{user}"')
        yield server


@pytest.fixture(scope="module")
def containers(
    services: Mapping[str, Any], influxd: Influxd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The master and the worker of compose.yaml."""
    with Containers(tmp_path_factory.mktemp("docker"), services, influxd.url) as running:
        yield running


@pytest.fixture(scope="module")
def build(containers: Containers) -> Any:
    """A build of the configured builder."""
    return containers.build("first_builder")


def test_the_build_is_measured_and_the_page_is_served(containers: Containers, build: Any) -> None:
    """The build succeeds, its values are in the journal and in the JSON API, and the plugin's script is served."""
    steps = containers.steps(build)
    assert build["results"] == 0, {name: step["state_string"] for name, step in steps.items()}
    assert report(containers.journal, "package_size", "--statistics", "last")["statistics"] == {"last": 100_000}
    api = f"{containers.url}plugins/bbmeasure"
    answer = requests.get(f"{api}/api/v1/statistics", {"series": "answer"}, timeout=60)
    assert answer.json()["statistics"]["average"] == 42
    assert requests.get(f"{api}/scripts.js", timeout=60).status_code == 200


def test_a_build_does_not_inherit_the_password(containers: Containers, build: Any) -> None:
    """The environment that a step logs has no password of the worker."""
    log = containers.log_text(containers.steps(build)["build"], "stdio")
    assert "WORKER_NAME=worker" in log
    assert "PASSWORD" not in log


@pytest.mark.usefixtures("build")
def test_grafanas_user_reads_what_the_master_exports(influxd: Influxd, services: Mapping[str, Any]) -> None:
    """The values arrive in InfluxDB, where the user of the data source may read and not write."""
    wait_until("the export", lambda: "build_duration" in influxd.measurements("buildbot"))
    assert influxd.rows('SELECT "value" FROM package_size', "buildbot")[0]["value"] == 100_000
    who = ("grafana", services["grafana"]["environment"]["BBMEASURE_GRAFANA_PASSWORD"])
    query = {"db": "buildbot", "q": "SELECT * FROM package_size"}
    answer = requests.get(f"{influxd.url}/query", query, auth=who, timeout=60)
    assert answer.json()["results"][0]["series"][0]["values"]
    refused = requests.post(f"{influxd.url}/write?db=buildbot", "a value=1", auth=who, timeout=60)
    assert refused.status_code == 403


def test_the_dashboards_are_written_where_grafana_reads_them(services: Mapping[str, Any], tmp_path: Path) -> None:
    """The service ``dashboards`` writes a data source for the services and users of the same file."""
    settings = services["dashboards"]
    words = settings["entrypoint"] + settings["command"]
    (out,) = (word for word in words if word.startswith("--out="))
    run(str(BIN / words[0]), *(f"--out={tmp_path}" if word == out else word for word in words[1:]))
    (source,) = yaml.safe_load((tmp_path / "datasources" / "bbmeasure.yaml").read_text())["datasources"]
    variables = services["influxdb"]["environment"]
    assert (source["user"], source["url"]) == (variables["INFLUXDB_READ_USER"], "http://influxdb:8086")
    assert variables["INFLUXDB_DB"] in (source["jsonData"].get("dbName"), source.get("database"))
    (provider,) = yaml.safe_load((tmp_path / "dashboards" / "bbmeasure.yaml").read_text())["providers"]
    (mount,) = (each for each in services["grafana"]["volumes"] if "provisioning" in str(each))
    assert provider["options"]["path"].startswith("/etc/grafana/provisioning/")
    assert "/etc/grafana/provisioning" in str(mount)


@pytest.mark.usefixtures("build")
def test_the_documented_commands_find_the_master(containers: Containers) -> None:
    """``bbmeasure check --master .`` in the master's folder accepts the configuration and its servers."""
    _, environment = containers.command("master")
    command = [str(BIN / "bbmeasure"), "check", "--master", "."]
    done = run(*command, cwd=containers.master_dir, env={**os.environ, **environment})
    assert "InfluxDBInstance" in done.stdout


@pytest.mark.usefixtures("build")
def test_a_stopped_master_starts_again(containers: Containers) -> None:
    """SIGTERM ends the master with exit status 0; the next start upgrades the database and has the build."""
    stop_cleanly(containers)
    containers.start_master()
    assert containers.get("builds/1")["builds"][0]["results"] == 0
    assert report(containers.journal, "answer")["count"] == 1


def test_the_master_has_the_workaround_that_the_documentation_names() -> None:
    """buildbot.tac has the lines about Buildbot's REST API."""
    workaround = testing_site._REST_IN_REACTOR.strip().split("\n\n\n")
    text = (DOCKER / "master" / "buildbot.tac").read_text()
    assert [part for part in workaround[1:] if part not in text] == []


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has no complaint about the units, with twistd where this environment has it."""
    (tmp_path / "twistd").symlink_to("/bin/true")
    for template in UNITS:
        text = (SYSTEMD / template).read_text()
        (tmp_path / template).write_text(replaced(text, {"/opt/buildbot/bin": str(tmp_path)}))
    names = [str(tmp_path / name) for name in UNITS.values()]
    done = run("systemd-analyze", "verify", "--man=no", *names, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert (done.stdout, done.stderr) == ("", "")


class Units(Site):
    """A master and a worker in directories that the documented commands make, which run the commands of the units."""

    def start_master(self) -> None:
        """Run ExecStart of the master's unit."""
        (self.master_dir / "buildbot.tac").unlink()
        run(*documented_command("buildbot create-master"), cwd=self.folder)
        self.master = Process(exec_start("buildbot-master.service"), self.master_dir, self.folder / "master.log")
        self.wait_for(lambda: self.get("masters") is not None, "the master to start", 120)

    def start_worker(self, name: str, python: Optional[str] = None, protocol: str = "pb") -> None:
        """Run ExecStart of the worker's unit."""
        here = {"bot1": name, "localhost": f"127.0.0.1:{self.ports['PB_PORT']}", "PASS": "demo"}
        command = documented_command("buildbot-worker create-worker")
        run(*(here.get(word, word) for word in command), cwd=self.folder)
        started = exec_start("buildbot-worker@.service")
        self.workers[name] = Process(started, self.folder / name, self.folder / f"{name}.log")


def documented_command(name: str) -> list[str]:
    """The words of a command of the page that is run by another user, with the programs of this environment."""
    page = (documented.DOCS / "deployment.rst").read_text()
    (line,) = re.findall(rf"^   # runuser .* -- /opt/buildbot/bin/({name} .*)$", page, re.MULTILINE)
    program, *words = str(line).split()
    return [str(BIN / program), *words]


def exec_start(name: str) -> list[str]:
    """The words of a unit's ExecStart, with the programs of this environment."""
    return replaced(unit(name)["Service"]["ExecStart"], {"/opt/buildbot/bin": str(BIN)}).split()


def test_the_units_run_a_master_and_a_worker(tmp_path: Path) -> None:
    """ExecStart runs both with their logs on standard output, ExecReload's signal reconfigures, SIGTERM ends them."""
    reload = unit("buildbot-master.service")["Service"]["ExecReload"]
    assert reload == "/bin/kill -HUP $MAINPID"
    with Units(tmp_path, BASE_CONFIG + PLAIN) as site:
        assert site.build("plain")["results"] == 0
        site.write_config(BASE_CONFIG + PLAIN.replace('"plain"', '"renamed"'))
        site.reconfig()
        site.wait_for(lambda: "renamed" in str(site.get("builders")), "the reconfigured builder", 60)
        stop_cleanly(site)
        assert site.master is not None
        assert "BuildMaster is running" in site.master.log.read_text()
        assert "Connected to" in site.workers["worker"].log.read_text()
    assert rows(site.journal, "SELECT count(*) FROM points")
