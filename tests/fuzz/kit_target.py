"""Fuzz what the worker's kit and the wire make of strange bytes: ``python -m tests.fuzz.kit_target OPTION...``.

The options are libFuzzer's, such as ``-max_total_time=60``; the exit status is not 0 where something was found.  The
input's first byte chooses what reads the rest: the bundled counter of source lines in one of its languages, or the
scanner of marked lines and the reader of sidecar files.  The only exceptions are none.
"""

import sys

import atheris

with atheris.instrument_imports(include=["bbmeasure", "bbmeasure_scripts"]):
    from bbmeasure import wire
    from bbmeasure_scripts import sloc_count, sloc_languages

SYNTAXES = sorted(set(sloc_languages.SYNTAXES.values()), key=repr)


def read(content: bytes) -> None:
    """Read what the fuzzer made up."""
    choice, rest = content[:1], content[1:]
    if not choice:
        return
    if choice[0] % 4 == 0:
        list(wire.read_file(rest))
        scanner = wire.MarkerScanner()
        text = rest.decode("utf-8", "replace")
        for begin in range(0, len(text), 7):
            scanner.feed(text[begin : begin + 7])
        scanner.finish()
        return
    lines = sloc_count.count_lines(sloc_count.normalize(rest), SYNTAXES[choice[0] % len(SYNTAXES)])
    if not 0 <= lines <= rest.count(b"\n") + rest.count(b"\r") + 1:
        raise AssertionError(f"{lines} lines in {rest!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
