"""The page on verdicts: its charts are those of its program, and its example runs."""

from __future__ import annotations

import runpy

import pytest

from tests import documented


def test_charts(capsys: pytest.CaptureFixture[str]) -> None:
    """The charts of the page are the output of the program beside them."""
    runpy.run_path(str(documented.EXAMPLES / "verdict_charts.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed == documented.example("verdict_charts.txt")
    for letter in ".-?WBx^":
        assert letter in printed


def test_example(capsys: pytest.CaptureFixture[str]) -> None:
    """The example confirms its step and finds where it began."""
    exec(documented.code_block("verdicts-in-python"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "12 The 5 builds since the change are at 33 s, 9.82 % above the usual 30.1 s."
    assert second.startswith("12 30.05")
