"""Outputs with other options, of other versions, and within other text."""

from __future__ import annotations

import json

import pytest

from bbmeasure import adapters
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError


def issues(name, text):
    """The issues of a linter's output."""
    return adapters.find(name).issues(text)


def values(name, text):
    """The values of the records by name, or by tag if there is one."""
    found = {}
    for record in adapters.find(name).parse(text):
        found[(record.name, *record.tags.values()) if record.tags else record.name] = record.value
    return found


def refusal(name, text):
    """The message of the ParseError of an output."""
    with pytest.raises(ParseError) as caught:
        adapters.find(name).parse(text)
    return str(caught.value)


def test_lines_around_json_are_ignored():
    """Lines before and after a JSON document are ignored; a second document is an error."""
    around = "\n> project@1.0.0 lint\n> eslint -f json .\n\n[INFO] linting\n%s\nnpm notice done\n"
    assert issues("eslint", around % '[{"filePath":"a.js","messages":[{"ruleId":"x"}]}]') == [
        Issue("x", "a.js", 0, "warning")
    ]
    assert "line 1: expected JSON (extra data after the document" in refusal("ruff", "[]\n[]\n")
    assert "line 3: expected JSON (extra data after the document" in refusal("ruff", "\n\n[] trailing")
    assert "expected JSON" in refusal("eslint", around % "")


def test_text_around_xml_is_ignored():
    """Lines before, within and after an XML document are ignored; a second document is an error."""
    document = "<?xml version='1.0'?>\n<results>\nChecking b.c\n<errors><error severity='style'/></errors></results>\n"
    assert len(issues("cppcheck", f"Checking a.c\n{document}1/2 files < checked & done\n")) == 1
    assert "line 5: expected XML" in refusal("cppcheck", document + document)
    assert "line 2: element 'html': expected results" in refusal("cppcheck", "x\n<html></html>")
    assert "line 4: expected XML (mismatched tag" in refusal("cppcheck", "a\nb\n<results>\n</errors>")


def test_a_declared_encoding_does_not_matter():
    """The encoding in an XML declaration is ignored, as the text is decoded."""
    text = (
        "<?xml version='1.0' encoding='UTF-16'?><checkstyle><file name='é'><error severity='info'/></file></checkstyle>"
    )
    assert issues("checkstyle", text) == [Issue("info", "é", 0, "info")]


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_diagnostics_of_compilers_in_a_log(name):
    """Diagnostics of gcc, clang and clang-tidy are recognized among other lines."""
    log = """\
make[1]: warning: jobserver unavailable: using -j1.
gcc -DX='": warning: "' -c a.c
CMake Warning at CMakeLists.txt:3 (message):
a.c: In function 'f':
a.c:1:2: warning: plain
a.c:2:2: warning: with option [-Wunused-variable]
a.c:2:2: warning: with option [-Wunused-variable]
a.c:3: error: no column [-Werror=format=]
a.c:4:1: error: clang's way [-Werror,-Wformat]
a.c:5:1: fatal error: missing.h: No such file or directory
a.c:6:1: warning: clang-tidy [bugprone-branch-clone,-warnings-as-errors]
a.c:7:1: warning: array subscript out of a[3]
a.c:8:1: note: not counted
C:\\src\\a.c:9:1: warning: on Windows [-Wall]
cc1plus: warning: command-line option is valid for C [-Wstrict-prototypes]
/usr/bin/x86_64-linux-gnu-ld: warning: a.o: missing .note.GNU-stack section
/usr/bin/ld: a.c:10: warning: the use of `tmpnam' is dangerous
ld.lld: error: undefined symbol: f
\x1b[01m\x1b[Ka.c:11:1:\x1b[m\x1b[K \x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[Kred [\x1b[1m-Wpedantic\x1b[m]\r
    12 |   x: warning: source of the line above
"""
    assert [(issue.category, issue.file, issue.line, issue.severity) for issue in issues(name, log)] == [
        ("warning", "a.c", 1, "warning"),
        ("unused-variable", "a.c", 2, "warning"),
        ("format", "a.c", 3, "error"),
        ("format", "a.c", 4, "error"),
        ("error", "a.c", 5, "fatal error"),
        ("bugprone-branch-clone", "a.c", 6, "warning"),
        ("warning", "a.c", 7, "warning"),
        ("all", "C:\\src\\a.c", 9, "warning"),
        ("strict-prototypes", "", 0, "warning"),
        ("warning", "", 0, "warning"),
        ("warning", "a.c", 10, "warning"),
        ("error", "", 0, "error"),
        ("pedantic", "a.c", 11, "warning"),
    ]


