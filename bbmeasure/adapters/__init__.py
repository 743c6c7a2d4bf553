"""Adapters: from the output of tools to records, one pure module a tool.

:func:`find` returns an :class:`Adapter`.  Its ``parse`` takes the output of one run and returns records in base units.
An empty output has no records, and invalid output raises only :class:`~bbmeasure.errors.ParseError`.  The output is not
trusted: time and memory for XML entities, nested JSON and long lines are linear in its length.

The module ``some_tool.py`` is the adapter ``some-tool``.  It defines ``parse(text)``, that of a linter also
``issues(text)``.  Adapters share the modules whose names begin with ``_``, and ``lint``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Optional, TypeVar

from bbmeasure import units
from bbmeasure.adapters import lint
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError, UnknownAdapterError
from bbmeasure.records import Record

#: The longest output that an adapter parses, in characters.
LONGEST_TEXT = 64 * 1024 * 1024

Parsed = TypeVar("Parsed", Issue, Record)

_SHARED = frozenset(["lint"])
#: The adapters, beside those of linters, whose series have names of their own.
_FIXED = frozenset(["cobertura", "coverage", "junit", "ninja", "time"])


class Adapter:
    """Parser of the output of one tool.  ``name`` is that in ``parser="pytest-benchmark"``."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name = name
        self._parse: Callable[[str], list[Record]] = module.parse
        self._issues: Optional[Callable[[str], list[Issue]]] = getattr(module, "issues", None)
        #: The categories of a linter that have a record even without an issue.
        self.categories: Sequence[str] = getattr(module, "CATEGORIES", ())
        #: The exit statuses other than 0 by which a linter reports issues.
        self.found_issues: frozenset[int] = getattr(module, "FOUND_ISSUES", frozenset())
        #: The exit statuses other than 0 of a run whose output is complete: tests failed, issues were found.
        self.measured_statuses: frozenset[int] = self.found_issues | getattr(module, "MEASURED_STATUSES", frozenset())
        #: Whether the tool writes its output to stderr.
        self.on_stderr: bool = getattr(module, "ON_STDERR", False)
        #: Whether each line of the output is short and complete by itself, as in a build log.  Any other output is a
        #: document, which a step reads from a file, because a worker cuts long lines.
        self.line_based: bool = getattr(module, "LINE_BASED", self.on_stderr)
        #: How the tool is made to write less, for the message about an output that is too large.
        self.smaller: str = getattr(module, "SMALLER", "")

    def __repr__(self) -> str:
        return f"<Adapter {self.name}>"

    @property
    def has_fixed_series(self) -> bool:
        """Whether its series have names of their own, such as ``junit_tests``, not those of benchmarks."""
        return self.is_linter or self.name in _FIXED

    @property
    def is_linter(self) -> bool:
        """Whether the tool is a linter, with :meth:`issues`."""
        return self._issues is not None

    def parse(self, text: str) -> list[Record]:
        """The records of an output; ParseError where it is invalid."""
        return self._guarded(self._parse, text)

    def issues(self, text: str) -> list[Issue]:
        """The issues in the output of a linter; ParseError where it is invalid."""
        if self._issues is None:
            raise UnknownAdapterError(f"adapter {self.name!r}: expected a linter, one of {', '.join(linters())}")
        return self._guarded(self._issues, text)

    def records(self, text: str, *, name: str = "", by_file: bool = False, root: str = "") -> list[Record]:
        """The records of a linter under the series ``name``, by default that of the tool: see :func:`lint.records`."""
        issues = self.issues(text)
        return lint.records(name or self.name, issues, by_file=by_file, categories=self.categories, root=root)

    def _guarded(self, parse: Callable[[str], list[Parsed]], text: str) -> list[Parsed]:
        """Call ``parse``; its exceptions become a ParseError."""
        if not isinstance(text, str):
            raise ParseError(self.name, 0, f"{units.excerpt(repr(text))}: expected a string")
        if len(text) > LONGEST_TEXT:
            raise ParseError(self.name, 0, f"{len(text)} characters: expected at most {LONGEST_TEXT}")
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise ParseError(self.name, line, "NUL character: expected text in UTF-8 (PowerShell's > writes UTF-16)")
        try:
            return parse(text[1:] if text.startswith("\ufeff") else text)
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError) as error:
            raise ParseError(self.name, 0, f"{type(error).__name__}: {units.excerpt(str(error))}") from error
        except ValueError as error:
            if isinstance(error, ParseError):
                raise
            raise ParseError(self.name, 0, units.excerpt(str(error), 400)) from error


def names() -> tuple[str, ...]:
    """The sorted names of all adapters; imports none of them."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name.replace("_", "-") for name in modules if name[0] != "_" and name not in _SHARED))


def find(name: str) -> Adapter:
    """The adapter of that name; UnknownAdapterError where there is none."""
    known = names()
    if name not in known:
        raise UnknownAdapterError(f"adapter {units.excerpt(str(name))}: expected one of {', '.join(known)}")
    return Adapter(name, import_module(f"{__name__}.{name.replace('-', '_')}"))


def linters() -> tuple[str, ...]:
    """The names of the adapters of linters; imports all adapters."""
    return tuple(name for name in names() if find(name).is_linter)
