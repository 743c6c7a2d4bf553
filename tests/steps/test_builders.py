"""MeasuredBuilderConfig: track calls, arguments, factories, names of series."""

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

from bbmeasure import Gate, MeasuredBuilderConfig
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
    """The plan that track calls make."""

    def test_default(self) -> None:
        """A measured builder without track calls tracks nothing."""
        assert make_builder().measurePlan == Plan()

    def test_step_times(self) -> None:
        """Each named step, also a second one of the same name, has a series of its name; lower is better."""
        builder = make_builder()
        builder.trackStepTimes("fetch", "compile_1")
        lower = SeriesOverrides(better=Direction.LOWER)
        assert builder.measurePlan.step_times == (Track("fetch", lower), Track("compile_1", lower))

    def test_second_call_adds_a_series(self) -> None:
        """A step may have two series."""
        builder = make_builder()
        builder.trackStepTimes("fetch")
        builder.trackStepTimes("fetch", series="{builder}.{step}", tags={"phase": 1}, better="higher")
        assert [track.overrides.series for track in builder.measurePlan.step_times] == [None, "{builder}.{step}"]
        assert builder.measurePlan.step_times[1].overrides == SeriesOverrides(
            "{builder}.{step}", better=Direction.HIGHER, tags={"phase": "1"}
        )

    def test_properties(self) -> None:
        """A property need not exist when the configuration is read."""
        builder = make_builder()
        builder.trackProperties("warnings-count", "other", kind="count", unit="1", better="lower", tags={"a": "b"})
        overrides = SeriesOverrides(None, Kind.COUNT, "1", Direction.LOWER, {"a": "b"})
        assert builder.measurePlan.properties == (Track("warnings-count", overrides), Track("other", overrides))

    def test_statistics(self) -> None:
        """A statistic of all steps, or of one step."""
        builder = make_builder()
        builder.trackStatistics("tests-failed")
        builder.trackStatistics("warnings", step="compile", series="w")
        assert builder.measurePlan.statistics == (
            Track("tests-failed"),
            Track("warnings", SeriesOverrides("w"), "compile"),
        )

    def test_custom_steps(self) -> None:
        """trackCustomStep overrides series, tags, unit and direction of a measuring step."""
        builder = make_builder()
        builder.trackCustomStep("size", series="wheel", unit="bytes", better="lower", tags={"of": "wheel"})
        overrides = builder.measurePlan.custom_of("size")
        assert overrides == SeriesOverrides("wheel", None, "bytes", Direction.LOWER, {"of": "wheel"})
        assert builder.measurePlan.custom_of("fetch") is None

    def test_builder_arguments(self) -> None:
        """``measureTags``, ``onlyTracked`` and ``trackAll`` apply to the whole builder."""
        plan = make_builder(measureTags={"platform": "linux", "bits": 64}, onlyTracked=True, trackAll=True).measurePlan
        assert plan == Plan(tags={"platform": "linux", "bits": "64"}, only_tracked=True, switches=ALL)
        assert plan.switches.of_builds

    def test_builder_config_arguments(self) -> None:
        """It takes all arguments of a BuilderConfig."""
        builder = make_builder(tags=["nightly"], description="x", properties={"a": 1})
        assert (builder.tags, builder.description, builder.properties) == (["nightly"], "x", {"a": 1})
        assert builder.getConfigDict()["name"] == "first"

    def test_rendered_step_name(self) -> None:
        """A step whose name is rendered may be any tracked step."""
        factory = make_factory()
        factory.addStep(steps.ShellCommand(name=Property("n"), command=["true"]))
        builder = make_builder(factory)
        builder.trackStepTimes("whatever")
        builder.trackCustomStep("whatever")
        assert builder.measurePlan.step_times[0].subject == "whatever"


class TestUnknownSteps(unittest.TestCase):
    """A step that does not exist is a NameError when the configuration is read."""

    def test_unknown_step_in_each_call(self) -> None:
        """The message has the builder, the name, and the known names."""
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

    def test_step_added_after_the_call(self) -> None:
        """A call checks names at once; a step that is added later is known to later calls."""
        factory = make_factory()
        builder = make_builder(factory)
        with pytest.raises(NameError):
            builder.trackStepTimes("late")
        factory.addStep(steps.ShellCommand(name="late", command=["true"]))
        builder.trackStepTimes("late")
        assert len(builder.factory.steps) == 5


