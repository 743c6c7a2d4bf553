"""The program ``sloc``: installed tools and the bundled counter."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig

import pytest

from bbmeasure.errors import ParseError
from bbmeasure_scripts import sloc, sloc_tools
from tests.unit.scripts import programs

pytestmark = pytest.mark.slow

#: What the tools print for the folder of the fixture ``project``; JSON is shortened to what it has for a language.
PRINTED = {
    "scc": (  # 4.1.0
        (
            '[{"Name":"C","Bytes":44,"CodeBytes":0,"Lines":4,"Code":3,"Comment":1,"Blank":0,"Complexity":0,"Count":1,'
            '"WeightedComplexity":0,"Files":[],"LineLength":null,"ULOC":0},{"Name":"Python","Bytes":93,"CodeBytes":0,'
            '"Lines":11,"Code":5,"Comment":3,"Blank":3,"Complexity":0,"Count":1,"WeightedComplexity":0,"Files":[],'
            '"LineLength":null,"ULOC":0},{"Name":"Shell","Bytes":22,"CodeBytes":0,"Lines":3,"Code":1,"Comment":2,"Blank":0,'
            '"Complexity":0,"Count":1,"WeightedComplexity":0,"Files":[],"LineLength":null,"ULOC":0}]'
        ),
        {"C": 3, "Python": 5, "Shell": 1},
    ),
    "tokei": (  # by its documentation, as of 12.1
        (
            '{"C":{"blanks":0,"children":{},"code":3,"comments":1,"inaccurate":false,"reports":[]},"Python":{"blanks":3,'
            '"children":{},"code":7,"comments":1,"inaccurate":false,"reports":[]},"Total":{"blanks":3,"children":{},'
            '"code":10,"comments":2,"inaccurate":false,"reports":[]}}'
        ),
        {"C": 3, "Python": 7},
    ),
    "pygount": (  # 3.2.0
        (
            '\n{"formatVersion": "1.1.0", "pygountVersion": "3.2.0", "files": [], "languages": [{'
            '"documentationCount": 3,'
            '"codeCount": 3, "emptyCount": 3, "fileCount": 1, "isPseudoLanguage": false, "language": "Python",'
            '"sourceCount": 5, "stringCount": 2}, {"documentationCount": 0, "codeCount": 0, "emptyCount": 0,'
            '"fileCount": 1, "isPseudoLanguage": true, "language": "__binary__", "sourceCount": 0, "stringCount": 0}],'
            '"summary": {"totalCodeCount": 3}}'
        ),
        {"Python": 5},
    ),
}
PYTOKEI = """
__version__ = "1.0.1"

class Config:
    pass

class Languages:
    def get_statistics(self, paths, ignored, config):
        assert isinstance(config, Config)
        self.found = (paths, ignored)
    def report_compact_plain(self):
        return {"Python": {"code": 7, "lines": 11, "comments": 1, "blanks": 3, "files": 1}, "Empty": {"code": 0}}
"""


@pytest.fixture
def project(tmp_path):
    """A folder with sources in three languages."""
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text(
        '"""Doc."""\n\nx = 1  # one\n# c\n\n\ndef f():\n    """D."""\n    return """\n  t\n  """\n'
    )
    (folder / "sub" / "m.c").write_text("/* c */\nint main(void) {\n  return 0; // x\n}\n")
    (folder / "sub" / "run.sh").write_text("#!/bin/sh\n# c\necho hi\n")
    return folder


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """The only folder of PATH, for fake tools."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder, name, printed, status=0):
    """Create a fake tool that prints a recorded output."""
    (folder / f"{name}.out").write_text(printed)
    program = folder / name
    program.write_text(
        f"#!{sys.executable} -S\nimport sys\n"
        f"if sys.argv[1:] == ['--version']: print('{name} version 1.2.3'); sys.exit()\n"
        f"open({str(folder / name)!r} + '.args', 'w').write(repr(sys.argv[1:]))\n"
        f"sys.stdout.write(open({str(folder / name)!r} + '.out').read()); sys.exit({status})\n"
    )
    program.chmod(0o755)


def run(*arguments, folder, path=None, **more):
    """Run the program; with a PATH, only its tools are installed."""
    if path is None:
        return programs.program("sloc", *arguments, folder=folder, **more)
    return programs.execute(
        [sys.executable, "-S", "-m", "bbmeasure_scripts.sloc", *arguments], folder, PATH=str(path), **more
    )


def languages(done):
    """Lines by language."""
    return {one.tags["language"]: one.value for one in done.all if one.name.endswith("_by_language")}


def test_the_bundled_counter_counts_where_there_is_no_tool(project, tools):
    """Total, tool and languages are reported; the summary has the definition."""
    done = run("--name", "lines", ".", folder=project, path=tools)
    assert done.status == 0
    assert {name: one.value for name, one in done.records.items() if not one.tags} == {
        "lines": 9.0,
        "lines_tool": "builtin",
    }
    assert languages(done) == {"Python": 5.0, "C": 3.0, "Shell": 1.0}
    assert done.records["lines"].kind.value == "count"
    assert done.stdout.startswith("lines: 9 lines of source, by builtin 2 (neither blank nor comment; docstrings")


