"""What tools print, as records: one pure module a tool, found by the tool's name and loaded when it is asked for.

:func:`find` gives an :class:`Adapter`.  Its ``parse`` takes the text of one run and gives records in base units; no
text gives no records, and what cannot be read is a :class:`~bbmeasure.errors.ParseError` and nothing else.  The text
is a stranger's: XML entities, JSON bombs and endless lines cost no more than their reading.

A module ``some_tool.py`` in this package is the adapter ``some-tool``; it has ``parse(text)``, and a linter's has
``issues(text)`` too.  Modules whose names begin with ``_``, and ``lint``, are what adapters share.
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

#: The longest text that an adapter reads, in characters.
LONGEST_TEXT = 16 * 1024 * 1024

Read = TypeVar("Read", Issue, Record)

_SHARED = frozenset(["lint"])


class Adapter:
    """Reads one tool's output.  ``name`` is the tool's, as in ``parser="pytest-benchmark"``."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name = name
        self._parse: Callable[[str], list[Record]] = module.parse
        self._issues: Optional[Callable[[str], list[Issue]]] = getattr(module, "issues", None)
        #: The categories that a linter always reports, with 0 where it found none.
        self.categories: Sequence[str] = getattr(module, "CATEGORIES", ())
        #: The exit statuses, besides 0, by which a linter says that it ran and found something.
        self.found_issues: frozenset[int] = getattr(module, "FOUND_ISSUES", frozenset())

        #: Whether the tool speaks on stderr.
        self.on_stderr: bool = getattr(module, "ON_STDERR", False)

    def __repr__(self) -> str:
        return f"<Adapter {self.name}>"

    @property
    def is_linter(self) -> bool:
        """Whether it has :meth:`issues`."""
        return self._issues is not None

    def parse(self, text: str) -> list[Record]:
        """The records of one run's output; ParseError where it cannot be read."""
        return self._guarded(self._parse, text)

    def issues(self, text: str) -> list[Issue]:
        """A linter's issues; ParseError where it cannot be read, or where nothing was printed by a tool that never
        prints nothing."""
        if self._issues is None:
            raise UnknownAdapterError(f"adapter {self.name!r}: expected a linter's, one of {', '.join(linters())}")
        return self._guarded(self._issues, text)

    def records(self, text: str, *, name: str = "", by_file: bool = False, root: str = "") -> list[Record]:
        """A linter's records under the series ``name`` (the tool's own by default): see :func:`lint.records`."""
        issues = self.issues(text)
        return lint.records(name or self.name, issues, by_file=by_file, categories=self.categories, root=root)

    def _guarded(self, read: Callable[[str], list[Read]], text: str) -> list[Read]:
        """What ``read`` makes of ``text``; a fault of ours in reading a stranger's text is said as one of the text."""
        if not isinstance(text, str):
            raise ParseError(self.name, 0, f"{units.excerpt(repr(text))}: expected a text")
        if len(text) > LONGEST_TEXT:
            raise ParseError(self.name, 0, f"{len(text)} characters: expected at most {LONGEST_TEXT}")
        try:
            return read(text[1:] if text.startswith("\ufeff") else text)
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError) as error:
            raise ParseError(self.name, 0, f"{type(error).__name__}: {units.excerpt(str(error))}") from error
        except ValueError as error:
            if isinstance(error, ParseError):
                raise
            raise ParseError(self.name, 0, units.excerpt(str(error), 400)) from error


def names() -> tuple[str, ...]:
    """The names of all adapters, in order; loads none of them."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name.replace("_", "-") for name in modules if name[0] != "_" and name not in _SHARED))


def find(name: str) -> Adapter:
    """The adapter of that name; UnknownAdapterError says which there are."""
    known = names()
    if name not in known:
        raise UnknownAdapterError(f"adapter {units.excerpt(str(name))}: expected one of {', '.join(known)}")
    return Adapter(name, import_module(f"{__name__}.{name.replace('-', '_')}"))


def linters() -> tuple[str, ...]:
    """The names of the adapters that have issues; loads all of them."""
    return tuple(name for name in names() if find(name).is_linter)
