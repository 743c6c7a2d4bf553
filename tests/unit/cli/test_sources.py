"""``--url``: answers of a running master's JSON API."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from tests.hostile import Raw, Reply, Request, Scripted, Silent
from tests.unit.cli.masters import START, Run


class TestUrl:
    """``--url`` queries a running master."""

    def test_the_request(self, run: Run) -> None:
        """Arguments are encoded as the API expects."""
        requests: list[Request] = []

        def answer(request: Request) -> Reply:
            requests.append(request)
            statistics = {"average": 1.5, "last": None}
            found = {"series": "a b&c=d", "builder": None, "unit": "s", "count": 2, "statistics": statistics}
            return Reply(200, found)

        with Scripted(answer) as server:
            result = run(
                *("report", "a b&c=d", "--url", f"{server.url}/", "--builder", "x/y", "--since", "7d"),
                *("--tag", "k=v=w", "--statistics", "average,last", "--json", "--branch", "release/1"),
                *("--proposals", "--unit", "ms"),
            )
        assert result.status == 0
        assert result.json["statistics"] == {"average": 1.5, "last": None}
        (request,) = requests
        assert request.path == "/plugins/bbmeasure/api/v1/statistics"
        assert request.query == {
            "series": "a b&c=d",
            "builder": "x/y",
            "branch": "release/1",
            "proposal": "*",
            "unit": "ms",
            "since": "7d",
            "tag.k": "v=w",
            "statistics": "average,last",
        }

    def test_what_is_mixed(self, run: Run) -> None:
        """The report says how many lines and which branches its statistics mix, and nothing about a single line."""
        found: dict[str, Any] = {"series": "n", "unit": "1", "count": 2, "statistics": {}}

        def report(lines: int, branches: list[Optional[str]]) -> str:
            with Scripted(lambda _: Reply(200, {**found, "lines": lines, "branches": branches})) as server:
                return run("report", "n", "--url", server.url).out

        assert "mix" not in report(1, ["main"])
        assert "mixes 3 lines, which differ in builder, tags or machine\n" in report(3, ["main"])
        assert "mixes 2 lines of 2 branches: main, no branch; --branch selects one\n" in report(2, ["main", None])
        many = report(9, [f"b{number}\n" for number in range(7)])
        assert "mixes 9 lines of 7 branches: b0\ufffd, b1\ufffd, b2\ufffd, b3\ufffd, b4\ufffd and 2 more;" in many

    def test_series(self, run: Run) -> None:
        """The table shows what the API answers."""
        one = {"name": "n", "kind": "count", "unit": "1", "count": 1, "last": START, "last_value": 3, "builders": ["b"]}
        with Scripted(lambda _: Reply(200, {"series": [one]})) as server:
            result = run("series", "--url", server.url)
        assert result.status == 0
        assert "n" in result.out

    @pytest.mark.parametrize(("code", "status"), [(400, 2), (404, 1), (403, 1), (503, 1), (500, 1)])
    def test_an_error_status(self, run: Run, code: int, status: int) -> None:
        """The exit status depends on the HTTP status; the message is the API's."""
        with Scripted(lambda _: Reply(code, {"message": "because"})) as server:
            result = run("report", "x", "--url", server.url, "--json")
        assert (result.status, result.json) == (status, {"message": "because"})

    def test_a_master_without_the_plugin(self, run: Run) -> None:
        """An error without JSON gives a hint about the plugin."""
        with Scripted(lambda _: Reply(404, b"<html>no</html>")) as server:
            result = run("series", "--url", server.url)
        assert result.status == 1
        assert "is the bbmeasure plugin in the master's www plugins?" in result.err

    @pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b"<html>", b'{"series"', b"\xff\xfe"])
    def test_an_invalid_answer(self, run: Run, body: bytes) -> None:
        """An answer of another form has exit status 1 and a message."""
        with Scripted(lambda _: Reply(200, body)) as server:
            for arguments in (["series"], ["report", "x"]):
                result = run(*arguments, "--url", server.url)
                assert result.status == 1
                assert server.url in result.err

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        ],
    )
    def test_an_invalid_http_response(self, run: Run, answer: bytes) -> None:
        """An invalid response has exit status 1 and a message."""
        with Raw(answer) as server:
            result = run("series", "--url", server.url)
        assert result.status == 1
        assert "no answer" in result.err

    def test_a_server_that_hangs(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that does not answer within the timeout has exit status 1."""
        monkeypatch.setattr("bbmeasure.cli.sources.TIMEOUT", 0.2)
        with Silent() as server:
            result = run("series", "--url", server.url)
        assert result.status == 1
        assert "no answer" in result.err
