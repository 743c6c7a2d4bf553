"""MeasuredBuilderConfig: what its calls track, and what is wrong when the configuration is read."""

from __future__ import annotations

import gc
import weakref
from typing import Any, Callable

import pytest
from buildbot.config import ConfigErrors
from buildbot.plugins import steps, util
from buildbot.process.build import Build
from buildbot.process.properties import Property
from twisted.trial import unittest

from bbmeasure import MeasuredBuilderConfig
from bbmeasure.capture.plan import ALL, Plan, SeriesOverrides, Switches, Track, check_series, read_switches, series_name
from bbmeasure.master.services.sqlite import SQLiteInstance
from bbmeasure.master.tracking.build_class import MeasuredMixin, measured_class
from bbmeasure.records import Direction, Kind
from bbmeasure_steps import MeasureShellCommand


def make_factory() -> Any:
    """A factory with two stock steps, the second twice, and a measuring one."""
    return util.BuildFactory(
        [
            steps.ShellCommand(name="fetch", command=["true"]),
            steps.ShellCommand(name="compile", command=["true"]),
            steps.ShellCommand(name="compile", command=["true"]),
            MeasureShellCommand(name="size", command=["true"]),
        ]
    )


def make_builder(factory: Any = None, **more: Any) -> MeasuredBuilderConfig:
    return MeasuredBuilderConfig(name="first", workernames=["w"], factory=factory or make_factory(), **more)


def errors_of(call: Callable[[], Any]) -> str:
    """The configuration errors of a call."""
    with pytest.raises(ConfigErrors) as caught:
        call()
    return "; ".join(caught.value.errors)


class TestTracking(unittest.TestCase):
    """What each call tracks."""

    def test_nothing_is_tracked_by_itself(self) -> None:
        """A measured builder without a call tracks nothing of its own."""
        assert make_builder().measurePlan == Plan()

    def test_step_times(self) -> None:
        """Each named step, a second of the same name too, under its own name, and less is better."""
        builder = make_builder()
        builder.trackStepTimes("fetch", "compile_1")
        lower = SeriesOverrides(better=Direction.LOWER)
        assert builder.measurePlan.step_times == (Track("fetch", lower), Track("compile_1", lower))

    def test_a_second_call_adds_a_series(self) -> None:
        """One step may have two series."""
        builder = make_builder()
        builder.trackStepTimes("fetch")
        builder.trackStepTimes("fetch", series="{builder}.{step}", tags={"phase": 1}, better="higher")
        assert [track.overrides.series for track in builder.measurePlan.step_times] == [None, "{builder}.{step}"]
        assert builder.measurePlan.step_times[1].overrides == SeriesOverrides(
            "{builder}.{step}", better=Direction.HIGHER, tags={"phase": "1"}
        )

    def test_properties(self) -> None:
        """A property need not be known to anybody when the configuration is read."""
        builder = make_builder()
        builder.trackProperties("warnings-count", "other", kind="count", unit="1", better="lower", tags={"a": "b"})
        overrides = SeriesOverrides(None, Kind.COUNT, "1", Direction.LOWER, {"a": "b"})
        assert builder.measurePlan.properties == (Track("warnings-count", overrides), Track("other", overrides))

    def test_statistics(self) -> None:
        """A statistic of all steps, or of one."""
        builder = make_builder()
        builder.trackStatistics("tests-failed")
        builder.trackStatistics("warnings", step="compile", series="w")
        assert builder.measurePlan.statistics == (
            Track("tests-failed"),
            Track("warnings", SeriesOverrides("w"), "compile"),
        )

    def test_custom_steps(self) -> None:
        """A measuring step gets another name, tags, unit and direction."""
        builder = make_builder()
        builder.trackCustomStep("size", series="wheel", unit="bytes", better="lower", tags={"of": "wheel"})
        overrides = builder.measurePlan.custom_of("size")
        assert overrides == SeriesOverrides("wheel", None, "bytes", Direction.LOWER, {"of": "wheel"})
        assert builder.measurePlan.custom_of("fetch") is None

    def test_switches_and_tags_of_the_builder(self) -> None:
        """``measureTags``, ``onlyTracked`` and ``trackAll`` are the whole builder's."""
        plan = make_builder(measureTags={"platform": "linux", "bits": 64}, onlyTracked=True, trackAll=True).measurePlan
        assert plan == Plan(tags={"platform": "linux", "bits": "64"}, only_tracked=True, switches=ALL)
        assert plan.switches.of_builds

    def test_it_is_a_builder_config(self) -> None:
        """Everything that a BuilderConfig takes is taken, the tags among it."""
        builder = make_builder(tags=["nightly"], description="x", properties={"a": 1})
        assert (builder.tags, builder.description, builder.properties) == (["nightly"], "x", {"a": 1})
        assert builder.getConfigDict()["name"] == "first"

    def test_a_name_that_only_a_build_knows(self) -> None:
        """A step whose name is rendered may be any of those that are tracked."""
        factory = make_factory()
        factory.addStep(steps.ShellCommand(name=Property("n"), command=["true"]))
        builder = make_builder(factory)
        builder.trackStepTimes("whatever")
        builder.trackCustomStep("whatever")
        assert builder.measurePlan.step_times[0].subject == "whatever"


