"""Fuzz target of an adapter: ``python -m tests.fuzz.adapter_target ADAPTER OPTION...``.

tests.fuzz.adapters runs it in a separate process, as libFuzzer exits.  The options are those of libFuzzer.
"""

import sys

import atheris

with atheris.instrument_imports(include=["bbmeasure"]):
    from tests.unit.adapters import hostile

    NAME = sys.argv[1]
    hostile.module_of(NAME)


def read(content: bytes) -> None:
    """Parse an input of the fuzzer."""
    hostile.check(NAME, content.decode("utf-8", "replace"))


if __name__ == "__main__":
    atheris.Setup(sys.argv[1:], read)
    atheris.Fuzz()