@pytest.mark.parametrize("tool", sorted(PRINTED))
def test_a_tool_that_the_worker_has_counts(tool, project, tools):
    """auto and --tool run an installed tool; the summary has its name and version."""
    printed, expected = PRINTED[tool]
    put(tools, tool, printed)
    for choice in ("auto", tool):
        done = run("--tool", choice, "a.py", "sub", folder=project, path=tools)
        assert languages(done) == expected, done.stderr
        assert done.records["sloc"].value == sum(expected.values())
        assert done.records["sloc_tool"].value == tool
        assert f"by {tool} 1.2.3 (" in done.stdout
    arguments = (tools / f"{tool}.args").read_text()
    assert repr(str(project / "a.py")) in arguments


def test_pytokei_counts_where_python_has_it(project, tools, tmp_path):
    """pytokei is imported; languages without code are left out."""
    (tmp_path / "pytokei.py").write_text(PYTOKEI)
    path = os.pathsep.join([programs.environment()["PYTHONPATH"], str(tmp_path)])
    done = run("--exclude=sub", ".", folder=project, path=tools, PYTHONPATH=path)
    assert (languages(done), done.records["sloc_tool"].value) == ({"Python": 7.0}, "pytokei")
    assert "by pytokei 1.0.1" in done.stdout


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("cloc", {"Python": 3, "C": 3, "Bourne Shell": 2}),
        ("sloccount", {"python": 5, "ansic": 3, "sh": 1}),
        ("pytokei", {"Python": 7, "C": 3, "Shell": 1}),
    ],
)
def test_an_installed_tool_counts(tool, expected, project):
    """The installed cloc, sloccount and pytokei."""
    done = run("--tool", tool, ".", folder=project)
    assert languages(done) == expected, done.stderr
    assert done.records["sloc_tool"].value == tool


def test_cloc_leaves_out_what_is_excluded(project):
    """cloc supports the exclude patterns of the bundled counter."""
    done = run("--tool", "cloc", "--exclude=*.sh", "--exclude=a.py", ".", folder=project)
    assert languages(done) == {"C": 3.0}, done.stderr
    assert languages(run("--tool", "builtin", "--exclude=sub", ".", folder=project)) == {"Python": 5.0}


@pytest.mark.parametrize("pattern", ["sub", "sub/", "*.py", "[am]*", "sub/*.c", "/sub/m.c", "{a,m}.*", "!a.py", "x"])
@pytest.mark.parametrize("tool", ["cloc", "pytokei"])
def test_a_pattern_means_the_same_to_every_tool_that_takes_it(tool, pattern, project):
    """A tool excludes the same files as the bundled counter, or refuses the pattern."""
    expected = sloc.count([str(project)], [pattern], "builtin").lines
    done = run(f"--tool={tool}", f"--exclude={pattern}", ".", folder=project)
    if done.status == 2:
        assert tool == "pytokei"
        assert set(pattern) & set("/{!")
        assert "does not support it" in done.stderr
    else:
        assert {name.replace("Bourne ", "") for name in languages(done)} == set(expected), done.stderr


def test_auto_takes_a_tool_that_can_exclude(project):
    """auto runs the first tool that supports the exclude patterns."""
    done = run("--exclude=sub/m.c", ".", folder=project)
    assert (done.records["sloc_tool"].value, languages(done)) == ("cloc", {"Python": 3.0, "Bourne Shell": 2.0})
    assert run("--exclude=m.c", ".", folder=project).records["sloc_tool"].value == "pytokei"


