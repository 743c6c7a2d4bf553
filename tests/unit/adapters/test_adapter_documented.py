"""The documentation of adapters lists every adapter and series, and its example works."""

from __future__ import annotations

import json
import re
import types

import pytest

from bbmeasure import adapters
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from tests import documented
from tests.tool_output import cases

PAGE = (documented.DOCS / "adapters.rst").read_text()


def rows():
    """The text of the rows of the page's tables by the adapter, those without a name counting to the one above."""
    found = {}
    name = ""
    for row in re.split(r"^   \* - ?", PAGE, flags=re.MULTILINE)[1:]:
        named = re.match(r"``([a-z0-9-]+)``|Adapter", row)
        name = (named[1] or "") if named else name
        found[name] = found.get(name, "") + row.partition("\n\n")[0]
    del found[""]  # the heads of the tables
    return found


def test_every_adapter_has_a_row():
    """The tables list every adapter, and nothing that is none."""
    assert sorted(rows()) == sorted(adapters.names())


@pytest.mark.parametrize("name", sorted({*adapters.names()} - {*adapters.linters()}))
def test_every_series_has_its_name_unit_and_direction_in_its_row(name):
    """What the recorded outputs give is told in the adapter's rows: a fixed name by itself, the rest by its ending."""
    reported = rows()[name]
    fixed = not re.search(r"``NAME``", reported)
    for case in cases.discover(name):
        for record in json.loads(case.expected.read_text("utf-8")).get("records", []):
            ending = re.search(r"_(?:user|system|cpu|max_rss|bytes_per_second|items_per_second)$", record["name"])
            assert f"``{record['name']}``" in reported if fixed else not ending or f"``NAME{ending[0]}``" in reported
            assert record["better"] is None or record["better"] in reported or "see below" in reported
            if name != "github-action-benchmark":
                assert re.search(rf"(?<![\w/]){re.escape(record.get('unit', '1'))}(?![\w/])", reported)
            assert {f"``{tag}``" for tag in record.get("tags", {}) if name != "hyperfine"} <= set(
                re.findall(r"``\w+``", reported)
            )


@pytest.mark.parametrize("name", adapters.linters())
def test_the_categories_that_are_always_there_are_told(name):
    """The fixed categories of a linter stand in its row."""
    categories = adapters.find(name).categories
    assert not categories or f"*{', '.join(categories)}*" in rows()[name]


def test_the_silent_linters_and_those_that_speak_on_stderr_are_told():
    """The page names the linters whose silence is no issue, and says of whom stderr is read."""

    def is_silent(name):
        try:
            return adapters.find(name).issues("") == []
        except ParseError:
            return False

    (silent,) = re.findall(r"output is empty if they find no issue \(([^)]*)\)", PAGE)
    assert sorted(silent.split(", ")) == [name for name in adapters.linters() if is_silent(name)]
    for name in ("time", "cppcheck"):
        assert "writes to stderr" in rows()[name]


def test_the_example_is_an_adapter():
    """The adapter on the page reads the output on the page, nothing, and what codespell would never print."""
    module = types.ModuleType("codespell")
    exec(documented.example("codespell.py"), module.__dict__)
    adapter = adapters.Adapter("codespell", module)
    many = documented.code_block("codespell-many")
    assert adapter.issues(many) == [
        Issue("Receive", "notes.txt", 1),
        Issue("message", "notes.txt", 1),
        Issue("the", "notes.txt", 2),
    ]
    assert adapter.parse(many)[0].value == 3
    assert adapter.parse("") == []
    assert adapter.found_issues == {65}
    with pytest.raises(ParseError, match="codespell output, line 2: 'ERROR': expected file:line: word ==> word"):
        adapter.issues("a:1: teh ==> the\nERROR\n")
