"""Diagnostics of gcc, clang, clang-tidy, their assembler and their linkers in a build log."""

from __future__ import annotations

import re
from typing import Optional

from bbmeasure.adapters import _linker
from bbmeasure.adapters._log_prefix import is_clock, strip_prefixes
from bbmeasure.adapters._text import line_number, lines, split_position
from bbmeasure.adapters._translations import in_english
from bbmeasure.adapters.lint import Issue

#: The longest place before a message, in characters; the time of some patterns grows with its square.
_LONGEST_PLACE = 5000
_SEVERITY = re.compile(
    r": (?P<severity>warning|fatal error|fatal|error|internal compiler error|sorry, unimplemented): "
)
#: What a line contains that can be an issue; a quick test before the others.
_CANDIDATE = (
    "arning",
    "rror",
    "fatal: ",
    "undefined",
    "multiple definition",
    "cannot ",
    "relocation ",
    "not recognized",
    "unimplemented: ",
    "ld: ",
    "ld.bfd: ",
)
#: ``[-Wunused]``, ``[-Werror=unused]``, ``[-Werror,-Wunused]``, ``[-fpermissive]``, clang-tidy's ``[bugprone-branch]``,
#: the analyzer's ``[core.DivideZero]``.
_OPTION = re.compile(
    r"\[(-[^\[\]\s]+|[a-z][a-z0-9]*-[^\[\]\s]+"
    r"|(?:alpha|core|cplusplus|deadcode|nullability|optin|osx|security|unix|webkit)(?:\.\w+)+)\]\Z"
)
_PROGRAM = re.compile(
    r"(?:[\w.]+-)*(?:cc|cc1|cc1plus|cc1obj|cc1objplus|c\+\+|cpp|gcc|g\+\+|gfortran|f951|gnat1|nvcc"
    r"|clang|clang\+\+|clang-cl|clang-tidy|flang|emcc|em\+\+|icx|icpx|hipcc"
    r"|ld|ld64|lld|lld-link|wasm-ld|mold|lto1|lto-wrapper|collect2|as)"
    r"(?:\.(?:bfd|gold|lld|mold))?(?:[-.][\d.]+)?(?:\.exe)?"
)
#: MSVC's form: ``a.c(3,11): warning: x``, ``a.c(3): error C2065: x``, ``a.obj : error LNK2019: x``, and that of EDG's
#: front end, ``a.cu(3): warning #177-D: x``.  Codes of C#, MSBuild and other compilers are not among these.
_MSVC = re.compile(
    r"(?P<file>[^\n(]*?\S)(?:\((?P<line>\d{1,9})(?:[,-]\d{1,9}){0,3}\))?[ ]?:[ ]{1,2}(?:Command line )?"
    r"(?P<severity>fatal error|error|warning)"
    r"(?:[ ](?P<code>(?:A|BK|C|CVT|D|LIB|LNK|ML|RC|X)\d{1,5}|\#\d{1,5}(?:-[A-Z])?))?[ ]?: "
)
#: Ranges and positions of ``-fdiagnostics-print-source-range-info`` and ``-fdiagnostics-format=vi``.
_RANGES = re.compile(r":?(?:\{\d{1,9}:\d{1,9}-\d{1,9}:\d{1,9}\})+\Z")
_VI = re.compile(r" \+(?=\d{1,9}(?::\d{1,9})?\Z)")
#: The GNU assembler: ``a.s:3: Error: x``, of inline assembly ``a.c:3: Error: x``.
_ASSEMBLER = re.compile(
    r"(?P<file>\{standard input\}|(?:[A-Za-z]:)?[^\n:]+\.\w+):(?P<line>\d{1,9}): (?P<severity>Error|Warning): "
)
#: gfortran writes the place, the source and then the message: ``Error: ... at (1)``.  Before version 5 the column is
#: behind a point, and may be a range or missing.
_FORTRAN_PLACE = re.compile(r"(?P<file>\S.*?):(?P<line>\d{1,9})(?:[:.]\d{1,9}(?:-\d{1,9})?)?:\Z")
_FORTRAN = re.compile(
    r"(?P<severity>Error|Warning|(?:Fatal|Internal) Error)(?:: .*(?:\(1\)|\[-W[^\[\]\s]+\])| at \(1\):)"
)
_FORTRAN_PROGRAM = re.compile(r"(?:\S*[/\\])?(?:f951|<built-in>): (?P<severity>Error|Warning|Fatal Error): ")
#: A diagnostic without place and program is clang's if it names the option.
_BARE = re.compile(r"(?P<severity>warning|fatal error|error): .*\[(?:-W|clang-diagnostic-)[^\[\]\s]+\]\Z")
#: Messages of other programs in the form of a compiler's.  Failures of tests: CppUTest and UnitTest++, cmocka,
#: Boost.Test, XCTest, GoogleTest and CxxTest; Doxygen; Cppcheck, whose identifiers have no hyphen.
_OF_OTHERS = re.compile(
    r"Failure\b|in \"|-\[|Value of: |Expected\b|Failed\Z"
    r"|(?:Compound|Member|Namespace) .*(?:is|are) not documented|argument '.*' of command @param|documented symbol "
    r"|The following parameters of |(?:explicit link request|unable to resolve reference) to |Found unknown command"
    r"|.* \[[A-Za-z]\w*\]\Z"
)

