"""Patterns of users: the syntax of re, with a time limit and without blocking other threads."""

from __future__ import annotations

import re
import threading
import time

import pytest

from bbmeasure import patterns
from bbmeasure.errors import LimitError, MeasureError

#: Takes a second for each two or three characters more than some twenty: 2 to the power of their number.
HOPELESS = r"(?:a|a)+(?P<n>\d)$"
HOPELESS_LINE = "a" * 200 + "1!"


def found(pattern, text):
    """The values of the records by name."""
    return {record.name: record.value for record in patterns.parse(patterns.compile_pattern(pattern), text, "own")}


def test_exponential_backtracking_ends_and_does_not_block(monkeypatch):
    """A match with exponential backtracking does not block the main thread, and is a LimitError."""
    monkeypatch.setattr(patterns, "TIME_LIMIT", 1.0)
    printed = []

    def work():
        try:
            found(HOPELESS, f"a1\n{HOPELESS_LINE}\n")
        except LimitError as error:
            printed.append(str(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20
    (reported,) = printed
    assert reported.startswith(f"pattern {HOPELESS!r}: took longer than 1 s at line 2, 'aaa")
    assert "expected a pattern without" in reported


def test_all_lines_share_the_time_limit(monkeypatch):
    """The time limit applies to all lines of a text together."""
    monkeypatch.setattr(patterns, "TIME_LIMIT", 0.05)
    line = "a" * 12 + "1!"
    with pytest.raises(LimitError, match=r"took longer than 0\.05 s at line [0-9]+, "):
        found(HOPELESS, f"{line}\n" * 5_000)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?:foo){e<=1}=(\d)", "foo{e<=1}=5\nfo=6"),
        (r"x{e}: (\d)", "x{e}: 5\ny: 6"),
        (r"{(\d+)}", "{51}"),
        (r"a{,2}b{1}c{1,}(\d)", "aabccc5"),
        (r"a{}(\d)", "a{}5\na6"),
        (r"[]](\d)[^]a]", "]5x\n]6a"),
        (r"[[:alpha:]](\d)", "b5\na6\n:]7"),
        (r"[\[\]{e}](\d)", "}5\ne6"),
        (r"[a&&b](\d)", "&5"),
        (r"\N{DEGREE SIGN}(\d)", "°5"),
        (r"\{(\d)\}(?#{e} and [ )", "{5}"),
        (r"(?i)KB: (\d)", "kb: 5"),
        (r"^(?:(\d)|x)*$", "5x6"),
        (r"(\d*)", "5 6"),
        (r"(?<=: )(\d)\b", ": 5"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_pattern_has_the_meaning_of_re(pattern, text):
    """Syntax that the library regex interprets unlike re has the meaning of re."""
    expected = [match for line in text.splitlines() for match in re.findall(pattern, line)]
    compiled = patterns.compile_pattern(pattern)
    assert [match for line in text.splitlines() for match in compiled.compiled.findall(line)] == expected
    assert compiled.pattern == pattern


@pytest.mark.parametrize("pattern", [r"(?<name>a)", r"\p{Lu}(a)", r"(?|(a)|(b))", r"(a)(?R)", "(", r"(a)\K", 5, b"(a)"])
def test_a_pattern_that_re_refuses_is_refused(pattern):
    """A pattern that only the library regex accepts is refused, and so is one that is not a string."""
    with pytest.raises(MeasureError, match="^pattern "):
        patterns.compile_pattern(pattern)


def test_the_last_match_of_each_group_counts():
    """The last match of each group counts, in the first 4,096 characters of each line."""
    text = "a=1 a=2\nb=3\n" + " " * 4_096 + "a=9\n"
    assert found(r"a=(?P<a>\d)|b=(?P<b>\d)", text) == {"a": 2, "b": 3}
    assert found(r"=(\d)", text) == {"own": 3}
