"""Nothing that may be a password is printed, whatever is wrong with the address of a server."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.attacks.masters import get
from tests.e2e.masters import BASE_CONFIG, run_command
from tests.hostile import Reply, Request, Scripted

PASSWORD = "hunter2"
#: Addresses with a password, in forms that people write by mistake.
WRONG = (
    "bob:{}@h:8086",
    "http:/bob:{}@h",
    "http://bob:{}@h:8086",
    "http://h:8086/?u=bob&p={}",
    "http://h:8086/query?api_key={}",
    "http://h:8086/api_key={}",
    "http://bob:{}",
    "https//{}",
    "http://h:8086/#{}",
    "{}",
)
#: The number of these that one run tries; test_urls.py has all of them.
TRIED = 4
BUILDBOT = "from buildbot.scripts.runner import run; run()"
CONFIG = (
    BASE_CONFIG
    + """
c["www"]["plugins"] = {"bbmeasure": {}}
step = steps.MeasureShellCommand(name="size", command=["echo", "5"])
add(util.BuilderConfig(name="b", workernames=["worker"], factory=util.BuildFactory([step])))
"""
)
INSTANCE = 'c["services"] = [util.InfluxDBInstance(url={url!r}, database="t", timeout=1)]\n'


def test_a_configuration_with_a_wrong_address(tmp_path: Path, chance: random.Random) -> None:
    """``buildbot checkconfig``, a reconfiguration and commands name the argument, and not its value."""
    with Site(tmp_path, CONFIG, workers=()) as site:
        for form in chance.sample(WRONG, TRIED):
            secret = f"{PASSWORD}{chance.getrandbits(32):x}"
            url = form.format(secret)
            site.write_config(CONFIG + INSTANCE.format(url=url))
            check = [sys.executable, "-c", BUILDBOT, "checkconfig", str(site.master_dir)]
            done = subprocess.run(check, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode != 0, url
            site.reconfig()
            command = run_command("series", "--url", url)
            assert site.master is not None
            log = site.master.log.read_text(errors="replace")
            for text in (done.stdout, done.stderr, command.stdout, command.stderr, log):
                assert secret not in text, (url, text[-2000:])


@pytest.mark.parametrize(
    ("status", "body", "location"),
    [
        (302, b"", f"http://bob:{PASSWORD}@h:8086/login"),
        (307, b"", f"http://h:8086/?u=bob&p={PASSWORD}"),
        (500, f"upstream http://h/?api_key={PASSWORD} failed".encode(), ""),
        (401, f'{{"error": "bob:{PASSWORD}@h:8086 is unknown"}}'.encode(), ""),
    ],
)
def test_a_server_that_sends_a_password(tmp_path: Path, status: int, body: bytes, location: str) -> None:
    """Neither health nor the log shows what a server, or a proxy before it, says of credentials."""

    def answer(_: Request) -> Reply:
        return Reply(status, body, {"Location": location} if location else {})

    with Scripted(answer) as server:
        config = CONFIG + INSTANCE.format(url=server.url)
        with Site(tmp_path, config) as site:
            assert site.build("b")["results"] == 0

            def troubled() -> Any:
                health = get(site, "health")[1]
                return health if any(sink["last_error"] for sink in health["sinks"]) else None

            health = site.wait_for(troubled, "the exporter's error", 120)
            assert PASSWORD not in str(health)
            assert "***" in str(health)
            assert site.master is not None
            assert PASSWORD not in site.master.log.read_text(errors="replace")