class TestUnknownSteps(unittest.TestCase):
    """A step that does not exist is a NameError when the configuration is read."""

    def test_each_call_that_names_steps(self) -> None:
        """The message has the builder, the name, and the names that there are."""
        builder = make_builder()
        for call in (
            lambda: builder.trackStepTimes("fetch", "complie"),
            lambda: builder.trackCustomStep("complie"),
            lambda: builder.trackStatistics("warnings", step="complie"),
            lambda: builder.trackStepTimes(["fetch", "compile"]),  # type: ignore[arg-type]
        ):
            with pytest.raises(NameError) as caught:
                call()
            assert "builder 'first' has no step" in str(caught.value)
            assert "expected one of compile, compile_1, fetch, size" in str(caught.value)
        assert builder.measurePlan == Plan()

    def test_steps_are_added_first(self) -> None:
        """A call looks at once; a step that is added later is known later."""
        factory = make_factory()
        builder = make_builder(factory)
        with pytest.raises(NameError):
            builder.trackStepTimes("late")
        factory.addStep(steps.ShellCommand(name="late", command=["true"]))
        builder.trackStepTimes("late")
        assert len(builder.factory.steps) == 5


class TestErrors(unittest.TestCase):
    """What else is wrong is a configuration error that says what was wanted."""

    def test_arguments_of_calls(self) -> None:
        """Each wrong argument, by each call."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"series": "{nope}"}, "{nope} is not one of builder, step, name, project"),
            ({"series": "{}"}, "is not one of"),
            ({"series": "{builder"}, "expected a format"),
            ({"series": "{builder.__class__}"}, "is not one of"),
            ({"series": "{step:d}"}, "expected a format that names fit"),
            ({"series": "{step:{deeper}}"}, "expected a format that names fit"),
            ({"series": ""}, "expected a text that is not empty"),
            ({"series": "a\nb"}, "expected no control characters"),
            ({"series": 5}, "expected a text"),
            ({"kind": "colour"}, "kind 'colour': expected one of count"),
            ({"unit": "parsecs"}, "unit 'parsecs': expected one of"),
            ({"unit": ["s"]}, "unit \"['s']\": expected a text"),
            ({"better": "larger"}, "better 'larger': expected one of lower, higher"),
            ({"tags": {"worker": "x"}}, "tag 'worker'"),
            ({"tags": "a=b"}, "expected a mapping"),
            ({"nonsense": 1, "other": 2}, "unknown argument nonsense, other"),
        ]
        for arguments, said in wrong:
            for name, subject in (
                ("trackStepTimes", "fetch"),
                ("trackProperties", "p"),
                ("trackStatistics", "s"),
                ("trackCustomStep", "size"),
            ):
                builder = make_builder()
                message = errors_of(lambda: getattr(builder, name)(subject, **arguments))  # noqa: B023
                assert message.startswith("builder 'first': ")
                fixed = name == "trackStepTimes" and {"kind", "unit"} & set(arguments)
                assert ("a duration is in seconds" if fixed else said) in message
                assert builder.measurePlan == Plan()

    def test_a_step_only_where_it_means_something(self) -> None:
        """``step=`` is an argument of trackStatistics alone."""
        for name, subject in (("trackStepTimes", "fetch"), ("trackProperties", "p"), ("trackCustomStep", "size")):
            message = errors_of(lambda: getattr(make_builder(), name)(subject, step="fetch"))  # noqa: B023
            assert "unknown argument step" in message

    def test_names(self) -> None:
        """A property's or statistic's name is a text, and no pattern: that belongs elsewhere."""
        for name, wanted, elsewhere in (
            ("trackProperties", "property", "trackProperties=[...] of an instance"),
            ("trackStatistics", "statistic", "trackStatistics=True of an instance"),
        ):
            for subject in ("", None, 5, ["a"]):
                message = errors_of(lambda: getattr(make_builder(), name)(subject))  # noqa: B023
                assert f"expected the name of a {wanted}" in message
            for subject in ("pylint-*", "a?"):
                message = errors_of(lambda: getattr(make_builder(), name)(subject))  # noqa: B023
                assert f"{name}({subject!r}): {subject!r}: expected the name of a {wanted}; " in message
                assert elsewhere in message

    def test_a_call_without_a_name(self) -> None:
        """Whoever names nothing has forgotten something."""
        for name, wanted in (
            ("trackStepTimes", "step"),
            ("trackProperties", "property"),
            ("trackStatistics", "statistic"),
            ("trackCustomStep", "step"),
        ):
            message = errors_of(lambda: getattr(make_builder(), name)())  # noqa: B023
            assert f"{name}(): expected the name of a {wanted}" in message

    def test_what_is_neither_true_nor_false(self) -> None:
        """``"yes"`` is no switch, nor is 1."""
        for name in ("onlyTracked", "trackAll"):
            for given in ("yes", 1, None):
                message = errors_of(lambda: make_builder(**{name: given}))  # noqa: B023
                assert message == f"builder 'first': {name} {given!r}: expected True or False"

    def test_the_time_of_a_measuring_step(self) -> None:
        """Its own name is taken by what it measures: ``series=`` says where its time goes."""
        assert "its own series has that name; give series=" in errors_of(lambda: make_builder().trackStepTimes("size"))
        builder = make_builder()
        builder.trackStepTimes("size", series="size_time")
        assert builder.measurePlan.step_times[0].overrides.series == "size_time"

    def test_a_custom_step_that_measures_nothing(self) -> None:
        """A stock step has no records to name."""
        assert "trackCustomStep('fetch'): expected a measuring step" in errors_of(
            lambda: make_builder().trackCustomStep("fetch")
        )

    def test_measure_tags(self) -> None:
        """Tags that only the master sets, or that are none."""
        for tags in ({"builder": "x"}, {"a": "b\nc"}, [1], {"_x": 1}, [], ""):
            assert "builder 'first': measureTags:" in errors_of(lambda: make_builder(measureTags=tags))  # noqa: B023

    def test_what_buildbot_itself_finds_wrong(self) -> None:
        """A builder without a factory is Buildbot's error, and no other."""
        message = errors_of(lambda: MeasuredBuilderConfig(name="first", workernames=["w"]))
        assert "has no factory" in message
        assert ";" not in message

    def test_switches(self) -> None:
        """Each switch of an instance is what it must be."""
        for arguments in (
            {"trackBuildTimes": "yes"},
            {"trackStepTimes": 1},
            {"trackStatistics": None},
            {"trackProperties": "pylint-*"},
            {"trackProperties": [""]},
            {"trackProperties": [5]},
            {"trackMasterMetrics": 0},
        ):
            with pytest.raises(ValueError, match="expected"):
                read_switches(**arguments)  # type: ignore[arg-type]
        assert read_switches(trackBuildTimes=True, trackProperties=["a", "b-*"]) == Switches(
            build_times=True, properties=("a", "b-*")
        )

    def test_a_switch_that_there_is_not(self) -> None:
        """A misspelt argument is a configuration error that names it."""
        told = errors_of(lambda: SQLiteInstance(trakBuildTimes=True))
        assert told.startswith("SQLiteInstance: ")
        assert "unknown argument trakBuildTimes: expected one of path, retention, trackBuildTimes" in told


