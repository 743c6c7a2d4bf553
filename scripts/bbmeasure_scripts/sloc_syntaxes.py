"""The syntax of comments, strings, regex literals and here documents of each family of languages."""

from __future__ import annotations

from bbmeasure_scripts.sloc_interpolated import Interpolated
from bbmeasure_scripts.sloc_scanner import (
    Block,
    HereDocument,
    Long,
    Outside,
    Rule,
    Sections,
    Slash,
    Syntax,
)


def _line(*words: bytes) -> Rule:
    """A comment that begins with one of some words, and ends with the line."""
    return Rule(b"(?:" + b"|".join(words) + rb")[^\n]*", True)


def _at_start(words: bytes) -> Rule:
    """A comment that is the first on its line."""
    return Rule(rb"(?m:^)[ \t]*(?:" + words + rb")[^\n]*", True)


#: A string within a line; an unclosed one extends to the end of the line, so that a search never backtracks.
_DOUBLE = Rule(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?')
_SINGLE = Rule(rb"'[^'\\\n]*(?:\\.[^'\\\n]*)*'?")
_CHARACTER = Rule(rb"(?<![\w'])'(?:[^'\\\n]|\\[^\n]{1,9})'")
#: A doubled quote is two strings beside each other.
_PLAIN_DOUBLE = Rule(rb'"[^"\n]*"?')
_PLAIN_SINGLE = Rule(rb"'[^'\n]*'?")
#: C++ separates digits with a quote.
_C_SINGLE = Rule(rb"(?<!\d)'[^'\\\n]*(?:\\.[^'\\\n]*)*'?")

_SLASHES = _line(rb"//")
#: A comment of C goes on behind a backslash.
_C_SLASHES = Rule(rb"//[^\\\n]*(?:\\.[^\\\n]*)*", True)
_HASHES = _line(rb"\#")
_DASHES = _line(rb"--")
_BLOCK = Block(rb"/\*", b"*/")
_NESTED = Block(rb"/\*", b"*/", nests=True)
_TRIPLE = Long(rb'"""', b'"""', b"\\")
_TRIPLE_SINGLE = Long(rb"'''", b"'''", b"\\")
_RAW_TRIPLE = Long(rb'"""', b'"""')
_LONG_DOUBLE = Long(rb'"', b'"', b"\\")
_LONG_SINGLE = Long(rb"'", b"'", b"\\")
_QUOTED = rb"(?:'([^'\n]+)'|\"([^\"\n]+)\"|"

HASH = Syntax(_at_start(rb"\#"))
C = Syntax(_C_SLASHES, _BLOCK, _DOUBLE, _C_SINGLE)
CPP = Syntax(_C_SLASHES, _BLOCK, Long(rb'R"([^()\\\s]{0,16})\(', b')\\1"'), _DOUBLE, _C_SINGLE)
CSHARP = Syntax(
    _SLASHES, _BLOCK, Rule(rb'(?:@\$?|\$@)"[^"]*(?:""[^"]*)*"'), Long(rb'\$*("""+)', b"\\1"), _DOUBLE, _CHARACTER
)
JAVA = Syntax(_SLASHES, _BLOCK, _TRIPLE, _DOUBLE, _SINGLE)
GROOVY = Syntax(
    _SLASHES,
    _BLOCK,
    _TRIPLE,
    _TRIPLE_SINGLE,
    Long(rb"\$/", b"/$"),
    Interpolated(rb'"', b'"', [b"${"], within_line=True),
    _SINGLE,
    Slash(),
)
SCRIPT = Syntax(_SLASHES, _BLOCK, Interpolated(rb"`", b"`", [b"${"]), _DOUBLE, _SINGLE, Slash())
GO = Syntax(_SLASHES, _BLOCK, Long(rb"`", b"`"), _DOUBLE, _CHARACTER)
RUST = Syntax(
    _SLASHES, _NESTED, Long(rb'\bb?c?r(\#*)"', b'"\\1'), _LONG_DOUBLE, Rule(rb"(?<![\w'])b?'(?:[^'\\\n]|\\[^\n]{1,9})'")
)
KOTLIN = Syntax(
    _SLASHES,
    _NESTED,
    Interpolated(rb'"""', b'"""', [b"${"]),
    Interpolated(rb'"', b'"', [b"${"], within_line=True),
    _CHARACTER,
)
SCALA = Syntax(_SLASHES, _NESTED, _RAW_TRIPLE, _DOUBLE, _CHARACTER)
SWIFT = Syntax(
    _SLASHES, _NESTED, Long(rb'(\#+)"', b'"\\1'), _TRIPLE, Interpolated(rb'"', b'"', [b"\\("], within_line=True)
)
DART = Syntax(
    _SLASHES,
    _NESTED,
    Long(rb"\br'''", b"'''"),
    Long(rb'\br"""', b'"""'),
    Rule(rb"\br(?:'[^'\n]*'?|\"[^\"\n]*\"?)"),
    Interpolated(rb'"""', b'"""', [b"${"]),
    Interpolated(rb"'''", b"'''", [b"${"]),
    Interpolated(rb'"', b'"', [b"${"], within_line=True),
    Interpolated(rb"'", b"'", [b"${"], within_line=True),
)
#: What is outside of ``<?php`` and ``?>`` is HTML.
PHP = Syntax(
    Outside(rb"\A(?!<\?|\Z)|\?>", rb"<\?(?:php\b|=|(?!xml))"),
    Rule(rb"(?://|\#(?!\[))(?:(?!\?>)[^\n])*", True),
    _BLOCK,
    HereDocument(rb"(<<<)[ \t]*" + _QUOTED + rb"([A-Za-z_]\w*))(?=[ \t]*\n)", b""),
    _LONG_DOUBLE,
    _LONG_SINGLE,
)
_MARKUP = Block(rb"<!--", b"-->")
ZIG = Syntax(_SLASHES, Rule(rb"\\\\[^\n]*"), _DOUBLE, _CHARACTER)
CSS = Syntax(_BLOCK, _DOUBLE, _SINGLE)
SCSS = Syntax(Rule(rb"url\([^)\n\"']*\)"), _SLASHES, _BLOCK, _DOUBLE, _SINGLE)
VERILOG = Syntax(_SLASHES, _BLOCK, _DOUBLE)
HCL = Syntax(
    _line(rb"\#", rb"//"), _BLOCK, HereDocument(rb"<<(-?)([A-Za-z_]\w*)(?=[ \t]*\n)"),
    Interpolated(rb'"', b'"', [b"${", b"%{"], within_line=True),
)  # fmt: skip
D = Syntax(
    _SLASHES,
    _BLOCK,
    Block(rb"/\+", b"+/", nests=True),
    Long(rb"`", b"`"),
    Rule(rb'\br"[^"]*"'),
    _LONG_DOUBLE,
    _CHARACTER,
)
COFFEE = Syntax(Block(rb"\#\#\#(?!\#)", b"###"), _HASHES, _TRIPLE, _TRIPLE_SINGLE, _LONG_DOUBLE, _LONG_SINGLE, Slash())
GRAPHQL = Syntax(_HASHES, _TRIPLE, _DOUBLE)
NIX = Syntax(_HASHES, _BLOCK, Long(rb"''", b"''"), _LONG_DOUBLE)
THRIFT = Syntax(_line(rb"\#", rb"//"), _BLOCK, _DOUBLE, _SINGLE)
VIM = Syntax(_at_start(rb'"'))
SQL = Syntax(_DASHES, _BLOCK, Long(rb"'", b"'"), _PLAIN_DOUBLE)
ADA = Syntax(_DASHES, _PLAIN_DOUBLE, Rule(rb"'[^\n]'"))
VHDL = Syntax(_DASHES, _BLOCK, _PLAIN_DOUBLE, Rule(rb"'[^\n]'"))
LUA = Syntax(Block(rb"--\[(=*)\[", b"]\\1]"), _DASHES, Long(rb"\[(=*)\[", b"]\\1]"), _DOUBLE, _SINGLE)
HASKELL = Syntax(
    Block(rb"\{-", b"-}", nests=True),
    Rule(rb"(?<![!\#$%&*+./<=>?@\\^|~:-])--+(?![!\#$%&*+./<=>?@\\^|~:-])[^\n]*", True),
    Rule(rb'"(?:[^"\\\n]|\\[ \t\n]+\\|\\.)*"?'),
    _CHARACTER,
)
ELM = Syntax(Block(rb"\{-", b"-}", nests=True), _DASHES, _TRIPLE, _DOUBLE, _CHARACTER)
ML = Syntax(Block(rb"\(\*(?!\))", b"*)", nests=True), Long(rb"\{([a-z_]*)\|", b"|\\1}"), _LONG_DOUBLE, _CHARACTER)
FSHARP = Syntax(
    _SLASHES,
    Block(rb"\(\*(?!\))", b"*)", nests=True),
    _TRIPLE,
    Rule(rb'@"[^"]*(?:""[^"]*)*"'),
    _LONG_DOUBLE,
    _CHARACTER,
)
#: ``{$`` is a directive of the compiler.
PASCAL = Syntax(_SLASHES, Block(rb"\{(?!\$)", b"}"), Block(rb"\(\*(?!\$)", b"*)"), _PLAIN_SINGLE)
_AFTER_END = Rule(rb"(?m:^)__(?:END|DATA)__(?m:$).*", True)
PERL = Syntax(
    Block(rb"(?m:^)=[a-zA-Z]", b"\n=cut", to_end=True),
    _AFTER_END,
    Rule(rb"(?:(?m:^)|(?<=[\s;]))\#[^\n]*", True),
    HereDocument(rb"<<(~?)" + _QUOTED + rb"([A-Z_a-z]\w*))"),
    Long(rb"(?<![\w$@%&>{-])q[qwx]?[ ]?\{", b"}", b"\\"),
    Long(rb"(?<![\w$@%&>{-])q[qwx]?[ ]?\(", b")", b"\\"),
    Long(rb"(?<![\w$@%&>{-])q[qwx]?[ ]?\[", b"]", b"\\"),
    _DOUBLE,
    _SINGLE,
)
RUBY = Syntax(
    Block(rb"(?m:^)=begin\b", b"\n=end"),
    Rule(rb"(?m:^)__END__(?m:$).*", True),
    Rule(rb"[$?]['\"`/\#](?!\w)"),
    Rule(rb"\#(?!\{)[^\n]*", True),
    HereDocument(rb"<<([~-]?)(?:'([^'\n]+)'|\"([^\"\n]+)\"|`([^`\n]+)`|([A-Z_]\w*))"),
    Long(rb"(?<![\w)\]])%[qQwWiIrsx]?\{", b"}", b"\\"),
    Long(rb"(?<![\w)\]])%[qQwWiIrsx]?\(", b")", b"\\"),
    Long(rb"(?<![\w)\]])%[qQwWiIrsx]?\[", b"]", b"\\"),
    Interpolated(rb'"', b'"', [b"#{"]),
    Interpolated(rb"`", b"`", [b"#{"]),
    _LONG_SINGLE,
    Slash(rb"|and|or|not|if|unless|elsif|while|until|when|then|puts|split|match|scan|gsub|sub|grep"),
)
SHELL = Syntax(
    Rule(rb"(?:(?m:^)|(?<=[\s;&|()]))\#[^\n]*", True),
    Rule(rb"\\."),
    HereDocument(rb"(?<!<)<<(?!<)(-?)[ \t]*" + _QUOTED + rb"\\?([A-Za-z_][\w.+-]*))", b"-"),
    Interpolated(rb'"', b'"', [b"$("]),
    Long(rb"\$'", b"'", b"\\"),
    Long(rb"'", b"'"),
)
FISH = Syntax(Rule(rb"(?:(?m:^)|(?<=[\s;&|()]))\#[^\n]*", True), Rule(rb"\\."), _LONG_DOUBLE, _LONG_SINGLE)
DOCKERFILE = Syntax(_at_start(rb"\#"), HereDocument(rb"<<(-?)" + _QUOTED + rb"([A-Za-z_]\w*))", b"-"))
AWK = Syntax(_HASHES, _DOUBLE, Slash())
CMAKE = Syntax(Block(rb"\#\[(=*)\[", b"]\\1]"), _HASHES, Long(rb"\[(=+)\[", b"]\\1]"), _LONG_DOUBLE)
MESON = Syntax(_HASHES, Long(rb"'''", b"'''"), _SINGLE)
R = Syntax(_HASHES, Long(rb"\b[rR]\"(-*)\(", b')\\1"'), _LONG_DOUBLE, _LONG_SINGLE, Rule(rb"`[^`\n]*`?"))
JULIA = Syntax(Block(rb"\#=", b"=#", nests=True), _HASHES, _TRIPLE, _LONG_DOUBLE, _CHARACTER)
NIM = Syntax(Block(rb"\#\[", b"]#", nests=True), _HASHES, _RAW_TRIPLE, _DOUBLE, _CHARACTER)
ELIXIR = Syntax(_HASHES, Rule(rb"\?\\?[\"'\#]"), _TRIPLE, _TRIPLE_SINGLE, Interpolated(rb'"', b'"', [b"#{"]), _SINGLE)
POWERSHELL = Syntax(
    Block(rb"<\#", b"#>"),
    Rule(rb"`."),
    _HASHES,
    Long(rb'@"[ \t]*\n', b'\n"@'),
    Long(rb"@'[ \t]*\n", b"\n'@"),
    Long(rb'"', b'"', b"`"),
    Long(rb"'", b"'"),
)
TCL = Syntax(_at_start(rb"\#"))
LISP = Syntax(_line(rb";"), Block(rb"\#\|", b"|#", nests=True), Rule(rb"\#\\."), _LONG_DOUBLE)
CLOJURE = Syntax(_line(rb";"), Rule(rb"\\."), _LONG_DOUBLE)
EMACS = Syntax(_line(rb";"), Rule(rb"\?\\?[\"';]"), _LONG_DOUBLE)
ERLANG = Syntax(_line(rb"%"), Rule(rb"\$\\?."), _TRIPLE, _LONG_DOUBLE, _SINGLE)
ASSEMBLY = Syntax(_line(rb";", rb"//"), _at_start(rb"\#(?=[ \t])|@(?=[ \t])"), _BLOCK, _DOUBLE, _SINGLE)
#: A letter or an asterisk in the first column is a comment in the fixed form.
FORTRAN_FIXED = Syntax(Rule(rb"(?m:^)[cCdD*][^\n]*", True), _line(rb"!"), _PLAIN_DOUBLE, _PLAIN_SINGLE)
FORTRAN = Syntax(_line(rb"!"), _PLAIN_DOUBLE, _PLAIN_SINGLE)
BASIC = Syntax(_line(rb"'"), _at_start(rb"(?i:rem)(?=\s|\Z)"), _PLAIN_DOUBLE)
BATCH = Syntax(_at_start(rb"::|@?(?i:rem)(?=\s|\Z)"))
_SCRIPT_TYPES = (
    rb"\A<script\b(?![^>]*\btype\s*=\s*[\"']?"
    rb"(?!module|text/babel|text/jsx|(?:text|application)/(?:java|ecma|type)script))"
)
HTML = Syntax(
    _MARKUP,
    sections=Sections(
        rb"<(script|style)\b[^>]*(?<!/)>",
        [
            (_SCRIPT_TYPES, SCRIPT),
            (rb"\A<style\b[^>]*\blang\s*=\s*[\"']?(?:scss|less)", SCSS),
            (rb"\A<style\b(?![^>]*\blang)", CSS),
        ],
    ),
)
