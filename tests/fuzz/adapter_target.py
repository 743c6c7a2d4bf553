"""What tests.fuzz.adapters runs in a process of its own: ``python -m tests.fuzz.adapter_target ADAPTER OPTION...``.

The options are libFuzzer's, which ends the process.
"""

import sys

import atheris

with atheris.instrument_imports(include=["bbmeasure"]):
    from tests.unit.adapters import hostile

    NAME = sys.argv[1]
    hostile.module_of(NAME)


def read(content: bytes) -> None:
    """Read what the fuzzer made up."""
    hostile.check(NAME, content.decode("utf-8", "replace"))


if __name__ == "__main__":
    atheris.Setup(sys.argv[1:], read)
    atheris.Fuzz()
