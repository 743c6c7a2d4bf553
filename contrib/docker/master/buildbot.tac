"""The master: its database is in the current directory, its configuration beside this file."""

import os

from buildbot.master import BuildMaster
from buildbot.www.rest import V2RootResource
from twisted.application import service
from twisted.internet import threads

basedir = os.getcwd()
# `buildbot upgrade-master` and `bbmeasure check` read these names.
configfile = os.path.join(os.path.dirname(os.path.realpath(__file__)), "master.cfg")

# `buildbot` looks for this line.
application = service.Application('buildmaster')
BuildMaster(basedir, configfile).setServiceParent(application)


def in_reactor(function):
    from twisted.internet import reactor

    return staticmethod(lambda *arguments: threads.blockingCallFromThread(reactor, function, *arguments))


# A fault of Buildbot 4.2 and 4.3: see docs/versions.rst.
if hasattr(V2RootResource, "_write_json_data"):
    V2RootResource._write_json_data = in_reactor(V2RootResource._write_json_data)
