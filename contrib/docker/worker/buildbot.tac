"""The worker: its builds are in the current directory."""

import os

from buildbot_worker.bot import Worker
from twisted.application import service

# pop: builds do not inherit the password
PASSWORD = os.environ.pop("WORKER_PASSWORD")
PORT = int(os.environ.get("MASTER_PORT", "9989"))

application = service.Application("buildbot-worker")
Worker(
    os.environ["MASTER_HOST"],
    PORT,
    os.environ["WORKER_NAME"],
    PASSWORD,
    os.getcwd(),
    keepalive=60,
    maxdelay=30,
).setServiceParent(application)