class TestFactories(unittest.TestCase):
    """A factory is the user's, and may be shared."""

    def test_builders_that_share_a_factory_share_no_tracking(self) -> None:
        """Each has its own, and the factory itself is as it was."""
        factory = make_factory()
        one, other = make_builder(factory), make_builder(factory)
        plain = util.BuilderConfig(name="plain", workernames=["w"], factory=factory)
        one.trackStepTimes("fetch")
        other.trackStepTimes("compile")
        assert [track.subject for track in one.measurePlan.step_times] == ["fetch"]
        assert [track.subject for track in other.measurePlan.step_times] == ["compile"]
        assert plain.factory.buildClass is Build
        assert one.factory is not factory

    def test_later_steps_count_for_all(self) -> None:
        """``f.addStep`` after the builder was made adds the step to its builds."""
        factory = make_factory()
        builder = make_builder(factory)
        factory.addStep(steps.ShellCommand(name="late", command=["true"]))
        names = [step.buildStep().name for step in builder.factory.steps]
        assert names == ["fetch", "compile", "compile", "size", "late"]

    def test_a_reconfig_sees_no_change(self) -> None:
        """The same configuration read again makes an equal factory, with the same build class."""
        one, other = make_builder(), make_builder()
        assert one.factory.buildClass is other.factory.buildClass
        assert one.factory == other.factory

    def test_a_build_class_of_ones_own(self) -> None:
        """It measures beside what it does itself; measured twice is measured once."""

        class Own(Build):  # type: ignore[misc]
            """A build class of a user."""

        factory = make_factory()
        factory.buildClass = Own
        builder = make_builder(factory)
        made = builder.factory.buildClass
        assert issubclass(made, MeasuredMixin)
        assert issubclass(made, Own)
        assert made.__name__ == "MeasuredOwn"
        assert measured_class(made) is made
        assert measured_class(Own) is made
        assert measured_class(Build) is not made
        assert factory.buildClass is Own

    def test_a_build_class_of_a_master_cfg_is_let_go_of(self) -> None:
        """Each reconfig makes it anew: the old one does not stay."""

        class Own(Build):  # type: ignore[misc]
            """A build class of a user."""

        gone = weakref.ref(measured_class(Own))
        del Own
        gc.collect()
        assert gone() is None


class TestSeries(unittest.TestCase):
    """The name of a series for one value."""

    def test_a_format(self) -> None:
        """Every field, and what is missing is empty."""
        name = series_name("{builder}/{step}/{name}/{project}", "n", builder="b", step="s", project="p")
        assert name == "b/s/n/p"
        assert series_name("{builder}/{step}/{project}", "n", builder="b", step=None, project=None) == "b//"

    def test_the_name_by_default(self) -> None:
        """Without a format it is the name that the value has, braces and all."""
        assert series_name(None, "a{b}", builder="b", step=None, project=None) == "a{b}"

    def test_braces_of_a_name(self) -> None:
        """A builder's name is put in as it is, and twice a brace is a brace."""
        assert check_series("{{x}}.{builder}") == "{{x}}.{builder}"
        assert series_name("{{x}}.{builder}", "n", builder="{step}", step="s", project=None) == "{x}.{step}"
