"""Diagnostics of gcc, clang, clang-tidy, their assembler and their linkers in a build log."""

from __future__ import annotations

import re
from typing import Optional

from bbmeasure.adapters import _linker
from bbmeasure.adapters._log_prefix import is_clock, strip_prefixes
from bbmeasure.adapters._text import line_number, lines, split_position
from bbmeasure.adapters.lint import Issue

#: The longest place before a message, in characters; the time of some patterns grows with its square.
_LONGEST_PLACE = 5000
_SEVERITY = re.compile(r": (?P<severity>warning|fatal error|fatal|error): ")
#: What a line contains that can be an issue; a quick test before the others.
_CANDIDATE = re.compile(
    r"warning|error|fatal: |Warning:|Error:|undefined|multiple definition|cannot |relocation |not recognized"
)
#: ``[-Wunused]``, ``[-Werror=unused]``, ``[-Werror,-Wunused]``, ``[-fpermissive]``, clang-tidy's ``[bugprone-branch]``.
_OPTION = re.compile(r"\[(-[^\[\]\s]+|[a-z][a-z0-9]*-[^\[\]\s]+)\]\Z")
_PROGRAM = re.compile(
    r"(?:\S*[/\\])?(?:[\w.]+-)*(?:cc|cc1|cc1plus|cc1obj|cc1objplus|c\+\+|cpp|gcc|g\+\+|gfortran|f951|gnat1|nvcc"
    r"|clang|clang\+\+|clang-cl|clang-tidy|flang|ld|ld64|lld|lld-link|wasm-ld|mold|lto1|lto-wrapper|collect2|as)"
    r"(?:\.(?:bfd|gold|lld|mold))?(?:[-.][\d.]+)?(?:\.exe)?"
)
#: MSVC's form: ``a.c(3,11): warning: x``, ``a.c(3): error C2065: x``, ``a.obj : error LNK2019: x``.
_MSVC = re.compile(
    r"(?P<file>[^\n(]*?\S)(?:\((?P<line>\d{1,9})(?:[,-]\d{1,9}){0,3}\))?[ ]?:[ ](?:Command line )?"
    r"(?P<severity>fatal error|error|warning)(?:[ ](?P<code>[A-Z]{1,4}\d{1,5}))?[ ]?: "
)
#: The GNU assembler: ``a.s:3: Error: x``.
_ASSEMBLER = re.compile(
    r"(?P<file>\{standard input\}|[^\n:]+\.(?:s|S|sx|asm)):(?P<line>\d{1,9}): (?P<severity>Error|Warning): "
)
#: gfortran writes the place, the source and then the message: ``Error: ... at (1)``.
_FORTRAN_PLACE = re.compile(r"(?P<file>\S.*):(?P<line>\d{1,9}):\d{1,9}:\Z")
_FORTRAN = re.compile(r"(?P<severity>Error|Warning|Fatal Error): .*(?:\(1\)|\[-W[^\[\]\s]+\])")
#: A diagnostic without place and program is clang's if it names the option.
_BARE = re.compile(r"(?P<severity>warning|fatal error|error): .*\[(?:-W|clang-diagnostic-)[^\[\]\s]+\]\Z")
#: Failures of tests, in the form of an error of a compiler: CppUTest and UnitTest++, Boost.Test, XCTest.
_TEST_FAILURE = re.compile(r"Failure in |in \"|-\[")

_SOURCES = re.compile(
    r"(?:c|cc|cp|cpp|cxx|c[+][+]|h|hh|hp|hpp|hxx|h[+][+]|ipp|tpp|tcc|txx|inl|inc|def|i|ii|m|mm|mi|mii|s|sx|"
    r"asm|y|yy|l|ll|lex|ypp|f|f77|f90|f95|f03|f08|for|fpp|ftn|cu|cuh|cl|hip|adb|ads|d|di|go|cppm|ixx|ccm|"
    r"gperf|in|td|x|pc|o|a|so|obj|lib)\Z"
)
#: Files of other languages, of which other compilers write lines of this form.
_OTHERS = re.compile(
    r"(?:java|kt|kts|scala|groovy|py|pyi|pyx|rb|php|pl|pm|js|mjs|cjs|jsx|ts|tsx|vue|swift|rs|cs|vb|fs|hs|ml|"
    r"mli|lua|r|sh|xml|json|yml|yaml|toml|ini|cfg|css|scss|html|md|rst|tex|proto|txt|log|csv|svg|sql)\Z"
)


