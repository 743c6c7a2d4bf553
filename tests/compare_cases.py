"""Compares the adapters and programs with a folder of cases: ``python -m tests.compare_cases FOLDER``.

A case is a file and, beside it, the same name with ``.want``: lines ``read by:``, ``want:``, ``why:``.  ``read by`` is
``the adapter NAME``, ``bbmeasure-sloc --tool builtin``, or ``run it``, which is listed and not compared.  ``want`` is
``refused ...``, ``N lines of source``, or ``NAME{TAG=VALUE} = NUMBER``, several separated by commas; ``none`` means
that there is no such record, ``better = lower`` the direction, and what follows ``or`` is an alternative.
"""

from __future__ import annotations

import math
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

from bbmeasure import adapters
from bbmeasure.errors import ParseError
from bbmeasure_scripts import file_walk, sloc_counter

Found = Mapping[str, Union[float, str, None]]

_EXPECTATION = re.compile(r"(?P<name>.+?) (?P<better>better )?= (?P<value>\S+)\Z")


def read(path: Path) -> dict[str, str]:
    """The fields of a ``.want``."""
    pairs = (line.partition(": ") for line in path.read_text("utf-8").splitlines())
    return {key: value.strip() for key, _colon, value in pairs}


def found_by(reader: str, path: Path) -> Found:
    """The values by name, and the directions by ``NAME better``; ``refused`` where the output is invalid."""
    if reader.startswith("bbmeasure-sloc"):
        return {"lines of source": _lines(path)}
    try:
        records = adapters.find(reader.rpartition(" ")[2]).parse(path.read_bytes().decode("utf-8", "replace"))
    except ParseError as error:
        return {"refused": str(error)}
    found: dict[str, Union[float, str, None]] = {}
    for record in records:
        tags = ",".join(f"{key}={value}" for key, value in record.tags.items())
        name = f"{record.name}{{{tags}}}" if tags else record.name
        found[name], found[f"{name} better"] = record.value, record.better.word
    return found


def _lines(path: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)
        return sum(sloc_counter.count_tree([folder], file_walk.Excluded(), file_walk.Notes()).lines.values())


def meets(want: str, found: Found) -> bool:
    """Whether the values are those that are wanted."""
    if want.startswith("refused"):
        return "refused" in found
    lines = re.match(r"(\d+) lines of source", want)
    if lines:
        return found["lines of source"] == int(lines[1])
    alternatives = re.search(r"\((\d+) where ", want)
    want = re.sub(r"\s*\([^()]*\)", "", want).replace(", or ", " or ")
    first = all(_is_met(part, found) for part in re.split(r", (?:and )?", want))
    return first or (alternatives is not None and found.get(want.partition(" = ")[0]) == int(alternatives[1]))


def _is_met(expectation: str, found: Found) -> bool:
    if " or " in expectation:
        name = expectation.partition(" = ")[0]
        return any(
            _is_met(part, found)
            or (part.startswith("no ") and name not in found)
            or (part == "refused" and "refused" in found)
            for part in expectation.split(" or ")
        )
    match = _EXPECTATION.match(expectation)
    if match is None:
        return expectation == "refused" and "refused" in found
    value = found.get(match["name"] + (" better" if match["better"] else ""))
    if match["value"] == "none":
        return value is None
    return value == match["value"] or (
        isinstance(value, float) and math.isclose(value, _number(match["value"]), rel_tol=1e-6)
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def compare(folder: Path) -> tuple[int, list[str], list[str]]:
    """The number of cases that give what is wanted, the differences, and the cases that are not compared."""
    good, differences, left = 0, [], []
    for path in sorted(folder.glob("*.want")):
        fields = read(path)
        case = path.with_suffix("")
        if fields["read by"] == "run it":
            left.append(case.name)
            continue
        found = found_by(fields["read by"], case)
        if meets(fields["want"], found):
            good += 1
        else:
            shown = {
                key: value for key, value in found.items() if not key.endswith(" better") or "better" in fields["want"]
            }
            differences.append(f"{case.name}: wanted {fields['want']}, got {shown}")
    return good, differences, left


def main(argv: Optional[list[str]] = None) -> int:
    """Print the differences; returns 1 where there are any."""
    good, differences, left = compare(Path((sys.argv[1:] if argv is None else argv)[0]))
    for line in differences:
        print(line)
    print(f"{good} as wanted, {len(differences)} not, {len(left)} to run by hand: {', '.join(left)}")
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
