"""The documented Docker and Kubernetes workers: a read-only root, no home, process 1, and a foreign procfs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbmeasure.testing.site import Site
from tests import documented
from tests.containers import Containers, kubernetes
from tests.e2e.masters import BASE_CONFIG, points_of

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
import sys
from pathlib import Path
from twisted.internet import defer
import buildbot.worker.docker
sys.path.insert(0, ROOT)
from tests.containers import Containers, DockerClient

buildbot.worker.docker.docker_py_version = type(buildbot.worker.docker.docker_py_version)("7.0")
docker = DockerClient(Containers(Path(FOLDERS["docker"]), "foreign", COMMANDS["docker"]), "registry.example.org/worker")
worker.DockerLatentWorker._getDockerClient = lambda self, arguments: docker
"""
STEPS = """
PREPARE = "mkdir src && printf 'import os\\\\ndef double(n):\\\\n    return 2 * n\\\\n' > src/core.py && id -u && pwd"
f = util.BuildFactory()
f.addStep(steps.ShellCommand(name="prepare", command=PREPARE))
f.addStep(steps.MeasureShellCommand(name="made", command="echo 3", resources=True))
f.addStep(steps.MeasureShellCommand(
    name="sidecar", command="printf '{\\"name\\":\\"told\\",\\"value\\":4}' > \\"$BBMEASURE_FILE\\""))
f.addStep(steps.SizeOf(name="size", path="src/*.py"))
f.addStep(steps.SLOCCount(name="lines", path="src", tool="builtin"))
f.addStep(steps.TimedPythonFunction(name="double", function="src/core.py:double", args=[2], calls=True))
f.addStep(steps.LintMetrics(name="lint", tool="ruff", command=[RUFF, "check", "--isolated", "--no-cache", "--select=F",
                                                                "--output-format=json", "src"]))
f.addStep(steps.MeasureShellCommand(name="written", command="printf '7 KiB' > out", outputFile="out"))
for name in ("docker", "kubernetes"):
    add(util.BuilderConfig(name=name, workernames=[name], factory=f))
c["services"] = [util.SQLiteInstance()]
"""
VALUES = {
    "made": 3,
    "told": 4,
    "size": 42,
    "size_files": 1,
    "lines": 3,
    "double_calls": 1,
    "lint": 1,
    "written": 7168,
}
#: What the procfs of each container shows of a command.
FROM_PROCFS = {"docker": set(), "kubernetes": {"made_tree_rss", "made_read", "made_written"}}


def command(folder: Path) -> list[str]:
    """The command of the documented image, with its tac file for a worker in ``folder``."""
    tac = documented.example("worker/buildbot.tac")
    assert '"/work"' in tac
    file = Path(f"{folder}.tac")
    file.write_text(tac.replace('"/work"', repr(str(folder))))
    (line,) = (line for line in documented.example("worker/Dockerfile").splitlines() if line.startswith("CMD "))
    twistd, *options, script = json.loads(line[len("CMD ") :])
    assert script == "--python=/etc/buildbot/buildbot.tac"
    return [str(Path(sys.executable).with_name(twistd)), *options, f"--python={file}"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with the documented workers, which Docker and Kubernetes start for each build."""
    root = tmp_path_factory.mktemp("containers")
    folders = {name: root / name for name in ("docker", "kubernetes")}
    for folder in folders.values():
        folder.mkdir()
    commands = {name: command(folder) for name, folder in folders.items()}
    names = {
        "ROOT": str(ROOT),
        "FOLDERS": {name: str(folder) for name, folder in folders.items()},
        "COMMANDS": commands,
        "RUFF": str(Path(sys.executable).with_name("ruff")),
    }
    example = documented.example("containers.cfg").replace('"master.example.org"', 'f"127.0.0.1:{PB_PORT}"')
    with kubernetes(Containers(folders["kubernetes"], "own", commands["kubernetes"])) as url:
        cluster = f"util.KubeHardcodedConfig(master_url={url!r}, namespace='default')"
        assert "util.KubeInClusterConfigLoader()" in example
        example = example.replace("util.KubeInClusterConfigLoader()", cluster)
        constants = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        config = constants + BASE_CONFIG + CONFIG + example + STEPS
        with Site(tmp_path_factory.mktemp("site"), config, workers=()) as running:
            yield running


@pytest.mark.parametrize("name", ["docker", "kubernetes"])
def test_every_step_measures_in_a_container(site: Site, name: str) -> None:
    """Each step is SUCCESS and has its values; what procfs does not show is noted in the log."""
    build = site.build(name)
    found = site.steps(build)
    assert {step: one["results"] for step, one in found.items() if one["results"]} == {}, [
        one["state_string"] for one in found.values()
    ]
    points = {point.series: point.value for point in points_of(site.journal) if point.builder == name}
    assert {series: points[series] for series in VALUES} == VALUES
    known = {"made_wall", "made_cpu", "made_max_rss", "made_context_switches"} | FROM_PROCFS[name]
    assert {series for series in points if series.startswith("made_")} == known
    log = site.log_text(found["made"], "stdio")
    assert ("/proc is that of another PID namespace" in log) == (name == "docker")
    assert "HOME=" not in site.log_text(found["prepare"], "stdio")
    assert "WORKERPASS" not in site.log_text(found["prepare"], "stdio")
