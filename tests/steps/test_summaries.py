"""Summaries and logs of steps: tags, changes, characters that are not visible."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import defer

from bbmeasure.ansi import visible
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.testing import sidecar_lines
from bbmeasure_steps.results import format_change
from tests.steps.case import StepTestCase


@pytest.mark.parametrize(
    ("value", "previous", "expected"),
    [
        (1008.0, 1000.0, "+0.8 %"),
        (1.000998, 1.0, "+0.1 %"),
        (0.5, 1.0, "-50 %"),
        (1.0, 1.0, "+0 %"),
        (0.0, 0.0, "+0 %"),
        (1.0001, 1.0, "<0.1 %"),
        (0.9999, 1.0, "<0.1 %"),
        (0.9, 1.0, "-10 %"),
        (1.0994, 1.0, "+9.9 %"),
        (2.2304, 1.0, "+123 %"),
        (12.5, 1.0, "+1\u202f150 %"),
        (5.0, 0.0, "from 0"),
        (-5.0, 0.0, "from 0"),
        (5.0, None, ""),
        ("gcc 12", "gcc 11", ""),
        (5.0, "text", ""),
    ],
)
def test_a_change(value: Any, previous: Any, expected: str) -> None:
    """A change is a percentage with one decimal, none from ten on; a value other than 0 after 0 is one too."""
    assert format_change(value, previous) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain \u00e4\u20ac\U0001f600\n\t", "plain \u00e4\u20ac\U0001f600\n\t"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("a\u200bb\ufeffc\u2060", "a\\u200bb\\ufeffc\\u2060"),
        ("a\x85b\x9bc\x1b[0m\x00\r", "a\\x85b\\x9bc\\x1b[0m\\x00\\r"),
        ("a\u2028b\ud800\U000e0001", "a\\u2028b\\ud800\\U000e0001"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    """Controls, directions, characters without width and surrogates are escaped; letters and symbols are not."""
    assert visible(text) == expected


class TestSummaries(StepTestCase):
    """What a step shows."""

    def test_tags_and_more(self) -> Any:
        """Tags that distinguish records are shown, those of the step are not; further records are counted."""
        records = [{"name": "size", "value": n, "tags": {"target": f"t{n}"}} for n in range(1, 6)]
        state = "size [target=t1]: 1, size [target=t2]: 2, size [target=t3]: 3, and 2 more"
        return self.run_measuring("", sidecar=sidecar_lines(*records), tags={"arch": "arm"}, state=state)

    @defer.inlineCallbacks
    def test_change_from_zero(self) -> Any:
        """A value after 0 is a change."""
        storage = state_of(self.master).pipeline.storage
        storage.declare(SeriesInfo("m", Kind.NUMBER))
        storage.write([Point("m", 1, 0.0, {}, BuildContext("Builder", "", 12, 91, branch="main"))])
        yield self.run_measuring("5", state="m: 5 (from 0)")

    @defer.inlineCallbacks
    def test_characters_that_are_not_visible(self) -> Any:
        """Names, tags and texts of a worker are stored with U+FFFD; what is refused is shown escaped."""
        record = {"name": "a\u202eb", "value": "x\u200by", "tags": {"k": "\x9b1m"}}
        yield self.run_measuring("", sidecar=sidecar_lines(record, "\u202e no JSON"))
        shown = self.get_nth_step(0).getResultSummary()["step"] + self.log()
        assert not any(char in shown for char in "\u202e\u200b\x9b")
        assert "a\ufffdb [k=\ufffd1m]: x\ufffdy" in shown
        assert "refused: line 2: '\\u202e no JSON'" in shown
