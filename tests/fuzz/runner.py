"""Runs a libFuzzer target in a separate process and saves its finds."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

FINDS = Path(__file__).resolve().parent / "finds"
LONGEST_INPUT = 16 * 1024
SLOWEST_SECONDS = 10


def dictionary(words: Iterable[bytes]) -> str:
    """The words as a dictionary for libFuzzer: quoted, with other bytes than printable ASCII as ``\\xAB``."""

    def escaped(byte: int) -> str:
        return chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02x}"

    return "".join(f'"{"".join(map(escaped, word))}"\n' for word in sorted(set(words)) if word)


def fuzz(target: str, name: str, seeds: Iterable[bytes], words: Iterable[bytes], finds: Path, seconds: int) -> bool:
    """Fuzz ``name`` with ``python -m TARGET NAME OPTION...``; returns whether there is a find, saved in ``finds``.

    The corpus is the seeds and the previous finds, the dictionary is ``words``.
    """
    with tempfile.TemporaryDirectory() as folder:
        corpus, artifacts = Path(folder, "corpus"), Path(folder, "artifacts")
        corpus.mkdir()
        artifacts.mkdir()
        for number, seed in enumerate([*seeds, *(path.read_bytes() for path in finds.glob("*"))]):
            (corpus / f"{number}").write_bytes(seed)
        Path(folder, "words").write_text(dictionary(words))
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/", f"-dict={folder}/words"]
        options += [f"-max_len={LONGEST_INPUT}", "-len_control=0", f"-timeout={SLOWEST_SECONDS}"]
        options += ["-rss_limit_mb=3000", str(corpus)]
        done = subprocess.run(
            [sys.executable, "-m", target, name, *options], capture_output=True, text=True, errors="replace"
        )
        for artifact in artifacts.iterdir():
            finds.mkdir(parents=True, exist_ok=True)
            (finds / f"{artifact.name.rpartition('-')[2][:12]}.txt").write_bytes(artifact.read_bytes())
    last = [line for line in done.stderr.splitlines() if "exec/s" in line][-1:]
    print(f"{name}: {'FIND' if done.returncode else 'no find'}; {''.join(last)}", flush=True)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", flush=True)
    return done.returncode != 0
