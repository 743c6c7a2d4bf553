"""``bbmeasure-eight export``: prints the durations and properties of past builds as JSON lines.

``bbmeasure import`` reads them.  The points are equal to those that an InfluxDBInstance captured live.
"""

from __future__ import print_function, unicode_literals

import argparse
import json
import os
import sys
from cPickle import load

from bbmeasure_eight import texts
from bbmeasure_eight.builds import NO_PLAN, Collector, Switches
from bbmeasure_eight.points import master_name

VERSION = 1


class Configured(object):
    """What a master.cfg says of tracking: plans by builder, names by directory, switches and default branch."""

    def __init__(self):
        self.names = {}
        self.plans = {}
        self.switches = Switches(True, True, ())
        self.default_branch = "main"
        self.problem = None


def read_configuration(directory):
    """The Configured of a master's directory; defaults, and the problem, where it cannot be read."""
    from buildbot.config import MasterConfig

    from bbmeasure_eight.status import InfluxDBInstance

    configured = Configured()
    try:
        config = MasterConfig.loadConfig(str(directory), str("master.cfg"))
    except Exception as error:  # whatever master.cfg raises
        configured.problem = texts.message(getattr(error, "errors", None) or error)
        return configured
    for builder in config.builders:
        configured.names[builder.builddir] = texts.decode(builder.name)
        configured.plans[texts.decode(builder.name)] = getattr(builder, "measurePlan", NO_PLAN)
    for instance in config.status:
        if isinstance(instance, InfluxDBInstance):
            configured.switches = configured.switches._replace(
                properties=configured.switches.properties + instance.switches.properties
            )
            configured.default_branch = texts.decode(instance.arguments["defaultBranch"])
    return configured


def builders(directory, configured):
    """(name, directory) of each builder, in the order of their directories.

    A master writes the file ``builder`` with the name when it stops; the builders of a new one are in master.cfg.
    """
    for folder in sorted(os.listdir(directory)):
        path = os.path.join(directory, folder)
        if os.path.isfile(os.path.join(path, "builder")):
            yield texts.decode(_load(os.path.join(path, "builder")).name), path
        elif os.path.isdir(path) and any(name.isdigit() for name in os.listdir(path)):
            yield configured.names.get(folder, texts.decode(folder)), path


def finished_builds(folder):
    """The finished builds of a builder's directory, in their order; None for a file that cannot be read."""
    for number in sorted(int(name) for name in os.listdir(folder) if name.isdigit()):
        try:
            status = _load(os.path.join(folder, "%d" % number))
        except Exception as error:  # a file cut off, or of a class that is no longer there
            print("build %d of %s: %s" % (number, folder, texts.message(error)), file=sys.stderr)
            continue
        if status.finished is not None and status.started is not None:
            yield status


def _load(path):
    """An object in a pickle of the master, upgraded to the present version of its class."""
    from twisted.persisted import styles

    with open(path, "rb") as pickle:
        status = load(pickle)
    styles.doUpgrade()
    return status


def line_of_point(point):
    """The JSON line of a point."""
    build = point.build
    fields = {
        "v": VERSION,
        "series": point.series,
        "time": point.time,
        "value": point.value,
        "kind": point.kind,
        "unit": point.unit,
        "better": point.better,
        "tags": point.tags,
        "builder": build.builder,
        "worker": build.worker,
        "build": build.build,
    }
    for name in ("step", "revision", "branch", "project", "proposal"):
        if getattr(build, name):
            fields[name] = getattr(build, name)
    return json.dumps(fields, sort_keys=True)


def export(directory, master, configured, only, output):
    """Print the points of all past builds; returns the number of builds."""
    count = 0
    for name, folder in builders(directory, configured):
        if only not in (None, name):
            continue
        plan = configured.plans.get(name, NO_PLAN)
        for status in finished_builds(folder):
            collector = Collector(status, name, master, plan, configured.default_branch)
            for point in collector.collect(configured.switches):
                output.write(line_of_point(point).encode("utf-8") + b"\n")
            for why in collector.refused:
                print("build %d: %s" % (status.number, why), file=sys.stderr)
            count += 1
    return count


def main(arguments=None):
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bbmeasure-eight", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(metavar="COMMAND")
    command = commands.add_parser(str("export"), help="print the values of past builds as JSON lines")
    command.add_argument("directory", metavar="MASTER_DIR", help="the master's directory")
    command.add_argument("--builder", metavar="NAME", help="only this builder")
    command.add_argument("--property", metavar="PATTERN", action="append", default=[], help="numeric properties")
    command.add_argument("--master-name", metavar="NAME", help="the master's name (default: HOST:DIRECTORY)")
    options = parser.parse_args(arguments)
    directory = os.path.abspath(options.directory)
    if not os.path.isdir(directory):
        print("%s: expected a master's directory" % directory, file=sys.stderr)
        return 2
    configured = read_configuration(directory)
    if configured.problem:
        print("master.cfg cannot be read, continuing without it: %s" % configured.problem, file=sys.stderr)
    properties = tuple(texts.decode(pattern) for pattern in options.property)
    configured.switches = configured.switches._replace(properties=configured.switches.properties + properties)
    name = options.master_name or master_name(directory)
    count = export(directory, texts.decode(name), configured, texts.decode(options.builder), sys.stdout)
    print("%d builds" % count, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
