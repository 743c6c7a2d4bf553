"""The bundled counter of source lines."""

from __future__ import annotations

import io
import os
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure_scripts import file_walk, sloc_counter, sloc_languages


def lines(language, text):
    """The source lines of a text."""
    content = text if isinstance(text, bytes) else text.encode()
    return sloc_languages.SYNTAXES[language].count_lines(sloc_counter.normalize(content))


CASES = [
    # language, source lines, text
    ("C", 2, "int a; /* one */\n/* two\n three */\n// four\n\nint b; // five\n"),
    ("C", 2, "int a; /* opens\n closes */ int b;\n"),
    ("C", 2, 'char *a = "/* no comment";\nchar *b = "*/ // none";\n'),
    ("C", 2, "char a = '\"'; /* a comment */\nchar b = '/';\n/* '\n\" */\n"),
    ("C", 3, '#define A \\\n  "b /*" \\\n  c\n'),
    ("C", 3, "// never /* opened\nint a;\n/* never closed\nint b;\n"),
    ("C", 0, "/*/ int a; */\n"),
    ("C", 1, "/* a */ /* b */ int c; /* d */\n"),
    ("C++", 4, 'auto a = R"x(\n/* text\n)x"; int b;\nint c;\n'),
    ("Java", 4, 'String a = """\n  // text\n  /* text\n""";\n'),
    ("JavaScript", 3, "let a = `// ${b}\n /* text */\n`;\n"),
    ("JavaScript", 1, "let a = `\\``; // `\n// b\n"),
    ("Go", 3, "a := `\n// text\n`\n// b\n"),
    ("Go", 1, "/* a */ b := '\"' /* c */\n/* '\n */\n"),
    ("Rust", 1, "/* a /* nested */ still\n a comment */\nfn a<'b>(c: &'b str) {} /* d\n */\n"),
    ("Rust", 3, 'let a = r#"\n// "text" \n"#;\n'),
    ("Kotlin", 3, 'val a = """\n// text\n"""\n/* /* */ */\n'),
    ("Swift", 1, 'let a = 1 /* /* " */ */\n// b\n'),
    ("Dart", 3, "var a = '''\n// text\n''';\n/// doc\n"),
    ("C#", 1, "/// <summary>\nint a;\n"),
    ("PHP", 3, "<?php\n# a\n// b\n/* c\n */ $d = '#'; // e\n?>\n"),
    ("PHP", 0, ""),
    ("CSS", 2, "a { /* b\n */ }\n"),
    ("SQL", 2, "-- a\nSELECT '--' /* b\n */ FROM c;\n"),
    ("Lua", 4, "-- a\n--[[ b\n c ]] d = 1\n--[==[ e ]]\n ]==]\nf = [[\n-- text\n]]\n"),
    ("Haskell", 1, "-- a\n{- b {- c -}\n d -}\ne = '\"' -- f\n"),
    ("OCaml", 1, "(* a (* b *)\n c *)\nlet d = '\"' (* e\n *)\n"),
    ("F#", 2, "// a\n(* b *)\nlet (*) c = d\nlet e = 1\n"),
    ("Pascal", 2, "{ a\n }\n(* b *)\n// c\nd := '{';\ne := '(*';\n"),
    ("Perl", 2, "#!/usr/bin/perl\nmy $a = 1; # b\n\n=pod\n\ntext\n\n=cut\n\nmy $c;\n"),
    ("Perl", 1, "my $a = 1;\n=head1 b\n\nnever cut\n"),
    ("Ruby", 2, "# a\nb = 1\n=begin\ntext\n=end\nc = 2 # d\n"),
    ("Shell", 2, "#!/bin/sh\n# a\necho '#' # b\n\n  echo c\n"),
    ("CMake", 2, "# a\n#[[ b\n c ]]\nset(d)\n#[=[ e ]=]\nset(f)\n"),
    ("PowerShell", 1, "<# a\n b #>\n# c\nWrite-Host '<#'\n"),
    ("Julia", 1, "#= a #= b =# c\n =#\n# d\ne = 1\n"),
    ("Nim", 1, "#[ a #[ b ]# ]#\n# c\necho 1\n"),
    ("Lisp", 2, "; a\n#| b #| c |# |#\n(defun d ())\n'(e)\n"),
    ("Clojure", 1, "; a\n(def b 1)\n"),
    ("Erlang", 1, "% a\nb() -> c.\n"),
    ("Ada", 1, "-- a\nb : Integer := c'First;\n"),
    ("VHDL", 1, "-- a\nb <= '1';\n"),
    ("HTML", 2, "<p>\n<!-- a\n b -->\n</p>\n"),
    ("Batch", 1, "rem a\nREM b\n@rem c\n:: d\necho e\n"),
    ("Visual Basic", 1, "' a\nRem b\nc = 1\n"),
    ("Fortran", 1, "! a\nb = 1 ! c\n"),
    ("Assembly", 3, "# a comment\n#include <b>\n; c\n// d\n/* e\n */\nmov f, g\nh:\n"),
    ("HCL", 1, "# a\n// b\n/* c\n */\nd = 1\n"),
    ("Protocol Buffers", 1, "// a\nmessage B {}\n"),
    ("Elixir", 4, '# a\n@doc """\n# text\n"""\ndef b\n'),
    ("Zig", 1, "// a\nconst b = 1;\n"),
    ("Vue", 2, "<template>\n<!-- a -->\n</template>\n"),
    ("Python", 0, ""),
    ("Python", 0, "\n \n\t\n"),
    ("Python", 0, '"""Doc."""\n'),
    ("Python", 0, "'''Doc\n\nmore.\n'''\n"),
    ("Python", 0, '# a\n"Doc."\n'),
    ("Python", 2, '"""Never closed\nx = 1\n'),
    ("Python", 1, 'def f():\n    # a, b,\n    """Doc."""  # c\n'),
    ("Python", 1, "def f(a, b):  # a (\n    r'''Doc.'''\n"),
    ("Python", 2, 'x = 1\n"""Doc of x."""\ny = 2\n'),
    ("Python", 4, 'x = f(\n    """text\n    # text\n    """)\n'),
    ("Python", 3, 'x = """\n\n  text\n"""\n'),
    ("Python", 3, 'x = (\n    "text"\n)\n'),
    ("Python", 4, 'x = [\n    "a",  # "\n    "b"\n]\n'),
    ("Python", 2, 'x = "a" \\\n"b"\n'),
    ("Python", 2, "x = \"\\\n'''\"\n# y\n"),
    ("Python", 2, "x = '\"\"\"'  # '''\ny = 1\n"),
    ("Python", 2, '# """\nx = 1\n# """\ny = 2\n'),
    ("Python", 1, "x = r'''\\''' # y'''\n"),
    ("Python", 3, "x = '''\\'''\n y\n'''\n"),
    ("Python", 2, 'if x:\n    """a""".strip()\n'),
    ("Python", 2, 'class C:\n    "doc"\n    x = "a"\n'),
    ("Python", 1, "x = '''a''' '''b'''\n"),
    ("Python", 2, "x = '''a''' '''b\n'''\n"),
    ("Python", 1, "x = 1 \f\n\f\n"),
    ("Python", 1, "x = 1\n'doc \\\n  # text \\\n  of x'  # y\n"),
    ("Python", 4, "x = f(  # y\n    # z\n    'a'\n    # z\n    'b'  # (\n)\n"),
    ("Python", 0, "r'Doc.'  # y,\n# z\n'''More.'''\n"),
    ("Python", 3, "x = 1 + \\\n    2\n'Doc.'\ny = '\"\"\"'\n"),
    ("Python", 3, "x = ('\"\"\"')  # (\n'Doc.'\ny = '\"\"\"'\n# \\\nz\n"),
    ("Python", 4, "x = ('''a\n''', '\\\n# b')\n'Doc.'\ny\n"),
    ("Go", 2, "x := `never\nclosed\n"),
    # regex literals and division
    ("JavaScript", 2, "const a = b.replace(/[/*]+/g, '');\nlet c;\n// */\n"),
    ("JavaScript", 2, "let a = b / c; /* d\n e / f */\nlet g;\n"),
    ("JavaScript", 2, "if (x) return /\\/*/.test(a)\nb /* c */\n"),
    ("JavaScript", 3, "const a = <p>/</p>;\nconst b = `*/`;\nc // d\n"),
    ("AWK", 2, '/#/ { print } # a\n$1 ~ /"/ { x++ }\n# b\n'),
    # templates with code, strings and templates within
    (
        "TypeScript",
        6,
        "let a = `${b.map(c => `/* ${c} */`)}\n// text\n`;\nlet d = `${ /* e\n f */ g }`;\n// h\nlet i;\n",
    ),
    ("JavaScript", 2, "let a = `${{b: '}'}['b']} /*`;\nlet c;\n/* d */\n"),
    ("Kotlin", 2, 'val a = "${b["//"]} /*"\nval c = 1 // d\n'),
    ("Dart", 2, "var a = '${b['/*']}';\nvar c;\n"),
    ("Swift", 2, 'let a = "\\(b["/*"]!)"\nlet c = #"/* "#\n'),
    # here documents
    ("Shell", 7, "cat <<-'A' <<B\n# a\n\tA\n# b\nB\n# c\necho $# ${#d} <<<\"e\"\necho 'f\n"),
    ("Shell", 4, 'x="$(cat <<E | tr \'"\' .\n# a\nE\n)"\n# b\n'),
    ("Shell", 3, 'echo "a\n# b\n" # c\n'),
    ("Perl", 5, "print <<~A . <<'B';\n  # a\n  A\n=b\nB\n# c\n"),
    ("Ruby", 5, 'a = <<~A.strip\n  # a #{b("#")}\n=begin\n  A\nb # c\n# d\n'),
    ("PHP", 6, "<?php\n$a = <<<'A'\n// a\n# b\n  A;\n// c\n$d;\n"),
    ("HCL", 4, "a = <<-A\n  # a\n  A\n# b\nc = 1\n"),
    ("Dockerfile", 3, "RUN <<A\n# a\nA\n# b\n"),
    # strings of several lines
    ("Rust", 4, 'let a = "\n/* b\n";\nlet c = b\'"\'; // d\n'),
    ("C#", 3, 'var a = @"c:\\\n/* ""b""\n"; // c\n'),
    ("OCaml", 3, "let a = {|\n(* b *)\n|}\n(* c *)\n"),
    ("SQL", 3, "SELECT 'it''s\n-- a\n' -- b\n"),
    ("PowerShell", 3, '$a = @"\n# b\n"@\n# c\n'),
    ("CMake", 3, 'set(a "\n# b\n") # c\n'),
    ("Elixir", 3, 'a = "\n# b\n" # c\n'),
    ("Lisp", 3, '(print "\n; a\n") #\\; b\n'),
    ("Ruby", 3, 'a = "\n# b\n" # c\n'),
    # openers that never close
    ("JavaScript", 2, "let a = b /* c\nlet d\n"),
    ("Shell", 2, "cat <<A # b\necho c\n# d\n"),
    ("Haskell", 2, "{- a\nb = 1\n"),
    ("C", 2, "int a; /* b */ /*\nint c;\n"),
    # rules of their own
    ("PHP", 5, "<?php\n#[A(1)] # b\n?>\n<p>'//</p>\n<!-- c\n d -->\n<?php // e\n"),
    ("Perl", 1, "a;\n__END__\nb\n"),
    ("Perl", 1, "a; # b\n__DATA__\nb\n"),
    ("Ruby", 1, "a\n__END__\nb\n"),
    ("Batch", 3, "Rem a\nrem\tb\n@ReM c\nREMOVE d\n@remark e\n  :: f\nset a=rem\n"),
    ("Visual Basic", 3, "REM a\nrem\nRemove\nb = \"'\" ' c\nRemark = 1\n"),
    ("VHDL", 2, "a <= '\"'; -- b\n/* c\n */\nd <= e'event;\n"),
    ("Ada", 2, 'A := \'"\'; -- b\nC : String := "--";\n'),
    ("Haskell", 3, "a --> b = c\nd' = 'e' -- f\n-- g\nh |-- i\n"),
    ("C++", 2, "int a = 1'000'000; /* b\n */ int c;\n"),
    ("C", 1, "// a \\\n b\nint c;\n"),
    ("Zig", 2, "const a = \\\\ // b\nconst c = 1; // d\n"),
    ("SCSS", 2, "a { b: url(//c/*d); }\ne {} // f\n"),
    ("Pascal", 2, "{$IFDEF A}\n{ b }\nc := 1;\n"),
    ("Verilog", 2, "a = 8'hff; /* b\n'c */ d = 1;\n"),
    ("Erlang", 1, 'a() -> $". % b\n% c\n'),
    ("Clojure", 1, '(a \\") ; b\n; c\n'),
    ("Emacs Lisp", 1, '(a ?\\") ; b\n; c\n'),
    # sections
    (
        "Vue",
        8,
        (
            "<template>\n<!-- a -->\n// b\n</template>\n"
            "<script lang='ts'>\n// c\n/* d */\ne\n</script>\n<style>\n</style>\n"
        ),
    ),
    ("Svelte", 4, "<script>\nlet a = '<!--'; // b\n// c\n</script>\n<p>-->\n"),
    ("HTML", 5, "<!-- <script> -->\n<SCRIPT>\n/* a */ b\n</SCRIPT>\n<script type='text/x-template'>\n// c\n<!-- d -->"),
    ("HTML", 2, "<style lang=scss>\n// a\n/* b */\n</style>\n"),
]


