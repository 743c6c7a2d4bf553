"""Durations of builds, thread pool and stop while InfluxDB misbehaves: ``python -m benchmarks.faults``.

One real master with a builder that captures 200 values a build, behind a gateway that refuses, never answers, answers a
byte a second, fails, or loses every second answer.  Targets: an empty call in the reactor's thread pool returns within
50 ms (95th percentile) and 2 s (maximum), a build within 8 s, which is less than the exporter's request deadline of
10 s; a stop takes at most 2 s longer than that of a master without an exporter.  The same figures with a working server
are printed beside them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bbmeasure.testing.site import Site
from benchmarks.targets import Figures
from tests.faults.masters import CONFIG, ThreadPoolCheck, build, shipping_site, wait_until_shipped
from tests.hostile import Gateway
from tests.servers import Influxd

MODES = ("refused", "silent", "dripping", "failing", "losing")
BUILDS = 5


def measure(site: Site) -> dict[str, float]:
    """Run builds; the longest build in seconds, and the waits for the thread pool in milliseconds."""
    builds = []
    check = ThreadPoolCheck(site)
    with check:
        for _ in range(BUILDS):
            began = time.perf_counter()
            build(site)
            builds.append(time.perf_counter() - began)
    waits = sorted(seconds * 1_000 for _, seconds in check.calls())
    return {"build": max(builds), "p95": waits[int(len(waits) * 0.95)], "maximum": waits[-1]}


def time_stop(site: Site) -> float:
    """Seconds until the master has ended."""
    assert site.master is not None
    return site.master.stop()


def main() -> int:
    """Print each figure with its target; returns 1 if one is missed."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name, Influxd() as influxd, Gateway(influxd.port) as gateway:
        folder = Path(name)
        with Site(folder / "control", CONFIG, workers=()) as control:
            build(control)
            without = time_stop(control)
        with shipping_site(folder / "faults", gateway) as site:
            build(site)
            wait_until_shipped(site, influxd)
            good = measure(site)
            for mode in MODES:
                gateway.set(mode)
                got = measure(site)
                for what, unit, most in (("p95", "ms", 50.0), ("maximum", "ms", 2_000.0), ("build", "s", 8.0)):
                    label = "longest build" if what == "build" else f"thread pool, {what}"
                    figures.show(f"{mode}: {label}", got[what], unit, most, f"good server {good[what]:.2f}")
                gateway.set("good")
                wait_until_shipped(site, influxd)
            gateway.set("silent")
            build(site)
            figures.show(
                "silent: stop of the master", time_stop(site), "s", without + 2.0, f"without exporter {without:.2f}"
            )
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
