"""A worker that is lost during a measuring step: no value of the step is stored."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Optional

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, points_of

# A worker sends what it has of the output at once where that is 64 KiB, else after 5 s: hence the filler.
CONFIG = """
WAITS = '''
import pathlib
import time


def wait():
    if not pathlib.Path("begun").exists():
        print('##bbmeasure {"v":1,"name":"printed","value":1}')
        for _ in range(20000):
            print("filler")
    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
'''
REPORTS = '''
echo '##bbmeasure {"v":1,"name":"printed","value":1}'
yes filler | head -n 20000
echo '{"v":1,"name":"filed","value":2}' >>"$BBMEASURE_FILE"
touch begun
until [ -e go ]; do sleep 0.02; done
'''
PYTHON = [sys.executable, "-c"]

c["workers"] = [worker.Worker("pb", "demo"), worker.Worker("msgpack", "demo"), worker.Worker("other", "demo")]
c["protocols"]["msgpack_experimental_v7"] = {"port": MSGPACK_PORT}


def lost(*waiting):
    f = util.BuildFactory()
    write = f"import pathlib; pathlib.Path('waits.py').write_text({WAITS!r})"
    f.addStep(steps.ShellCommand(name="prepare", command=[sys.executable, "-c", write], logEnviron=False))
    f.addStep(steps.MeasureShellCommand(name="before", command=["echo", "7"]))
    f.addSteps(waiting)
    f.addStep(steps.SizeOf(name="after", path="waits.py", python=sys.executable))
    return f


for name in ("pb", "msgpack"):
    timed = steps.TimedPythonFunction(name="waiting", function="waits.py:wait", python=sys.executable)
    shell = steps.MeasureShellCommand(name="waiting", command=["sh", "-c", REPORTS], resources=True,
                                      python=sys.executable)
    for what, step in (("timed", timed), ("shell", shell)):
        add(util.MeasuredBuilderConfig(name=f"{name}-{what}", workernames=[name], factory=lost(step)))
add(util.MeasuredBuilderConfig(name="other", workernames=["other"], factory=lost()))
c["services"] = [util.SQLiteInstance()]
"""

#: What Buildbot's results are as numbers.
SUCCESS, RETRY = 0, 5
#: The series that each builder has of a build that is complete.
SERIES = {
    "timed": {"before", "waiting", "after", "after_files"},
    "shell": {"before", "printed", "filed", "after", "after_files"}
    | {f"waiting_{what}" for what in ("wall", "cpu", "max_rss", "tree_rss", "read", "written", "context_switches")},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with a worker of each protocol that is lost, and one that is not."""
    folder = tmp_path_factory.mktemp("lost")
    with Site(folder, "import sys\n" + BASE_CONFIG + CONFIG, workers=["other"]) as running:
        yield running


#: How each worker speaks to the master.
PROTOCOLS = {"pb": "pb", "msgpack": "msgpack_experimental_v7"}


def start(site: Site, worker: str) -> None:
    """Start a worker that is to be lost."""
    if worker not in site.workers or not site.workers[worker].running:
        site.start_worker(worker, protocol=PROTOCOLS[worker])


def stored_series(site: Site, buildid: int) -> set[str]:
    """The series with a point of a build."""
    return {point.series for point in points_of(site.journal) if point.build and point.build.buildid == buildid}


def ended(site: Site, buildid: int) -> Optional[dict[str, Any]]:
    """Wait for a build to end; returns it."""
    build: dict[str, Any] = site.get(f"builds/{buildid}")["builds"][0]
    return build if build["complete"] else None


def made_instead(site: Site, request: int, lost: int) -> Optional[dict[str, Any]]:
    """Wait for the retry of a lost build; returns it."""
    build = site.build_of(request)
    return build if build is not None and build["buildid"] > lost and build["complete"] else None


@pytest.mark.parametrize("what", ["timed", "shell"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_worker_that_is_killed_during_a_step(site: Site, protocol: str, what: str) -> None:
    """No value of the step is stored, the master continues, and the retry of the build is measured."""
    folder = site.folder / protocol / f"{protocol}-{what}" / "build"
    assert site.master is not None
    start(site, protocol)
    logged = len(site.master.log.read_bytes())
    request = site.force(f"{protocol}-{what}")
    site.wait_for((folder / "begun").exists, "the step to begin", 300)
    begun = site.build_of(request)
    assert begun is not None
    lost = begun["buildid"]
    waiting = site.steps(begun)["waiting"]
    site.wait_for(lambda: "##bbmeasure" in site.log_text(waiting, "stdio"), "what the step reports to arrive", 300)
    site.workers[protocol].kill()
    (folder / "go").touch()  # what the killed worker left running ends

    build = site.wait_for(lambda: ended(site, lost), "the lost build to end", 300)
    step = site.steps(build)["waiting"]
    assert (build["results"], step["results"]) == (RETRY, RETRY)
    assert sys.executable not in step["state_string"]
    assert site.build("other")["results"] == SUCCESS
    assert stored_series(site, lost) == {"before"}

    start(site, protocol)
    again = site.wait_for(lambda: made_instead(site, request, lost), "the build that is made instead", 300)
    assert (again["results"], stored_series(site, again["buildid"])) == (SUCCESS, SERIES[what])
    said = site.master.log.read_bytes()[logged:].decode("utf-8", "replace")
    assert "lost worker" in said
    assert "Unhandled" not in said
    assert not re.search(r'File ".*bbmeasure', said)
