"""The comparison with a folder of cases, which ``BBMEASURE_CASES`` names, and with one made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import compare_cases

CASES = {
    "issues.txt": ("a.c:1:2: warning: x [-Wx]\n", "the adapter gcc", "gcc = 1, gcc_by_category{category=x} = 1"),
    "wrong.json": ('{"error": 1}', "the adapter ruff", "refused (with the reason)"),
    "either.txt": ("a.c:1:2: error: x\n", "the adapter clang", "clang = 2 (1 where a summary is not counted)"),
    "no_time.xml": ('<testsuite><testcase time="x"/></testsuite>', "the adapter junit", ("junit_tests = 1, and "
                    "junit_time = 3 or no junit_time at all")),
    "rate.json": ('[{"name": "n", "value": 1, "unit": "MB/s"}]', "the adapter github-action-benchmark",
                  "n better = higher"),
    "failed.json": ('{"results": [{"command": "n", "median": 1, "times": [1], "exit_codes": [1]}]}',
                    "the adapter hyperfine", "n = none"),
    "lines.py": ("# a\nb = 1\n", "bbmeasure-sloc --tool builtin", "1 lines of source"),
}  # fmt: skip


def write(folder: Path, name: str, text: str, reader: str, want: str) -> None:
    """Write a case."""
    (folder / name).write_text(text)
    (folder / f"{name}.want").write_text(f"read by: {reader}\nwant: {want}\nwhy: a test\n")


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_compared(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that gives what is wanted is good; with another wish, the difference is printed and the status is 1."""
    text, reader, want = CASES[name]
    write(tmp_path, name, text, reader, want)
    assert compare_cases.main([str(tmp_path)]) == 0
    write(tmp_path, name, text, reader, "7 lines of source" if name == "lines.py" else "n = 7")
    assert compare_cases.main([str(tmp_path)]) == 1
    assert f"{name}: wanted " in capsys.readouterr().out


def test_a_case_to_run_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that is run by hand is listed and not compared."""
    write(tmp_path, "script.sh", "true\n", "run it", "prints nothing")
    assert compare_cases.main([str(tmp_path)]) == 0
    assert "1 to run by hand: script.sh" in capsys.readouterr().out


def test_the_named_folder_gives_what_is_wanted(tmp_path: Path) -> None:
    """All cases of the folder in ``BBMEASURE_CASES`` give what is wanted, without the variable those made here."""
    for name, case in CASES.items():
        write(tmp_path, name, *case)
    folder = Path(os.environ.get("BBMEASURE_CASES") or tmp_path)
    good, differences, _left = compare_cases.compare(folder)
    assert differences == []
    assert good > 0