_SOURCES = re.compile(
    r"(?:c|cc|cp|cpp|cxx|c[+][+]|h|hh|hp|hpp|hxx|h[+][+]|ipp|tpp|tcc|txx|inl|inc|def|i|ii|m|mm|mi|mii|s|sx|"
    r"asm|y|yy|l|ll|lex|ypp|f|f77|f90|f95|f03|f08|for|fpp|ftn|cu|cuh|cl|hip|adb|ads|d|di|go|cppm|ixx|ccm|"
    r"gperf|in|td|x|pc|o|a|so|obj|lib)\Z"
)
#: Files of other languages, of which other compilers write lines of this form.
_OTHERS = re.compile(
    r"(?:java|kt|kts|scala|groovy|gradle|py|pyi|pyx|rb|php|pl|pm|js|mjs|cjs|jsx|ts|tsx|vue|swift|rs|cs|vb|fs|hs|ml|"
    r"mli|lua|r|sh|ex|exs|erl|hrl|nim|zig|dart|cr|jl|vala|xml|json|yml|yaml|toml|ini|cfg|conf|css|scss|html|md|rst|tex|"
    r"proto|txt|log|csv|svg|sql|tf|feature|cmake|mk|am|ac|m4|build|bzl|bazel|targets|props|vcxproj|csproj)\Z"
)
#: What the path of a header without an extension contains, such as that of a C++ standard library or Qt.
_HEADERS = re.compile(r"(?:\A|[/\\])(?:include|c\+\+|Headers|Qt\w*|ext|experimental)[/\\]")


def issues(text: str) -> list[Issue]:
    """The distinct warnings and errors in a log; other lines are ignored.

    A warning in a header counts once, regardless of how many files include it, and so does a line that differs only in
    what a log collector puts before it.  The formats:
    https://gcc.gnu.org/onlinedocs/gcc/Diagnostic-Message-Formatting-Options.html and
    https://clang.llvm.org/docs/UsersManual.html#formatting-of-diagnostics
    """
    text = in_english(text)
    issues_found: list[Issue] = []
    seen: set[str] = set()
    place = ""
    for _number, logged in lines(text):
        if logged.endswith(":"):
            stripped = strip_prefixes(logged)
            place = stripped if _FORTRAN_PLACE.match(stripped) else place
        if not _is_candidate(logged):
            continue
        line = strip_prefixes(logged)
        key = f"{place}{line}" if _FORTRAN.match(line) else line
        issue = None if key in seen else _issue(line, place)
        if issue is not None:
            seen.add(key)
            issues_found.append(issue)
    return issues_found


def _is_candidate(line: str) -> bool:
    """Whether a line may be an issue; faster than a regular expression with these words."""
    for word in _CANDIDATE:  # noqa: SIM110  (any() with a generator takes twice as long)
        if word in line:
            return True
    return False


def _issue(line: str, place: str) -> Optional[Issue]:
    """The issue of a line without its prefixes; ``place`` is the last line that is only a place."""
    return _diagnostic(line) or _microsoft(line) or _linked(line) or _assembled(line) or _unplaced(line, place)


def _diagnostic(line: str) -> Optional[Issue]:
    """The issue of a line ``[program: ]file:line:column: severity: message [option]``."""
    marked = _SEVERITY.search(line)
    if marked is None:
        return None
    head = line[: marked.start()]
    if len(head) > _LONGEST_PLACE:
        return None
    program, rest = _split_program(_VI.sub(":", _RANGES.sub("", head)))
    file, position = split_position(rest)
    section = _linker.file_of(rest)
    if section:
        file, position = section, 0
    elif not program and not _is_own(line, marked, _is_place(rest, file, position)):
        return None
    return Issue(_category(line, marked), _linker.without_object(file), position, marked["severity"])


def _is_own(line: str, marked: re.Match[str], has_place: bool) -> bool:
    """Whether a line without the name of a program is of a compiler."""
    return has_place and marked["severity"] != "fatal" and not _OF_OTHERS.match(line, marked.end())


def _split_program(head: str) -> tuple[str, str]:
    """The compiler or linker that precedes a place, and the rest; the program is empty where there is none."""
    program, _, rest = head.partition(": ")
    if len(program) < 300 and " " not in program:
        name = program.rpartition("/")[2].rpartition("\\")[2]
        if _PROGRAM.fullmatch(name):
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
    if needs_directory and ": " in file:  # the message of a program about a file
        return False
    folder, _slash, name = file.replace("\\", "/").rpartition("/")
    stem, _dot, extension = name.rpartition(".")
    extension = extension.rstrip(")").lower()
    if not stem:
        return not needs_directory and _HEADERS.search(file) is not None
    return bool(_SOURCES.match(extension) or (folder and not needs_directory and not _OTHERS.match(extension)))


def _microsoft(line: str) -> Optional[Issue]:
    """The issue of a line in the form of MSVC, which clang-cl and ``-fdiagnostics-format=msvc`` write."""
    found = _MSVC.match(line)
    if found is None or not (found["line"] or found["code"]) or _OF_OTHERS.match(line, found.end()):
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
    if found is None or not _is_source(found["file"], needs_directory=True) or _OF_OTHERS.match(line, found.end()):
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
    bare = _BARE.match(line) or _FORTRAN_PROGRAM.match(line)
    return None if bare is None else Issue(_category(line, bare), severity=bare["severity"].lower())


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
