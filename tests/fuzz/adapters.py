"""Fuzz the adapters, guided by coverage: ``python -m tests.fuzz.adapters [--seconds N] [ADAPTER ...]``.

Each adapter gets N seconds of atheris (``pip install atheris``), which begins with the recorded outputs and the words
in them.  An adapter may give records or raise ParseError; anything else, and anything that takes ten seconds, is a
find.  It is kept as ``tests/fuzz/finds/adapters/ADAPTER/HASH.txt``, which a unit test reads from then on.  The exit
status says how many adapters had one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bbmeasure import adapters
from tests.tool_output import cases
from tests.unit.adapters.hostile import documents, keys_of

FINDS = Path(__file__).resolve().parent / "finds" / "adapters"
LONGEST_INPUT = 16 * 1024
SLOWEST_SECONDS = 10


def words(name: str) -> set[str]:
    """The keys and markers in the recorded outputs, which a fuzzer would take long to guess."""
    found = {json.dumps(key) for document in documents(name) for key in keys_of(document)}
    for case in cases.discover(name):
        found.update(word for word in case.text.split()[:200] if len(word) < 60)
    return found


def dictionary(name: str) -> str:
    """The words as libFuzzer reads them: quoted, what is no printable ASCII as ``\\xAB``."""

    def escaped(byte: int) -> str:
        return chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02x}"

    return "".join(f'"{"".join(map(escaped, word.encode()))}"\n' for word in sorted(words(name)))


def hunt(name: str, seconds: int) -> bool:
    """Fuzz one adapter in a process of its own; whether it found anything."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, artifacts = Path(folder, "corpus"), Path(folder, "artifacts")
        corpus.mkdir()
        artifacts.mkdir()
        for case in [*cases.discover(name), *(FINDS / name).glob("*.txt")]:
            path = case if isinstance(case, Path) else case.path
            (corpus / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
        Path(folder, "words").write_text(dictionary(name))
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/", f"-dict={folder}/words"]
        options += [f"-max_len={LONGEST_INPUT}", f"-timeout={SLOWEST_SECONDS}", "-rss_limit_mb=3000", str(corpus)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.adapter_target", name, *options],
            capture_output=True,
            text=True,
            errors="replace",
        )
        for artifact in artifacts.iterdir():
            (FINDS / name).mkdir(parents=True, exist_ok=True)
            (FINDS / name / f"{artifact.name.rpartition('-')[2][:12]}.txt").write_bytes(artifact.read_bytes())
        last = [line for line in done.stderr.splitlines() if "exec/s" in line][-1:]
        print(f"{name}: {'FOUND SOMETHING' if done.returncode else 'nothing found'}; {''.join(last)}", flush=True)
        if done.returncode:
            print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", flush=True)
        return done.returncode != 0


def main() -> int:
    """Fuzz the adapters that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER", default=adapters.names())
    parser.add_argument("--seconds", type=int, default=60, help="how long for each adapter")
    chosen = parser.parse_args()
    return sum([hunt(name, chosen.seconds) for name in chosen.adapters])


if __name__ == "__main__":
    sys.exit(main())
