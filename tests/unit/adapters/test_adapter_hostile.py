"""Any text yields records or a ParseError, in time and memory linear in its length."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbmeasure import adapters
from bbmeasure.adapters import _json, _xml
from bbmeasure.errors import ParseError
from tests.tool_output import cases
from tests.unit.adapters import hostile

NAMES = adapters.names()
JSON = [name for name in NAMES if hostile.documents(name)]
XML = ("checkstyle", "cobertura", "cppcheck", "junit")
ROOTS = {"checkstyle": "checkstyle", "cobertura": "coverage", "cppcheck": "results", "junit": "testsuites"}
#: A sixteenth of the limit: time and memory grow linearly.
LONGEST = adapters.LONGEST_TEXT // 16
#: Examples of each adapter.
MORE = settings().max_examples * 3 // 20


# pytest-twisted wraps a Hypothesis test once for each of its parameters, so that the second call fails in its own
# reactor: the adapter is drawn instead.
@given(text=st.text() | st.lists(hostile.ODD).map("".join))
def test_any_text_gives_records_or_a_parse_error(text):
    """Text that has nothing to do with a tool raises ParseError, if anything."""
    for name in NAMES:
        hostile.check(name, text)


@settings(max_examples=MORE * len(NAMES))
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_mutilated_output_gives_records_or_a_parse_error(data, name):
    """A recorded output with pieces cut out, put in and doubled raises ParseError, if anything."""
    hostile.check(name, data.draw(hostile.mutated(name)))


@settings(max_examples=MORE * len(JSON))
@given(data=st.data(), name=st.sampled_from(JSON))
def test_json_of_another_shape_gives_records_or_a_parse_error(data, name):
    """JSON in the tool's own words but of any shape raises ParseError, if anything."""
    hostile.check(name, data.draw(hostile.replaced(name) | hostile.json_like(name).map(json.dumps)))


FINDS = sorted((Path(__file__).parents[2] / "fuzz" / "finds" / "adapters").glob("*/*.txt"))


@pytest.mark.parametrize("find", FINDS, ids=lambda find: f"{find.parent.name}/{find.name}")
def test_what_the_fuzzer_found_gives_records_or_a_parse_error(find):
    """Each input that once made an adapter stumble raises ParseError, if anything."""
    hostile.check(find.parent.name, find.read_bytes().decode("utf-8", "replace"))


@pytest.mark.parametrize("name", NAMES)
def test_output_cut_at_any_byte_gives_records_or_a_parse_error(name):
    """Each recorded output, cut at about a hundred bytes, raises ParseError, if anything."""
    for case in cases.discover(name):
        content = case.path.read_bytes()
        for end in range(0, len(content), max(1, len(content) // 100)):
            hostile.check(name, content[:end].decode("utf-8", "replace"))


@pytest.mark.parametrize("name", NAMES)
def test_output_in_the_wrong_encoding_gives_records_or_a_parse_error(name):
    """Output read as Latin-1 or UTF-16, or with lone surrogates in it, raises ParseError, if anything."""
    for case in cases.discover(name):
        content = case.path.read_bytes()
        hostile.check(name, content.decode("latin-1"))
        hostile.check(name, content.decode("utf-16-le", "replace"))
        hostile.check(name, content.decode("ascii", "surrogateescape"))


LAUGHS = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "a billion laughs": f"<!DOCTYPE x [{LAUGHS}]><ROOT>&a9;</ROOT>",
    "a quadratic blow-up": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><ROOT>{"&a;" * 50_000}</ROOT>',
    "an external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ROOT>&e;</ROOT>',
    "a parameter entity": '<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:1/e.dtd"> %e;]><ROOT/>',
    "a default attribute": '<!DOCTYPE x [<!ATTLIST ROOT a CDATA "b">]><ROOT/>',
}


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize("bomb", BOMBS)
def test_xml_that_declares_anything_is_refused(name, bomb):
    """A document that declares entities or anything else is refused by name before anything of it is expanded."""
    text = '<?xml version="1.0"?>\n' + BOMBS[bomb].replace("ROOT", ROOTS[name])
    with pytest.raises(ParseError, match="line 2: document type with an internal subset: expected none"):
        hostile.module_of(name).parse(text)


def test_a_dtd_that_is_only_named_is_not_fetched():
    """A document may name its DTD: nothing is fetched, and an entity that it does not know is nothing."""
    text = (
        '<!DOCTYPE coverage SYSTEM "http://127.0.0.1:1/coverage-04.dtd"><coverage line-rate="0.5">&unknown;</coverage>'
    )
    assert [record.value for record in adapters.find("cobertura").parse(text)] == [0.5]


@pytest.mark.parametrize("name", XML)
def test_xml_that_is_too_deep_is_refused(name):
    """Elements nested a thousand deep are a ParseError."""
    begin, end = f"<{ROOTS[name]} line-rate='1'>", f"</{ROOTS[name]}>"
    with pytest.raises(ParseError, match="nested 100 deep"):
        hostile.module_of(name).parse(begin + "<a>" * 1000 + "</a>" * 1000 + end)


@pytest.mark.slow
def test_xml_with_too_many_elements_is_refused():
    """More elements than the limit are a ParseError."""
    with pytest.raises(ParseError, match="at most 4000000 elements"):
        adapters.find("cppcheck").parse("<results>" + "<a/>" * _xml.MAX_ELEMENTS + "</results>")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*JSON} - {"mypy"}))  # whose JSON is lines of it
