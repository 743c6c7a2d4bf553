"""Diagnostics of gcc, clang, clang-tidy and their linkers in a build log."""

from __future__ import annotations

import re
from typing import Optional

from bbmeasure.adapters._text import lines, split_position
from bbmeasure.adapters.lint import Issue

_SEVERITIES = ("warning", "fatal error", "error")
#: ``[-Wunused]``, ``[-Werror=unused]``, ``[-Werror,-Wunused]``, ``[-fpermissive]``, clang-tidy's ``[bugprone-branch]``.
_OPTION = re.compile(r"\[(-[^\[\]\s]+|[a-z][a-z0-9]*-[^\[\]\s]+)\]\Z")
_PROGRAM = re.compile(
    r"(?:\S*/)?(?:[\w.]+-)*(?:cc|cc1|cc1plus|c\+\+|gcc|g\+\+|clang|clang\+\+|ld|lto1|collect2|as)(?:[-.][\w.]+)?"
)


def issues(text: str) -> list[Issue]:
    """The distinct warnings and errors in a log; other lines are ignored.

    A warning in a header counts once, regardless of how many files include it.  The formats:
    https://gcc.gnu.org/onlinedocs/gcc/Diagnostic-Message-Formatting-Options.html and
    https://clang.llvm.org/docs/UsersManual.html#formatting-of-diagnostics
    """
    issues_found: list[Issue] = []
    seen: set[str] = set()
    for _number, line in lines(text):
        if (": warning: " in line or "error: " in line) and line not in seen:
            issue = _issue(line)
            if issue is not None:
                seen.add(line)
                issues_found.append(issue)
    return issues_found


def _issue(line: str) -> Optional[Issue]:
    """The issue of a line ``[program: ]file:line:column: severity: message [option]``; None for any other line."""
    marks = [(line.find(f": {severity}: "), severity) for severity in _SEVERITIES]
    at, severity = min(((at, severity) for at, severity in marks if at > 0), default=(0, ""))
    if not severity or line[0].isspace():
        return None
    file, position = split_position(line[:at])
    program, _colon, rest = file.partition(": ")
    is_program = len(program) < 300 and _PROGRAM.fullmatch(program) is not None
    if not position and not is_program:
        return None
    option = _OPTION.search(line, at + len(severity) + 4)
    category = _category(option[1]) if option else severity.rpartition(" ")[2]
    return Issue(category, rest if is_program else file, position, severity)


def _category(option: str) -> str:
    """The name of the option of a warning: ``unused-variable`` for ``-Werror,-Wunused-variable``."""
    named = [part for part in option.split(",") if part not in ("-Werror", "-warnings-as-errors")] or [option]
    name = named[0]
    for prefix in ("-Werror=", "-W", "-"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
            break
    return name.rstrip("=") or name
