"""MeasuredBuilderConfig and InfluxDBInstance: what they refuse when a configuration is read."""

from __future__ import unicode_literals

import pytest
from buildbot.config import ConfigErrors
from buildbot.process.factory import BuildFactory
from buildbot.steps.shell import ShellCommand

from bbmeasure_eight import InfluxDBInstance, MeasuredBuilderConfig, MeasureShellCommand


def builder(**kwargs):
    factory = BuildFactory()
    factory.addStep(ShellCommand(name=str("compile"), command=str("make")))
    factory.addStep(ShellCommand(name=str("compile"), command=str("make")))
    factory.addStep(MeasureShellCommand(name=str("size"), command=str("x")))
    return MeasuredBuilderConfig(name=str("b"), slavenames=[str("s")], factory=factory, **kwargs)


def test_tracks_are_kept():
    b = builder(measureTags={"platform": "linux"})
    b.trackStepTimes("compile", "compile_1")
    b.trackStepTimes("compile", series="{builder}.compile", tags={"phase": "build"})
    b.trackProperties("warnings-count", better="lower")
    b.trackCustomStep("size", unit="bytes")
    plan = b.measurePlan
    assert [track.subject for track in plan.step_times] == ["compile", "compile_1", "compile"]
    assert plan.step_times[2].series == "{builder}.compile"
    assert plan.step_times[2].tags == {"phase": "build"}
    assert plan.properties[0].better == "lower"
    assert plan.custom[0].unit == "bytes"
    assert plan.tags == {"platform": "linux"}


@pytest.mark.parametrize("call", ["trackStepTimes", "trackCustomStep"])
def test_an_unknown_step_is_a_name_error(call):
    with pytest.raises(NameError) as error:
        getattr(builder(), call)("compyle")
    assert "expected one of compile, compile_1, size" in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: builder().trackStepTimes("size"),
        lambda: builder().trackStepTimes("compile", unit="s"),
        lambda: builder().trackStepTimes(),
        lambda: builder().trackCustomStep("compile"),
        lambda: builder().trackCustomStep("size", unit="furlong"),
        lambda: builder().trackCustomStep("size", kind="speed"),
        lambda: builder().trackCustomStep("size", color="red"),
        lambda: builder().trackProperties("p", series="{nonsense}"),
        lambda: builder().trackProperties("p", series="{builder.x}"),
        lambda: builder().trackProperties(5),
        lambda: builder(measureTags={"worker": "x"}),
        lambda: MeasureShellCommand(command=str("x")),
        lambda: MeasureShellCommand(name=str("x"), command=str("x"), unit="furlong"),
        lambda: MeasureShellCommand(name=str("x"), command=str("x"), tags={"builder": "x"}),
        lambda: InfluxDBInstance(url="influx:8086", database="x"),
        lambda: InfluxDBInstance(url="http://u:p@influx:8086", database="x"),
        lambda: InfluxDBInstance(url="http://influx:8086", database=""),
        lambda: InfluxDBInstance(url="http://influx:8086", database="x", token="t", username="u"),
        lambda: InfluxDBInstance(url="http://influx:8086", database="x", color="red"),
        lambda: InfluxDBInstance(url="http://influx:8086", database="x", timeout=0),
        lambda: InfluxDBInstance(url="http://influx:8086", database="x", trackBuildTimes="yes"),
        lambda: InfluxDBInstance(url="http://influx:8086", database="x", trackProperties="pylint"),
    ],
)
def test_a_wrong_setting_is_a_configuration_error(wrong):
    with pytest.raises(ConfigErrors):
        wrong()
