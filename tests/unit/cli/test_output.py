"""Text tables and numbers for the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.cli import output


@pytest.mark.parametrize(
    ("value", "unit", "kind", "text"),
    [
        (None, "bytes", "size", "\u2013"),
        (1.42 * 1024 * 1024, "bytes", "size", "1.42 MiB"),
        (0.85, "1", "ratio", "85 %"),
        (0.0125, "s", "duration", "12.5 ms"),
        (3, "1", "count", "3"),
        (12, "{request}", "number", "12 request"),
        ("3.11.7", "1", "text", "3.11.7"),
    ],
)
def test_format_value(value: object, unit: str, kind: str, text: str) -> None:
    """A number has its unit, a text is unchanged, None is a dash."""
    assert output.format_value(value, unit, kind) == text


@pytest.mark.parametrize(("change", "text"), [(None, "\u2013"), (0.008, "+0.8 %"), (-0.5, "-50 %"), (0.0, "+0 %")])
def test_format_change(change: float | None, text: str) -> None:
    """A change is a percentage with its sign."""
    assert output.format_change(change) == text


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "a\nb\rc\td",
        "\x9b31m",
        "\x7f",
        "\u202eright to left",
        "zero\u200bwidth",
        "lone\ud800",
        "nul\x00",
    ],
)
def test_untrusted_text_has_no_control_characters(text: str) -> None:
    """No escape sequence, line break or change of direction is printed, in a text, unit or name."""
    for shown in (
        output.clean(text),
        output.format_value(text, "1", "text"),
        output.format_value(1.0, "{" + text + "}", "number"),
        output.overview_row(text, "{" + text + "}", "number", {"last": 1.0, "average": text}, None)[0],
    ):
        assert not any(unicodedata.category(char).startswith("C") for char in shown)
        assert "\ufffd" in shown


def test_a_long_text_is_cut() -> None:
    """A text that is too long ends with an ellipsis."""
    assert output.clean("x" * 5_000, 10) == "x" * 9 + "\u2026"
    assert len(output.format_value("x" * 5_000, "1", "text")) == 60


@given(st.text(max_size=200))
def test_any_text_is_one_printable_line(text: str) -> None:
    """The result is one line within the maximum length and can be encoded."""
    shown = output.clean(text)
    assert len(shown) <= 60
    assert shown.encode("utf-8").count(b"\n") == 0


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Names are aligned left, numbers right; no line ends with blanks."""
    assert output.table(("name", "n"), [["a", "1"], ["bcdef", "1000"]]) == "\n".join(
        ["name      n", "-----  ----", "a         1", "bcdef  1000"]
    )


def test_a_table_without_rows_has_its_head() -> None:
    """The result is the head alone."""
    assert output.table(("a", "b"), []).splitlines() == ["a  b", "-  -"]


def test_overview_row() -> None:
    """A row has a cell for each column; a missing value is a dash."""
    row = output.overview_row("size", "bytes", "size", {"last": 2048.0, "average": 1024.0}, 0.5)
    assert row == ["size", "2 KiB", "+50 %", "1 KiB", "\u2013", "\u2013", "\u2013"]
    assert len(row) == len(output.OVERVIEW)
