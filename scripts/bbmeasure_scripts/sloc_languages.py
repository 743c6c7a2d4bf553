"""Languages by file name, and the syntax of their comments and strings.

Data and prose (JSON, YAML, XML, Markdown) do not count as source code.  A new language is a row in ``_TABLE``.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from bbmeasure_scripts import sloc_python, sloc_syntaxes
from bbmeasure_scripts.sloc_scanner import Syntax

#: Language, its syntax, its extensions (with a dot) and whole file names, in lower case.
_TABLE: List[Tuple[str, Syntax, str]] = [
    ("Ada", sloc_syntaxes.ADA, ".adb .ads"),
    ("Assembly", sloc_syntaxes.ASSEMBLY, ".asm .s"),
    ("AWK", sloc_syntaxes.AWK, ".awk"),
    ("Batch", sloc_syntaxes.BATCH, ".bat .cmd"),
    ("C", sloc_syntaxes.C, ".c .h .y .l"),
    ("C#", sloc_syntaxes.CSHARP, ".cs"),
    ("C++", sloc_syntaxes.CPP, ".cpp .cc .cxx .c++ .hpp .hh .hxx .h++ .ipp .tpp .inl .tcc .ino .ixx .cppm"),
    ("Clojure", sloc_syntaxes.CLOJURE, ".clj .cljs .cljc"),
    ("CMake", sloc_syntaxes.CMAKE, ".cmake cmakelists.txt"),
    ("CoffeeScript", sloc_syntaxes.COFFEE, ".coffee"),
    ("Crystal", sloc_syntaxes.RUBY, ".cr"),
    ("CSS", sloc_syntaxes.CSS, ".css .pcss"),
    ("CUDA", sloc_syntaxes.CPP, ".cu .cuh"),
    ("D", sloc_syntaxes.D, ".d .di"),
    ("Dart", sloc_syntaxes.DART, ".dart"),
    ("Dockerfile", sloc_syntaxes.DOCKERFILE, ".dockerfile dockerfile containerfile"),
    ("Elixir", sloc_syntaxes.ELIXIR, ".ex .exs"),
    ("Elm", sloc_syntaxes.ELM, ".elm"),
    ("Emacs Lisp", sloc_syntaxes.EMACS, ".el"),
    ("Erlang", sloc_syntaxes.ERLANG, ".erl .hrl rebar.config"),
    ("F#", sloc_syntaxes.FSHARP, ".fs .fsi .fsx"),
    ("Fish", sloc_syntaxes.FISH, ".fish"),
    ("Fortran", sloc_syntaxes.FORTRAN, ".f90 .f95 .f03 .f08"),
    ("Fortran, fixed form", sloc_syntaxes.FORTRAN_FIXED, ".f .for .ftn .f77"),
    ("GLSL", sloc_syntaxes.C, ".glsl .vert .frag .geom"),
    ("Go", sloc_syntaxes.GO, ".go"),
    ("GraphQL", sloc_syntaxes.GRAPHQL, ".graphql .gql"),
    ("Groovy", sloc_syntaxes.GROOVY, ".groovy .gradle .gvy jenkinsfile"),
    ("Haskell", sloc_syntaxes.HASKELL, ".hs .hsc"),
    ("HCL", sloc_syntaxes.HCL, ".tf .hcl"),
    ("HTML", sloc_syntaxes.HTML, ".html .htm .xhtml"),
    ("Java", sloc_syntaxes.JAVA, ".java"),
    ("JavaScript", sloc_syntaxes.SCRIPT, ".js .mjs .cjs .jsx"),
    ("Julia", sloc_syntaxes.JULIA, ".jl"),
    ("Kotlin", sloc_syntaxes.KOTLIN, ".kt .kts"),
    ("Less", sloc_syntaxes.SCSS, ".less"),
    ("Lisp", sloc_syntaxes.LISP, ".lisp .lsp .cl .asd"),
    ("Lua", sloc_syntaxes.LUA, ".lua"),
    ("Makefile", sloc_syntaxes.HASH, ".mk .mak makefile gnumakefile makefile.am makefile.in"),
    ("Meson", sloc_syntaxes.MESON, "meson.build meson_options.txt"),
    ("Nim", sloc_syntaxes.NIM, ".nim"),
    ("Nix", sloc_syntaxes.NIX, ".nix"),
    ("Objective-C", sloc_syntaxes.C, ".m"),
    ("Objective-C++", sloc_syntaxes.CPP, ".mm"),
    ("OCaml", sloc_syntaxes.ML, ".ml .mli .mll .mly"),
    ("Pascal", sloc_syntaxes.PASCAL, ".pas .dpr .lpr"),
    ("Perl", sloc_syntaxes.PERL, ".pl .pm .perl .psgi .plx cpanfile"),
    ("PHP", sloc_syntaxes.PHP, ".php .phtml"),
    ("PowerShell", sloc_syntaxes.POWERSHELL, ".ps1 .psm1 .psd1"),
    ("Protocol Buffers", sloc_syntaxes.C, ".proto"),
    (
        "Python",
        sloc_python.PYTHON,
        ".py .pyw .pyi .pyx .pxd .pxi .bzl .star sconstruct wscript snakefile build.bazel",
    ),
    ("QML", sloc_syntaxes.SCRIPT, ".qml"),
    ("R", sloc_syntaxes.R, ".r"),
    (
        "Ruby",
        sloc_syntaxes.RUBY,
        ".rb .rake .gemspec .ru .podspec rakefile gemfile vagrantfile podfile fastfile",
    ),
    ("Rust", sloc_syntaxes.RUST, ".rs"),
    ("Scala", sloc_syntaxes.SCALA, ".scala .sc .sbt"),
    ("Scheme", sloc_syntaxes.LISP, ".scm .ss .rkt .sld .sls"),
    ("SCSS", sloc_syntaxes.SCSS, ".scss"),
    ("Shell", sloc_syntaxes.SHELL, ".sh .bash .zsh .ksh .bats .zsh-theme .ebuild pkgbuild"),
    ("Solidity", sloc_syntaxes.C, ".sol"),
    ("SQL", sloc_syntaxes.SQL, ".sql"),
    ("Svelte", sloc_syntaxes.HTML, ".svelte"),
    ("Swift", sloc_syntaxes.SWIFT, ".swift"),
    ("SystemVerilog", sloc_syntaxes.VERILOG, ".sv .svh"),
    ("Tcl", sloc_syntaxes.TCL, ".tcl"),
    ("Thrift", sloc_syntaxes.THRIFT, ".thrift"),
    ("TypeScript", sloc_syntaxes.SCRIPT, ".ts .tsx .mts .cts"),
    ("Vala", sloc_syntaxes.CSHARP, ".vala"),
    ("Verilog", sloc_syntaxes.VERILOG, ".v .vh"),
    ("VHDL", sloc_syntaxes.VHDL, ".vhd .vhdl"),
    ("Vim script", sloc_syntaxes.VIM, ".vim"),
    ("Visual Basic", sloc_syntaxes.BASIC, ".vb .bas .vbs"),
    ("Vue", sloc_syntaxes.HTML, ".vue"),
    ("Zig", sloc_syntaxes.ZIG, ".zig"),
]

#: The interpreters in a ``#!`` line, without their version, of each language.
_INTERPRETERS: Dict[str, str] = {
    interpreter: language
    for language, interpreters in {
        "AWK": "awk gawk mawk nawk",
        "Clojure": "clojure bb",
        "Elixir": "elixir",
        "Emacs Lisp": "emacs",
        "Erlang": "escript",
        "Fish": "fish",
        "Groovy": "groovy",
        "Haskell": "runhaskell runghc",
        "JavaScript": "node nodejs bun qjs",
        "Julia": "julia",
        "Lua": "lua luajit texlua",
        "Makefile": "make gmake",
        "OCaml": "ocaml",
        "Perl": "perl",
        "PHP": "php",
        "PowerShell": "pwsh",
        "Python": "python pypy jython uv",
        "R": "Rscript",
        "Ruby": "ruby jruby rake",
        "Scala": "scala",
        "Scheme": "guile racket",
        "Shell": "sh bash dash ksh mksh pdksh zsh ash bats",
        "Swift": "swift",
        "Tcl": "tclsh wish expect",
        "TypeScript": "deno tsx",
    }.items()
    for interpreter in interpreters.split()
}
_SHEBANG = re.compile(
    rb"#!\s*(?:\S*/)?(?:env\s+(?:-S\s*|--split-string[= ])?(?:-\S+\s+)*(?:\S+=\S*\s+)*(?:\S*/)?)?(?:busybox\s+)?"
    rb"(ts-node|[A-Za-z]+)"
)
#: Extensions behind which the name of a template has its own.
_TEMPLATES = (".in", ".sample", ".template", ".tmpl", ".dist", ".example")
#: Extensions of data and prose, which have no ``#!`` line.
_DATA = re.compile(
    r"\.(?:a|bin|bmp|bz2|class|csv|dll|doc|docx|dylib|eot|exe|gif|gz|ico|icns|ipynb|jar|jpeg|jpg|json|lock|log|"
    r"map|md|mo|mp3|mp4|o|obj|odt|otf|parquet|pdf|png|po|pot|pyc|rst|so|svg|tar|tgz|toml|tsv|ttf|txt|wasm|"
    r"wav|webp|whl|woff|woff2|xls|xlsx|xml|xz|yaml|yml|zip)\Z"
)

SYNTAXES: Dict[str, Syntax] = {name: syntax for name, syntax, _ in _TABLE}
_BY_NAME: Dict[str, str] = {key: name for name, _, keys in _TABLE for key in keys.split()}


#: The languages of names such as ``Dockerfile.alpine`` and ``Makefile.linux``.
_BY_STEM = {stem: _BY_NAME[stem] for stem in ("dockerfile", "containerfile", "jenkinsfile", "makefile", "gnumakefile")}
#: Extensions that several languages share: the ``#!`` line decides, and this language has the files without one.
_SHARED = {".t": "Perl", ".cgi": "", ".fcgi": ""}


def _extension(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def by_name(name: str) -> Optional[str]:
    """The language of a file name; None where it is unknown."""
    lower = name.lower()
    extension = _extension(lower)
    language = None if lower.startswith(".") and not extension else _BY_NAME.get(lower)
    if language is None and extension in _TEMPLATES:
        return by_name(lower[: -len(extension)])
    language = language or _SHARED.get(extension) or (_BY_NAME.get(extension) if extension else None)
    return language or _BY_STEM.get(lower.partition(".")[0])


def may_be_script(name: str) -> bool:
    """Whether a file of an unknown name may be a script with a ``#!`` line."""
    return not _DATA.match(_extension(name))


def may_be_other(name: str) -> bool:
    """Whether a ``#!`` line decides before the extension."""
    return _extension(name) in _SHARED


def by_first_line(text: bytes) -> Optional[str]:
    """The language of a ``#!`` line."""
    match = _SHEBANG.match(text)
    interpreter = match.group(1).decode("ascii") if match else ""
    return "TypeScript" if interpreter == "ts-node" else _INTERPRETERS.get(interpreter)
