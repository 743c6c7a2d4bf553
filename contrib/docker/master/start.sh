#!/bin/sh
# Create or upgrade the database of the master in the current directory, and run the master in the foreground.
set -eu
ln -sf "$(dirname "$(readlink -f "$0")")/buildbot.tac" buildbot.tac
buildbot upgrade-master --quiet .
exec twistd --nodaemon --pidfile= --python=buildbot.tac
