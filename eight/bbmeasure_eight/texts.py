"""Unicode text on Python 2: decoding, lengths and lone surrogates, as on Python 3.

A narrow build of Python 2 keeps a character above U+FFFF as two surrogates; the functions count these as one.
"""

from __future__ import unicode_literals

import re

#: Text in either form that Python 2 has.
STRINGS = (str, type(""))

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]") if len("\U0001f600") == 2 else None
_LONE = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")
_ANSI = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")


def decode(text):
    """``text`` as Unicode; bytes that are not UTF-8 are replaced."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def length(text):
    """The number of characters, as Python 3 counts them."""
    return len(text) - len(_PAIR.findall(text)) if _PAIR else len(text)


def single_units(text):
    """``text`` with one code unit for each character."""
    return _PAIR.sub("\ufffd", text) if _PAIR else text


def has_lone_surrogate(text):
    """Whether the text has half of a surrogate pair."""
    return _LONE.search(text) is not None


def replace_lone_surrogates(text):
    """``text`` with a question mark for each half of a surrogate pair."""
    return _LONE.sub("?", text)


def order(text):
    """Sorting key in the order of code points."""
    return text.encode("utf-8")


def excerpt(text, most=80):
    """The quoted start of a text, for messages."""
    text = decode(text)
    return '"%s"' % text if len(text) <= most else '"%s" (%d characters)' % (text[:most], len(text))


def strip_ansi(text):
    """``text`` without control sequences of terminals."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def merged(*mappings):
    """One dictionary of several; the later ones win.  ``dict(a, **b)`` takes no names beyond ASCII."""
    merged_ = {}
    for mapping in mappings:
        merged_.update(mapping)
    return merged_


def message(error):
    """The message of an exception as Unicode."""
    try:
        return "%s" % (error,)
    except UnicodeError:
        return decode(str(error))
