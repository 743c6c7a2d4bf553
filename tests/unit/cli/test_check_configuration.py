"""The command check, on the configuration of a master."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bbmeasure.storage.sqlite.journal import Journal
from tests.hostile import Reply, Scripted
from tests.unit.cli.masters import Run, point


@pytest.mark.slow
@pytest.mark.usefixtures("forked_readers")
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

    def test_settings_without_effect(self, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dashboard of no builder, a unit that no value has, and a page that was not built are problems."""
        config = self.CONFIG.replace(
            "util.SQLiteInstance(path=",
            "util.GrafanaInstance(url='https://g.example.org', dashboards={'frist': '/d/a', 'first': '/d/b'}), "
            "util.SQLiteInstance(path=",
        ).replace(
            'name="compile", command=["make"]),',
            'name="compile", command=["make"]),\n'
            '    steps.SizeOf(name="archive", path="a", unit="ms"), steps.SizeOf(name="wheel", path="w", unit="MiB"),\n'
            '    steps.TimedPythonFunction(name="parse", function="a:b"),\n'
            '    steps.SLOCCount(name="lines", unit="count"),\n'
            '    steps.MeasureShellCommand(name="tests", command=["t"], parser="junit", unit="s"),\n'
            '    steps.MeasureShellCommand(name="coverage", command=["t"], parser="coverage", unit="%"),\n'
            '    steps.MeasureShellCommand(name="benchmarks", command=["t"], parser="hyperfine", unit="ms"),\n'
            '    steps.LintMetrics(name="lint", tool="ruff", command=["ruff"]),',
        )
        config = config.replace('b.trackCustomStep("sizes")', 'b.trackCustomStep("parse", "lint", unit="bytes")')
        config += "c['www'] = {'port': 0, 'plugins': {'bbmeasure': {}}}\n"
        config += "from bbmeasure.master.www.plugin import MeasurementsPage\nMeasurementsPage.is_built = False\n"
        self.write(tmp_path, config)
        result = run("check", "--master", tmp_path, "--json")
        assert result.status == 1
        for problem, words in zip(
            result.json["problems"],
            (
                "page: it was not built when bbmeasure was installed",
                "GrafanaInstance: dashboards['frist']: no builder has that name; expected one of first",
                "builder first: step 'archive': unit 'ms': every value is refused, as the step measures in bytes",
                "builder first: trackCustomStep('parse'): unit 'bytes': every value is refused, as the step measures",
                "builder first: step 'tests': unit 's': no value has it, as the values of the step's parser have",
                "builder first: trackCustomStep('lint'): unit 'bytes': every value is refused, as the step measures",
            ),
        ):
            assert words in problem
        assert len(result.json["problems"]) == 6

    def test_a_property_of_which_the_journal_has_values(self, tmp_path: Path, run: Run) -> None:
        """It is not misspelt: under its own name before it got ``series=``, or under the name that a server stores."""
        config = self.CONFIG.replace(
            'b.trackProperties("warnings-count", "warnings-cuont")',
            'b.trackProperties("warnings-count", series="compile_warnings")\n'
            r'b.trackProperties("build\\path")',
        )
        self.write(tmp_path, config)
        with Journal(tmp_path / "other.sqlite") as journal:
            journal.write([point(1, 3.0, "warnings-count"), point(1, 3.0, "build_path")])
        result = run("check", "--master", tmp_path, "--json")
        assert (result.status, result.json["problems"]) == (0, [])

    def test_a_sink_that_refuses_points(self, tmp_path: Path, run: Run) -> None:
        """Points that its server refused within a week are a problem, with its reason; older ones are not."""
        sink = "util.VictoriaMetricsInstance(url='http://127.0.0.1:1', name='vm')"
        self.write(tmp_path, self.CONFIG.replace("util.SQLiteInstance(path=", f"{sink}, util.SQLiteInstance(path="))
        week = 7 * 86400
        for age, count in ((week + 60, 0), (week - 60, 2)):
            with Journal(tmp_path / "other.sqlite", clock=lambda age=age: time.time() - age) as journal:
                journal.attach_exporter("vm")
                items = [point(1, 3.0, "wheel_size"), point(2, 3.0, "wheel_size")]
                journal.write([*items, point(3, 3.0, "warnings-count"), point(3, 3.0, "warnings-cuont")])
                (*_, (last, _)) = journal.pending("vm", 100)
                journal.acknowledge("vm", last, [(item, "partial write: field type conflict") for item in items])
            problems = [one for one in run("check", "--master", tmp_path, "--json").json["problems"] if "sink" in one]
            assert len(problems) == bool(count)
        assert problems[0].startswith(
            "sink vm: its server refused 2 points within a week, the last one of wheel_size: partial write: field type"
        )
        assert problems[0].endswith("bbmeasure ship --master DIR --sink vm --from TIME")

    def test_a_running_master(self, run: Run) -> None:
        """With ``--url``, an error of a store and points that a sink's server refused since the start are problems."""
        quiet = {"name": "journal", "last_error": None, "counters": {"refused": 0}}
        sinks = [{**quiet, "name": "influx", "counters": {"refused": 3}}, {**quiet, "name": "vm"}]
        for parts, problems in (
            ({"stores": [quiet], "sinks": [quiet]}, []),
            ({"stores": [{**quiet, "last_error": "disk full"}], "sinks": sinks}, ["journal: disk full", "influx: its"]),
        ):
            with Scripted(lambda _, parts=parts: Reply(200, {**parts, "counters": {}})) as server:
                result = run("check", "--url", server.url, "--json")
            assert result.status == bool(problems)
            assert [one[: len(words)] for one, words in zip(result.json["problems"], problems)] == problems
            assert len(result.json["problems"]) == len(problems)
        assert "influx: its server refused 3 points since the master started; " in result.json["problems"][1]
        assert "bbmeasure ship --master DIR --sink NAME --from TIME" in result.json["problems"][1]

    def test_gates(self, tmp_path: Path, run: Run) -> None:
        """Gates that match nothing, do not fit or act on nothing are problems, and so is a missing baseline builder."""
        config = self.CONFIG.replace(
            'b = util.MeasuredBuilderConfig(name="first", workernames=["w"], factory=f)',
            'f.addStep(steps.SizeOf(name="archive", path="a", gate=util.Gate(limit="5 s", level="fail")))\n'
            "b = util.MeasuredBuilderConfig(name='first', workernames=['w'], factory=f, baselineBuilder='nightly')",
        ).replace('series="{builder}.{step}.time")', 'gate=util.Gate(level="warn"))')
        gates = "{'weel*': util.Gate(), 'warnings-*': util.Gate(limit=1, level='fail')}"
        config = config.replace("util.SQLite", f"util.MeasurementPolicy(gates={gates}), util.SQLite")
        self.write(tmp_path, config)
        with Journal(tmp_path / "other.sqlite") as journal:
            journal.write([point(1, 3.0, name) for name in ("wheel_size", "warnings-count", "warnings-cuont")])
        add = "add steps.CheckMeasurements() as the last step"
        assert run("check", "--master", tmp_path, "--json").json["problems"] == [
            "builder first: baselineBuilder 'nightly': no builder has that name",
            f"builder first: trackStepTimes('compile'): level 'warn' acts on no step; {add}",
            f"builder first: gates['warnings-*']: level 'fail' acts on no step for warnings-count; {add}",
            "builder first: step 'archive': limit 5 s: not applied to a size in bytes: archive",
            "MeasurementPolicy: gates['weel*']: no series has such a name; misspelt?",
        ]
        config = config.replace("5 s", "5 MiB").replace("'nightly'", "'first'").replace("weel*", "wheel*")
        self.write(tmp_path, config.replace("b = util.Meas", "f.addStep(steps.CheckMeasurements())\nb = util.Meas"))
        assert run("check", "--master", tmp_path, "--json").json["problems"] == []
