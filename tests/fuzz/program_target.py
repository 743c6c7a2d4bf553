"""Fuzz target of a part of the programs: ``python -m tests.fuzz.program_target PART OPTION...``.

tests.fuzz.programs runs it in a separate process, as libFuzzer exits.  The options are those of libFuzzer.
"""

import sys

import atheris

with atheris.instrument_imports(include=["bbmeasure", "bbmeasure_scripts"]):
    from tests.unit.scripts import hostile

if __name__ == "__main__":
    atheris.Setup(sys.argv[1:], hostile.CHECKS[sys.argv[1]])
    atheris.Fuzz()
