"""The command check, on the configuration of a master."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbmeasure.storage.sqlite.journal import Journal
from tests.unit.cli.masters import Run, point


@pytest.mark.slow
class TestCheck:
    """``bbmeasure check`` reads a master's configuration."""

    CONFIG = """
from buildbot.plugins import schedulers, steps, util, worker
c = BuildmasterConfig = {"workers": [worker.Worker("w", "p")], "protocols": {"pb": {"port": 0}}}
f = util.BuildFactory([
    steps.ShellCommand(name="compile", command=["make"]),
    steps.MeasureShellCommand(name="sizes", command=["sizes"], pattern="(?P<wheel_size>[0-9]+)"),
])
b = util.MeasuredBuilderConfig(name="first", workernames=["w"], factory=f)
b.trackStepTimes("compile", series="{builder}.{step}.time")
b.trackProperties("warnings-count", "warnings-cuont")
b.trackStatistics("tests-failed", series="{project}.failed")
b.trackCustomStep("sizes")
c["builders"] = [b]
c["schedulers"] = [schedulers.ForceScheduler("force", builderNames=["first"])]
c["services"] = [util.SQLiteInstance(path="other.sqlite", trackBuildTimes=True)]
c["buildbotNetUsageData"] = None
print("a master.cfg that prints")
"""

    def write(self, folder: Path, config: str) -> None:
        (folder / "buildbot.tac").write_text("basedir = '.'\nconfigfile = 'master.cfg'\n")
        (folder / "master.cfg").write_text(config)

    def test_tracked_and_misspelt_names(self, tmp_path: Path, run: Run) -> None:
        """Only a property that no measured build has is reported as misspelt."""
        self.write(tmp_path, self.CONFIG)
        result = run("check", "--master", tmp_path, "--json")
        assert (result.status, result.json["problems"]) == (0, [])  # no journal yet: nothing was measured
        with Journal(tmp_path / "other.sqlite") as journal:
            journal.write([point(1, 3.0, "warnings-count"), point(1, 3.0, "wheel_size")])
        result = run("check", "--master", tmp_path, "--json")
        assert result.status == 1
        (problem,) = result.json["problems"]
        assert problem == "builder first: property 'warnings-cuont' has no value yet; misspelt?"
        assert result.json["instances"] == [{"name": "SQLiteInstance", "class": "SQLiteInstance"}]
        assert (result.json["builders"], result.json["page"], result.json["series"]) == (["first"], False, 2)
        assert {one["subject"]: one["series"] for one in result.json["tracked"]} == {
            "compile": "first.compile.time",
            "warnings-count": "warnings-count",
            "warnings-cuont": "warnings-cuont",
            "tests-failed": "{project}.failed",
            "sizes": "sizes",
        }

    def test_for_people(self, tmp_path: Path, run: Run) -> None:
        """Without ``--json`` it prints lines."""
        self.write(tmp_path, self.CONFIG)
        result = run("check", "--master", tmp_path)
        assert result.status == 0
        assert "instance SQLiteInstance (SQLiteInstance)" in result.out
        assert "first: step time compile -> first.compile.time" in result.out
        assert "no problem found" in result.out

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ("c = BuildmasterConfig = {}\n", "no workers are configured"),
            (CONFIG.replace('"compile", series', '"complie", series'), "has no step 'complie'"),
        ],
    )
    def test_an_invalid_configuration(self, tmp_path: Path, run: Run, config: str, message: str) -> None:
        """Buildbot's error is the only output, with exit status 1."""
        self.write(tmp_path, config)
        result = run("check", "--master", tmp_path, "--json")
        assert (result.status, list(result.json)) == (1, ["problems"])
        assert message in json.dumps(result.json)
        result = run("check", "--master", tmp_path)
        assert message in result.out
        assert all(line.startswith("PROBLEM ") for line in result.out.splitlines())

    def test_a_sink_without_an_instance(self, tmp_path: Path, run: Run) -> None:
        """A sink that was renamed or removed is a problem until it is detached, as points are queued for it."""
        self.write(tmp_path, self.CONFIG)
        with Journal(tmp_path / "other.sqlite") as journal:
            journal.attach_exporter("SQLiteInstance")  # the name of an instance that is no exporter
            journal.attach_exporter("former")
            journal.write([point(1, 3.0, "wheel_size"), point(2, 3.0, "wheel_size")])
        result = run("check", "--master", tmp_path)
        assert result.status == 1
        assert "PROBLEM sink former: no instance has that name, but points are queued for it (2)" in result.out
        assert run("ship", "--journal", tmp_path / "other.sqlite", "--sink", "former", "--detach").status == 0
        assert run("check", "--master", tmp_path).status == 1  # misspelt, as before
        assert "former" not in run("check", "--master", tmp_path).out
