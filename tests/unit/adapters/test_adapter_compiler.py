"""Lines of compilers and linkers in build logs, and lines of other programs that look like them."""

from __future__ import annotations

import pytest

from bbmeasure import adapters
from bbmeasure.errors import ParseError

PREFIXES = [
    "    ",
    "\t",
    "     [exec] ",
    "[WARNING] ",
    "#12 34.567 ",
    "#7 0.412 [3/9] ",
    "[17/250] ",
    "[ 42%] ",
    "2026-03-04T05:06:07.89Z ",
    "[2026-03-04 05:06:07] ",
    "05:06:07.123   ",
    "[  12.345] ",
    "##[error] ",
    "builder_1   | ",
    "3>",
    "12:1> ",
]


def issues(text, name="gcc"):
    """Category, file and line of each issue."""
    return [(issue.category, issue.file, issue.line) for issue in adapters.find(name).issues(text)]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_ignored(prefix):
    """A line counts with any prefix, and the same line with two prefixes counts once."""
    line = "src/io.c:12:5: warning: unused variable 'n' [-Wunused-variable]\n"
    assert issues(prefix + line) == [("unused-variable", "src/io.c", 12)]
    assert issues(prefix + line + "01:02:03 " + line + line) == [("unused-variable", "src/io.c", 12)]


