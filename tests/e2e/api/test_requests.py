"""The JSON API of a real master: invalid requests, HTTP, and the OpenAPI description."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e.api.measured_master import MANY
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[3]


#: A schema cannot express that since must not be after until.
SCHEMATHESIS = "".join(
    f"""
[[operations]]
include-name = "GET /{path}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]
"""
    for path in ("statistics", "points", "links")
)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("statistics", "series"),
        ("statistics?series=", "series"),
        ("statistics?series=size&statistics=mean", "mean"),
        ("statistics?series=size&statistics=" + ",".join(["p1"] * 40), "statistics"),
        ("statistics?series=version&statistics=average", "average"),
        ("statistics?series=size&since=yesterday", "since"),
        ("statistics?series=size&until=1e400", "until"),
        ("statistics?series=size&since=9999999999999", "since"),
        ("statistics?series=size&since=2d&until=3d", "since"),
        ("statistics?series=size&series=many", "series"),
        ("statistics?series=size&colour=red", "colour"),
        ("statistics?series=size&source=nobody", "nobody"),
        ("statistics?series=size&tag.=x", "tag"),
        ("statistics?series=size&" + "&".join(f"tag.k{n}=v" for n in range(17)), "17"),
        ("points?series=size&limit=0", "limit"),
        ("points?series=size&limit=100001", "limit"),
        ("points?series=size&limit=1.5", "limit"),
        ("points?series=size&buckets=2001", "buckets"),
        ("points?series=size&buckets=-1", "buckets"),
        ("points?series=%ff", "UTF-8"),
        ("points?series=" + "x" * 1001, "series"),
        ("points?series=size&builder=" + "x" * 1001, "builder"),
        ("points?series=size&format=xml", "format"),
        ("points?series=size&analysis=1", "analysis"),
        ("points?series=size&format=columns&analysis=2", "analysis"),
        ("overview?values=201", "values"),
        ("overview?page=0", "page"),
        ("overview?kind=shoe", "kind"),
        ("overview?since=yesterday", "since"),
        ("records", "buildid"),
        ("records?buildid=x", "buildid"),
        ("records?buildid=0", "buildid"),
        ("commits?after=1", "buildid"),
        ("commits?buildid=1&after=x", "after"),
        ("records?buildid=99999999999999999999", "buildid"),
        ("series?series=size", "series"),
        ("health?x=1", "x"),
        ("links?since=x", "since"),
    ],
)
def test_an_invalid_argument(admin, path, named):
    """The status is 400, and the message names the argument."""
    status, message = admin.error(path)
    assert status == 400, message
    assert named in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "path",
    [
        "points?series=nothing",
        "statistics?series=nothing",
        "records?buildid=123456",
        "commits?buildid=123456",
        "commits?buildid=1&after=123456",
        "links?buildid=123456",
        "",
        "nothing",
        "series/",
        "series/x",
        "../v2/series",
    ],
)
def test_not_found(admin, path):
    """An unknown series, build or path is 404, as JSON."""
    assert admin.error(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods(admin, method):
    """Any method but GET and HEAD is 405, with an Allow header."""
    status, content, headers = admin("series", method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert "message" in json.loads(content)


def test_an_unreachable_source(admin):
    """The status is 503 with Retry-After, and the message does not contain the server's URL."""
    status, content, headers = admin("statistics", series="size", source="away")
    assert status == 503
    assert int(headers["Retry-After"]) >= 1
    assert b"127.0.0.1" not in content


def test_etag(admin):
    """With If-None-Match an unchanged answer is 304 without content, also for a weak ETag."""
    _, content, headers = admin("points", series="many", limit=5)
    for etag in (headers["ETag"], f'"x", W/{headers["ETag"]}', "*"):
        status, again, second = admin("points", series="many", limit=5, headers={"If-None-Match": etag})
        assert (status, again, second["ETag"]) == (304, b"", headers["ETag"])
    assert admin("points", series="many", limit=4, headers={"If-None-Match": headers["ETag"]})[0] == 200
    assert content


def test_head(admin):
    """HEAD has the length and no content."""
    length = len(admin("points", series="many", limit=50_000)[1])
    status, content, headers = admin("points", method="HEAD", series="many", limit=50_000)
    assert (status, content, int(headers["Content-Length"])) == (200, b"", length)


def test_a_persistent_connection(admin, site):
    """Small and large answers follow each other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", site.ports["WWW_PORT"], timeout=60)
    for path in ("series", "points?series=many&limit=20000", "nothing", "points?series=many&limit=1"):
        connection.request("GET", "/plugins/bbmeasure/api/v1/" + path, headers=admin.headers)
        answer = connection.getresponse()
        json.loads(answer.read())
    connection.close()


def test_disconnects(admin, site):
    """Clients that disconnect while they are sent a large answer are counted, and others are still answered.

    Each has received a part of its answer before the next one asks, so that none waits for others or is refused.
    """
    before = admin.json("health")["counters"].get("api_gone", 0)
    cookie = admin.headers["Cookie"]
    path = f"/plugins/bbmeasure/api/v1/points?series=many&limit={MANY}"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
    clients = []
    for _ in range(5):
        clients.append(socket.socket())
        clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # far less than the answer
        clients[-1].connect(("127.0.0.1", site.ports["WWW_PORT"]))
        clients[-1].sendall(request.encode())
        assert clients[-1].recv(1000).startswith(b"HTTP/1.1 200")
    assert admin.json("points", series="many", limit=1)["points"]
    for client in clients:
        client.close()
    wait_until(
        "all clients to be missed",
        lambda: admin.json("health")["counters"].get("api_gone", 0) - before == len(clients),
    )


def test_the_openapi_description(admin, tmp_path):
    """Schemathesis finds no answer that contradicts docs/openapi.yaml."""
    described = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    for path in described["paths"].values():  # the only source here is away, which another test is for
        given = path.get("get", {}).get("parameters", [])
        given[:] = [one for one in given if one != {"$ref": "#/components/parameters/source"}]
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS)
    address = ["openapi.json", "--url", admin.base.rstrip("/"), "--header", f"Cookie: {admin.headers['Cookie']}"]
    options = ["--max-examples=10", "--seed=1", "--generation-database=none", "--generation-codec=ascii"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), "run", *address, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"[0-9]+ generated", done.stdout), done.stdout[-2000:]