class TestErrors(unittest.TestCase):
    """Configuration errors, which name the expected value."""

    def test_arguments_of_track_calls(self) -> None:
        """Each wrong argument in each track call."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"series": "{nope}"}, "{nope} is not one of builder, step, name, project"),
            ({"series": "{}"}, "is not one of"),
            ({"series": "{builder"}, "expected a format"),
            ({"series": "{builder.__class__}"}, "is not one of"),
            ({"series": "{step:d}"}, "expected a format that names fit"),
            ({"series": "{step:{deeper}}"}, "expected a format that names fit"),
            ({"series": ""}, "expected a non-empty string"),
            ({"series": "a\nb"}, "expected no control characters"),
            ({"series": 5}, "expected a non-empty string"),
            ({"kind": "colour"}, "kind 'colour': expected one of count"),
            ({"unit": "parsecs"}, "unit 'parsecs': expected one of"),
            ({"unit": ["s"]}, "unit \"['s']\": expected a text"),
            ({"better": "larger"}, "better 'larger': expected one of lower, higher"),
            ({"tags": {"worker": "x"}}, "tag 'worker'"),
            ({"tags": "a=b"}, "expected a mapping"),
            ({"gate": "fail"}, "gate 'fail': expected util.Gate"),
            ({"gate": Gate(limit=1, lowerLimit="1 s"), "unit": "ms"}, "lowerLimit 1 s: expected at most limit 1 ms"),
            ({"nonsense": 1, "other": 2}, "unknown argument nonsense, other"),
        ]
        for arguments, expected in wrong:
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
                assert ("a duration is in seconds" if fixed else expected) in message
                assert builder.measurePlan == Plan()

    def test_gates(self) -> None:
        """A gate's plain numbers are in the unit of the track call; only a measuring step measures again."""
        builder = make_builder()
        builder.trackProperties("p", unit="ms", gate=Gate(limit=5, level="warn"))
        builder.trackCustomStep("size", gate=Gate(rerun=4))
        gates = [track.overrides.gate for track in (*builder.measurePlan.properties, *builder.measurePlan.custom)]
        assert gates == [Gate(limit="5 ms", level="warn"), Gate(rerun=4)]
        message = errors_of(lambda: builder.trackStepTimes("fetch", gate=Gate(rerun=4)))
        assert "rerun 4: expected 0, only measuring steps measure again" in message

    def test_baseline_builder(self) -> None:
        """The builder that proposals are judged against is the name of one."""
        assert make_builder(baselineBuilder="nightly").measurePlan == Plan(baseline_builder="nightly")
        for wrong in ("", 5, ["nightly"]):
            message = errors_of(lambda: make_builder(baselineBuilder=wrong))  # noqa: B023
            assert message.startswith("builder 'first': baselineBuilder"), message

    def test_step_argument(self) -> None:
        """``step=`` is an argument of trackStatistics only."""
        for name, subject in (("trackStepTimes", "fetch"), ("trackProperties", "p"), ("trackCustomStep", "size")):
            message = errors_of(lambda: getattr(make_builder(), name)(subject, step="fetch"))  # noqa: B023
            assert "unknown argument step" in message

    def test_names(self) -> None:
        """A property's or statistic's name is a text and no pattern; the message says where patterns belong."""
        for name, noun, hint in (
            ("trackProperties", "property", "trackProperties=[...] of an instance"),
            ("trackStatistics", "statistic", "trackStatistics=True of an instance"),
        ):
            for subject in ("", None, 5, ["a"]):
                message = errors_of(lambda: getattr(make_builder(), name)(subject))  # noqa: B023
                assert f"expected the name of a {noun}" in message
            for subject in ("pylint-*", "a?"):
                message = errors_of(lambda: getattr(make_builder(), name)(subject))  # noqa: B023
                assert f"{name}({subject!r}): {subject!r}: expected the name of a {noun}; " in message
                assert hint in message

    def test_call_without_names(self) -> None:
        """A track call without names is an error."""
        for name, noun in (
            ("trackStepTimes", "step"),
            ("trackProperties", "property"),
            ("trackStatistics", "statistic"),
            ("trackCustomStep", "step"),
        ):
            message = errors_of(lambda: getattr(make_builder(), name)())  # noqa: B023
            assert f"{name}(): expected the name of a {noun}" in message

    def test_flags(self) -> None:
        """Flags are True or False, not ``"yes"`` or 1."""
        for name in ("onlyTracked", "trackAll"):
            for value in ("yes", 1, None):
                message = errors_of(lambda: make_builder(**{name: value}))  # noqa: B023
                assert message == f"builder 'first': {name} {value!r}: expected True or False"

    def test_time_of_a_measuring_step(self) -> None:
        """Its own name is taken by its values, so that ``series=`` is required."""
        assert "its own series has that name; give series=" in errors_of(lambda: make_builder().trackStepTimes("size"))
        builder = make_builder()
        builder.trackStepTimes("size", series="size_time")
        assert builder.measurePlan.step_times[0].overrides.series == "size_time"

    def test_custom_step_that_is_no_measuring_step(self) -> None:
        """A stock step has no records to override."""
        assert "trackCustomStep('fetch'): expected a measuring step" in errors_of(
            lambda: make_builder().trackCustomStep("fetch")
        )

    def test_measure_tags(self) -> None:
        """Reserved tags and invalid tags are errors."""
        for tags in ({"builder": "x"}, {"a": "b\nc"}, [1], {"_x": 1}, [], ""):
            assert "builder 'first': measureTags:" in errors_of(lambda: make_builder(measureTags=tags))  # noqa: B023

    def test_builder_without_factory(self) -> None:
        """A builder without a factory is Buildbot's error only."""
        message = errors_of(lambda: MeasuredBuilderConfig(name="first", workernames=["w"]))
        assert "has no factory" in message
        assert ";" not in message

    def test_switches(self) -> None:
        """Each switch of an instance is checked."""
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

    def test_unknown_switch(self) -> None:
        """A misspelt argument is a configuration error that names it."""
        message = errors_of(lambda: SQLiteInstance(trakBuildTimes=True))
        assert message.startswith("SQLiteInstance: ")
        assert "unknown argument trakBuildTimes: expected one of path, retention, trackBuildTimes" in message