COUNTED = [
    ("io.cpp(12,5): warning: unused variable 'n' [-Wunused-variable]", ("unused-variable", "io.cpp", 12)),
    ("C:\\src\\io.cpp(12): error C2065: 'n': undeclared identifier", ("C2065", "C:\\src\\io.cpp", 12)),
    ("main.obj : error LNK2019: unresolved external symbol n", ("LNK2019", "main.obj", 0)),
    ("LINK : fatal error LNK1104: cannot open file 'n.lib'", ("LNK1104", "LINK", 0)),
    ("cl : Command line warning D9002 : ignoring unknown option '-n'", ("D9002", "cl", 0)),
    ("lto-wrapper: warning: using serial compilation of 2 LTRANS jobs", ("warning", "", 0)),
    ("lto1: fatal error: bytecode stream in file 'n.o' generated with another version", ("error", "", 0)),
    ("ld.lld: error: undefined symbol: n", ("error", "", 0)),
    ("lld-link: warning: ignoring unknown argument '/n'", ("warning", "", 0)),
    ("wasm-ld: error: n.o: undefined symbol: n", ("error", "", 0)),
    ("mold: fatal: library not found: n", ("error", "", 0)),
    ("/usr/bin/ld.gold: error: cannot find -ln", ("error", "", 0)),
    ("/usr/bin/aarch64-linux-gnu-ld: cannot find -ln: No such file or directory", ("error", "", 0)),
    ("/usr/bin/ld: n.o: relocation R_X86_64_32 against `.rodata' can not be used when making a PIE object", None),
    ("/usr/bin/ld: n.o: undefined reference to symbol 'sin@@GLIBC_2.29'", ("error", "n.o", 0)),
    ("n.o:n.c:function go: error: undefined reference to 'm'", ("error", "n.c", 0)),
    ("n.c:(.text.unlikely+0x1f): undefined reference to `m'", ("error", "n.c", 0)),
    ("/src/n.c:7: undefined reference to `m'", ("error", "/src/n.c", 7)),
    ("collect2: fatal error: ld terminated with signal 9 [Killed]", ("error", "", 0)),
    ("x86_64-w64-mingw32-gcc.exe: error: n.c: No such file or directory", ("error", "", 0)),
    ("warning: unknown warning option '-Wn' [-Wunknown-warning-option]", ("unknown-warning-option", "", 0)),
    ("error: no such file or directory: 'n.c' [clang-diagnostic-error]", ("clang-diagnostic-error", "", 0)),
    ('<command-line>: warning: "N" redefined', ("warning", "<command-line>", 0)),
    ("{standard input}:31: Error: no such instruction: `n'", ("error", "{standard input}", 31)),
    ("/usr/include/c++/12/vector:31:5: warning: n [-Wn]", ("n", "/usr/include/c++/12/vector", 31)),
    ("my file.c:3:1: warning: n", ("warning", "my file.c", 3)),
    ("libn.so.1: undefined reference to `m'", ("error", "libn.so.1", 0)),
    ("/usr/bin/arm-none-eabi-ld: region `RAM' overflowed by 4096 bytes", ("error", "", 0)),
    ("arm-none-eabi/bin/ld: n.elf section `.bss' will not fit in region `RAM'", ("error", "", 0)),
    ("/usr/bin/ld: errno: TLS definition in /lib/libc.so.6 section .tbss mismatches non-TLS reference in n.o", None),
    ("/usr/bin/ld: i386:x86-64 architecture of input file `n.o' is incompatible with aarch64 output", None),
    ("/usr/bin/ld: hidden symbol `n' in libn.a(m.o) is referenced by DSO", None),
    ("/usr/bin/ld: final link failed: nonrepresentable section on output", ("error", "", 0)),
    ("ld: library 'n' not found", ("error", "", 0)),
    ("ld: framework not found N", ("error", "", 0)),
    ("ld: symbol(s) not found for architecture arm64", ("error", "", 0)),
    ("ld: 2 duplicate symbols for architecture x86_64", ("error", "", 0)),
    ("io.cpp:12:5: internal compiler error: Segmentation fault", ("error", "io.cpp", 12)),
    ("g++: internal compiler error: Killed (program cc1plus)", ("error", "", 0)),
    ("io.cpp:12:5: sorry, unimplemented: non-trivial designated initializers", ("error", "io.cpp", 12)),
    ("io.c:12:5:{12:1-12:9}{13:2-13:4}: warning: n [-Wn]", ("n", "io.c", 12)),
    ("io.c +12:5: error: n", ("error", "io.c", 12)),
    ("io.cpp(12,5) :  warning: n [-Wn]", ("n", "io.cpp", 12)),
    ('kernel.cu(12): warning #550-D: variable "n" was set but never used', ("#550-D", "kernel.cu", 12)),
    ("io.c:12: Error: no such instruction: `n'", ("error", "io.c", 12)),
    ("io.c:12:5: warning: Division by zero [core.DivideZero]", ("core.DivideZero", "io.c", 12)),
    ("f951: Warning: command-line option '-Wn' is valid for C but not for Fortran", ("warning", "", 0)),
    ("em++: warning: n [-Wexperimental]", ("experimental", "", 0)),
    ("io.c:12:5: Warnung: unbenutzte Variable \u00bbn\u00ab [-Wunused-variable]", ("unused-variable", "io.c", 12)),
    ("io.c:12:5: erreur\u00a0: \u00ab n \u00bb undeclared", ("error", "io.c", 12)),
    ("io.c:12:5: erreur fatale: n.h : Aucun fichier", ("error", "io.c", 12)),
    ("io.c:12:5: \u8b66\u544a\uff1an [-Wn]", ("n", "io.c", 12)),
    ("collect2: \u043e\u0448\u0438\u0431\u043a\u0430: ld returned 1 exit status", ("error", "", 0)),
]


@pytest.mark.parametrize(("line", "expected"), COUNTED)
def test_lines_that_count(line, expected):
    """Each form of a diagnostic is one issue, also of clang."""
    for name in ("gcc", "clang"):
        (found,) = issues(f"building\n{line}\ndone\n", name)
        assert expected is None or found == expected


