"""The documentation's nginx and Apache in front of a real master, InfluxDB and something in Grafana's place."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bbmeasure.testing.site import Process, Site, free_port
from tests import documented
from tests.e2e.masters import BASE_CONFIG
from tests.servers import Influxd, make_certificate, wait_until

CONFIG = (
    BASE_CONFIG.replace('f"http://127.0.0.1:{WWW_PORT}/"', '"https://ci.example.org/buildbot/"')
    + """
c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]
step = steps.MeasureShellCommand(name="size", command=["echo", "5 KiB"])
add(util.BuilderConfig(name="open", workernames=["worker"], factory=util.BuildFactory([step])))
"""
)
NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ci.conf;
}}
"""
#: What Debian's Apache has from the start; the example's first line says what is to be added.
APACHE_MODULES = (
    *("mpm_event", "authz_core", "authz_host", "authn_core", "alias", "deflate", "dir", "env", "filter", "mime"),
    *("negotiation", "reqtimeout", "setenvif", "status"),
)
#: What a2enmod adds to the modules that it is asked for.
NEEDED_BY_OTHERS = ("socache_shmcb",)
APACHE = """
ServerRoot {folder}
ServerName localhost
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/errors
{modules}
TypesConfig /etc/mime.types
{user}
Listen 127.0.0.1:{port}
<Directory />
    Require all denied
</Directory>
Include {folder}/ci.conf
"""


class Echo(BaseHTTPRequestHandler):
    """Says what it was asked, in Grafana's place."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"path": self.path, "host": self.headers["Host"], **dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is logged."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A master after a build."""
    with Site(tmp_path_factory.mktemp("site"), CONFIG, workers=["worker"]) as running:
        assert running.build("open")["results"] == 0
        yield running


@pytest.fixture(scope="module")
def influxd():
    """A real InfluxDB."""
    with Influxd() as server:
        yield server


@pytest.fixture(scope="module")
def grafana():
    """The port of something that stands in Grafana's place."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def nginx(folder, config, port):
    """The command that runs nginx in the foreground."""
    here = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server_name ": f"{user_header('nginx')}\n    server_name ",
    }
    (folder / "ci.conf").write_text(replaced(config, here))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def apache(folder, config, port):
    """The command that runs Apache in the foreground, with the modules that the example says, and no others."""
    here = {
        "<VirtualHost *:443>": f"<VirtualHost 127.0.0.1:{port}>",
        "SSLEngine on": f"SSLEngine on\n{user_header('apache')}",
    }
    (folder / "ci.conf").write_text(replaced(config, here))
    enabled = re.match(r"# /etc/apache2/sites-enabled/ci.conf; a2enmod ([a-z_ ]+)\n", config)[1].split()  # type: ignore[index]  # the pattern matches
    wanted = dict.fromkeys([*APACHE_MODULES, *NEEDED_BY_OTHERS, *enabled])
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in wanted)
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    main = APACHE.format(folder=folder, modules=modules, user=user, port=port)
    (folder / "apache.conf").write_text(main)
    return ["apache2", "-D", "FOREGROUND", "-f", str(folder / "apache.conf")]


def user_header(name):
    """The documented line that says who a user is."""
    return documented.code_block(f"{name}-user").strip()


def replaced(config, by):
    """The configuration with other addresses; each has to be there."""
    for documented_text, here in by.items():
        assert documented_text in config
        config = config.replace(documented_text, here)
    return config


@pytest.fixture(scope="module", params=[nginx, apache])
def proxy(request, site, influxd, grafana, tmp_path_factory):
    """Connections to a server with the documented configuration, its addresses replaced by those here."""
    name = request.param.__name__
    folder = tmp_path_factory.mktemp(name)
    server, certificate = make_certificate(folder)
    here = {
        "/etc/ssl/certs/ci.example.org.pem": str(server),
        "/etc/ssl/private/ci.example.org.key": str(server),
        "127.0.0.1:8010": f"127.0.0.1:{site.ports['WWW_PORT']}",
        "127.0.0.1:3000": f"127.0.0.1:{grafana}",
        "127.0.0.1:8086": f"127.0.0.1:{influxd.port}",
    }
    port = free_port()
    command = request.param(folder, replaced(documented.example(f"{name}.conf"), here), port)
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr.lower()
    process = Process(command, folder, folder / "log")
    context = ssl.create_default_context(cafile=str(certificate))
    try:
        wait_until(f"{name} to answer", lambda: _answers(port, context))
        yield lambda: http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    finally:
        end(process)


def end(process):
    """End it: Apache itself would wait ten seconds for an event stream that it has not seen closed."""
    process.popen.terminate()
    for child in Path(f"/proc/{process.popen.pid}/task/{process.popen.pid}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(int(child), signal.SIGKILL)
    process.stop()


def _answers(port, context):
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
    try:
        connection.request("GET", "/buildbot")
        return connection.getresponse().status == 301
    except ConnectionError:
        return False
    finally:
        connection.close()


def get(proxy, path, method="GET", body=None, **headers):
    """Status, headers and content."""
    connection = proxy()
    named = {name.replace("__", "\0").replace("_", "-").replace("\0", "_"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Host": "ci.example.org", **named})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def test_buildbots_page_is_below_its_path(proxy):
    """The page is there, knows its address, and its plugin's API answers."""
    status, _, content = get(proxy, "/buildbot/")
    assert status == 200
    assert b"https://ci.example.org/buildbot/" in content
    status, _, content = get(proxy, "/buildbot/plugins/bbmeasure/api/v1/statistics?series=size")
    assert (status, json.loads(content)["count"]) == (200, 1)
    assert get(proxy, "/buildbot")[0] == 301


