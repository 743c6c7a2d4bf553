"""What tests.fuzz.programs runs in a process of its own: ``python -m tests.fuzz.program_target PART OPTION...``.

The options are libFuzzer's, which ends the process.
"""

import sys

import atheris

with atheris.instrument_imports(include=["bbmeasure", "bbmeasure_scripts"]):
    from tests.unit.scripts import hostile

if __name__ == "__main__":
    atheris.Setup(sys.argv[1:], hostile.CHECKS[sys.argv[1]])
    atheris.Fuzz()
