"""Issues of linters, and the records that count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple

from bbmeasure.adapters._text import clean, clean_tag
from bbmeasure.records import LONGEST_NAME, Direction, Kind, Record

#: The most categories, and the most files, with a record of their own; the rest is summed up as ``other``.
MAX_GROUPS = 200
OTHER = "other"


class Issue(NamedTuple):
    """An issue that a linter reports.

    ``category`` is the grouping of the tool, ``file`` and ``severity`` are as in its output.  ``line`` is 0 and
    ``severity`` is empty where the tool reports none.
    """

    category: str
    file: str = ""
    line: int = 0
    severity: str = ""


def records(
    name: str, issues: Iterable[Issue], by_file: bool = False, *, categories: Sequence[str] = (), root: str = ""
) -> list[Record]:
    """The counts of ``issues``: ``NAME``, ``NAME_by_category``, and with ``by_file`` also ``NAME_by_file``.

    Each of ``categories`` has a record, even for 0 issues.  Files are relative to ``root``, so that they do not depend
    on the worker.
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
    """The records of the output of a linter, under the name of the tool; none for an empty output."""
    return records(tool, issues(text), categories=categories) if text.strip() else []


def _named(name: str, suffix: str) -> str:
    return clean(name, LONGEST_NAME - len(suffix)) + suffix


def _grouped(name: str, tag: str, counts: Counter[str]) -> list[Record]:
    """A record for each group, sorted by name."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    groups = Counter(dict(largest if len(largest) <= MAX_GROUPS else largest[: MAX_GROUPS - 1]))
    rest = sum(counts.values()) - sum(groups.values())
    if rest:
        groups[OTHER] += rest
    return [
        Record(name, groups[group], kind=Kind.COUNT, better=Direction.LOWER, tags={tag: group})
        for group in sorted(groups)
    ]


def _relative(file: str, root: str) -> str:
    """``file`` relative to ``root``, with forward slashes and without URL scheme and ``./``."""
    for scheme in ("file:///", "file://"):
        if file.startswith(scheme):
            file = "/" + file[len(scheme) :]
    file = file.replace("\\", "/")
    root = root.replace("\\", "/").rstrip("/") + "/"
    if root != "/" and file.startswith(root):
        file = file[len(root) :]
    return file[2:] if file.startswith("./") else file