def test_names_with_slashes_reach_the_api(proxy):
    """What is percent-encoded in an argument arrives as it is."""
    name = "a/b%2F c&d"
    status, _, content = get(proxy, "/buildbot/plugins/bbmeasure/api/v1/points?series=" + urllib.parse.quote(name))
    assert (status, json.loads(content)["message"]) == (404, f"series {name!r}: no such series")


def test_compressed_answers_are_known_again(proxy):
    """The proxy compresses the API's answers, and an answer that the client has is not sent again."""
    path = "/buildbot/plugins/bbmeasure/api/v1/points?series=size&buckets=100"
    status, headers, content = get(proxy, path, Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert len(json.loads(gzip.decompress(content))["buckets"]) == 100
    assert "private" in headers["Cache-Control"]
    status, _, content = get(proxy, path, Accept_Encoding="gzip", If_None_Match=headers["ETag"])
    assert (status, content) == (304, b"")


def test_the_live_connection_is_upgraded(proxy):
    """Buildbot's web socket, by which its page hears of new builds, gets through."""
    connection = proxy()
    key = base64.b64encode(b"0123456789abcdef").decode()
    connection.request(
        "GET",
        "/buildbot/ws",
        headers={
            "Host": "ci.example.org",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            "Origin": "https://ci.example.org",
        },
    )
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Upgrade"].lower()) == (101, "websocket")
    connection.close()


def test_events_are_not_held_back(proxy):
    """The first event of Buildbot's event stream arrives while the stream is open."""
    connection = proxy()
    connection.request("GET", "/buildbot/sse/listen/builds/*/*", headers={"Host": "ci.example.org"})
    answer = connection.getresponse()
    assert (answer.status, answer.readline()) == (200, b"event: handshake\n")
    connection.close()


def test_grafana_keeps_its_path_and_host(proxy):
    """Grafana, which serves from its path itself, gets the path whole and the address that people use."""
    path = "/grafana/d/bbmeasure-builder/a%2Fb?var-builder=a%2Fb"
    status, _, content = get(proxy, path)
    requested = json.loads(content)
    assert (status, requested["path"]) == (200, path)
    assert (requested["host"], requested["X-Forwarded-Proto"]) == ("ci.example.org", "https")
    live = json.loads(get(proxy, "/grafana/api/live/ws", Connection="Upgrade", Upgrade="websocket")[2])
    assert live["Upgrade"] == "websocket"


def test_nobody_says_who_he_is_himself(proxy):
    """A header that names a user, for Buildbot's RemoteUserAuth, comes from the proxy or not at all."""
    requested = json.loads(get(proxy, "/grafana/", REMOTE__USER="mallory")[2])
    assert requested.get("REMOTE_USER", "") == ""


def test_points_reach_influxdb(proxy, influxd):
    """A batch of megabytes goes in below its path, and is there."""
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert get(proxy, "/influxdb/query", "POST", "q=CREATE+DATABASE+x", **form)[0] == 200
    lines = "".join(f"size,builder=b value={number} {number}\n" for number in range(100_000))
    assert len(lines) > 2_500_000
    assert get(proxy, "/influxdb/write?db=x", "POST", lines)[0] == 204
    assert influxd.rows('SELECT count("value") FROM size', "x")[0]["count"] == 100_000
