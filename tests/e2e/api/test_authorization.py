"""The JSON API of a real master: authorization, caches and credentials."""

from __future__ import annotations

import pytest

from tests.e2e.api.measured_master import HOSTILE, START


def test_hidden_builders_are_left_out(guest):
    """No list and no statistic contains points of a builder that the user may not see."""
    series = {one["name"]: one for one in guest.json("series")["series"]}
    assert "hidden" not in series
    assert HOSTILE not in series
    assert (series["size"]["builders"], series["size"]["count"]) == (["open"], 2)
    assert series["size"]["last_value"] == 20 * 1024
    shared = series["shared"]
    assert (shared["builders"], shared["count"], shared["first"], shared["last"]) == (["open"], 2, START, START + 2)
    assert guest.json("statistics", series="size", statistics="maximum,sum")["statistics"] == {
        "maximum": 20 * 1024,
        "sum": 30 * 1024,
    }
    assert [point["builder"] for point in guest.json("points", series="shared")["points"]] == ["open", "open"]
    assert sum(bucket["count"] for bucket in guest.json("points", series="shared", buckets=3)["buckets"]) == 2
    for path in ("series", "points?series=shared", "statistics?series=shared", "links"):
        assert b"secret" not in guest(path)[1]


def test_hidden_builders_are_forbidden_by_name(guest, site):
    """A hidden builder, its build and its series are 403; so is health, whose errors contain names."""
    buildid, public = (site.builds[name][0]["buildid"] for name in ("secret-builder", "open"))
    for path, arguments in (
        ("statistics", {"series": "size", "builder": "secret-builder"}),
        ("points", {"series": "size", "builder": "secret-builder"}),
        ("points", {"series": "size", "builder": "no such builder"}),
        ("points", {"series": "shared", "builder": "gone"}),
        ("points", {"series": "hidden"}),
        ("points", {"series": HOSTILE}),
        ("records", {"buildid": buildid}),
        ("records", {"buildid": 10_004}),
        ("commits", {"buildid": buildid}),
        ("commits", {"buildid": public, "after": buildid}),
        ("links", {"builder": "secret-builder"}),
        ("links", {"buildid": buildid}),
        ("health", {}),
    ):
        assert guest.error(path, **arguments)[0] == 403, (path, arguments)


def test_the_badge_has_the_rights_of_the_page(admin, guest):
    """The badge of a hidden builder is an image of the refusal; that of another has its value."""
    for client, series, builder, status, text in (
        (guest, "size", "open", 200, b"KiB</text>"),
        (guest, "size", "secret-builder", 403, b"you may not see its builds"),
        (guest, "hidden", "", 403, b"you may not see it"),
        (admin, "size", "secret-builder", 200, b"6.84 MiB</text>"),
    ):
        answered, content, headers = client("badge.svg", series=series, builder=builder)
        assert (answered, headers["Content-Type"]) == (status, "image/svg+xml")
        assert text in content


def test_an_answer_is_private(admin, guest):
    """Answers vary by user, are not for shared caches and have no CORS headers."""
    for client in (admin, guest):
        _, _, headers = client("series", headers={"Origin": "https://evil.example.org"})
        assert "private" in headers["Cache-Control"]
        assert headers["Vary"] == "Cookie, Authorization"
        assert not [name for name in headers if name.lower().startswith("access-control")]
    assert admin("series")[2]["ETag"] != guest("series")[2]["ETag"]


def test_no_answer_has_a_credential(admin):
    """No answer contains user or password of an instance."""
    for path in ("health", "links", "series"):
        content = admin(path)[1]
        assert b"pass-word-1" not in content
        assert b"shipper" not in content


def test_an_overview(admin, guest):
    """The overview has the lines of visible builders only, compressed if the client accepts it."""
    rows = admin.json("overview", limit=10_000)["rows"]
    shown = guest.json("overview", limit=10_000)["rows"]
    assert {"open", "secret-builder"} <= {row["builder"] for row in rows}
    assert {row["builder"] for row in shown} == {"open"}
    assert [row for row in rows if row["builder"] == "open"] == shown
    assert guest.error("overview?builder=secret-builder")[0] == 403
    many = next(row for row in shown if row["series"] == "many")
    points = guest.json("points", series="many", limit=30)["points"]
    assert many["values"] == pytest.approx([point["value"] for point in points], rel=1e-5)
    assert (many["value"], many["buildid"]) == (points[-1]["value"], points[-1]["buildid"])
