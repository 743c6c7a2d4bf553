"""What the adapters of linters share: issues, and the records that they are counted into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Callable

from bbmeasure.adapters._text import clean, clean_tag
from bbmeasure.records import LONGEST_NAME, Direction, Kind, Record

#: The most categories, and the most files, that have a record of their own; the rest is summed up under ``other``.
MOST_GROUPS = 200
OTHER = "other"


@dataclass(frozen=True)
class Issue:
    """One thing that a linter found.

    ``category`` is what the tool itself groups by; ``file`` as the tool spells it; ``line`` is 0 where it has none;
    ``severity`` in the tool's own word, empty where it has none.
    """

    category: str
    file: str = ""
    line: int = 0
    severity: str = ""


def records(
    name: str, issues: Iterable[Issue], by_file: bool = False, *, categories: Sequence[str] = (), root: str = ""
) -> list[Record]:
    """The counts of ``issues``: ``NAME``, ``NAME_by_category``, and ``NAME_by_file`` where it is asked for.

    Each of ``categories`` has a record, be it 0.  The largest 200 groups keep their own; what is left is ``other``.
    ``root`` is the folder that file names are cut short by, so that two workers agree on them.
    """
    listed = list(issues)
    total = Record(_named(name, ""), len(listed), kind=Kind.COUNT, better=Direction.LOWER)
    by_category = Counter(dict.fromkeys(categories, 0))
    for category, count in Counter(issue.category for issue in listed).items():
        by_category[clean_tag(category)] += count
    counted = [total, *_grouped(_named(name, "_by_category"), "category", by_category)]
    if by_file:
        files: Counter[str] = Counter()
        for file, count in Counter(issue.file for issue in listed).items():
            files[clean_tag(_relative(file, root), empty="-")] += count
        counted += _grouped(_named(name, "_by_file"), "file", files)
    return counted


def parse(tool: str, text: str, issues: Callable[[str], list[Issue]], categories: Sequence[str] = ()) -> list[Record]:
    """A linter's output as records under the tool's own name; none where there is no output."""
    return records(tool, issues(text), categories=categories) if text.strip() else []


def _named(name: str, suffix: str) -> str:
    return clean(name, LONGEST_NAME - len(suffix)) + suffix


def _grouped(name: str, tag: str, counts: Counter[str]) -> list[Record]:
    """A record a group, in the order of their names."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = Counter(dict(largest if len(largest) <= MOST_GROUPS else largest[: MOST_GROUPS - 1]))
    rest = sum(counts.values()) - sum(kept.values())
    if rest:
        kept[OTHER] += rest
    return [
        Record(name, kept[group], kind=Kind.COUNT, better=Direction.LOWER, tags={tag: group}) for group in sorted(kept)
    ]


def _relative(file: str, root: str) -> str:
    """``file`` without its URL scheme, ``root`` and ``./`` in front, with forward slashes where it has others."""
    for scheme in ("file:///", "file://"):
        if file.startswith(scheme):
            file = "/" + file[len(scheme) :]
    file = file.replace("\\", "/")
    root = root.replace("\\", "/").rstrip("/") + "/"
    if root != "/" and file.startswith(root):
        file = file[len(root) :]
    return file[2:] if file.startswith("./") else file
