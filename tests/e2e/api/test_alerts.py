"""Alerts of a real master: who sees them, and who may decide."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.verdict_store import Alert, VerdictChanges


@pytest.fixture
def alerts(site):
    """Open alerts of the series "shared" of builder open and of "secret-builder", by builder."""
    made = {}
    with Journal(site.journal) as journal:
        for line in journal.lines_to_learn(0, 1_000, again=True):
            if line.series == "shared" and line.builder not in made:
                alert = Alert(journal.next_alert(), line, "shift", "open", "worse", 1, 10_001, 5, 10_001, 1.0, 2.0, 1.0)
                journal.keep_verdicts(VerdictChanges(alerts=[alert]))
                made[line.builder] = alert.id
    return made


def decide(client, alert, headers=None, **body):
    """Status and JSON of a decision."""
    headers = {"Content-Type": "application/json", **client.headers, **(headers or {})}
    content = json.dumps({"state": "accepted", "why": "expected", **body}).encode()
    request = urllib.request.Request(f"{client.base}alerts/{alert}", content, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_decision(admin, guest, alerts):
    """A user decides on what he may see, once; a page of another site and an anonymous user do not."""
    seen = {alert["id"] for alert in guest.json("alerts")["alerts"]}
    assert alerts["open"] in seen
    assert alerts["secret-builder"] not in seen
    assert decide(guest, alerts["secret-builder"])[0] == 403
    assert decide(guest, alerts["open"], {"Origin": "https://evil.example"})[0] == 403
    assert decide(guest, alerts["open"], {"Cookie": ""})[0] == 403
    status, alert = decide(guest, alerts["open"], {"Origin": guest.site.url.rstrip("/")})
    assert (status, alert["state"], alert["by"], alert["why"]) == (200, "accepted", "guest", "expected")
    assert decide(admin, alerts["open"])[0] == 409
    assert decide(admin, alerts["secret-builder"], state="ignored")[1]["state"] == "ignored"
