import os

from buildbot_worker.bot import Worker
from twisted.application import service

application = service.Application("buildbot-worker")
host, port = os.environ["BUILDMASTER"], int(os.environ.get("BUILDMASTER_PORT", "9989"))
name, password = os.environ.pop("WORKERNAME"), os.environ.pop("WORKERPASS")  # not for the commands of builds
Worker(host, port, name, password, basedir="/work", keepalive=600).setServiceParent(application)