def test_flake8_in_its_other_formats():
    """The format ``pylint``, codes of plugins, files with colons and the bare count are parsed."""
    assert issues("flake8", "a.py:3: [E501] line too long\n") == [Issue("E", "a.py", 3, "E")]
    assert issues("flake8", "C:\\a.py:1:2: PLR0913 too many\n./b:c.py:4:1: D100 Missing\n") == [
        Issue("PLR", "C:\\a.py", 1, "PLR"),
        Issue("D", "./b:c.py", 4, "D"),
    ]
    assert issues("flake8", "0\n") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "Traceback (most recent call last):\n  File x\n",
            "line 1: 'Traceback (most recent call last):': Flake8 itself",
        ),
        ("a.py:1:1: E1 x\nThere was a critical error during execution of Flake8:\nplugin\n", "line 2: "),
        ("a.py\nb.py\n", "line 2: 'b.py': expected file:line:column: CODE message"),
        ("a.py:1:1: E501 line too long\nb.py:1:1: E5", "line 2: 'b.py:1:1: E5': expected file:line:column"),
    ],
)
def test_flake8_failures(text, why):
    """A crash, a list of files, and a truncated line are ParseErrors."""
    assert why in refusal("flake8", text)


def test_mypy_in_its_other_formats():
    """Columns, ends, hidden codes and files without a line are parsed; notes are not counted."""
    text = """\
a.py:1:2: error: With a column  [arg-type]
a.py:2:3:2:9: error: With an end  [index]
a.py:3: error: Without a code
a.py:3: note: See the documentation: error: not counted
a.py: error: Source file found twice under different module names: "a" and "b"
C:\\a.py:4: error: On Windows [misc]
Found 5 errors in 2 files (checked 3 source files)
"""
    assert [(issue.category, issue.file, issue.line) for issue in issues("mypy", text)] == [
        ("arg-type", "a.py", 1),
        ("index", "a.py", 2),
        ("error", "a.py", 3),
        ("error", "a.py", 0),
        ("misc", "C:\\a.py", 4),
    ]
    note = '{"file": "a.py", "line": 1, "severity": "note", "code": null, "message": "m"}\n'
    assert issues("mypy", note + note.replace("note", "error")) == [Issue("error", "a.py", 1, "error")]
    assert "line 2: expected a JSON object" in refusal("mypy", note + "Traceback\n")
    assert "line 1: 'usage: mypy': expected file:line: error: message" in refusal("mypy", "usage: mypy\n")


def test_pylint_in_its_older_format():
    """The list of ``-f json`` is parsed like json2; an object without messages is an error."""
    text = '[{"type": "warning", "path": "a.py", "line": 3, "symbol": "x", "message-id": "W1"}]'
    assert issues("pylint", text) == [Issue("warning", "a.py", 3, "warning")]
    assert "messages: expected a list, got nothing" in refusal("pylint", '{"statistics": {}}')


def test_ruff_names_a_syntax_error_of_older_versions():
    """A diagnostic without a code is a syntax error; a rule without a number is a category."""
    diagnostics = [{"code": None}, {"code": "SyntaxError"}, {"code": "PLR0913", "location": {"row": 3}}]
    found = issues("ruff", json.dumps([{**one, "filename": "a.py"} for one in diagnostics]))
    assert [issue.category for issue in found] == ["invalid-syntax", "SyntaxError", "PLR"]
    assert found[2].line == 3


def test_eslint_messages_without_a_rule():
    """A message without a rule is fatal for a file that cannot be parsed, and no-rule for an ignored one."""
    messages = [{"ruleId": None, "fatal": True, "severity": 2}, {"message": "File ignored", "severity": 1}]
    assert [issue.category for issue in issues("eslint", json.dumps([{"filePath": "a.js", "messages": messages}]))] == [
        "fatal",
        "no-rule",
    ]


