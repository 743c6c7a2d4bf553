"""The reference: every argument of every step, service, builder, function and command is documented, and no other."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, Optional

import pytest

import bbmeasure
import bbmeasure_steps
from bbmeasure.capture.plan import SeriesOverrides, read_switches
from bbmeasure.cli import commands as cli_commands
from bbmeasure.master.backfill import command as backfill
from bbmeasure.master.services.policy import read_policy
from bbmeasure_scripts.bundle import PROGRAMS
from bbmeasure_steps import MeasuringStep
from tests import documented

REFERENCE = documented.DOCS / "reference"
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
INSTANCES = sorted(name for name in bbmeasure.__all__ if name.endswith("Instance"))
GETTERS = sorted(name for name in bbmeasure.__all__ if name.startswith("get"))
#: Arguments of a base class that a step rejects.
REJECTED = {"LintMetrics": {"pattern", "parser"}}


def section(page: str, title: str) -> str:
    """The text of the section ``title`` of a page of the reference."""
    parts = re.split(r"^(\S.*)\n[-=]{3,}\n", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))[title]


def documented_arguments(page: str, title: str) -> dict[str, str]:
    """The arguments that a section documents, with the text of their defaults; "required" where they have none."""
    found = re.findall(r"^``(\w+)`` \((required|default: ``(.+)``)\)\n {4}\S", section(page, title), flags=re.MULTILINE)
    return {name: default or "required" for name, _, default in found}


def arguments_of(*functions: Callable[..., Any]) -> dict[str, Any]:
    """The named arguments of functions, with their defaults; of one in several functions the first counts."""
    found: dict[str, Any] = {}
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind in NAMED and name != "self":
                found.setdefault(name, parameter.default)
    return found


def check(page: str, title: str, wanted: dict[str, Any]) -> None:
    """Fail unless the section documents exactly the ``wanted`` arguments with their defaults."""
    reported = documented_arguments(page, title)
    assert sorted(reported) == sorted(wanted)
    for name, default in wanted.items():
        if reported[name] == "required":
            assert default in (inspect.Parameter.empty, None), name
        else:
            assert ast.literal_eval(reported[name]) == default, name


def constructors(step: Any) -> Iterator[Callable[..., Any]]:
    """The constructors of a step class that this project defines, without that of MeasuringStep."""
    for base in step.__mro__:
        if base.__module__.startswith("bbmeasure_steps") and base is not MeasuringStep and "__init__" in vars(base):
            yield base.__init__


@pytest.mark.parametrize("name", sorted({*bbmeasure_steps.__all__} - {"MeasuringStep"}))
def test_every_argument_of_a_step_is_documented(name: str) -> None:
    """A step's section has its own arguments and those of its bases, with their defaults."""
    wanted = arguments_of(*constructors(getattr(bbmeasure_steps, name)))
    rejected = REJECTED.get(name, set())
    check("steps.rst", name, {key: value for key, value in wanted.items() if key not in rejected})
    assert {key for key in rejected if f"``{key}``" not in section("steps.rst", name)} == set()


def test_every_argument_that_all_steps_take_is_documented() -> None:
    """The section on all measuring steps has the arguments of MeasuringStep."""
    check("steps.rst", "Arguments of every measuring step", arguments_of(MeasuringStep.__init__))


@pytest.mark.parametrize("name", INSTANCES)
def test_every_argument_of_a_service_is_documented(name: str) -> None:
    """A service's section has all that its methods take out of its constructor's arguments."""
    instance = getattr(bbmeasure, name)
    methods = [getattr(instance, method, None) for method in ("arguments_class", "checkConfig", "reconfigService")]
    check("services.rst", name, arguments_of(*filter(None, methods)))


@pytest.mark.parametrize("name", ["GitHubMeasurementsComment", "GitLabMeasurementsComment"])
def test_every_argument_of_a_comment_is_documented(name: str) -> None:
    """A service that writes comments has the arguments of its class."""
    check("reporters.rst", name, arguments_of(getattr(bbmeasure, name).arguments_class))


def test_every_argument_of_the_report_generator_is_documented() -> None:
    """The section on the report generator has the arguments of its constructor."""
    check("reporters.rst", "MeasurementsGenerator", arguments_of(bbmeasure.MeasurementsGenerator.__init__))


def test_every_argument_of_the_policy_is_documented() -> None:
    """The section on the policy has its arguments."""
    check("services.rst", "MeasurementPolicy", arguments_of(read_policy))


def test_every_argument_of_a_gate_is_documented() -> None:
    """The section on gates has the arguments of Gate."""
    check("services.rst", "Gate", arguments_of(bbmeasure.Gate.__init__))


def test_every_switch_is_documented() -> None:
    """The section on switches has those that every storing instance takes."""
    check("services.rst", "Tracking switches", arguments_of(read_switches))


def test_every_argument_of_a_builder_is_documented() -> None:
    """The builder's page has the arguments of the class and of its track methods."""
    builder = bbmeasure.MeasuredBuilderConfig
    check("builders.rst", "Arguments", arguments_of(builder.__init__))
    calls = [getattr(builder, name) for name in vars(builder) if name.startswith("track")]
    assert len(calls) == 4
    check("builders.rst", "Arguments of the track methods", arguments_of(SeriesOverrides.read, *calls))


def test_every_argument_of_capture_data_is_documented() -> None:
    """The section on captureData has its arguments."""
    check("python.rst", "captureData", arguments_of(bbmeasure.captureData))


def test_every_argument_of_the_getters_is_documented() -> None:
    """The section on getters has the arguments of all of them, and names each."""
    check("python.rst", "Getters", arguments_of(*(getattr(bbmeasure, name) for name in GETTERS)))
    assert {name for name in GETTERS if not re.search(rf"\b{name}\b", section("python.rst", "Getters"))} == set()


def documented_options(page: str, program: str) -> list[str]:
    """The options and positional arguments that a page documents of a program."""
    programs = re.split(r"^\.\. program:: (.+)\n", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    text = dict(zip(programs[1::2], programs[2::2]))[program]
    return re.findall(r"^\.\. option:: (\S+)(?: \S+)?\n\n {3}\S", text, flags=re.MULTILINE)


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The options and positional arguments of a parser, as its usage names them."""
    for action in parser._actions:
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction, argparse._VersionAction)):
            yield action.option_strings[0] if action.option_strings else str(action.metavar)


def commands() -> Iterator[tuple[str, Optional[argparse.ArgumentParser]]]:
    """The parser of each command; None for one that a program of the kit parses."""
    for module in pkgutil.iter_modules(cli_commands.__path__):
        command = importlib.import_module(f"{cli_commands.__name__}.{module.name}")
        parser = argparse.ArgumentParser(module.name) if hasattr(command, "add_arguments") else None
        if parser is not None:
            command.add_arguments(parser)
        yield module.name, backfill.parser() if module.name == "backfill" else parser


@pytest.mark.parametrize(("name", "parser"), commands())
def test_every_option_of_a_command_is_documented(name: str, parser: Optional[argparse.ArgumentParser]) -> None:
    """A command's section has exactly the options of its parser."""
    assert (parser is None) == (name in PROGRAMS)
    wanted = [] if parser is None else options_of(parser)
    assert sorted(documented_options("commands.rst", f"bbmeasure {name}")) == sorted(wanted)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_option_of_a_program_is_documented(name: str) -> None:
    """The section of a program of the kit has exactly the options of its parser."""
    parser = importlib.import_module(f"bbmeasure_scripts.{name}")._parser()
    assert sorted(documented_options("programs.rst", f"bbmeasure-{name}")) == sorted(options_of(parser))