class TestFactories(unittest.TestCase):
    """Factories, which belong to the user and may be shared."""

    def test_shared_factory(self) -> None:
        """Builders that share a factory share no tracking, and the factory is unchanged."""
        factory = make_factory()
        first, second = make_builder(factory), make_builder(factory)
        plain = util.BuilderConfig(name="plain", workernames=["w"], factory=factory)
        first.trackStepTimes("fetch")
        second.trackStepTimes("compile")
        assert [track.subject for track in first.measurePlan.step_times] == ["fetch"]
        assert [track.subject for track in second.measurePlan.step_times] == ["compile"]
        assert plain.factory.buildClass is Build
        assert first.factory is not factory

    def test_step_added_to_the_factory_later(self) -> None:
        """``f.addStep`` after the builder was made adds the step to its builds."""
        factory = make_factory()
        builder = make_builder(factory)
        factory.addStep(steps.ShellCommand(name="late", command=["true"]))
        names = [step.buildStep().name for step in builder.factory.steps]
        assert names == ["fetch", "compile", "compile", "size", "late"]

    def test_reconfig_without_changes(self) -> None:
        """The same configuration read again makes an equal factory, with the same build class."""
        first, second = make_builder(), make_builder()
        assert first.factory.buildClass is second.factory.buildClass
        assert first.factory == second.factory

    def test_custom_build_class(self) -> None:
        """A custom build class is subclassed once."""

        class Own(Build):  # type: ignore[misc]
            """A build class of a user."""

        factory = make_factory()
        factory.buildClass = Own
        builder = make_builder(factory)
        build_class = builder.factory.buildClass
        assert issubclass(build_class, MeasuredMixin)
        assert issubclass(build_class, Own)
        assert build_class.__name__ == "MeasuredOwn"
        assert measured_class(build_class) is build_class
        assert measured_class(Own) is build_class
        assert measured_class(Build) is not build_class
        assert factory.buildClass is Own

    def test_build_class_is_freed(self) -> None:
        """A build class that each reconfig defines anew is freed."""

        class Own(Build):  # type: ignore[misc]
            """A build class of a user."""

        reference = weakref.ref(measured_class(Own))
        del Own
        gc.collect()
        assert reference() is None


class TestSeries(unittest.TestCase):
    """The name of a series for one value."""

    def test_format(self) -> None:
        """Every field is replaced; a missing one is empty."""
        name = series_name("{builder}/{step}/{name}/{project}", "n", builder="b", step="s", project="p")
        assert name == "b/s/n/p"
        assert series_name("{builder}/{step}/{project}", "n", builder="b", step=None, project=None) == "b//"

    def test_default_name(self) -> None:
        """Without a format it is the name of the value, braces included."""
        assert series_name(None, "a{b}", builder="b", step=None, project=None) == "a{b}"

    def test_braces(self) -> None:
        """A builder's name is inserted unchanged, and a doubled brace is a brace."""
        assert check_series("{{x}}.{builder}") == "{{x}}.{builder}"
        assert series_name("{{x}}.{builder}", "n", builder="{step}", step="s", project=None) == "{x}.{step}"
