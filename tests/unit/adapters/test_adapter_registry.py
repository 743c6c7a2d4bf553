"""The registry of adapters, and their guard against exceptions."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from bbmeasure import adapters
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import MeasureError, ParseError, RecordError, UnknownAdapterError
from bbmeasure.records import Record

LINTERS = [
    "checkstyle",
    "clang",
    "cppcheck",
    "eslint",
    "flake8",
    "gcc",
    "mypy",
    "pylint",
    "ruff",
    "sarif",
    "shellcheck",
]
OTHERS = ["cobertura", "coverage", "github-action-benchmark", "google-benchmark", "hyperfine", "junit", "ninja"]
NAMES = sorted([*LINTERS, *OTHERS, "pytest-benchmark", "teamcity", "time"])


def test_every_tool_is_found_by_its_name():
    """The names are those of the tools, without the modules that adapters share."""
    assert list(adapters.names()) == NAMES
    assert [adapters.find(name).name for name in NAMES] == NAMES
    assert repr(adapters.find("junit")) == "<Adapter junit>"


def test_an_unknown_name_lists_the_known_ones():
    """The error for an unknown name lists the known ones."""
    for name in ("pytest_benchmark", "lint", "_xml", "", "../junit", "x" * 5000):
        with pytest.raises(UnknownAdapterError, match="expected one of checkstyle, clang, .*, time") as caught:
            adapters.find(name)
        assert isinstance(caught.value, MeasureError)
        assert len(str(caught.value)) < 500


def test_the_linters_are_those_with_issues():
    """A linter has issues; the error of another adapter lists the linters."""
    assert list(adapters.linters()) == LINTERS
    with pytest.raises(UnknownAdapterError, match="'junit': expected a linter, one of checkstyle"):
        adapters.find("junit").issues("<testsuite/>")


def test_adapters_are_imported_on_demand():
    """Listing the names imports no adapter, and finding one imports only that one."""
    program = (
        "import sys; from bbmeasure import adapters; adapters.names(); adapters.find('time')\n"
        "print([name for name in adapters.names() if f'bbmeasure.adapters.{name}' in sys.modules])\n"
        "print([name for name in ('twisted', 'buildbot', 'treq') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["['time']", "[]"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "\n", " \t\r\n\n", "\ufeff"])
def test_no_output_gives_no_records(name, text):
    """An empty output has no records."""
    assert adapters.find(name).parse(text) == []


@pytest.mark.parametrize("name", LINTERS)
def test_empty_output_of_linters(name):
    """An empty output is a ParseError, except for linters that print nothing without an issue."""
    adapter = adapters.find(name)
    if name in ("clang", "flake8", "gcc", "mypy"):
        assert adapter.issues("") == []
        assert [(record.name, record.value) for record in adapter.records("")] == [(name, 0)]
    else:
        with pytest.raises(ParseError):
            adapter.issues("\n")


@pytest.mark.parametrize("name", NAMES)
def test_too_long_a_text_is_refused_before_it_is_read(name):
    """A text of more than 64 Mi characters is a ParseError."""
    with pytest.raises(ParseError, match="67108865 characters: expected at most 67108864"):
        adapters.find(name).parse(" " * (adapters.LONGEST_TEXT + 1))


def test_bytes_are_refused():
    """Bytes are a ParseError."""
    with pytest.raises(ParseError, match="expected a string"):
        adapters.find("junit").parse(b"<testsuite/>")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [RecursionError("deep"), OverflowError("wide"), KeyError("k"), AttributeError("a"), TypeError("t"), MemoryError()]
    + [ValueError("v"), UnicodeDecodeError("utf-8", b"x", 0, 1, "odd"), RecordError("name"), ZeroDivisionError("z")],
)
def test_an_exception_in_an_adapter_is_a_parse_error(error):
    """Any exception in an adapter becomes a ParseError with the name of the tool and the cause."""

    def stumble(_text):
        raise error

    adapter = adapters.Adapter("own", types.SimpleNamespace(parse=stumble, issues=stumble))  # type: ignore[arg-type]
    for read in (adapter.parse, adapter.issues):
        with pytest.raises(ParseError, match="own output: ") as caught:
            read("text")
        assert caught.value.__cause__ is error


def test_a_parse_error_keeps_its_line():
    """A ParseError of an adapter is raised unchanged."""
    with pytest.raises(ParseError) as caught:
        adapters.find("ninja").parse("# ninja log v5\nnonsense\n")
    assert (caught.value.tool, caught.value.line) == ("ninja", 2)
    assert "expected 5, separated by tabs" in caught.value.why


def test_attributes_of_adapters():
    """An adapter has the exit statuses and categories of a linter, and whether the tool writes to stderr."""
    pylint = adapters.find("pylint")
    assert 30 in pylint.found_issues
    assert not {0, 1, 3, 32} & pylint.found_issues
    assert adapters.find("ruff").found_issues == {1}
    assert adapters.find("gcc").found_issues == frozenset()
    assert pylint.categories == ("fatal", "error", "warning", "refactor", "convention", "info")
    assert [name for name in NAMES if adapters.find(name).on_stderr] == ["clang", "cppcheck", "gcc", "time"]


def test_an_adapter_is_a_module_with_parse():
    """A module with ``parse`` and ``issues`` is the adapter of a linter."""
    module = types.SimpleNamespace(
        parse=lambda text: [Record("lines", text.count("\n"))], issues=lambda text: [Issue("c")] * len(text)
    )
    adapter = adapters.Adapter("own", module)  # type: ignore[arg-type]
    assert adapter.parse("a\nb\n") == [Record("lines", 2)]
    assert [(r.name, r.value) for r in adapter.records("ab", name="x")] == [("x", 2), ("x_by_category", 2)]
