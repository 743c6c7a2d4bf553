"""The examples of the documentation, for tests that run them.

A page shows an example by ``.. literalinclude:: examples/NAME``, so that what a reader copies is what a test has run.
Short ones stand in the page as ``.. code-block::`` with a ``:name:``.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
EXAMPLES = DOCS / "examples"

_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: *(?P<language>\S+)\n(?P<options>(?:(?P=indent) +:[^\n]*\n)*)"
    r"(?P<body>(?:\n|(?P=indent) +[^\n]*\n)+)",
    re.MULTILINE,
)


def example(name: str) -> str:
    """The text of the example file ``name``."""
    return (EXAMPLES / name).read_text()


def included() -> set[str]:
    """The names of all example files that some page shows."""
    names = set()
    for page in [*DOCS.rglob("*.rst"), DOCS.parent / "README.rst"]:
        names.update(re.findall(r"^ *\.\. literalinclude:: +(?:docs/)?examples/(\S+)", page.read_text(), re.MULTILINE))
    return names


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page that are in one language."""
    found = _BLOCK.finditer(page.read_text())
    return [_text(block) for block in found if block["language"] == language]


def _text(block: re.Match[str]) -> str:
    return textwrap.dedent(block["body"]).strip("\n") + "\n"


def code_block(name: str) -> str:
    """The text of the one code block that has ``:name: NAME`` on some page."""
    found = []
    for page in sorted(DOCS.rglob("*.rst")):
        for block in _BLOCK.finditer(page.read_text()):
            if re.search(rf"^ *:name: +{re.escape(name)}$", block["options"], re.MULTILINE):
                found.append(_text(block))
    if len(found) != 1:
        raise LookupError(f"{len(found)} code blocks named {name!r} in docs/: expected one")
    return found[0]