def test_json_that_is_too_deep_or_too_large_is_refused(name):
    """JSON nested a hundred thousand deep, or with more lists or commas than the limit, is a ParseError."""
    for bomb in ("[" * 100_000, '{"a":' * 100_000, "[" + "{}," * _json.MAX_CONTAINERS + "1]"):
        with pytest.raises(ParseError, match="nested too deeply|expected at most|expected an? "):
            hostile.module_of(name).parse(bomb)
    with pytest.raises(ParseError, match="expected at most"):
        hostile.module_of(name).parse("[" + "1," * (_json.MAX_COMMAS + 1) + "1]")


def fill(beginning, piece, end=""):
    """``piece`` again and again, the longest text that an adapter reads."""
    return beginning + piece * ((LONGEST - len(beginning) - len(end)) // len(piece)) + end


ENDLESS = {
    "flake8": ["many.py:1:1: ", "a:1", "lib/many.py:123:45: E501 line too long\n"],
    "mypy": [": error: ", "lib/file.py:1: error: A message of usual length  [code]\n"],
    "gcc": ["[-W", "/a-", ": warning: ", ":1", " \n"],
    "teamcity": ["|", "##teamcity[buildStatisticValue key='", " ", "##teamcity[buildStatisticValue"],
    "ninja": ["\t", "1\t2\t3\to\th\n", "9"],
    "time": ["\tCommand being timed: x\n", ": "],
    "junit": ["<", "<testcase/>", "<testsuite a='", "&#10;"],
    "ruff": ["[", "0", '{"code":"E501","filename":"lib/file.py","message":"x"}\n', '"', "\\"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "piece"), [(name, piece) for name, pieces in ENDLESS.items() for piece in pieces])
def test_the_longest_text_is_read_to_its_end(name, piece):
    """4 Mi characters of the piece that a slow parser would be slowest on end well before the test's time limit."""
    try:
        read = adapters.find(name).parse(fill("", piece))
    except ParseError as error:
        read = error  # type: ignore[assignment]  # replaced by the test
    assert isinstance(read, (list, ParseError))


@pytest.mark.slow
def test_blanks_behind_a_document_are_read_once():
    """4 Mi blanks between a JSON document and a line break are looked at once, and not once for each of them."""
    assert adapters.find("ruff").parse(fill("[]", " ", "\n")) == adapters.find("ruff").parse("[]\n")


@pytest.mark.slow
def test_the_longest_outputs_are_read_in_full():
    """Nothing of 4 Mi characters that are well-formed is lost."""
    junit = fill("<testsuite>", "<testcase name='a' time='0.5'/>", "</testsuite>")
    tests, *_, time = adapters.find("junit").parse(junit)
    assert tests.value == junit.count("<testcase") == 2 * time.value
    eslint = fill(
        '[{"filePath":"a.js","messages":[', '{"ruleId":"x","message":"a message of usual length"},', '{"ruleId":"y"}]}]'
    )
    records = adapters.find("eslint").parse(eslint)
    assert [record.value for record in records] == [eslint.count("ruleId"), eslint.count("ruleId") - 1, 1]
    benchmark = fill('{"benchmarks":[{"name":"x","stats":{"median":1,"data":[', "0.0001234567,", "1]}}]}")
    assert [len(record.samples) for record in adapters.find("pytest-benchmark").parse(benchmark)] == [20_000]


HOSTILE_NAMES = ["\0", "", " \t", "a\nb", "\ud800", "x" * 70_000, "\x1b[31mred", "é\u2028", '"q"', "\\", "#", "{}"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_does_not_lose_the_other_records(name):
    """Where a benchmark has a name that no record can have, it gets a legal one, and the others are there too."""
    sibling = {"name": "good", "stats": {"median": 2.0}}
    hyperfine = {"results": [{"command": name, "median": 1.0}, {"command": "good", "median": 2.0}]}
    google = [{"name": one, "real_time": 1, "cpu_time": 1, name: 5, "time_unit": "s"} for one in (name, "good")]
    custom = {
        "entries": {name: [{"benches": [{"name": name, "value": 1, "unit": name}, {"name": "good", "value": 2}]}]}
    }
    for adapter, document, count in (
        ("pytest-benchmark", {"benchmarks": [{"fullname": name, "name": name, "stats": {"median": 1.0}}, sibling]}, 2),
        ("hyperfine", hyperfine, 2),
        ("google-benchmark", {"benchmarks": google}, 6),
        ("github-action-benchmark", custom, 2),
    ):
        records = adapters.find(adapter).parse(json.dumps(document))
        assert len({record.name for record in records}) == len(records) == count
        assert "good" in {record.name for record in records}
        assert max(len(record.name) for record in records) <= 1000


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_file_or_category_does_not_lose_the_other_issues(name):
    """Where a linter names files and rules that no tag can hold, each issue is still counted, by file and category."""
    messages = [{"ruleId": name, "severity": 2}, {"ruleId": "good", "severity": 1}]
    document = [{"filePath": name, "messages": messages}, {"filePath": "good.js", "messages": messages[1:]}]
    records = adapters.find("eslint").records(json.dumps(document), by_file=True)
    assert records[0].value == 3
    for series in ("eslint_by_category", "eslint_by_file"):
        assert sum(record.value for record in records if record.name == series) == 3
    assert {"good", "good.js"} <= {tag for record in records for tag in record.tags.values()}


def test_names_that_are_cut_stay_different():
    """Two names that differ behind what a name may have are two series, and the same name is always cut alike."""
    long = "x" * 5000
    document = {"results": [{"command": long + end, "median": 1.0} for end in ("a", "b", "a")]}
    names = [record.name for record in adapters.find("hyperfine").parse(json.dumps(document))]
    assert len(names) == len(set(names)) == 2
    assert all(name.startswith("xxx") and "…" in name for name in names)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_value_that_is_not_finite_loses_itself_alone(value):
    """A time that is NaN or beyond all numbers is left out, and the others are there."""
    text = '{"results": [{"command": "bad", "median": %s}, {"command": "good", "median": 2.0, "times": [%s, 2, 3]}]}'
    (good,) = adapters.find("hyperfine").parse(text % (value, value))
    assert (good.name, good.value, good.samples) == ("good", 2.0, (2.0, 3.0))
    with pytest.raises(ParseError, match="median: expected a number, got nothing"):
        adapters.find("hyperfine").parse('{"results": [{"command": "bad", "median": null}]}')