def test_the_python_figure_is_sloccounts(tmp_path):
    """The bundled counter differs by at most 1 % from sloccount for Python."""
    root = sysconfig.get_path("stdlib")
    for package in ("asyncio", "email", "json", "unittest"):
        shutil.copytree(
            os.path.join(root, package), tmp_path / "lib" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    ours = sloc.count([str(tmp_path / "lib")], tool="builtin").lines["Python"]
    theirs = sloc.count([str(tmp_path / "lib")], tool="sloccount").lines["python"]
    assert abs(ours - theirs) <= theirs / 100


def test_a_series_keeps_its_tool(project, tools):
    """--keep has precedence over the order of auto, also for the bundled counter."""
    put(tools, "scc", PRINTED["scc"][0])
    put(tools, "pygount", PRINTED["pygount"][0])
    assert run(".", folder=project, path=tools).records["sloc_tool"].value == "scc"
    assert run("--keep=pygount", ".", folder=project, path=tools).records["sloc_tool"].value == "pygount"
    done = run("--keep=builtin", ".", folder=project, path=tools)
    assert (done.records["sloc_tool"].value, done.stderr) == ("builtin", "")


def test_a_previous_tool_that_is_not_available(project, tools):
    """If the previous tool is not available another counts, with a message."""
    done = run("--keep=tokei", ".", folder=project, path=tools)
    assert (done.status, done.records["sloc_tool"].value) == (0, "builtin")
    assert "tokei, the previous tool, is not available; builtin may count differently" in done.stderr
    assert "unknown tool, ignored" in run("--keep=abacus", ".", folder=project, path=tools).stderr


BROKEN = [
    ("", 3, "exit status 3"),
    ("[{]", 0, "expected JSON"),
    ('[{"Name": "C"}]', 0, "expected lines by language"),
    ('{"a": 1}', 0, "expected lines by language"),
    ("[" * 100_000, 0, "expected JSON"),
    ("3", 0, "expected lines by language"),
    ('[{"Name": "C", "Code": Infinity}]', 0, "expected lines by language"),
    ('[{"Name": "C", "Code": -1}]', 0, "expected lines by language"),
    ('[{"Name": "C\\u0000", "Code": 1}]', 0, "expected lines by language"),
    ('[{"Name": 7, "Code": 1}]', 0, "expected lines by language"),
]


@pytest.mark.parametrize(("printed", "status", "said"), BROKEN)
def test_a_tool_that_fails(printed, status, said, project, tools):
    """A tool that fails is an error message; auto tries the next one, --tool fails."""
    put(tools, "scc", printed, status)
    done = run(".", folder=project, path=tools)
    assert (done.status, done.records["sloc_tool"].value) == (0, "builtin")
    assert said in done.stderr
    done = run("--tool=scc", ".", folder=project, path=tools)
    assert (done.status, done.all) == (1, [])
    assert said in done.stderr


def test_a_tool_with_endless_output(project, tools, monkeypatch):
    """A tool with endless output is killed."""
    monkeypatch.setattr(sloc_tools, "LARGEST_OUTPUT", 1_000_000)
    endless = tools / "scc"
    endless.write_text(f"#!{sys.executable} -S\nimport sys\nwhile True: sys.stdout.write('x' * 10000)\n")
    endless.chmod(0o755)
    with pytest.raises(ParseError, match="expected a smaller output"):
        sloc_tools.run("scc", [str(project)])


def test_a_tool_that_cannot_be_executed(project, tools):
    """A tool that cannot be executed is a ParseError."""
    (tools / "scc").write_text("no program")
    (tools / "scc").chmod(0o755)
    with pytest.raises(ParseError, match="cannot be run"):
        sloc_tools.run("scc", [str(project)])


def test_sloccount_that_finds_nothing_counts_nothing(tmp_path):
    """Exit status 1 of sloccount for an empty folder is not an error."""
    assert sloc_tools.run("sloccount", [str(tmp_path)]).lines == {}


def test_sloccount_without_totals_is_refused(tools, project):
    """Another output than that of sloccount is a ParseError."""
    put(tools, "sloccount", "something else")
    with pytest.raises(ParseError, match="expected totals by language"):
        sloc_tools.run("sloccount", [str(project)])


@pytest.mark.parametrize("path", ["nothing", "empty", "*.java"])
def test_nothing_found_is_a_failure(path, project, tools):
    """Without source code the exit status is 1, with a message."""
    (project / "empty").mkdir()
    done = run(path, folder=project, path=tools)
    assert (done.status, done.all) == (1, [])
    assert f"no source code found in {path}" in done.stderr


def test_a_missing_path_is_noted(project, tools):
    """A missing path is noted."""
    done = run(".", "gone", "*.gone", folder=project, path=tools)
    assert done.status == 0
    assert "bbmeasure-sloc: not found: 2, such as gone\n" in done.stderr


def test_a_tool_that_is_not_there_is_a_failure(project, tools):
    """--tool with a tool that is not installed is exit status 1."""
    done = run("--tool=cloc", ".", folder=project, path=tools)
    assert (done.status, done.all) == (1, [])
    assert "cloc is not installed on this worker" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--tool=abacus", "."],
        ["--name=", "."],
        ["--name=" + "x" * 999, "."],
        ["--exclude=--", "."],
        ["--tool=scc", "--exclude=a", "."],
    ],
)
def test_an_invalid_command_line_is_status_2(arguments, project):
    """An invalid command line, or an unsupported exclude pattern, is exit status 2."""
    assert run(*arguments, folder=project).status == 2


def test_many_languages_are_reported_together(tools):
    """The smallest of hundreds of languages are summed up."""
    found = sloc_tools.Counted({f"language {number}": number for number in range(1, 301)}, "scc", "1")
    records = sloc.records("x", found)
    by_language = {record.tags["language"]: record.value for record in records if record.tags}
    assert len(by_language) == sloc.MAX_LANGUAGES
    assert by_language["others"] == sum(range(1, 301 - sloc.MAX_LANGUAGES + 1))
    assert sum(by_language.values()) == records[0].value == sum(range(1, 301))


def test_files_left_out_are_noted(project, tools):
    """Binary files are noted on stderr."""
    (project / "b.c").write_bytes(b"\0")
    assert "binary: 1, such as ./b.c" in run(".", folder=project, path=tools).stderr


def test_the_recorded_outputs_are_json():
    """The recorded outputs of the tools are valid JSON."""
    assert all(json.loads(printed) for printed, _ in PRINTED.values())
