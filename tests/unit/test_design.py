"""The design page: its package map and its layers are those of the code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from tests import documented

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "bbmeasure", ROOT / "steps" / "bbmeasure_steps", ROOT / "scripts" / "bbmeasure_scripts")
PAGE = (documented.DOCS / "design.rst").read_text()


def mapped() -> dict[str, Optional[str]]:
    """The paths of the package map, by the indentation of its lines, with the texts beside them."""
    found: dict[str, Optional[str]] = {}
    parents: list[str] = []
    for line in documented.code_block("package-map").splitlines():
        match = re.fullmatch(r"( *)(\S+)(?: +(\S.*))?", line)
        assert match, line
        indent, name, text = match.groups()
        del parents[len(indent) // 2 :]
        path = "".join([*parents, name])
        assert path not in found
        found[path] = text
        if name.endswith("/"):
            parents.append(name)
    return found


def existing() -> Iterator[str]:
    """The packages, with a slash, and the modules below the three roots."""
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            if path.name == "__init__.py":
                yield path.parent.relative_to(ROOT).as_posix() + "/"
            else:
                yield path.relative_to(ROOT).as_posix()


def test_the_package_map_names_every_package_and_module() -> None:
    """The map has a line for each package and module that exists, and for no other."""
    assert sorted({*mapped()} - {"bbmeasure/__init__.py"}) == sorted(existing())


def test_every_line_of_the_package_map_says_what_is_there() -> None:
    """Each line but the first has a text, and fits a terminal."""
    assert [path for path, text in mapped().items() if not text] == ["bbmeasure/"]
    assert max(map(len, documented.code_block("package-map").splitlines())) <= 110


def test_every_layer_is_named() -> None:
    """Each package of the layers' contract is in the table of layers, in the same order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    wanted = [re.split(r" *[|:] *", layer) for layer in layers]
    table = PAGE.partition("\nLayers\n")[2].partition("\nCentral types\n")[0]
    cells = re.findall(r"^ {3}\* - (``.*)$", table, re.MULTILINE)
    reported = [name for cell in cells for name in re.findall(r"``([\w.]+)``", cell)]
    assert reported == [name for names in wanted for name in names]


def test_every_file_that_the_page_names_exists() -> None:
    """Each path in the text exists, and each file name is that of a module."""
    named = re.findall(r"``((?:bbmeasure|steps|tests|scripts)/[\w/.]+)``", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
    alone = set(re.findall(r"``(\w+\.py)``", PAGE)) - {"__init__.py"}
    assert alone - {Path(path).name for path in existing()} == set()
