#!/bin/sh
# The project of this example is Python: to compile it is to pack it.
set -eu
mkdir -p build
python3 -m zipfile -c build/project.zip project
