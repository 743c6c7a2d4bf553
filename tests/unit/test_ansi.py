"""Characters that are not shown, in text from workers."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.ansi import visible, without_hidden
from bbmeasure.model import make_query
from bbmeasure.records import Record

HIDDEN = (
    "\x00\x1b\x7f\x80\x85\x9b\x9f\xad\u034f\u061c\u180e\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066"
)
HIDDEN += "\u2069\u3164\ufeff\ufff9\U0001d173\U000e0001\U000e0041"


@pytest.mark.parametrize("char", HIDDEN)
def test_a_hidden_character_is_replaced(char: str) -> None:
    """Controls, marks of direction and characters without width are U+FFFD in what is stored, escapes in a log."""
    assert without_hidden(f"a{char}b") == "a\ufffdb"
    assert char not in visible(f"a{char}b")


@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    """No format or control character but tabs and line breaks is left; all others stay."""
    cleaned = without_hidden(text)
    assert len(cleaned) == len(text)
    kept = [char for char in cleaned if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]
    shown = "\t\n\r\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
    assert not [char for char in kept if char not in shown and ord(char) < 0x10000]


def test_a_record_has_no_hidden_characters() -> None:
    """Name, tags and text of a record are cleaned once, and a query for the reported name finds them."""
    record = Record("a\u202eb", "x\u200b\x9b", tags={"k\u2066": "v\u202e"})
    assert (record.name, record.value, dict(record.tags)) == ("a\ufffdb", "x\ufffd\ufffd", {"k\ufffd": "v\ufffd"})
    query = make_query("a\u202eb", now=0.0, tags={"k\u2066": "v\u202e"})
    assert (query.series, query.tags) == (record.name, record.tags)


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "\u65e5\u672c\u8a9e", "\U0001f600", "\u26a0\ufe0f", "a\u00a0b", "1\n2\t3"]
)
def test_other_text_stays(text: str) -> None:
    """Letters of all scripts, symbols, spaces, tabs and line breaks are not changed."""
    assert without_hidden(text) == text