def test_cppcheck_messages_about_the_run():
    """Messages about the run are not counted; the position of an issue is its first location."""
    text = """<?xml version="1.0"?><results version="2"><errors>
<error id="checkersReport" severity="information"><location file="x.c" line="1"/></error>
<error id="a" severity="none"/>
<error id="nullPointer" severity="error"><location file="a.c" line="7"/><location file="b.c" line="9"/></error>
</errors></results>"""
    assert issues("cppcheck", text) == [Issue("error", "a.c", 7, "error")]


def sarif(*runs):
    """A SARIF document."""
    return json.dumps({"version": "2.1.0", "runs": runs})


def test_sarif_counts_unsuppressed_failures():
    """Passed, suppressed and absent results are not counted; the level defaults to that of the rule."""
    rules = [{"id": "R1", "defaultConfiguration": {"level": "error"}}, {"id": "R2"}]
    results = [
        {"ruleId": "R1"},
        {"ruleId": "R2"},
        {"rule": {"id": "R1"}},
        {"ruleId": "R1", "level": "note"},
        {"ruleId": "R1", "kind": "pass"},
        {"ruleId": "R1", "baselineState": "absent"},
        {"ruleId": "R1", "suppressions": [{"kind": "inSource"}]},
        {"ruleId": "R2", "suppressions": [{"kind": "external", "status": "rejected"}]},
        {"level": "error", "locations": [{}]},
    ]
    runs = [{"tool": {"driver": {"rules": rules}}, "results": results}, {"results": None}]
    assert [issue.category for issue in issues("sarif", sarif(*runs))] == ["error", "warning"] + [
        "error",
        "note",
        "warning",
        "error",
    ]


def test_sarif_rules_of_extensions():
    """A result without a level has that of its rule, also of an extension."""
    extension = {"rules": [{"id": "P1", "defaultConfiguration": {"level": "error"}}, {"id": "R1"}]}
    driver = {"rules": [{"id": "R1", "defaultConfiguration": {"level": "note"}}]}
    run = {"tool": {"driver": driver, "extensions": [extension]}, "results": [{"ruleId": "P1"}, {"ruleId": "R1"}]}
    assert [issue.category for issue in issues("sarif", sarif(run))] == ["error", "note"]


def test_sarif_of_a_failed_run():
    """A failed run without results and notifications is a ParseError."""
    run = {"results": [], "invocations": [{"executionSuccessful": False}]}
    assert "executionSuccessful is false" in refusal("sarif", sarif(run))
    assert issues("sarif", sarif({**run, "results": [{"level": "note"}]})) == [Issue("note", "", 0, "note")]
    assert "runs: expected a list, got nothing" in refusal("sarif", '{"version": "2.1.0"}')


def test_google_benchmark_repetitions():
    """Repetitions are samples; aggregates, skipped and failed runs are left out."""
    runs = [
        {"name": "b", "run_name": "b", "run_type": "iteration", "real_time": time, "cpu_time": 1, "time_unit": "us"}
        for time in (3, 1, 2)
    ]
    runs.append({**runs[0], "name": "b_median", "run_type": "aggregate", "aggregate_name": "median", "real_time": 9})
    runs.append({**runs[0], "run_name": "c", "skipped": True})
    runs.append({"name": "old", "real_time": 5, "cpu_time": 4, "max_bytes_used": 7.0})
    records = {
        record.name: record for record in adapters.find("google-benchmark").parse(json.dumps({"benchmarks": runs}))
    }
    assert list(records) == ["b", "b_cpu", "old", "old_cpu", "old_max_bytes_used"]
    assert records["b"].value == 2e-6
    assert records["b"].samples == (3e-6, 1e-6, 2e-6)
    assert (records["old"].value, records["old_max_bytes_used"].unit) == (5e-9, "bytes")
    runs[1]["time_unit"] = "ms"
    assert set(values("google-benchmark", json.dumps({"benchmarks": runs}))) == {"old", "old_cpu", "old_max_bytes_used"}
    assert "time_unit 'us': expected one of ns, us, ms, s" in refusal(
        "google-benchmark", json.dumps({"benchmarks": runs[:3]})
    )