CASES += [
    ("JavaScript", 3, "if (a(b)) /\\/*/.exec(c);\nlet d;\nlet e; /* f */\n"),
    ("JavaScript", 2, "let a = (b) / c; /* d */\nlet e = (f) / 2; // */\n"),
    ("Groovy", 2, "def a = $/ /* b /$\ndef c = ~/\\/*d/ // e\n"),
    ("D", 3, "int a; /+ b /+ c +/\n+/ int d;\nauto e = `/+`; // f\n"),
    ("CoffeeScript", 2, "a = '#'\n###\nb\n###\nc = /#/ # d\n"),
    ("Fortran, fixed form", 2, "C a\n      B = '!'\n* c\n! d\n      E = 1 ! f\n"),
    ("Nix", 4, "# a\nb = ''\n  # c\n'';\n/* d\n*/\ne = \"#\";\n"),
    ("GraphQL", 3, '"""\n# a\n"""\n# b\n'),
    ("Vim script", 1, '" a\nlet b = "c" " d\n'),
    ("Thrift", 1, "# a\n// b\nstruct C {} /* d */\n"),
]


@pytest.mark.parametrize(("language", "expected", "text"), CASES)
def test_comments_and_strings(language, expected, text):
    """Comments of each language do not count; strings count, regardless of their content."""
    assert lines(language, text) == expected
    assert lines(language, text.replace("\n", "\r\n")) == expected