OTHERS = [
    "2026-03-04 05:06:07: warning: low on memory",
    "05:06:07: error: no route to host",
    "Mar  4 05:06:07: error: no route to host",
    "localhost:8080: error: connection refused",
    "10.1.2.3:443: error: connection refused",
    "https://example.org:80: error: refused",
    "src/Main.java:3: error: cannot find symbol",
    "    [javac] /src/Main.java:3: warning: [deprecation] n in M has been deprecated",
    "pkg/mod.py:3: error: Incompatible types in assignment  [assignment]",
    "app/a.ts:3:1: error: TS2304: Cannot find name 'n'.",
    "tests/io.cpp:12: error: Failure in TEST(io, reads)",
    'tests/io.cpp(12): error: in "io/reads": check n == 1 has failed [1 != 2]',
    "/src/IOTests.m:12: error: -[IOTests testReads] : failed",
    "make[1]: warning: Clock skew detected.  Your build may be incomplete.",
    "cargo: error: could not compile `n`",
    "error: pathspec 'n' did not match any file(s) known to git",
    "warning: LF will be replaced by CRLF",
    "+ echo a.c:3:1: warning: n",
    "a.c:3:1: note: n: error: m",
    "/usr/bin/ld: n.o: in function `main':",
    "n.c: undefined behaviour is tested",
    "the symbol: undefined reference to `n' is expected",
    "/usr/bin/ld: skipping incompatible /usr/lib/libn.so when searching for -ln",
    "./n: error while loading shared libraries: libn.so: cannot open shared object file: No such file",
    "CSC : error CS5001: Program does not contain a static 'Main' method",
    "C:\\vs\\Microsoft.Common.targets(12,3): warning MSB3073: The command exited with code 1.",
    "src/Makefile:12: warning: overriding recipe for target 'n'",
    "app/meson.build:3:1: error: n",
    "images/Dockerfile:3: error: n",
    "registry.example/team/n:3: error: not found",
    "tar: io.c: warning: file changed as we read it",
    "lib/n.ex:12: warning: variable n is unused",
    "io_test.cpp(12): error: Expected equality of these values:",
    "io_test.cpp(12): error: Value of: n()",
    "io_test.c:12: error: Failure!",
    "io_test.h:12: Error: Expected (n == 1), found (2 != 1)",
    "include/io.h:12: warning: Compound N is not documented.",
    "io.c:12:5: error: Null pointer dereference: n [nullPointer]",
    "Achtung: Warnung: n",
]


@pytest.mark.parametrize("line", OTHERS)
def test_lines_of_other_programs(line):
    """Times, other compilers, test failures and messages of other programs are not issues."""
    assert issues(f"{line}\n") == []


@pytest.mark.parametrize("place", ["n.f90:3.4:", "n.f90:3.24-26:", "C:/src/n.f90:3:"])
@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("Error: Symbol 'x' at (1) has no type", "error"),
        ("Fatal Error: Can't open module file 'm.mod' at (1)", "error"),
        ("Internal Error at (1):\nfree_pi_tree(): Unresolved fixup", "error"),
        ("Warning: Unused variable 'x' at (1) [-Wunused-variable]", "unused-variable"),
    ],
)
def test_places_of_older_gfortran(place, message, category):
    """The column may be behind a point, a range, or missing."""
    assert issues(f"{place}\n\n   x = 1\n    1\n{message}\n") == [(category, place.rpartition(":3")[0], 3)]


def test_fortran_messages_have_the_place_above():
    """A message of gfortran counts once for each place."""
    text = "".join(f"n.f90:{line}:4:\n\n   x = 1\n    1\nError: Symbol 'x' at (1) has no type\n" for line in (3, 9, 3))
    assert issues(text) == [("error", "n.f90", 3), ("error", "n.f90", 9)]


@pytest.mark.parametrize("name", ["gcc", "clang", "teamcity", "flake8"])
def test_text_in_utf16_is_refused(name):
    """UTF-16 that was decoded as UTF-8 has NULs, and is a ParseError with the line of the first."""
    text = "made\na.c:3:1: warning: n\n".encode("utf-16").decode("utf-8", "replace")
    with pytest.raises(ParseError, match="line 1: NUL character: expected text in UTF-8"):
        adapters.find(name).parse(text)