def test_google_benchmark_aggregates_of_older_versions():
    """Aggregates without a mark are known by the name of their benchmark."""
    names = ("b", "b", "b_mean", "b_stddev", "c_mean")
    runs = [{"name": name, "real_time": at, "cpu_time": at} for at, name in enumerate(names, 1)]
    runs += [{"name": "d_BigO", "cpu_coefficient": 1, "big_o": "N"}, {"name": "d_RMS", "rms": 1}]
    found = values("google-benchmark", json.dumps({"benchmarks": runs}))
    assert found == {"b": 1.5e-9, "b_cpu": 1.5e-9, "c_mean": 5e-9, "c_mean_cpu": 5e-9}


def test_hyperfine_reports_the_largest_memory_of_newer_versions():
    """``memory_usage_byte`` of hyperfine 1.19 and newer is the largest memory of a run."""
    result = {"command": "x", "median": 2.0, "times": None, "memory_usage_byte": [100, 300, 200], "user": None}
    assert values("hyperfine", json.dumps({"results": [result]})) == {"x": 2.0, "x_max_rss": 300}


def test_more_samples_than_a_record_may_have_are_thinned_evenly():
    """Of 50,000 rounds 20,000 evenly spaced ones are samples; the median is that of all."""
    stats = {"median": 7.0, "data": list(range(50_000))}
    (record,) = adapters.find("pytest-benchmark").parse(json.dumps({"benchmarks": [{"name": "x", "stats": stats}]}))
    assert record.value == 7.0
    assert len(record.samples) == 20_000
    assert record.samples[:3] == (0, 2, 5)
    assert record.samples[-1] == 49_997


def test_junit_without_test_cases_is_read_from_its_suites():
    """Without test cases the counts of the outermost suites are summed."""
    text = """<testsuites tests="9"><testsuite tests="3" failures="1" errors="x" skipped="-1" time="1,002.5">
<testsuite tests="3" failures="1" time="9"/></testsuite><testsuite tests="2" time=""/></testsuites>"""
    assert values("junit", text) == {
        "junit_tests": 5,
        "junit_failures": 1,
        "junit_errors": 0,
        "junit_skipped": 0,
        "junit_time": 1002.5,
    }


def test_junit_counts_a_test_case_once():
    """A test case with a failure and an error counts once, as an error."""
    text = "<p:testsuite xmlns:p='u'><p:testcase time='0.5'><p:failure/><error/></p:testcase></p:testsuite>"
    found = values("junit", text)
    assert (found["junit_tests"], found["junit_failures"], found["junit_errors"]) == (1, 0, 1)


def test_cobertura_with_only_rates():
    """Without counts the rates are used; without a rate it is a ParseError."""
    assert values("cobertura", '<coverage line-rate="0.5" branch-rate="0.25"/>') == {
        "coverage_lines": 0.5,
        "coverage_branches": 0.25,
    }
    assert "expected an attribute line-rate" in refusal("cobertura", "<coverage/>")
    assert "'much': expected one number" in refusal("cobertura", '<coverage line-rate="much"/>')


def test_time_reports_in_a_log():
    """Reports of several commands in one log are tagged with the command."""
    report = (
        'noise\n\tCommand being timed: "%s"\n\x1b[1m\tElapsed (wall clock) time (h:mm:ss or m:ss): %s\x1b[0m\n'
        "\tMaximum resident set size (kbytes): 2\n\tFile system inputs: 3\n\tnothing: else\n\tExit status: 0\n"
    )
    assert values("time", report % ("make", "1:02:03")) == {
        "time_wall": 3723,
        "time_max_rss": 2048,
        "time_read": 1536,
    }
    both = values("time", report % ("make", "0:01.50") + report % ("make test", "2:00.00"))
    assert (both["time_wall", "make"], both["time_wall", "make test"]) == (1.5, 120)
    assert "line 3: 'soon': expected one number" in refusal("time", report % ("make", "soon"))
    assert "expected a line 'Command being timed:'" in refusal("time", "real 0m1.0s\n")