def code_lines(content):
    """The lines of Python code according to tokenize, without comments and string statements."""
    physical = content.split(b"\n")
    found, logical = set(), []
    no_code = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    for token in tokenize.tokenize(io.BytesIO(content).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            if any(one.type != tokenize.STRING for one in logical):
                found.update(number for one in logical for number in range(one.start[0], one.end[0] + 1))
            logical = []
        elif token.type not in no_code:
            logical.append(token)
    return sum(bool(physical[number - 1].strip()) for number in found)


def standard_library(*packages):
    """Files of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    return [path for package in packages for path in sorted((root / package).rglob("*.py"))]


@pytest.mark.slow
def test_it_agrees_with_pythons_tokenizer():
    """The count agrees with tokenize, except for at most one line in two thousand."""
    ours = theirs = 0
    for path in standard_library("email", "json", "asyncio", "unittest", "xml", "tkinter"):
        content = path.read_bytes()
        ours += lines("Python", sloc_counter.normalize(content))
        theirs += code_lines(content)
    assert theirs > 15_000
    assert abs(ours - theirs) <= theirs / 2000


NAMES = st.sampled_from(["a", "b1", "_c"])
TEXTS = st.sampled_from(["", "x", "# no", "a 'b'", "\\\\", "/* */", "x = 1", "it's"])
QUOTES = st.sampled_from(['"""', "'''"])
BLANK = st.sampled_from([("", 0), ("   ", 0), ("# a", 0), ("    # '''", 0), ('# """ b', 0)])
SHORT = st.builds(
    lambda name, text, quote: (f"{name} = {quote}{text.replace(quote, '')}{quote}  # c", 1),
    NAMES,
    TEXTS,
    st.sampled_from("'\""),
)


def long_string(name, body, quote):
    """An assignment of a multi-line string, and its number of non-blank lines."""
    shown = [text.replace("'", "") for text in body]
    text = "\n".join([f"{name} = {quote}", *shown, quote])
    return text, 2 + sum(bool(one.strip()) for one in shown)


def docstring(name, body, quote):
    """A function with a docstring, which has two lines of code."""
    shown = [text.replace("'", "") for text in body]
    return "\n".join([f"def {name}():", f"    {quote}Doc.", *shown, f"    {quote}", "    return 1"]), 2


STATEMENTS = st.one_of(
    BLANK,
    SHORT,
    st.builds(long_string, NAMES, st.lists(TEXTS, max_size=4), QUOTES),
    st.builds(docstring, NAMES, st.lists(TEXTS, max_size=4), QUOTES),
    st.builds(lambda name: (f"{name}(\n    'a',\n    'b'\n)", 4), NAMES),
)


@given(st.lists(STATEMENTS, max_size=12))
def test_a_file_has_the_lines_of_its_statements(statements):
    """The count of a file is the sum of the counts of its statements."""
    text = "\n".join(one for one, _ in statements)
    assert lines("Python", text) == sum(count for _, count in statements)


PIECES = st.sampled_from(
    [b'"', b"'", b'"""', b"'''"]
    + [b"\\", b"\n", b"/*", b"*/", b"//", b"#", b"`", b"{-", b"-}", b"--[[", b"]]", b"(*", b"*)"]
    + [b"<!--", b"-->", b"=begin\n", b"=cut"]
    + [b"r#", b'R"(', b")", b" ", b"x", b"\r", b"\0", b"\xff", b"\xff\xfe", b"|#"]
)


@given(st.lists(PIECES, max_size=60).map(b"".join), st.sampled_from(sorted(sloc_languages.SYNTAXES)))
def test_no_text_has_more_code_than_lines(text, language):
    """Any text of any language has at most as many source lines as non-blank lines."""
    clean = sloc_counter.normalize(text)
    assert 0 <= lines(language, clean) <= sum(bool(line.strip()) for line in clean.split(b"\n"))


HOSTILE = [
    b"'" * 300_000,
    b'"\\' * 200_000,
    b"/*" * 200_000,
    b'"a"' * 100_000 + b"/*",
    b"`\\" * 200_000,
    b"\n" * 500_000,
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", ["Python", "C", "JavaScript", "Rust", "OCaml", "Perl", "C++"])
def test_long_lines_need_no_quadratic_time(text, language):
    """Long runs of quotes, openers and escapes do not need quadratic time."""
    assert lines(language, text) in (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\\\n" * 300_000, 300_000),
        (b"'\\\n" * 200_000, 200_000),
        (b'"""\n#' * 100_000, 0),
        (b'#"\n"\n' * 100_000, 0),
    ],
)
def test_many_lines_of_python_need_no_quadratic_time(text, expected):
    """Many continued lines, strings and docstrings do not need quadratic time."""
    assert lines("Python", text) == expected


def count(folder):
    """Lines by language, and notes by reason."""
    notes = file_walk.Notes()
    return sloc_counter.count_tree([str(folder)], file_walk.Excluded(), notes).lines, notes.counts


def test_scripts_behind_dotted_names(tmp_path):
    """The first line decides for a file of an unknown or a shared extension, but not for data."""
    for name in ("tool.unknown", "view.cgi", "check.t", "data.json", "notes.txt"):
        (tmp_path / name).write_bytes(b"#!/bin/sh\necho\n")
    (tmp_path / "other.t").write_bytes(b"# a\nok(1);\n")
    (tmp_path / "other.cgi").write_bytes(b"text\n")
    assert count(tmp_path) == ({"Shell": 3, "Perl": 1}, {})


def test_encodings_are_read(tmp_path):
    """UTF-8 with a byte order mark, UTF-16, Latin-1 and other line ends have the same count."""
    text = "# \u00e9\nx = 1\n\n# b\ny = 2\n"
    encoded = [
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.encode("latin-1"),
        text.replace("\n", "\r").encode(),
    ]
    for number, content in enumerate(encoded):
        (tmp_path / f"{number}.py").write_bytes(content)
    assert count(tmp_path) == ({"Python": 8}, {})


def test_other_files_are_noted(tmp_path, monkeypatch):
    """Binary, large, XML and unreadable files are noted by reason."""
    monkeypatch.setattr(sloc_counter, "LARGEST_FILE", 1 << 20)
    (tmp_path / "binary.c").write_bytes(b"int a;\0")
    (tmp_path / "huge.js").write_bytes(b"a\n" * 600_000)
    (tmp_path / "huge").write_bytes(b"a\n" * 600_000)
    (tmp_path / "translation.ts").write_bytes(b"<?xml version='1.0'?>\n<TS/>\n")
    (tmp_path / "script").write_bytes(b"#!/bin/sh\n" + b"echo\n" * 3000)
    (tmp_path / "text").write_bytes(b"no script\n")
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    (tmp_path / "refused.py").write_bytes(b"x = 1\n")
    real = open

    def refuse(path, *arguments, **options):
        if os.path.basename(str(path)) == "refused.py":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(sloc_counter, "open", refuse, raising=False)
    found, left_out = count(tmp_path)
    assert found == {"Python": 1, "Shell": 3000}
    assert left_out == {
        "binary": 1,
        "larger than 1 MiB": 1,
        "XML": 1,
        "unreadable (Permission denied)": 1,
    }


def test_a_file_that_vanishes_is_left_out(tmp_path, monkeypatch):
    """A file that vanishes before it is opened is ignored."""
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    monkeypatch.setattr(
        sloc_counter, "open", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError(2, "")), raising=False
    )
    assert count(tmp_path) == ({}, {})
