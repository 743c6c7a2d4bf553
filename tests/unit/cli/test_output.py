"""Tables and numbers as a terminal shows them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.cli import output


@pytest.mark.parametrize(
    ("value", "unit", "kind", "shown"),
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
def test_a_value_is_shown_as_people_write_it(value: object, unit: str, kind: str, shown: str) -> None:
    """A number has its unit, a text is itself, and nothing is a dash."""
    assert output.format_value(value, unit, kind) == shown


@pytest.mark.parametrize(("change", "shown"), [(None, "\u2013"), (0.008, "+0.8 %"), (-0.5, "-50.0 %"), (0.0, "+0.0 %")])
def test_a_change_has_its_sign(change: float | None, shown: str) -> None:
    """A change is a percentage with its sign."""
    assert output.format_change(change) == shown


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
def test_a_strangers_text_moves_no_cursor(text: str) -> None:
    """No escape sequence, line break or change of direction reaches the terminal, as text, unit or name."""
    for shown in (
        output.clean(text),
        output.format_value(text, "1", "text"),
        output.format_value(1.0, "{" + text + "}", "number"),
        output.overview_row(text, "{" + text + "}", "number", {"last": 1.0, "average": text}, None)[0],
    ):
        assert not any(unicodedata.category(char).startswith("C") for char in shown)
        assert "\ufffd" in shown


def test_a_long_text_is_cut() -> None:
    """What is too long ends in an ellipsis and keeps to its size."""
    assert output.clean("x" * 5_000, 10) == "x" * 9 + "\u2026"
    assert len(output.format_value("x" * 5_000, "1", "text")) == 60


@given(st.text(max_size=200))
def test_any_text_is_one_line_that_prints(text: str) -> None:
    """Whatever the text, it is one line of at most its size and can be encoded."""
    shown = output.clean(text)
    assert len(shown) <= 60
    assert shown.encode("utf-8").count(b"\n") == 0


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Names stand to the left, numbers to the right, and no line ends in blanks."""
    assert output.table(("name", "n"), [["a", "1"], ["bcdef", "1000"]]) == "\n".join(
        ["name      n", "-----  ----", "a         1", "bcdef  1000"]
    )


def test_a_table_without_rows_has_its_head() -> None:
    """No rows are no error."""
    assert output.table(("a", "b"), []).splitlines() == ["a  b", "-  -"]


def test_the_overview_has_a_cell_for_each_head() -> None:
    """A row of the demo's table: what is missing is a dash."""
    row = output.overview_row("size", "bytes", "size", {"last": 2048.0, "average": 1024.0}, 0.5)
    assert row == ["size", "2 KiB", "+50.0 %", "1 KiB", "\u2013", "\u2013", "\u2013"]
    assert len(row) == len(output.OVERVIEW)
