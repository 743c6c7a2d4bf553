"""Languages by file name, and the syntax of their comments and strings.

Data and prose (JSON, YAML, XML, Markdown) do not count as source code.  A new language is a row in ``_TABLE``.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Pattern, Sequence, Tuple


class Span(NamedTuple):
    """A block comment or a multi-line string.

    ``opens`` is plain bytes or a regex; ``closes`` is plain bytes, in which ``\\1`` is the first group of that regex.
    """

    opens: bytes
    closes: bytes
    regex: bool = False
    is_comment: bool = False
    nests: bool = False
    escapes: bool = False

    def find(self, text: bytes, position: int) -> int:
        """The position of the next opener; -1 where there is none."""
        if not self.regex:
            return text.find(self.opens, position)
        match = re.compile(self.opens).search(text, position)
        return match.start() if match else -1

    def opening(self, text: bytes, at: int) -> Tuple[int, bytes]:
        """The end of the opener at ``at``, and the closing bytes."""
        match = re.compile(self.opens).match(text, at) if self.regex else None
        if match is None:
            return at + len(self.opens), self.closes
        closes = self.closes.replace(b"\\1", match.group(1)) if match.re.groups else self.closes
        return match.end(), closes


class Syntax:
    """The comments and strings of a language; ``token`` matches all that may contain the opener of a span."""

    def __init__(
        self, line_comments: Sequence[bytes], spans: Sequence[Span] = (), strings: bytes = b"", docstrings: bool = False
    ) -> None:
        self.line_comments = tuple(line_comments)
        self.spans = tuple(spans)
        self.docstrings = docstrings
        self._strings = strings
        self._token: Optional[Pattern[bytes]] = None

    @property
    def token(self) -> Pattern[bytes]:
        """A regex of openers of spans, short strings and line comments; compiled on first use."""
        if self._token is None:
            opens = [span.opens if span.regex else re.escape(span.opens) for span in self.spans]
            words = [re.escape(word) + b"[^\n]*" for word in self.line_comments]
            strings = [self._strings] if self._strings else []
            self._token = re.compile(b"|".join([*opens, *words, *strings]) or b"(?!)", re.DOTALL)
        return self._token


def _comment(opens: bytes, closes: bytes, nests: bool = False) -> Span:
    return Span(opens, closes, is_comment=True, nests=nests)


def _pattern(opens: bytes, closes: bytes, is_comment: bool = False) -> Span:
    return Span(opens, closes, True, is_comment)


#: A string within a line; an unclosed one extends to the end of the line, so that a search never backtracks.
_DOUBLE = rb'"(?:[^"\\\n]|\\.)*"?'
_SINGLE = rb"'(?:[^'\\\n]|\\.)*'?"
_CHARACTER = rb"'(?:[^'\\\n]|\\[^\n]{1,9})'"
_BOTH = _DOUBLE + b"|" + _SINGLE

_C_BLOCK = _comment(b"/*", b"*/")
_C_NESTED = _comment(b"/*", b"*/", nests=True)
_TRIPLE = Span(b'"""', b'"""', escapes=True)
_TRIPLE_SINGLE = Span(b"'''", b"'''", escapes=True)
_BACKTICK = Span(b"`", b"`", escapes=True)

_PYTHON = Syntax([b"#"], [_TRIPLE, _TRIPLE_SINGLE], _BOTH, docstrings=True)
_HASH = Syntax([b"#"])
_C = Syntax([b"//"], [_C_BLOCK], _BOTH)
_CPP = Syntax([b"//"], [_C_BLOCK, _pattern(rb'R"([^()\\\s]{0,16})\(', rb')\1"')], _BOTH)
_JAVA = Syntax([b"//"], [_C_BLOCK, _TRIPLE], _BOTH)
_SCRIPT = Syntax([b"//"], [_C_BLOCK, _BACKTICK], _BOTH)
_GO = Syntax([b"//"], [_C_BLOCK, Span(b"`", b"`")], _DOUBLE + b"|" + _CHARACTER)
_RUST = Syntax([b"//"], [_C_NESTED, _pattern(rb'\br(#*)"', rb'"\1')], _DOUBLE + b"|" + _CHARACTER)
_KOTLIN = Syntax([b"//"], [_C_NESTED, Span(b'"""', b'"""')], _DOUBLE + b"|" + _CHARACTER)
_SWIFT = Syntax([b"//"], [_C_NESTED, _TRIPLE], _DOUBLE)
_DART = Syntax([b"//"], [_C_NESTED, _TRIPLE, _TRIPLE_SINGLE], _BOTH)
_PHP = Syntax([b"//", b"#"], [_C_BLOCK], _BOTH)
_SLASHES = Syntax([b"//"])
_CSS = Syntax([], [_C_BLOCK], _BOTH)
_HCL = Syntax([b"#", b"//"], [_C_BLOCK], _DOUBLE)
_SQL = Syntax([b"--"], [_C_BLOCK], _BOTH)
_DASHES = Syntax([b"--"])
_LUA = Syntax(
    [b"--"],
    [_pattern(rb"--\[(=*)\[", rb"]\1]", is_comment=True), _pattern(rb"\[(=*)\[", rb"]\1]")],
    _BOTH,
)
_HASKELL = Syntax([b"--"], [_comment(b"{-", b"-}", nests=True)], _DOUBLE + b"|" + _CHARACTER)
_ML = Syntax([], [_comment(b"(*", b"*)", nests=True)], _DOUBLE + b"|" + _CHARACTER)
_FSHARP = Syntax([b"//"], [_pattern(rb"\(\*(?!\))", b"*)", is_comment=True), _TRIPLE], _DOUBLE + b"|" + _CHARACTER)
_PASCAL = Syntax(
    [b"//"],
    [_comment(b"{", b"}"), _comment(b"(*", b"*)")],
    rb"'[^'\n]*'?",
)
_PERL = Syntax([b"#"], [_pattern(rb"(?m:^=[a-zA-Z])", b"\n=cut", is_comment=True)])
_RUBY = Syntax([b"#"], [_pattern(rb"(?m:^=begin\b)", b"\n=end", is_comment=True)])
_CMAKE = Syntax([b"#"], [_pattern(rb"#\[(=*)\[", rb"]\1]", is_comment=True)], _DOUBLE)
_JULIA = Syntax([b"#"], [_comment(b"#=", b"=#", nests=True), _TRIPLE], _DOUBLE + b"|" + _CHARACTER)
_NIM = Syntax([b"#"], [_comment(b"#[", b"]#", nests=True), _TRIPLE], _DOUBLE + b"|" + _CHARACTER)
_ELIXIR = Syntax([b"#"], [_TRIPLE], _DOUBLE)
_POWERSHELL = Syntax([b"#"], [_comment(b"<#", b"#>")], rb'"[^"\n]*"?' + rb"|'[^'\n]*'?")
_LISP = Syntax([b";"], [_comment(b"#|", b"|#", nests=True)], _DOUBLE)
_SEMICOLON = Syntax([b";"])
_PERCENT = Syntax([b"%"])
_ASSEMBLY = Syntax([b";", b"//", b"# ", b"@ "], [_C_BLOCK], _BOTH)
_FORTRAN = Syntax([b"!"])
_BASIC = Syntax([b"'", b"REM ", b"Rem ", b"rem "])
_BATCH = Syntax([b"::", b"REM", b"Rem", b"rem", b"@REM", b"@Rem", b"@rem"])
_HTML = Syntax([], [_comment(b"<!--", b"-->")])

#: Language, its syntax, its extensions (with a dot) and whole file names, in lower case.
_TABLE: List[Tuple[str, Syntax, str]] = [
    ("Ada", _DASHES, ".adb .ads"),
    ("Assembly", _ASSEMBLY, ".asm .s"),
    ("AWK", _HASH, ".awk"),
    ("Batch", _BATCH, ".bat .cmd"),
    ("C", _C, ".c .h"),
    ("C#", _C, ".cs"),
    ("C++", _CPP, ".cpp .cc .cxx .c++ .hpp .hh .hxx .h++ .ipp .tpp .inl"),
    ("Clojure", _SEMICOLON, ".clj .cljs .cljc"),
    ("CMake", _CMAKE, ".cmake cmakelists.txt"),
    ("CSS", _CSS, ".css"),
    ("CUDA", _CPP, ".cu .cuh"),
    ("Dart", _DART, ".dart"),
    ("Dockerfile", _HASH, ".dockerfile dockerfile containerfile"),
    ("Elixir", _ELIXIR, ".ex .exs"),
    ("Elm", _HASKELL, ".elm"),
    ("Emacs Lisp", _SEMICOLON, ".el"),
    ("Erlang", _PERCENT, ".erl .hrl"),
    ("F#", _FSHARP, ".fs .fsi .fsx"),
    ("Fortran", _FORTRAN, ".f90 .f95 .f03 .f08"),
    ("Go", _GO, ".go"),
    ("Groovy", _JAVA, ".groovy .gradle"),
    ("Haskell", _HASKELL, ".hs"),
    ("HCL", _HCL, ".tf .hcl"),
    ("HTML", _HTML, ".html .htm .xhtml"),
    ("Java", _JAVA, ".java"),
    ("JavaScript", _SCRIPT, ".js .mjs .cjs .jsx"),
    ("Julia", _JULIA, ".jl"),
    ("Kotlin", _KOTLIN, ".kt .kts"),
    ("Less", _C, ".less"),
    ("Lisp", _LISP, ".lisp .lsp"),
    ("Lua", _LUA, ".lua"),
    ("Makefile", _HASH, ".mk .mak makefile gnumakefile makefile.am makefile.in"),
    ("Meson", _HASH, "meson.build meson_options.txt"),
    ("Nim", _NIM, ".nim"),
    ("Objective-C", _C, ".m"),
    ("Objective-C++", _CPP, ".mm"),
    ("OCaml", _ML, ".ml .mli"),
    ("Pascal", _PASCAL, ".pas .dpr"),
    ("Perl", _PERL, ".pl .pm"),
    ("PHP", _PHP, ".php"),
    ("PowerShell", _POWERSHELL, ".ps1 .psm1"),
    ("Protocol Buffers", _C, ".proto"),
    ("Python", _PYTHON, ".py .pyw .pyi .pyx .pxd .bzl sconstruct sconscript wscript build.bazel"),
    ("R", _HASH, ".r"),
    ("Ruby", _RUBY, ".rb .rake .gemspec rakefile gemfile"),
    ("Rust", _RUST, ".rs"),
    ("Scala", _KOTLIN, ".scala .sc"),
    ("Scheme", _LISP, ".scm .ss .rkt"),
    ("SCSS", _C, ".scss"),
    ("Shell", _HASH, ".sh .bash .zsh .ksh"),
    ("Solidity", _C, ".sol"),
    ("SQL", _SQL, ".sql"),
    ("Svelte", _HTML, ".svelte"),
    ("Swift", _SWIFT, ".swift"),
    ("SystemVerilog", _C, ".sv .svh"),
    ("Tcl", _HASH, ".tcl"),
    ("TypeScript", _SCRIPT, ".ts .tsx .mts .cts"),
    ("Verilog", _C, ".v .vh"),
    ("VHDL", _DASHES, ".vhd .vhdl"),
    ("Visual Basic", _BASIC, ".vb .bas"),
    ("Vue", _HTML, ".vue"),
    ("Zig", _SLASHES, ".zig"),
]

#: The language of each interpreter in a ``#!`` line, without its version.
_INTERPRETERS = {
    b"python": "Python",
    b"sh": "Shell",
    b"bash": "Shell",
    b"dash": "Shell",
    b"ksh": "Shell",
    b"zsh": "Shell",
    b"perl": "Perl",
    b"ruby": "Ruby",
    b"node": "JavaScript",
    b"lua": "Lua",
    b"tclsh": "Tcl",
    b"wish": "Tcl",
    b"Rscript": "R",
    b"php": "PHP",
    b"awk": "AWK",
    b"gawk": "AWK",
}
_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?(?:\S+=\S*\s+)*(?:\S*/)?)?([A-Za-z]+)")

SYNTAXES: Dict[str, Syntax] = {name: syntax for name, syntax, _ in _TABLE}
_BY_NAME: Dict[str, str] = {key: name for name, _, keys in _TABLE for key in keys.split()}


def by_name(name: str) -> Optional[str]:
    """The language of a file name; None where it is unknown."""
    lower = name.lower()
    dot = lower.rfind(".")
    language = None if dot == 0 else _BY_NAME.get(lower)
    if language is None and dot > 0:
        language = _BY_NAME.get(lower[dot:])
    return language


def may_be_script(name: str) -> bool:
    """Whether a file may be a script with a ``#!`` line: its name has no extension."""
    return "." not in name


def by_first_line(text: bytes) -> Optional[str]:
    """The language of a ``#!`` line."""
    match = _SHEBANG.match(text)
    return _INTERPRETERS.get(match.group(1)) if match else None
