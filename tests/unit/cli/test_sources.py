"""``--url``: answers of a running master's JSON API."""

from __future__ import annotations

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
                *("--tag", "k=v=w", "--statistics", "average,last", "--json"),
            )
        assert result.status == 0
        assert result.json["statistics"] == {"average": 1.5, "last": None}
        (request,) = requests
        assert request.path == "/plugins/bbmeasure/api/v1/statistics"
        assert request.query == {
            "series": "a b&c=d",
            "builder": "x/y",
            "since": "7d",
            "tag.k": "v=w",
            "statistics": "average,last",
        }

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
