"""Scanner of source text: finds its comments, and skips strings, regex literals and here documents.

A :class:`Syntax` is a list of rules.  Each has a regex of its opener, and finds its end from there.  What never closes
is not a comment and not a string: a program that has it would not run, so the opener is part of something else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, Iterator, List, NamedTuple, Optional, Pattern, Sequence, Set, Tuple

#: The most here documents without an end in one file.
_MAX_UNCLOSED = 20
_OPERATORS = frozenset(b"([{,;=:!&|?+-*%~^<>}")
_OPERAND_WORDS = rb"return|typeof|case|in|of|do|else|void|delete|throw|new|instanceof|yield|await"
_CONDITION = re.compile(rb"\b(?:if|while|for)\s*\((?:[^()\n]|\([^()\n]*\))*\)\s*\Z")
_REGEX = re.compile(rb"/(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n]){0,500}\]){1,2000}/")


@lru_cache(maxsize=1000)
def compiled(regex: bytes, flags: int = re.DOTALL) -> Pattern[bytes]:
    """A regex of a syntax, compiled at its first use: most trees have few of the languages."""
    return re.compile(regex, flags)


class Token(NamedTuple):
    """The end of a token, and whether it is a comment; an end of 0 means that the opener opens nothing."""

    end: int
    is_comment: bool = False


NOTHING = Token(0)


class Rule:
    """A kind of token that its regex matches completely: a string within a line, or a comment up to its end."""

    def __init__(self, regex: bytes, is_comment: bool = False) -> None:
        self.regex = regex
        self.is_comment = is_comment

    def token(self, _scan: Scan, _text: bytes, _at: int, opened: int) -> Token:
        """The token whose opener is from ``_at`` to ``opened``."""
        return Token(opened, self.is_comment)


class Block(Rule):
    """A comment between an opener and a closer, which may nest."""

    def __init__(self, opens: bytes, closes: bytes, *, nests: bool = False, to_end: bool = False) -> None:
        super().__init__(opens, True)
        self._closes = closes
        self._nests = nests
        self._to_end = to_end

    def token(self, scan: Scan, text: bytes, at: int, opened: int) -> Token:
        """The comment up to its closer."""
        match = compiled(self.regex).match(text, at)
        closes = self._closes
        if match is not None and match.lastindex:
            closes = closes.replace(b"\\1", match.group(1))
        if closes in scan.unclosed or len(scan.unclosed) >= _MAX_UNCLOSED:
            return NOTHING
        end = self._nested_end(text, at, opened, closes) if self._nests and self not in scan.dead else 0
        if end < 0:
            scan.dead.add(self)
        if end <= 0:
            found = text.find(closes, opened - closes.startswith(b"\n"))
            end = found + len(closes) if found >= 0 else len(text) if self._to_end else 0
        if not end:
            scan.unclosed.add(closes)
        return Token(end, True)

    def _nested_end(self, text: bytes, at: int, opened: int, closes: bytes) -> int:
        """The end where each opener within needs a closer of its own; -1 where there is none."""
        opens = text[at:opened]
        depth = 1
        while depth:
            end = text.find(closes, opened)
            if end < 0:
                return -1
            depth += text.count(opens, opened, end) - 1
            opened = end + len(closes)
        return opened


class Long(Rule):
    """A string that may have several lines; ``escapes`` is the byte before a quote that does not close it."""

    def __init__(self, opens: bytes, closes: bytes, escapes: bytes = b"") -> None:
        super().__init__(opens)
        self._closes = closes
        self._escapes = escapes
        escaped = re.escape(escapes)
        last = re.escape(closes[:1])
        self._body = b""
        if escapes:
            body = (
                rb"(?:[^" + escaped + last + rb"]+|" + escaped + rb".|(?!" + re.escape(closes) + rb")" + last + rb")*"
            )
            self._body = body + rb"(" + re.escape(closes) + rb")?"

    def token(self, scan: Scan, text: bytes, at: int, opened: int) -> Token:
        """The string up to its closer."""
        if self in scan.dead:
            return NOTHING
        if self._body:
            end = text.find(self._closes, opened)
            if end >= 0 and text[end - 1 : end] != self._escapes:
                return Token(end + len(self._closes))
            body = compiled(self._body).match(text, opened) if end >= 0 else None
            if body is not None and body.group(1):
                return Token(body.end())
        else:
            match = compiled(self.regex).match(text, at)
            closes = self._closes
            if match is not None and match.lastindex:
                closes = closes.replace(b"\\1", match.group(1))
            end = text.find(closes, opened)
            if end >= 0:
                return Token(end + len(closes))
            if closes != self._closes and len(scan.unclosed) < _MAX_UNCLOSED:
                scan.unclosed.add(closes)
                return NOTHING
        scan.dead.add(self)
        return NOTHING


class Slash(Rule):
    """A regex literal where an operand is expected; elsewhere a slash divides."""

    def __init__(self, words: bytes = b"") -> None:
        super().__init__(rb"/(?![/*>])")
        self._words = rb"(?:\A|[^\w$.])(?:" + _OPERAND_WORDS + words + rb")\Z"

    def token(self, scan: Scan, text: bytes, at: int, _opened: int) -> Token:
        """The literal up to its second slash."""
        before = scan.code_before(at)
        if text[at - 1 : at] == b"<" or not (
            not before
            or before[-1] in _OPERATORS
            or compiled(self._words).search(before)
            or self._is_after_condition(text, at)
        ):
            return NOTHING
        literal = _REGEX.match(text, at)
        return Token(literal.end()) if literal else NOTHING

    @staticmethod
    def _is_after_condition(text: bytes, at: int) -> bool:
        """Whether the line before ``at`` ends in ``if (...)``: the bracket ends no operand."""
        start = max(text.rfind(b"\n", 0, at) + 1, at - 400)
        return text.endswith((b")", b") "), start, at) and _CONDITION.search(text, start, at) is not None


class Outside(Rule):
    """The text of a template around code: from its regex to the next ``opens``, with the comments of HTML."""

    def __init__(self, regex: bytes, opens: bytes) -> None:
        super().__init__(regex)
        self._opens = opens

    def token(self, scan: Scan, text: bytes, _at: int, opened: int) -> Token:
        """The text up to the next code."""
        inner = compiled(self._opens, re.IGNORECASE).search(text, opened)
        end = inner.start() if inner else len(text)
        scan.nested_comments.extend(match.span() for match in _MARKUP.finditer(text, opened, end))
        return Token(end)


_MARKUP = re.compile(rb"<!--.*?-->", re.DOTALL)


class HereDocument(Rule):
    """Lines up to one that consists of a word; the groups of the regex are the indent mark and the word."""

    def __init__(self, regex: bytes, indented: bytes = b"-~") -> None:
        super().__init__(regex)
        self._indented = indented

    def token(self, scan: Scan, text: bytes, at: int, opened: int) -> Token:
        """The rest of the line, and the lines up to the last word."""
        line_end = text.find(b"\n", opened)
        if line_end < 0 or len(scan.unclosed) >= _MAX_UNCLOSED:
            return NOTHING
        end = 0
        for match in compiled(self.regex).finditer(text, at, line_end + 1):
            end = self._body_end(scan, text, match, end or line_end + 1)
            if not end:
                return NOTHING
        return Token(end)

    def _body_end(self, scan: Scan, text: bytes, match: re.Match[bytes], start: int) -> int:
        groups = [group for group in match.groups() if group is not None]
        mark, word = groups[0], groups[-1]
        indent = rb"[ \t]*" if mark and mark in self._indented or not self._indented else b""
        last = re.compile(
            rb"(?m)^" + indent + re.escape(word) + rb"(?!\w)" + (b"" if not self._indented else rb"[ \t]*$")
        )
        found = last.search(text, start)
        if found is None:
            scan.unclosed.add(b"<<" + word)
            return 0
        return found.end()


class Syntax:
    """The tokens of a language, in the order in which they are tried at one position."""

    def __init__(self, *rules: Rule, sections: Optional[Sections] = None) -> None:
        self.rules = rules
        #: The rules of strings within a line.
        self.plain = frozenset(rule for rule in rules if type(rule) is Rule and not rule.is_comment)
        #: Whether the code before a token matters.
        self.looks_back = any(isinstance(rule, Slash) for rule in rules)
        self.sections = sections
        #: The rule of each alternative of the patterns, by the name of the empty group at its end.
        self.by_group: Dict[Optional[str], Rule] = {f"rule_{number}": rule for number, rule in enumerate(rules)}
        # Without a group around each alternative re finds them by their first bytes, five times as fast.
        alternatives = [b"(?:%b)(?P<rule_%d>)" % (rule.regex, number) for number, rule in enumerate(rules)]
        self._openers = b"|".join(alternatives) or b"(?!)"
        self._nested = b"|".join([*alternatives, rb"([(){}])"])

    @property
    def openers(self) -> Pattern[bytes]:
        """A regex of the openers of all rules."""
        return compiled(self._openers)

    @property
    def nested(self) -> Pattern[bytes]:
        """The same with brackets, for code within a string."""
        return compiled(self._nested)

    def count_lines(self, text: bytes) -> int:
        """The number of lines of ``text`` that contain code: neither blank nor only comments."""
        return sum(map(bool, map(bytes.strip, self.code_of(text).split(b"\n"))))

    def code_of(self, text: bytes) -> bytes:
        """``text`` without comments; one of several lines leaves a line break."""
        if self.sections is not None:
            return b"".join(self.sections.code_of(text, self))
        pieces: List[bytes] = []
        start = 0
        for begin, end in Scan(text, self).comments():
            pieces.append(text[start:begin])
            if text.find(b"\n", begin, end) >= 0:
                pieces.append(b"\n")
            start = end
        pieces.append(text[start:])
        return b" ".join(pieces)


class Sections:
    """Elements of a file in another language: the regex of their start tag, whose group is the name, and the syntax."""

    def __init__(self, opens: bytes, syntaxes: Sequence[Tuple[bytes, Syntax]]) -> None:
        self._opens = opens
        self._syntaxes = syntaxes

    def code_of(self, text: bytes, syntax: Syntax) -> Iterator[bytes]:
        """The code between the elements in ``syntax``, that of the file, and in each element in its own."""
        outer = Syntax(*syntax.rules)
        position = start = 0
        lower = text.lower()
        while True:
            opened = compiled(self._opens, re.IGNORECASE).search(text, position)
            comment = outer.openers.search(text, position)
            if opened is None:
                break
            if comment is not None and comment.start() < opened.start():
                end = text.find(b"-->", comment.end())
                position = end + 3 if end >= 0 else comment.end()
                continue
            end = lower.find(b"</" + opened.group(1).lower(), opened.end())
            end = len(text) if end < 0 else end
            yield outer.code_of(text[start : opened.end()])
            yield (self._syntax_of(opened.group()) or outer).code_of(text[opened.end() : end])
            start = position = end
        yield outer.code_of(text[start:])

    def _syntax_of(self, opener: bytes) -> Optional[Syntax]:
        """The syntax of the element that ``opener`` starts; None where it is that of the file."""
        return next((found for regex, found in self._syntaxes if compiled(regex, re.IGNORECASE).search(opener)), None)


class Scan:
    """One pass over a text."""

    def __init__(self, text: bytes, syntax: Syntax) -> None:
        self._text = text
        self.syntax = syntax
        #: Rules and closers of which an opener was not closed: no later one is.
        self.dead: Set[Rule] = set()
        self.unclosed: Set[bytes] = set()
        self.nested_comments: List[Tuple[int, int]] = []
        self._position = 0
        self._before = b""

    def passed(self, end: int, last: bytes) -> None:
        """Note that a token ended at ``end``; ``last`` stands for it as the code before the next one."""
        self._position = end
        self._before = last or self._before

    def code_before(self, at: int) -> bytes:
        """The last bytes of code before ``at``, without blanks and comments."""
        return self._text[max(self._position, at - 400) : at].rstrip()[-16:] or self._before

    def comments(self) -> Iterator[Tuple[int, int]]:
        """The start and end of each comment."""
        text, syntax = self._text, self.syntax
        search, by_group, plain = syntax.openers.search, syntax.by_group, syntax.plain
        position = 0
        while True:
            found = search(text, position)
            if found is None:
                return
            rule = by_group[found.lastgroup]
            if rule in plain:
                self._position = position = found.end()
                self._before = b'"'
                continue
            at, end = found.span()
            is_comment = rule.is_comment
            if type(rule) is not Rule:  # its regex matches the opener only
                end, is_comment = rule.token(self, text, at, end)
                if end <= at:
                    position = at + 1
                    continue
                if self.nested_comments:
                    yield from self.nested_comments
                    self.nested_comments = []
            if is_comment:
                if syntax.looks_back:
                    self._before = self.code_before(at)
                yield at, end
            else:
                self._before = b'"'
            self._position = position = end
