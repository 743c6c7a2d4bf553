"""The recorded outputs, found by their place, and what is expected of them.

Run as a program (``python -m tests.tool_output.cases``) it writes what the adapters make of each case now into its
``CASE.expected.json``: read the difference before you commit it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bbmeasure import adapters
from bbmeasure.errors import ParseError
from bbmeasure.records import Record

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Case:
    """One recorded output: ``ADAPTER/VERSION/NAME.EXT`` in this folder."""

    adapter: str
    path: Path

    @property
    def name(self) -> str:
        """What the tool was made to say: zero, one, many, failed, truncated, or a word of its own."""
        return self.path.stem

    @property
    def id(self) -> str:
        """The path in this folder, for pytest."""
        return str(self.path.relative_to(FOLDER))

    @property
    def expected(self) -> Path:
        """The file that says what the adapter makes of it."""
        return self.path.with_name(f"{self.path.stem}.expected.json")

    @property
    def text(self) -> str:
        """The output as it was recorded."""
        return self.path.read_bytes().decode("utf-8")


def discover(adapter: str = "*") -> list[Case]:
    """All cases, or an adapter's."""
    files = sorted(path for path in FOLDER.glob(f"{adapter}/*/*.*") if not path.name.endswith(".expected.json"))
    return [Case(path.parts[-3], path) for path in files]


def outcome(adapter: str, text: str) -> dict[str, Any]:
    """What an adapter makes of a text, as JSON: records, a linter's by file too, or the line of a ParseError."""
    found = adapters.find(adapter)
    try:
        records = found.records(text, by_file=True, root="/build") if found.is_linter else found.parse(text)
    except ParseError as error:
        return {"error": {"line": error.line}}
    return {"records": [_shown(record) for record in records]}


def _shown(record: Record) -> dict[str, Any]:
    """A record without what is as usual."""
    shown: dict[str, Any] = {
        "name": record.name,
        "value": record.value,
        "kind": record.kind.value,
        "better": record.better.word,
    }
    if record.unit != "1":
        shown["unit"] = record.unit
    if record.tags:
        shown["tags"] = dict(record.tags)
    if record.samples:
        shown["samples"] = list(record.samples)
    return shown


def main() -> None:
    """Write every expectation anew, one record a line."""
    for case in discover():
        made = outcome(case.adapter, case.text)
        if "error" in made:
            text = json.dumps(made)
        else:
            lines = ",\n".join(f"  {json.dumps(record, ensure_ascii=False)}" for record in made["records"])
            text = f'{{"records": [\n{lines}\n]}}' if lines else '{"records": []}'
        case.expected.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
