#!/bin/sh
# The example project is Python: compiling it means packing what is committed, without what its tests leave beside it.
set -eu
mkdir -p build
git archive --output=build/project.zip HEAD project