def test_ninja_uses_the_last_build():
    """The last build of a log counts, with each command once."""
    log = (
        "# ninja log v6\n0\t900\t1\told.o\taa\n0\t10\t1\ta.o\taa\n5\t30\t1\tlib/core.so.1.2\tbb\n"
        "5\t30\t1\tcore.lib\tbb\n# a comment\n10\t30\t0\tgen/.stamp\tcc\n20\t40\t1\tmakefile\tdd\n"
    )
    assert values("ninja", log) == {
        "ninja_wall": 0.04,
        "ninja_work": 0.075,
        "ninja_longest": 0.025,
        "ninja_steps": 4,
        ("ninja_work_by_type", "so"): 0.025,
        ("ninja_work_by_type", "none"): 0.02,
        ("ninja_work_by_type", "stamp"): 0.02,
        ("ninja_work_by_type", "o"): 0.01,
    }
    assert "line 1: 'ninja: no work to do.': expected # ninja log v5" in refusal("ninja", "ninja: no work to do.\n")
    assert "a step from 5 to 1 ms: expected 0 or later, in order" in refusal("ninja", "# ninja log v5\n5\t1\t1\ta\tb\n")
    assert "a step from -5 to 1 ms: expected 0 or later" in refusal("ninja", "# ninja log v5\n-5\t1\t1\ta\tb\n")
    undated = "# ninja log v5\n0\t10\t0\ta\th\n5\t20\t1700000000020000000\tb\ti\n"
    assert values("ninja", undated)["ninja_steps"] == 2
    assert "line 2: 'x': expected one number" in refusal("ninja", "# ninja log v5\nx\t1\t1\ta\tb\n")
    many = "# ninja log v7\n" + "".join(f"{n}\t{n + 2}\t1\ta.type{n}\th{n}\n" for n in range(300))
    by_type = [record for record in adapters.find("ninja").parse(many) if record.tags]
    assert len(by_type) == 200
    assert by_type[-1].tags == {"type": "other"}
    assert sum(record.value for record in by_type) == pytest.approx(0.6)


def test_teamcity_messages_in_a_log():
    """The last value of a key counts, escapes are decoded, and invalid messages are ignored."""
    log = """\
+ echo '##teamcity[buildStatisticValue key='\\''x'\\'' value='\\''1'\\'']'
12:00 ##teamcity[buildStatisticValue key='size' value='1']##teamcity[buildStatisticValue key='b' value='-2.5e3']
##teamcity[buildStatisticValue value='7' flowId='|'|[|]' key = 'it|'s |[|0x00e9|] |n|||x|p.' ]
##teamcity[buildStatisticValue key='size' value='2']
##teamcity[buildStatisticValue key='odd' value='many']
##teamcity[testStarted name='##teamcity[']
"""
    assert values("teamcity", log) == {"size": 2, "b": -2500, "it's [é]  |\ufffd .": 7}
    assert "line 2: " in refusal("teamcity", "\n##teamcity[buildStatisticValue key='odd' value='many']\n")
    assert adapters.find("teamcity").parse("nothing of it\n") == []


@pytest.mark.parametrize(
    ("unit", "shown", "factor", "better"),
    [
        ("ms", "s", 1e-3, "lower"),
        ("NS/Iter", "s", 1e-9, "lower"),
        ("ns/op", "s", 1e-9, "lower"),
        ("B/op", "bytes", 1, None),
        ("MB/s", "bytes/s", 1e6, "higher"),
        ("ops/sec", "1/s", 1, "higher"),
        ("MBps", "bytes/s", 1e6, "higher"),
        ("Mbps", "bytes/s", 125_000, "higher"),
        ("req/ms", "{req/ms}", 1, "higher"),
        ("errors/s", "{errors}/s", 1, None),
        ("kilobytes", "bytes", 1000, None),
        ("%", "1", 0.01, None),
        ("", "1", 1, None),
        ("allocs/op", "{allocs/op}", 1, None),
        ("two words", "{two_words}", 1, None),
        ("\x00", "1", 1, None),
    ],
)
def test_units_of_custom_benchmarks(unit, shown, factor, better):
    """Units of custom benchmarks are converted, or become custom units, with their usual direction."""
    text = json.dumps([{"name": "x", "value": "3", "unit": unit}])
    (record,) = adapters.find("github-action-benchmark").parse(text)
    assert (record.unit, record.better.word) == (shown, better)
    assert record.value == pytest.approx(3 * factor)
