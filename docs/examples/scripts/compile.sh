#!/bin/sh
# The example project is Python: compiling it means packing it.
set -eu
mkdir -p build
python3 -m zipfile -c build/project.zip project
