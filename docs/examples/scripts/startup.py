"""Reports ten samples of the time of `import project` to the file that the step names."""

import json
import os
import subprocess
import sys
import time


def measure():
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import project"], check=True)
    return time.perf_counter() - began


record = {
    "v": 1,
    "name": "import_time",
    "samples": [measure() for _ in range(10)],
    "unit": "s",
    "better": "lower",
    "tags": {"module": "project"},
}
with open(os.environ["BBMEASURE_FILE"], "a") as file:
    file.write(json.dumps(record) + "\n")