def issues(text: str) -> list[Issue]:
    """The distinct warnings and errors in a log; other lines are ignored.

    A warning in a header counts once, regardless of how many files include it, and so does a line that differs only in
    what a log collector puts before it.  The formats:
    https://gcc.gnu.org/onlinedocs/gcc/Diagnostic-Message-Formatting-Options.html and
    https://clang.llvm.org/docs/UsersManual.html#formatting-of-diagnostics
    """
    issues_found: list[Issue] = []
    seen: set[str] = set()
    place = ""
    for _number, logged in lines(text):
        if logged.endswith(":"):
            stripped = strip_prefixes(logged)
            place = stripped if _FORTRAN_PLACE.match(stripped) else place
        if not _CANDIDATE.search(logged):
            continue
        line = strip_prefixes(logged)
        key = f"{place}{line}" if _FORTRAN.match(line) else line
        issue = None if key in seen else _issue(line, place)
        if issue is not None:
            seen.add(key)
            issues_found.append(issue)
    return issues_found


def _issue(line: str, place: str) -> Optional[Issue]:
    """The issue of a line without its prefixes; ``place`` is the last line that is only a place."""
    return _diagnostic(line) or _microsoft(line) or _linked(line) or _assembled(line) or _unplaced(line, place)


def _diagnostic(line: str) -> Optional[Issue]:
    """The issue of a line ``[program: ]file:line:column: severity: message [option]``."""
    marked = _SEVERITY.search(line)
    if marked is None or _TEST_FAILURE.match(line, marked.end()):
        return None
    head = line[: marked.start()]
    if len(head) > _LONGEST_PLACE:
        return None
    program, rest = _split_program(head)
    file, position = split_position(rest)
    section = _linker.file_of(rest)
    if section:
        file, position = section, 0
    elif not program and (marked["severity"] == "fatal" or not _is_place(rest, file, position)):
        return None
    return Issue(_category(line, marked), _linker.without_object(file), position, marked["severity"])


def _split_program(head: str) -> tuple[str, str]:
    """The compiler or linker that precedes a place, and the rest; the program is empty where there is none."""
    program, colon, rest = head.partition(": ")
    if len(program) < 300 and _PROGRAM.fullmatch(program):
        return program, rest
    return "", head


def _is_place(text: str, file: str, position: int) -> bool:
    """Whether the text before a severity is a place in a source file."""
    return not is_clock(text) and _is_source(file, needs_directory=not position)


def _is_source(file: str, needs_directory: bool) -> bool:
    """Whether a place is in a file of the compilers: by its extension, else a file in a directory."""
    if file.startswith(("<", "{")):
        return True
    if "://" in file or file.startswith("+ "):
        return False
    extension = file.replace("\\", "/").rpartition("/")[2].rpartition(".")[2].rstrip(")").lower()
    if _SOURCES.match(extension) and "." in file:
        return True
    return not _OTHERS.match(extension) and not needs_directory and ("/" in file or "\\" in file)


def _microsoft(line: str) -> Optional[Issue]:
    """The issue of a line in the form of MSVC, which clang-cl and ``-fdiagnostics-format=msvc`` write."""
    found = _MSVC.match(line)
    if found is None or not (found["line"] or found["code"]) or _TEST_FAILURE.match(line, found.end()):
        return None
    if found["line"] and not _is_source(found["file"], needs_directory=False):
        return None
    category = found["code"] or _category(line, found)
    return Issue(category, found["file"], line_number(found["line"] or 0), found["severity"])


def _linked(line: str) -> Optional[Issue]:
    """The issue of a line of GNU ld that has no word for its severity."""
    program, rest = _split_program(line[: 2 * _LONGEST_PLACE])
    error = _linker.error(line[: 2 * _LONGEST_PLACE], rest if program else None)
    if error is None or ": warning: " in line:
        return None
    file, position = split_position(error.place)
    return Issue("error", _linker.file_of(error.place) or _linker.without_object(file), position, "error")


def _assembled(line: str) -> Optional[Issue]:
    found = _ASSEMBLER.match(line)
    if found is None:
        return None
    severity = found["severity"].lower()
    return Issue(severity, found["file"], line_number(found["line"]), severity)


def _unplaced(line: str, place: str) -> Optional[Issue]:
    """The issue of a line without a place: gfortran's, or clang's with an option."""
    fortran = _FORTRAN.match(line) if place else None
    if fortran is not None:
        at = _FORTRAN_PLACE.match(place)
        file, position = (at["file"], line_number(at["line"])) if at else ("", 0)
        severity = fortran["severity"].lower()
        return Issue(_category(line, fortran), file, position, severity)
    bare = _BARE.match(line)
    return None if bare is None else Issue(_category(line, bare), severity=bare["severity"])


def _category(line: str, marked: re.Match[str]) -> str:
    """The option of a diagnostic, ``unused-variable`` for ``-Werror,-Wunused-variable``, else its severity."""
    option = _OPTION.search(line, marked.start("severity"))
    if option is None:
        return "warning" if marked["severity"].lower() == "warning" else "error"
    named = [part for part in option[1].split(",") if part not in ("-Werror", "-warnings-as-errors")] or [option[1]]
    name = named[0]
    for prefix in ("-Werror=", "-W", "-"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
            break
    return name.rstrip("=") or name
