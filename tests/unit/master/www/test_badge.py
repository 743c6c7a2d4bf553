"""The badge of a series."""

from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from twisted.internet import defer

from bbmeasure.analysis import State
from bbmeasure.capture.gates import line_key
from bbmeasure.master.www.badge import GREEN, GREY, MAX_TEXT, RED, badge
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from tests.unit.master.www.fakes import Request, get, render

SVG = "{http://www.w3.org/2000/svg}"


def texts(image: bytes) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(image).iter(f"{SVG}text")]


def body(request) -> bytes:
    return b"".join(request.written)


def test_the_newest_value_with_its_unit(resource, store):
    """The badge has the series and its newest value, of the chosen builder, branch and tags."""
    store.declare(SeriesInfo("wheel", Kind.SIZE, "bytes", Direction.LOWER, builders=("a",)))
    for at, (branch, target) in enumerate([("main", "x"), ("main", "y"), ("release", "x")], start=1):
        build = BuildContext("a", "w", at, at, branch=branch)
        store.write([Point("wheel", at, 1024.0**2 * at, {"target": target}, build)])
    shown = [
        texts(body(get(resource, "badge.svg", series="wheel", **more)))
        for more in ({}, {"branch": "main"}, {"branch": "main", "tag.target": "x"}, {"builder": "a"})
    ]
    assert shown == [["wheel", "3 MiB"], ["wheel", "2 MiB"], ["wheel", "1 MiB"], ["wheel", "3 MiB"]]


def test_headers(resource):
    """The image is revalidated by its ETag and may load nothing."""
    request = get(resource, "badge.svg", series="size")
    headers = request.responseHeaders
    assert headers.getRawHeaders(b"content-type") == [b"image/svg+xml"]
    assert headers.getRawHeaders(b"content-security-policy") == [b"default-src 'none'"]
    (etag,) = headers.getRawHeaders(b"etag")
    again = Request("badge.svg", series="size")
    again.requestHeaders.addRawHeader(b"if-none-match", etag)
    assert (render(resource, again).responseCode, body(again)) == (304, b"")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ({"series": "none"}, 404, "series 'none'"),
        ({}, 400, "series: expected it to be given"),
        ({"series": "size", "builder": "b"}, 403, "builder 'b': you may not see its builds"),
        ({"series": "size", "since": "7d"}, 400, "argument 'since'"),
    ],
)
def test_an_error_is_an_image(resource, master, arguments, status, text):
    """A browser that loads the badge shows what is wrong; rights are those of the page."""
    master.www.deny(2)
    request = get(resource, "badge.svg", **arguments)
    assert request.responseCode == status
    assert request.responseHeaders.getRawHeaders(b"content-type") == [b"image/svg+xml"]
    assert texts(body(request))[1].startswith(text[:MAX_TEXT])


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\"&<>'", "a\x00b\ud800", "日本", "x" * 5000, "", " \n "]
)
def test_any_text_is_shown_as_text(text):
    """Markup is escaped, invalid characters are replaced, a long text is truncated."""
    shown = texts(badge(text, text))
    assert shown[0] == shown[1]
    assert len(shown[0]) <= MAX_TEXT
    assert b"<script" not in badge(text, text)


@pytest.mark.parametrize(
    ("state", "text", "colour"),
    [
        (State.WORSE, "1 MiB worse", RED),
        (State.BETTER, "1 MiB better", GREEN),
        (State.UNCONFIRMED, "1 MiB", GREY),
        (State.NORMAL, "1 MiB", GREY),
        (None, "1 MiB", GREY),
    ],
)
def test_the_colour_is_that_of_the_verdict(state, text, colour):
    """Worse is red, better green, everything else grey; the word is there for those who see no colours."""
    image = badge("wheel", "1 MiB", state)
    assert texts(image) == ["wheel", text]
    assert ElementTree.fromstring(image).findall(f"{SVG}rect")[1].get("fill") == colour


def test_the_verdict_of_the_newest_value(resource, store, monkeypatch):
    """The badge has the verdict that the newest build's line has, and not that of another line."""
    build = BuildContext("a", "w", 7, 70, branch="main")
    store.write([Point("wheel", 1, 1.0, {"target": "x"}, build)])
    judged = {line_key("wheel", {"target": "x"}): State.WORSE, line_key("wheel", {}): State.BETTER}
    found = {key: SimpleNamespace(verdict=SimpleNamespace(state=state)) for key, state in judged.items()}
    monkeypatch.setattr(
        resource._endpoints._verdicts, "of_build", lambda buildid: defer.succeed(found if buildid == 70 else {})
    )
    assert texts(body(get(resource, "badge.svg", series="wheel")))[1] == "1 worse"


def test_texts_are_in_their_rectangles():
    """The two rectangles are as wide as the image, and a text is in its own."""
    root = ElementTree.fromstring(badge("a label & more", "1.42 MiB"))
    left, right = root.findall(f"{SVG}rect")
    assert int(left.get("width")) + int(right.get("width")) == int(root.get("width"))
    for rectangle, text in zip((left, right), root.iter(f"{SVG}text")):
        start = int(rectangle.get("x", 0))
        assert start < int(text.get("x"))
        assert int(text.get("x")) + int(text.get("textLength")) < start + int(rectangle.get("width"))
