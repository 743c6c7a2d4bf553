"""All benchmarks, one after the other: ``make bench``, or some of them by name: ``make bench ARGS="steps kit_size"``.

Each prints this project's figures beside its peers' from the same run.  Exit status 1 where one failed or missed its
target.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """The benchmarks: the modules here that are programs."""
    programs = [path for path in HERE.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()]
    return sorted(path.stem for path in programs if path.stem != "__main__")


def main(wanted: list[str]) -> int:
    """Run the benchmarks ``wanted``, or all of them."""
    known = names()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"{', '.join(unknown)}: expected some of {', '.join(known)}", file=sys.stderr)
        return 2
    red = []
    for name in wanted or known:
        print(f"\n==== {name}: {_what(name)}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent).returncode:
            red.append(name)
    if red:
        print(f"\nfailed or missed a target: {', '.join(red)}")
    return 1 if red else 0


def _what(name: str) -> str:
    """The first line of what a benchmark says of itself."""
    said = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    return said.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
